//! How a worker is reached: commands through a channel, and a bell that wakes it up.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::io::Errno;

use crate::Impairment;
use crate::error::{Context as _, LineError};
use crate::lines::LineView;
use crate::link::Taps;

/// How long a worker may take to do what it is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a worker is told.
pub(crate) enum Command {
    Put { name: String, token: u64, taps: Taps, impairments: [Impairment; 2] },
    Set { name: String, impairments: [Impairment; 2] },
    Remove { name: String },
    View,
}

/// What it answers once it has done it: the links, when it was asked for them.
pub(crate) type Answer = io::Result<Vec<LineView>>;

/// How a worker is reached. It ends when this goes.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) commands: Sender<(Command, Sender<Answer>)>,
    pub(crate) bell: Arc<OwnedFd>,
    pub(crate) thread: Option<std::thread::JoinHandle<()>>,
}

impl Handle {
    /// Tells the worker something, and waits until it is done.
    pub(crate) fn tell(&self, command: Command) -> Result<Vec<LineView>, LineError> {
        let (answer, answered) = channel();
        let ended = || LineError::Helper("a thread has ended".to_owned());
        self.commands.send((command, answer)).map_err(|_| ended())?;
        if !ring(&self.bell) {
            return Err(ended());
        }
        match answered.recv_timeout(PATIENCE) {
            Ok(answer) => answer.during("watch TAP devices"),
            Err(RecvTimeoutError::Timeout) => Err(LineError::Helper("a thread does not answer".to_owned())),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The worker ends when the channel has.
        let (closed, _) = channel();
        self.commands = closed;
        ring(&self.bell);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a thread of the delay line panicked");
        }
    }
}

fn ring(bell: &OwnedFd) -> bool {
    // Full is as good as rung.
    matches!(rustix::io::write(bell, &1_u64.to_ne_bytes()), Ok(_) | Err(Errno::AGAIN))
}
