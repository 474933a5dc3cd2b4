//! What is known of a container, in memory and on disk.
//!
//! ```text
//! STATE/containers/NAME/spec.json   what was asked for
//!                       labels.json its labels once more, for when that cannot be read
//!                       state.json  created, running with its process, or ended with its exit
//!                       launch.json what the helper is told, written at each start
//!                       log         standard output and error, appended to; log.1: what was before
//!                       log.times   when it was how long; log.times.1: likewise
//!                       stdin       a FIFO
//!                       network     the network namespace, if it is the container's own, until it starts
//!                       upper, work   the overlay's directories
//! STATE/containers/.NAME.new    one that is being made
//!                  .NAME.gone   one that is being removed
//! ```

use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::process::ProcessId;
use crate::spec::Spec;

/// The version of the files; another one is not read.
pub(crate) const VERSION: u32 = 1;

/// `spec.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) version: u32,
    pub(crate) spec: Spec,
    /// The image as it was when the container was made: its name may mean another one later.
    pub(crate) image: Image,
}

/// `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Created,
    Running(ProcessId),
    Ended(Exit),
}

/// How a container's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code; 128 and the signal when it was killed by one. `None`: it was not this program's child, and the
    /// kernel does not tell how it ended (`docs/adr/015`).
    pub code: Option<i32>,
    /// Whether the kernel killed something in it for want of memory.
    pub out_of_memory: bool,
}

/// A container as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Not started yet.
    Created,
    /// Running; the process's number as this program sees it.
    Running {
        /// The number.
        pid: i32,
    },
    /// Ended.
    Ended(Exit),
}

impl From<&State> for Status {
    fn from(state: &State) -> Self {
        match state {
            State::Created => Self::Created,
            State::Running(process) => Self::Running { pid: process.pid },
            State::Ended(exit) => Self::Ended(*exit),
        }
    }
}

/// A container's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// As it was asked for.
    pub spec: Spec,
    /// What it does.
    pub status: Status,
    /// Where its network namespace is found: a file, or the process's own in `/proc` while it runs. After an end it
    /// may not be there; [`crate::Engine::network`] makes a new one.
    pub network: std::path::PathBuf,
    /// Its address on the interface that rules for published ports lead to, if it has one; the host reaches it there.
    pub management: Option<std::net::Ipv4Addr>,
    /// The file with its output.
    pub log: std::path::PathBuf,
}
