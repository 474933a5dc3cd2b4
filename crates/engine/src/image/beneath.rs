//! A directory that nothing leaves: every path is resolved by the kernel below it (`openat2` with
//! `RESOLVE_BENEATH`), so a symbolic link in an image cannot lead a write to the host.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

/// A directory of the host that paths of strangers are resolved in.
#[derive(Debug)]
pub(crate) struct Beneath(OwnedFd);

/// The path of an entry in normal form: relative, without `.`; `None` when it climbs with `..`.
///
/// A leading `/` is dropped, as every unpacker of layers does. The root itself is the empty path.
pub(crate) fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => normal.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(normal)
}

impl Beneath {
    /// Opens the directory `path`, which is trusted.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty()).map(Self)
    }

    /// Opens `path`, which is in normal form; symbolic links on the way are followed where they stay beneath.
    ///
    /// # Errors
    /// `XDEV` when the path would leave, `LOOP` for links of the kernel's own.
    pub(crate) fn open_at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o600) } else { Mode::empty() };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, mode, resolve)
    }

    /// Opens the directory that holds `path`, makes it where it is missing, and gives the last name.
    ///
    /// # Errors
    /// `XDEV` when the way leads out, `NOTDIR` when a file is in the way, `INVAL` for the root.
    pub(crate) fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let name = path.file_name().ok_or(Errno::INVAL)?.to_owned();
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok((self.make_dirs(parent)?, name))
    }

    /// Opens the directory `path`, making what is missing.
    pub(crate) fn make_dirs(&self, path: &Path) -> Result<OwnedFd> {
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        match self.open_at(path, directory) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        let mut so_far = PathBuf::new();
        for part in path {
            let parent = self.open_at(&so_far, directory)?;
            so_far.push(part);
            match self.open_at(&so_far, directory) {
                Ok(_) => {}
                Err(Errno::NOENT) => rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755))?,
                Err(error) => return Err(error),
            }
        }
        self.open_at(path, directory)
    }
}

impl AsFd for Beneath {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What `name` in `directory` is, not following a link; `None` when nothing is there.
pub(crate) fn kind_of(directory: &OwnedFd, name: &OsStr) -> Result<Option<(FileType, u64)>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some((FileType::from_raw_mode(stat.st_mode), stat.st_rdev))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes `name` in `directory`, a tree if it is a directory, following no link.
pub(crate) fn remove(directory: &OwnedFd, name: &OsStr) -> Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        result => return result,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = rustix::fs::openat(directory, name, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&inner)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    for inner_name in names {
        remove(&inner, OsStr::new(inner_name.to_str().map_err(|_| Errno::ILSEQ)?))?;
    }
    rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)
}
