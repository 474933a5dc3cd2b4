//! Published ports by a proxy in this program: it accepts on the host and connects inside the container.
//!
//! One thread serves all ports of an engine, by epoll(7): hundreds of containers with a few connections each are
//! the rule, and a pair of threads for each connection would be most of the program. All it does is to copy bytes,
//! which never blocks; only a new connection costs more, a tenth of a millisecond for a socket inside.

mod target;
mod tcp;
mod udp;
mod worker;

use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};

pub(crate) use target::Target;

use super::Protocol;
use crate::error::{Context as _, EngineError};

/// The proxy of an engine. Its thread is there from the first published port on.
#[derive(Debug, Default)]
pub(crate) struct Proxy {
    worker: Mutex<Option<Handle>>,
}

/// A port to serve: its socket, bound and, for TCP, listening.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) protocol: Protocol,
    pub(crate) socket: OwnedFd,
    pub(crate) container_port: u16,
}

#[derive(Debug)]
struct Handle {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told. Each is answered when it is done.
#[derive(Debug)]
enum Command {
    Add { container: String, target: Target, ports: Vec<Listening>, done: Sender<std::io::Result<()>> },
    Remove { container: String, done: Sender<std::io::Result<()>> },
    Quit,
}

#[derive(Debug)]
enum Listening {
    Tcp(TcpListener, u16),
    Udp(UdpSocket, u16),
}

impl Proxy {
    /// Serves ports of a container.
    pub(crate) fn add(&self, container: &str, target: Target, ports: Vec<Serve>) -> Result<(), EngineError> {
        let shown = Path::new(container);
        let mut worker = self.worker();
        let handle = match &mut *worker {
            Some(handle) => handle,
            none => none.insert(Handle::start().context("start the proxy for", shown)?),
        };
        let ports = ports.into_iter().map(Listening::from).collect();
        let (done, answer) = channel();
        handle.tell(Command::Add { container: container.to_owned(), target, ports, done });
        wait(&answer).context("publish ports of", shown)
    }

    /// Ends a container's ports and what goes through them. On return those of TCP are free, for sockets that share
    /// addresses with closed ones (`SO_REUSEADDR`), as those of [`HostSockets`](crate::HostSockets) do; those of UDP
    /// some moments later, if a program is just being started. None is fine.
    pub(crate) fn remove(&self, container: &str) -> Result<(), EngineError> {
        let worker = self.worker();
        let Some(handle) = &*worker else { return Ok(()) };
        let (done, answer) = channel();
        handle.tell(Command::Remove { container: container.to_owned(), done });
        wait(&answer).context("take back ports of", Path::new(container))
    }

    fn worker(&self) -> MutexGuard<'_, Option<Handle>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait(answer: &Receiver<std::io::Result<()>>) -> std::io::Result<()> {
    answer.recv().unwrap_or_else(|_| Err(std::io::Error::other("the proxy's thread has ended")))
}

impl From<Serve> for Listening {
    fn from(serve: Serve) -> Self {
        match serve.protocol {
            Protocol::Tcp => Self::Tcp(serve.socket.into(), serve.container_port),
            Protocol::Udp => Self::Udp(serve.socket.into(), serve.container_port),
        }
    }
}

impl Handle {
    fn start() -> std::io::Result<Self> {
        let (commands, receiver) = channel();
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let worker = worker::Worker::new(receiver, Arc::clone(&wake))?;
        let thread = std::thread::Builder::new().name("ports".to_owned()).spawn(move || worker.run())?;
        Ok(Self { commands, wake, thread: Some(thread) })
    }

    fn tell(&self, command: Command) {
        // A thread that has ended drops the command and with it the answer's sender, which the caller notices.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tell(Command::Quit);
        if let Some(thread) = self.thread.take() {
            // It prints its panic itself.
            let _ = thread.join();
        }
    }
}
