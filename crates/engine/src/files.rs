//! Files of the engine's own state: written whole or not at all, and locked against a second program.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Context as _, EngineError};
use crate::patience;

/// Makes a directory and its parents, readable by the owner alone; an existing one is left as it is.
pub(crate) fn make_private_dir(path: &Path) -> Result<(), EngineError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).context("make directory", path)
}

/// Makes a directory unless it is there, and gives its full path.
///
/// # Errors
/// `Conflict` when another user has it or may write to it.
pub(crate) fn owned(path: &Path) -> Result<PathBuf, EngineError> {
    make_private_dir(path)?;
    let path = path.canonicalize().context("resolve", path)?;
    check_owner(&path)?;
    Ok(path)
}

/// Refuses a directory that another user has or may write to.
pub(crate) fn check_owner(path: &Path) -> Result<(), EngineError> {
    let found = fs::metadata(path).context("look at", path)?;
    if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(EngineError::Conflict {
            kind: "state directory",
            name: path.display().to_string(),
            problem: "may be changed by others: choose one that only this user can write to",
        });
    }
    Ok(())
}

/// Takes the set-group-id bit off a directory, so that what is made in it gets this process's own group. Another one
/// may be nobody's in a user namespace, and not even its root has powers over such files.
pub(crate) fn with_own_group(path: &Path) -> Result<(), EngineError> {
    let mode = fs::metadata(path).context("look at", path)?.mode() & 0o7777;
    if mode & 0o2000 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode & !0o2000)).context("set the mode of", path)
}

/// Writes `value` as JSON beside `path` and renames it there, so that a reader sees the old or the new text.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), EngineError> {
    let text = serde_json::to_vec_pretty(value).map_err(|source| EngineError::System {
        operation: "encode",
        target: path.to_path_buf(),
        source: source.into(),
    })?;
    let staged = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&staged)
        .context("create", &staged)?;
    file.write_all(&text).context("write", &staged)?;
    fs::rename(&staged, path).context("replace", path)
}

/// Reads what [`write_json`] wrote; `None` when the file is not there.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, EngineError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context("read", path),
    };
    serde_json::from_slice(&text).map(Some).map_err(|source| EngineError::System {
        operation: "understand",
        target: path.to_path_buf(),
        source: source.into(),
    })
}

/// A locked file.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Unlocks: closing the file would not do, because a program that another thread is just starting has it,
    /// too, until it executes, and with it the lock.
    fn drop(&mut self) {
        // A lock that cannot be given up goes with the last process that has the file.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Opens the lock file `path` and locks it until the returned lock is dropped. Waits as long as somebody else has it.
pub(crate) fn lock(path: &Path) -> Result<Lock, EngineError> {
    let file = open_lock(path)?;
    flock(&file, FlockOperation::LockExclusive).context("lock", path)?;
    Ok(Lock(file))
}

/// As [`lock`]; `None` when somebody else has it for longer than `patience`.
pub(crate) fn try_lock(path: &Path, patience: Duration) -> Result<Option<Lock>, EngineError> {
    take(open_lock(path)?, path, patience)
}

/// Locks what has been opened.
fn take(file: File, path: &Path, patience: Duration) -> Result<Option<Lock>, EngineError> {
    let is_taken = |result: &rustix::io::Result<()>| *result == Err(Errno::WOULDBLOCK);
    match patience::until(patience, is_taken, || flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Err(Errno::WOULDBLOCK) => Ok(None),
        taken => taken.context("lock", path).map(|()| Some(Lock(file))),
    }
}

/// As [`lock`], waiting, for those who may hold the lock side by side.
pub(crate) fn lock_shared(path: &Path) -> Result<Lock, EngineError> {
    let file = open_lock(path)?;
    flock(&file, FlockOperation::LockShared).context("lock", path)?;
    Ok(Lock(file))
}

fn open_lock(path: &Path) -> Result<File, EngineError> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).context("open", path)
}

/// Locks a directory itself, which needs no file and shuts nobody out who locks a file in it.
///
/// # Errors
/// `InUse` when another program has locked it and does not go away within a second.
pub(crate) fn lock_directory(path: &Path) -> Result<Lock, EngineError> {
    let directory = File::open(path).context("open", path)?;
    take(directory, path, patience::MOMENT)?.ok_or_else(|| in_use(path))
}

/// Two programs want one directory.
pub(crate) fn in_use(path: &Path) -> EngineError {
    EngineError::InUse { directory: path.to_owned() }
}

/// Removes a tree; one that is not there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), EngineError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("remove directory", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a program does that was just being started when the one that has the lock was killed.
    #[test]
    fn a_lock_that_somebody_has_for_a_moment() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("lock");
        let held = (lock(&file).unwrap(), lock_directory(home.path()).unwrap());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(held);
        });
        let lock = try_lock(&file, patience::MOMENT).unwrap();
        let directory = lock_directory(home.path()).unwrap();
        assert!(lock.is_some());
        // Whoever keeps it shuts others out.
        assert!(try_lock(&file, Duration::ZERO).unwrap().is_none());
        assert!(matches!(lock_directory(home.path()), Err(EngineError::InUse { .. })));
        drop((lock, directory));
        assert!(try_lock(&file, Duration::ZERO).unwrap().is_some());
    }
}
