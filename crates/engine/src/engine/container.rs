//! A container in memory.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::error::{Context as _, EngineError};
use crate::files::{remove_tree, write_json};
use crate::namespaces::{is_network, make_network, remove_network};
use crate::process::Process;
use crate::record::{Inspected, Kept, State, Status};

/// A container in memory.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) kept: Kept,
    pub(super) directory: PathBuf,
    pub(super) live: Mutex<Live>,
}

/// What changes.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) state: State,
    /// There while the state is `Running`.
    pub(super) process: Option<Arc<Process>>,
    /// Where rules for published ports lead to.
    pub(super) management: Option<Ipv4Addr>,
    /// Whether all that follows from its end is done; whoever looks at it tries it again.
    pub(super) settled: bool,
    pub(super) removal: Removal,
}

/// How far a container's removal is. One that is removed may still be held by callers that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    No,
    /// It cannot be started any more, unless the removal fails.
    Begun,
    /// What is there of its name, on disk and elsewhere, is another container's.
    Done,
}

impl Live {
    /// Of one that does not run, or runs already.
    pub(super) fn new(state: State, process: Option<Arc<Process>>, management: Option<Ipv4Addr>) -> Self {
        Self { state, process, management, settled: true, removal: Removal::No }
    }
}

impl Container {
    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As above; `None` when somebody else has it.
    pub(super) fn live_if_free(&self) -> Option<MutexGuard<'_, Live>> {
        match self.live.try_lock() {
            Ok(live) => Some(live),
            Err(TryLockError::Poisoned(live)) => Some(live.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn write_state(&self, state: &State) -> Result<(), EngineError> {
        write_json(&self.directory.join("state.json"), state)
    }

    /// The file of its network namespace while it does not run.
    pub(super) fn network_file(&self) -> PathBuf {
        self.kept.spec.network.clone().unwrap_or_else(|| self.directory.join("network"))
    }

    /// Makes its own network namespace where there is none.
    pub(super) fn ensure_network(&self) -> Result<(), EngineError> {
        let file = self.network_file();
        if self.kept.spec.network.is_some() || is_network(&file) {
            return Ok(());
        }
        remove_network(&file)?;
        make_network(&file)
    }

    /// From its start on, the network namespace is there as long as its processes are: what is dead answers
    /// no ping.
    pub(super) fn let_network_go(&self) -> Result<(), EngineError> {
        if self.kept.spec.network.is_some() { Ok(()) } else { remove_network(&self.network_file()) }
    }

    /// Where its network namespace is found now.
    pub(super) fn network(&self, state: &State) -> PathBuf {
        match (state, &self.kept.spec.network) {
            (State::Running(process), None) => PathBuf::from(format!("/proc/{}/ns/net", process.pid)),
            _ => self.network_file(),
        }
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    pub(super) fn inspected(&self, live: &Live) -> Inspected {
        let status = Status::from(&live.state);
        let (network, management) = (self.network(&live.state), live.management);
        Inspected { spec: self.kept.spec.clone(), status, network, management, log: self.log() }
    }
}

/// Removes a container's directory; one that is not there is fine. It is renamed first: what a program leaves that is killed
/// meanwhile is known by its name as something to be removed, and not taken for a container.
pub(super) fn discard(directory: &Path) -> Result<(), EngineError> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let gone = directory.with_file_name(format!(".{name}.gone"));
    remove_tree(&gone)?;
    match fs::rename(directory, &gone) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).context("rename", directory);
        }
        _ => {}
    }
    remove_tree(&gone)
}
