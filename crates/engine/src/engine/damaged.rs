//! Containers whose files cannot be read: nothing can be said of them but their names and, mostly, their labels. They
//! are neither started nor stopped; they can be removed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};

use super::Engine;
use super::container::discard;
use crate::error::{Context as _, EngineError};
use crate::files::read_json;
use crate::lost::{overlays, processes};
use crate::namespaces::remove_network;
use crate::process::Process;
use crate::record::State;

/// The file with a container's labels.
pub(super) const LABELS: &str = "labels.json";

/// A container whose files cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
    /// Its labels, if those can be read.
    pub labels: Option<BTreeMap<String, String>>,
    directory: PathBuf,
}

impl Engine {
    /// The containers whose files cannot be read, by name.
    #[must_use]
    pub fn damaged(&self) -> Vec<Damaged> {
        self.damaged_ones().values().cloned().collect()
    }

    pub(super) fn damaged_ones(&self) -> MutexGuard<'_, BTreeMap<String, Damaged>> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_damaged(&self, name: String, directory: PathBuf, error: &EngineError) {
        let labels = read_json(&directory.join(LABELS)).ok().flatten();
        let reason = match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        self.damaged_ones().insert(name.clone(), Damaged { name, reason, labels, directory });
    }

    /// Removes a damaged container; whether there was one of that name. One that is not damaged is left alone.
    ///
    /// # Errors
    /// `System` when something cannot be removed; a further call goes on.
    pub fn remove_damaged(&self, name: &str) -> Result<bool, EngineError> {
        if !self.damaged_ones().contains_key(name) {
            return Ok(false);
        }
        let _one_at_a_time = self.removing_damaged.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Damaged { directory, .. }) = self.damaged_ones().get(name).cloned() else {
            // Somebody else was faster, and what is there of that name now is another one.
            return Ok(true);
        };
        let state = read_json::<State>(&directory.join("state.json")).ok().flatten();
        if let Some(State::Running(id)) = &state
            && let Some(process) = Process::find(id)
        {
            process.end().context("end", &directory)?;
        }
        kill_inside(&directory)?;
        self.cgroups.remove(name)?;
        remove_network(&directory.join("network"))?;
        discard(&directory)?;
        self.damaged_ones().remove(name);
        // What it published is known by its name.
        self.settle_ports()?;
        Ok(true)
    }
}

/// Kills what has the container's root file system, where no file says which processes those are.
fn kill_inside(directory: &Path) -> Result<(), EngineError> {
    let root = directory.join("upper");
    for process in processes()? {
        if overlays(process.id.pid).iter().any(|overlay| overlay.upper == root) {
            process.end().context("end", directory)?;
        }
    }
    Ok(())
}
