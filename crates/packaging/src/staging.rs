//! The directory that a package is unpacked into.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::content::ContentDir;
use crate::error::PackagingError;
use crate::limits::Limits;
use crate::member::MemberPath;

/// A file of the package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path.
    pub path: MemberPath,
    /// Its size in bytes, as written.
    pub size: u64,
}

/// An unpacked package that is not committed yet; dropping it removes everything.
#[derive(Debug)]
#[must_use = "dropping it removes the unpacked files"]
pub struct Unpacked {
    directory: TempDir,
    members: Vec<Member>,
    bytes: u64,
}

impl Unpacked {
    pub(crate) fn new(directory: TempDir, members: Vec<Member>) -> Self {
        let bytes = members.iter().map(|member| member.size).sum();
        Self { directory, members, bytes }
    }

    /// Where the files are now.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The files, in the archive's order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Bytes of all files.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The files for reading.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn content(&self, limits: &Limits) -> Result<ContentDir, PackagingError> {
        ContentDir::open(self.path(), limits.descriptor_bytes)
    }

    /// Makes the files permanent by renaming the directory to `target`, which must not exist and be on the same
    /// file system. From then on it is all there; before, and on failure, nothing is.
    ///
    /// # Errors
    /// When the rename fails; the unpacked files are removed then.
    pub fn commit(self, target: &Path) -> Result<PathBuf, PackagingError> {
        let rename = |from: &Path| {
            if target.symlink_metadata().is_ok() {
                return Err(std::io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, target)
        };
        rename(self.directory.path())
            .map_err(PackagingError::io("rename the unpacked package to", target))?;
        // The directory is no longer where the guard would look for it.
        let _gone = self.directory.keep();
        Ok(target.to_owned())
    }
}
