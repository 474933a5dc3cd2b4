//! Which installation a data directory is: the id in the marks of all that is created from it.
//!
//! Kept as a text file beside the store, not in it, so that what an installation left on the host can be
//! found and removed even when the store is lost.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::Path;

use llcm_names::InstallationId;

use crate::clock::IdSource;
use crate::error::{ErrorCode, LifecycleError};
use crate::patience;
use crate::store::StoreError;

/// The file that holds it.
const FILE: &str = "installation";

/// The installation id of a data directory, which is made, with a new id, where there is none. Drivers are
/// built with it before the orchestrator is opened.
///
/// # Errors
/// `StoreFailed` when the directory or the file cannot be made or read, or the file holds no id.
pub fn installation_id(data_dir: &Path, ids: &dyn IdSource) -> Result<InstallationId, LifecycleError> {
    match find_installation_id(data_dir)? {
        Some(id) => Ok(id),
        None => create(data_dir, &data_dir.join(FILE), ids),
    }
}

/// The installation id of a data directory, if it has one. Nothing is made.
///
/// # Errors
/// `StoreFailed` when the file cannot be read or holds no id.
pub fn find_installation_id(data_dir: &Path) -> Result<Option<InstallationId>, LifecycleError> {
    let path = data_dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => InstallationId::parse(text.trim()).map(Some).map_err(|error| fail("read", &path, &error)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail("read", &path, &error)),
    }
}

/// A data directory that nobody else works with, until it is dropped.
#[derive(Debug)]
pub struct Held(File);

impl Drop for Held {
    /// Unlocks: closing the file would not do, because a program that another thread is just starting has it, too,
    /// until it executes.
    fn drop(&mut self) {
        // A lock that cannot be given up goes with the last process that has the file.
        let _ = self.0.unlock();
    }
}

/// Takes a data directory, which has an id, for this process: a server does for as long as it runs, and whoever
/// replaces its store or removes what it has made. It is the file with the id that is locked, for it outlives the store.
///
/// # Errors
/// `StoreFailed` when another process has it for longer than a second, or there is no id.
pub fn hold(data_dir: &Path) -> Result<Held, LifecycleError> {
    let path = data_dir.join(FILE);
    let file = File::open(&path).map_err(|error| fail("open", &path, &error))?;
    match patience::take(|| file.try_lock(), |error| matches!(error, TryLockError::WouldBlock)) {
        Ok(()) => Ok(Held(file)),
        Err(TryLockError::WouldBlock) => {
            let path = data_dir.display().to_string();
            Err(StoreError::InUse { path }.into())
        }
        Err(TryLockError::Error(error)) => Err(fail("lock", &path, &error)),
    }
}

fn create(data_dir: &Path, path: &Path, ids: &dyn IdSource) -> Result<InstallationId, LifecycleError> {
    std::fs::create_dir_all(data_dir).map_err(|error| LifecycleError::disk("create", data_dir, &error))?;
    let bits = ids.uuid().as_u128() & u128::from(u32::MAX);
    let id = InstallationId::from_bits(u32::try_from(bits).unwrap_or_default());
    // Written aside and renamed without overwriting, so that no reader ever sees half an id and two first
    // starts agree on one.
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
        writeln!(file, "{id}")?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(lost) if lost.error.kind() != ErrorKind::AlreadyExists => Err(lost.error),
            _ => Ok(()),
        }
    };
    write().map_err(|error| LifecycleError::disk("write", path, &error))?;
    let text = std::fs::read_to_string(path).map_err(|error| fail("read", path, &error))?;
    InstallationId::parse(text.trim()).map_err(|error| fail("read", path, &error))
}

fn fail(verb: &str, path: &Path, error: &dyn std::fmt::Display) -> LifecycleError {
    LifecycleError::new(ErrorCode::StoreFailed, format!("{verb} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemIds;

    #[test]
    fn a_data_directory_keeps_its_id() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("data");
        assert_eq!(find_installation_id(&dir).unwrap(), None);
        assert!(!dir.exists(), "looking made it");
        let first = installation_id(&dir, &SystemIds).unwrap();
        assert_eq!(find_installation_id(&dir).unwrap().as_ref(), Some(&first));
        assert_eq!(installation_id(&dir, &SystemIds).unwrap(), first);
        std::fs::write(dir.join("installation"), "garbage").unwrap();
        let error = installation_id(&dir, &SystemIds).unwrap_err();
        assert_eq!(error.code, ErrorCode::StoreFailed);
        assert!(error.message.contains("8 lower-case hexadecimal digits"), "{error}");
    }
}
