//! The program as its own helper: a process that moves frames, and goes on when its starter ends.
//!
//! ```text
//! program ── starts with a listening socket ──> helper: makes threads, moves frames
//!    │ ──── put, set, remove, list ────────────────>  │
//!    ✗ killed                                         │  frames go on
//! program, started again ──── list ────────────────>  │
//! ```
//! It ends by itself when it has had no links for a while. Devices that go, with the namespaces they are in, take
//! their links with them: nobody has to be told, and nothing is left.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, shutdown};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Impairment;
use crate::error::LineError;
use crate::lines::Lines;
use crate::protocol::{DESCRIPTORS, Reply, Request, receive, send};

/// How the program is started as its own helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Helper {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments: the name of a hidden subcommand that calls [`main`].
    pub arguments: Vec<String>,
}

impl Default for Helper {
    /// The running executable with the subcommand `delay-line`.
    fn default() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), arguments: vec!["delay-line".to_owned()] }
    }
}

/// How often it looks whether it is needed.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How many looks in a row find no link before it ends.
const PATIENCE: u32 = 3;
/// How long it waits when it cannot serve who has connected.
const PAUSE: Duration = Duration::from_millis(100);

/// Plays the helper. A program that uses a [`crate::Keeper`] with one calls this first thing in `main`, when its
/// arguments begin with those of [`Helper`].
///
/// Not for calling by hand: it returns with an error at once when its standard input is not the socket that a starter
/// gave it.
#[must_use]
pub fn main(_arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        // Standard error leads nowhere; the code is what can be seen.
        Err(_) => ExitCode::from(125),
    }
}

fn play() -> Result<(), LineError> {
    let stdin = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(io::Error::from)?;
    let listener = UnixListener::from(stdin);
    // Of nothing but a listening socket.
    if !rustix::net::sockopt::socket_acceptconn(&listener).map_err(io::Error::from)? {
        return Err(LineError::Helper("standard input is no listening socket".to_owned()));
    }
    // Signals of the starter's terminal are none of its business.
    rustix::process::setsid().map_err(io::Error::from)?;
    // Two for each link; who needs more than is allowed is told when a link is put.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    serve(&listener, &Arc::new(Service::new(Lines::start()?)))
}

/// What everybody is answered from who connects.
struct Service {
    lines: Lines,
    /// Whether links can still be put. Who puts one holds it all the while.
    open: RwLock<bool>,
}

impl Service {
    fn new(lines: Lines) -> Self {
        Self { lines, open: RwLock::new(true) }
    }

    /// Puts a link; `None` when it is too late for that.
    fn put(
        &self,
        name: &str,
        taps: [OwnedFd; DESCRIPTORS],
        impairments: [Impairment; 2],
    ) -> Option<Result<(), LineError>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.then(|| self.lines.put(name, taps, impairments))
    }

    /// Ends it unless there is a link: `false`.
    fn close(&self) -> bool {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        *open = !self.lines.is_empty();
        !*open
    }
}

/// Serves until there has been no link for a while. Nobody can connect after that, whoever else has the listening socket;
/// those who have, and were not accepted, see when this process ends that it has.
fn serve(listener: &UnixListener, service: &Arc<Service>) -> Result<(), LineError> {
    let mut idle = 0;
    while idle < PATIENCE || !service.close() {
        let mut waited = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
        let ready = match poll(&mut waited, Some(&LOOK)) {
            Ok(count) => count > 0,
            Err(rustix::io::Errno::INTR) => false,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        // Its links are worth more than one who calls: what there are no means for is tried again.
        if ready && attend(listener, service).is_err() {
            std::thread::sleep(PAUSE);
        }
        idle = if ready || !service.lines.is_empty() { 0 } else { idle + 1 };
    }
    Ok(shutdown(listener, Shutdown::Both).map_err(io::Error::from)?)
}

/// Lets a thread answer who has connected.
fn attend(listener: &UnixListener, service: &Arc<Service>) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    let service = service.clone();
    std::thread::Builder::new().name("control".to_owned()).spawn(move || {
        // Who was connected has ended, or speaks another language: either way it is over.
        let _ = answer(&stream, &service);
    })?;
    Ok(())
}

fn answer(stream: &UnixStream, service: &Service) -> io::Result<()> {
    let lines = &service.lines;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    while let Some((request, descriptors)) = receive::<Request>(stream)? {
        let done = match request {
            Request::Put { name, impairments } => match <[_; DESCRIPTORS]>::try_from(descriptors) {
                Ok(taps) => match service.put(&name, taps, impairments) {
                    Some(put) => put.map(|()| Reply::Done),
                    // As good as ended: another one is started.
                    None => return Ok(()),
                },
                Err(_) => Err(LineError::Helper("a link has two devices".to_owned())),
            },
            Request::Set { name, impairments } => lines.set(&name, impairments).map(|()| Reply::Done),
            Request::Remove { name } => lines.remove(&name).map(|()| Reply::Done),
            Request::List => lines.list().map(Reply::Links),
        };
        let reply = match done {
            Ok(reply) => reply,
            Err(LineError::Unknown(name)) => Reply::Unknown(name),
            Err(error) => Reply::Failed(error.to_string()),
        };
        send(stream, &reply, &[])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
