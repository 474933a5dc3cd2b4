//! Files that the server and the command line change in turns.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::{AccessError, Context as _};

/// A locked file; unlocked when dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Waits until nobody else has the lock. Held for single reads and writes only.
    pub(crate) fn take(path: &Path) -> Result<Self, AccessError> {
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).write(true).mode(0o600).open(path).context("open", path)?;
        flock(&file, FlockOperation::LockExclusive).context("lock", path)?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    /// Unlocks by itself: a program that another thread is just starting has the file, too, until it executes.
    fn drop(&mut self) {
        // A lock that cannot be given up goes with the last process that has the file.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Makes a directory and its parents, for the owner alone; an existing one is left as it is.
pub(crate) fn make_dir(path: &Path) -> Result<(), AccessError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).context("make the directory", path)
}

/// Writes a directory's own entries to disk: without them a file that was just made may be gone after a crash.
pub(crate) fn sync_dir(path: &Path) -> Result<(), AccessError> {
    File::open(path).and_then(|dir| dir.sync_all()).context("write to disk", path)
}
