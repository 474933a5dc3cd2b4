//! Ends of containers: noticed by a thread of its own as they happen, and by every call that looks at a container.
//!
//! The thread waits for descriptors of processes (epoll(7)), one for each container that runs. Whoever is first, it or
//! a call, does all that follows from an end while it holds the container's lock; the other one finds it done. The thread
//! reaps helpers as well (`helpers`).

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::Timespec;

use super::Engine;
use super::container::{Container, Live, Removal};
use super::helpers::ToReap;
use crate::cgroup::Cgroups;
use crate::error::{Context as _, EngineError};
use crate::process::Process;
use crate::publish::ports::Ports;
use crate::record::{Exit, State};

/// What the thread is told by in place of a process when it is to end.
const QUIT: u64 = u64::MAX;

/// So long the thread leaves a container alone that a call is at work on; mostly the call notices the end itself.
const RETRY: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// A container that has ended; see [`Engine::subscribe`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub exit: Exit,
}

impl Engine {
    /// Tells of every end of a container from now on, once each, whoever brought it about: the container itself,
    /// somebody else, or [`Engine::stop`], [`Engine::kill`] and [`Engine::remove`]. What comes from the receiver is
    /// written down already, and its published ports are free; where that failed, calls on the container say so. The
    /// receiver ends when the engine is dropped.
    ///
    /// Ends are kept for a receiver until it takes them, without bound: drop one that is not read. What had ended
    /// before the engine was opened is not told; [`Engine::list`] has it.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<Ended> {
        let (sender, receiver) = channel();
        self.ends.shared.subscribers().push(sender);
        receiver
    }

    /// Takes in that the process of a container has ended, if it has.
    pub(super) fn notice_end(&self, container: &Container, live: &mut Live) -> Result<(), EngineError> {
        self.ends.shared.notice(container, live)
    }
}

/// The thread; ended by dropping.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) shared: Arc<Shared>,
    /// Closed to end the thread.
    end: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread and the engine have both.
#[derive(Debug)]
pub(super) struct Shared {
    cgroups: Arc<Cgroups>,
    ports: Arc<Ports>,
    pub(super) epoll: OwnedFd,
    /// Containers whose end has not been noticed, by their process's descriptor. It is open as long: the container
    /// has it until then.
    running: Mutex<BTreeMap<u64, Arc<Container>>>,
    /// Children of this program, likewise.
    pub(super) children: Mutex<BTreeMap<u64, ToReap>>,
    subscribers: Mutex<Vec<Sender<Ended>>>,
}

impl Ends {
    /// Starts the thread. What follows from an end concerns these.
    pub(super) fn start(cgroups: &Arc<Cgroups>, ports: &Arc<Ports>) -> Result<Self, EngineError> {
        let shown = Path::new("the ends of containers");
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("watch", shown)?;
        let (ended, end) = pipe_with(PipeFlags::CLOEXEC).context("watch", shown)?;
        epoll::add(&epoll, &ended, EventData::new_u64(QUIT), EventFlags::IN).context("watch", shown)?;
        let shared = Arc::new(Shared {
            cgroups: Arc::clone(cgroups),
            ports: Arc::clone(ports),
            epoll,
            running: Mutex::default(),
            children: Mutex::default(),
            subscribers: Mutex::default(),
        });
        let work = {
            let shared = Arc::clone(&shared);
            move || shared.run(&ended)
        };
        let thread =
            std::thread::Builder::new().name("engine-ends".to_owned()).spawn(work).context("watch", shown)?;
        Ok(Self { shared, end: Some(end), thread: Some(thread) })
    }

    /// From now on the end of a container's process is noticed. The caller holds the container's lock, and keeps the
    /// process open: the container has it when the lock is given back, or [`Self::forget`] is called.
    pub(super) fn watch(&self, container: &Arc<Container>, process: &Process) -> Result<(), EngineError> {
        let key = key(process);
        self.shared.running().insert(key, Arc::clone(container));
        // Told once: somebody else may be at work on the container then, and it is tried again without being told.
        let flags = EventFlags::IN | EventFlags::ONESHOT;
        let added = epoll::add(&self.shared.epoll, process.descriptor(), EventData::new_u64(key), flags);
        if added.is_err() {
            self.shared.running().remove(&key);
        }
        added.context("watch", &container.directory)
    }

    /// Takes back [`Self::watch`].
    pub(super) fn forget(&self, process: &Process) {
        self.shared.forget(process);
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has no result, and a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

/// What the kernel and the thread call a process by.
pub(super) fn key(process: &Process) -> u64 {
    u64::from(process.descriptor().as_raw_fd().unsigned_abs())
}

impl Shared {
    /// `_ended`: the end of the pipe that stays open as long as the thread.
    fn run(&self, _ended: &OwnedFd) {
        let mut events = Vec::with_capacity(64);
        let mut ended = Vec::new();
        loop {
            let timeout = (!ended.is_empty()).then_some(&RETRY);
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout) {
                Ok(_) | Err(Errno::INTR) => {}
                // Without epoll there is nothing this thread could do; calls go on noticing ends.
                Err(_) => return,
            }
            ended.extend(events.drain(..).map(|event| event.data.u64()));
            if ended.contains(&QUIT) {
                return;
            }
            ended.retain(|key| !self.reap(*key) && !self.notice_by_key(*key));
        }
    }

    /// Takes in an end; false when somebody else is at work on the container. Waiting for them would hold up others.
    fn notice_by_key(&self, key: u64) -> bool {
        let Some(container) = self.running().get(&key).cloned() else { return true };
        let Some(mut live) = container.live_if_free() else { return false };
        // What cannot be done is tried again by the next one who looks, and who hears of it.
        let _ = self.notice(&container, &mut live);
        true
    }

    /// Takes in that the process of a container has ended, if it has, and does what follows from it.
    fn notice(&self, container: &Container, live: &mut Live) -> Result<(), EngineError> {
        if live.removal == Removal::Done {
            // All is done, and what has its name now is another one's.
            return Ok(());
        }
        let shown = &container.directory;
        let noticed = match live.process.clone() {
            Some(process) if process.ended(Some(Duration::ZERO)).context("look at", shown)? => {
                let code = process.reap().context("reap", shown)?;
                let out_of_memory = self.cgroups.memory_kills(&container.kept.spec.name) > 0;
                self.forget(&process);
                let exit = Exit { code, out_of_memory };
                (live.process, live.state, live.settled) = (None, State::Ended(exit), false);
                Some(exit)
            }
            _ => None,
        };
        let settled = if live.settled { Ok(()) } else { self.settle(container, live) };
        if let Some(exit) = noticed {
            let ended = Ended { name: container.kept.spec.name.clone(), exit };
            // Those that are not there any more are not told.
            self.subscribers().retain(|subscriber| subscriber.send(ended.clone()).is_ok());
        }
        settled
    }

    /// Writes an end down and gives back what the container had; all of it, whatever fails.
    fn settle(&self, container: &Container, live: &mut Live) -> Result<(), EngineError> {
        let spec = &container.kept.spec;
        let written =
            if live.removal == Removal::Begun { Ok(()) } else { container.write_state(&live.state) };
        let withdrawn = self.ports.withdraw(spec);
        let removed = self.cgroups.remove(&spec.name);
        let settled = written.and(withdrawn).and(removed);
        live.settled = settled.is_ok();
        settled
    }

    fn forget(&self, process: &Process) {
        self.running().remove(&key(process));
        // It was not watched, or goes with its descriptor.
        let _ = epoll::delete(&self.epoll, process.descriptor());
    }

    /// Changed by single calls only, so a panic elsewhere leaves it whole.
    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Container>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As above.
    fn subscribers(&self) -> MutexGuard<'_, Vec<Sender<Ended>>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
