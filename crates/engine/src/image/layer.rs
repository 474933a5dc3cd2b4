//! One layer: a stream of tar becomes a directory that the kernel's overlay understands.
//!
//! What an entry may do is decided here. Nothing is followed out of the directory ([`super::beneath`]), nothing
//! exceeds the limits, devices are left out (a container's devices are the engine's affair), and whiteouts
//! become the overlay's own marks: a character device 0:0 for a removed name, the attribute
//! `user.overlay.opaque` for a directory that hides what is below it.
//!
//! Sources: OCI image specification, `layer.md`; kernel, `Documentation/filesystems/overlayfs.rst`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use tar::{Entry, EntryType};

use super::beneath::{Beneath, kind_of, normal, remove};
use super::compression::decompressed;
use super::manifest::hex;
use super::meter::{Meter, Metered};
use super::{ImageError, ImageLimits};
use crate::ids::Ids;

/// What is left of the limits, over all layers of an image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    limits: ImageLimits,
    bytes: u64,
    entries: u64,
}

impl Budget {
    pub(crate) fn new(limits: ImageLimits) -> Self {
        Self { limits, bytes: limits.bytes, entries: limits.entries }
    }

    fn too_many_bytes(&self) -> ImageError {
        ImageError::TooLarge { what: "bytes", limit: self.limits.bytes }
    }
}

/// Unpacks a layer into the empty directory `target` and gives the SHA-256 of its plain bytes, `sha256:…`.
pub(crate) fn unpack(
    member: &str,
    stream: impl Read,
    target: &Path,
    budget: &mut Budget,
) -> Result<String, ImageError> {
    let reading = |source: io::Error| ImageError::Read { member: member.to_owned(), source };
    let root = Beneath::open(target).map_err(|error| reading(error.into()))?;
    let plain = decompressed(stream).map_err(reading)?;
    // The stream holds headers, too: a little more than the files' bytes.
    let meter = Meter::new(budget.bytes.saturating_add(budget.entries.saturating_mul(1024)));
    let mut hash = Sha256::new();
    let is_root = rustix::process::geteuid().is_root();
    let has_owners = is_root && Ids::read().map_err(reading)?.are_whole();
    let mut layer = Layer { root, budget, has_owners };
    let mut archive = tar::Archive::new(Metered { inner: plain, meter: &meter, hash: Some(&mut hash) });
    let unpacked = layer.entries(&mut archive, &meter, &reading);
    // What is padded behind the last entry belongs to the digest.
    let drained = unpacked.and_then(|()| {
        let mut rest = archive.into_inner();
        io::copy(&mut rest, &mut io::sink()).map(drop).map_err(&reading)
    });
    if meter.is_exceeded() {
        return Err(budget.too_many_bytes());
    }
    drained?;
    Ok(format!("sha256:{}", hex(&hash.finalize())))
}

struct Layer<'a> {
    root: Beneath,
    budget: &'a mut Budget,
    /// Whether files get the owners and capabilities that the archive says. Without root of the machine, all belong
    /// to this user.
    has_owners: bool,
}

impl Layer<'_> {
    fn entries<R: Read>(
        &mut self,
        archive: &mut tar::Archive<R>,
        meter: &Meter,
        reading: &dyn Fn(io::Error) -> ImageError,
    ) -> Result<(), ImageError> {
        meter.headers();
        for entry in archive.entries().map_err(reading)? {
            let mut entry = entry.map_err(reading)?;
            meter.contents();
            self.budget.entries = self
                .budget
                .entries
                .checked_sub(1)
                .ok_or(ImageError::TooLarge { what: "entries", limit: self.budget.limits.entries })?;
            self.entry(&mut entry)?;
            // The rest of it is contents, too, not a header of the next.
            io::copy(&mut entry, &mut io::sink()).map_err(reading)?;
            meter.headers();
        }
        meter.contents();
        Ok(())
    }

    fn entry<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), ImageError> {
        let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let escape = || ImageError::Escape(shown.clone());
        let raw = Path::new(OsStr::from_bytes(&entry.path_bytes())).to_path_buf();
        let path = normal(&raw).ok_or_else(escape)?;
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            return Ok(());
        }
        let failed = |source: Errno| match source {
            Errno::XDEV | Errno::LOOP => ImageError::Escape(shown.clone()),
            other => ImageError::Entry { entry: shown.clone(), source: other.into() },
        };
        if path.as_os_str().is_empty() {
            // The root's own mode and owner.
            let root = self.root.open_at(&path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
            return self.attributes(&root, entry).map_err(failed);
        }
        let (parent, name) = self.root.parent(&path).map_err(failed)?;
        if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            return whiteout(&parent, OsStr::from_bytes(hidden)).map_err(failed);
        }
        let mut make = || self.make(entry, &parent, &name);
        make().map_err(|error| match error {
            Failure::Escape => escape(),
            Failure::TooLarge => self.budget.too_many_bytes(),
            Failure::System(errno) => failed(errno),
            Failure::Io(source) => ImageError::Entry { entry: shown.clone(), source },
        })
    }

    fn make<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        parent: &OwnedFd,
        name: &OsString,
    ) -> Result<(), Failure> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Directory => {
                let hides = clear(parent, name, true)?;
                match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(parent, name, flags, Mode::empty())?;
                if hides {
                    opaque(&made)?;
                }
                self.attributes(&made, entry)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                clear(parent, name, false)?;
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut made =
                    File::from(rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?);
                let copied = io::copy(&mut entry.take(self.budget.bytes.saturating_add(1)), &mut made)?;
                self.budget.bytes = self.budget.bytes.checked_sub(copied).ok_or(Failure::TooLarge)?;
                let made = OwnedFd::from(made);
                self.attributes(&made, entry)?;
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or(Errno::INVAL)?.into_owned();
                clear(parent, name, false)?;
                rustix::fs::symlinkat(OsStr::from_bytes(&target), parent, name)?;
                self.owner_of_name(parent, name, entry)?;
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or(Errno::INVAL)?.into_owned();
                let target = normal(Path::new(OsStr::from_bytes(&target))).ok_or(Failure::Escape)?;
                let (holder, linked) = self.root.parent(&target)?;
                match kind_of(&holder, &linked)? {
                    Some((FileType::RegularFile | FileType::Symlink | FileType::Fifo, _)) => {}
                    _ => return Err(Errno::NOENT.into()),
                }
                clear(parent, name, false)?;
                rustix::fs::linkat(&holder, &linked, parent, name, AtFlags::empty())?;
            }
            EntryType::Fifo => {
                clear(parent, name, false)?;
                rustix::fs::mknodat(parent, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
                self.owner_of_name(parent, name, entry)?;
            }
            // Devices are left out: what a container may use of the host's is said in its specification.
            EntryType::Char | EntryType::Block => {}
            _ => return Err(Errno::OPNOTSUPP.into()),
        }
        Ok(())
    }

    /// Owner, extended attributes, mode and time, in the order in which one does not undo another.
    fn attributes<R: Read>(&self, made: &OwnedFd, entry: &mut Entry<'_, R>) -> Result<(), Errno> {
        let (uid, gid) = owner(entry)?;
        if self.has_owners {
            rustix::fs::fchown(made, Some(uid), Some(gid))?;
        }
        let mode = entry.header().mode().map_err(|_| Errno::INVAL)? & 0o7777;
        rustix::fs::fchmod(made, Mode::from_raw_mode(mode))?;
        if self.has_owners {
            let extensions = entry.pax_extensions().map_err(|_| Errno::INVAL)?;
            for extension in extensions.into_iter().flatten() {
                let extension = extension.map_err(|_| Errno::INVAL)?;
                // File capabilities are all that an image needs; the overlay's own attributes above all must
                // not come from a stranger.
                if extension.key_bytes() == b"SCHILY.xattr.security.capability" {
                    let value = extension.value_bytes();
                    rustix::fs::fsetxattr(made, "security.capability", value, XattrFlags::empty())?;
                }
            }
        }
        let times = times(entry)?;
        rustix::fs::futimens(made, &times)
    }

    /// Owner and time of what cannot be opened.
    fn owner_of_name<R: Read>(
        &self,
        parent: &OwnedFd,
        name: &OsString,
        entry: &Entry<'_, R>,
    ) -> Result<(), Errno> {
        let (uid, gid) = owner(entry)?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        if self.has_owners {
            rustix::fs::chownat(parent.as_fd(), name, Some(uid), Some(gid), flags)?;
        }
        rustix::fs::utimensat(parent, name, &times(entry)?, flags)
    }
}

fn owner<R: Read>(entry: &Entry<'_, R>) -> Result<(Uid, Gid), Errno> {
    let id = |id: io::Result<u64>| {
        // The largest number means "unchanged" to the kernel.
        id.ok().and_then(|id| u32::try_from(id).ok()).filter(|id| *id != u32::MAX).ok_or(Errno::INVAL)
    };
    Ok((Uid::from_raw(id(entry.header().uid())?), Gid::from_raw(id(entry.header().gid())?)))
}

fn times<R: Read>(entry: &Entry<'_, R>) -> Result<Timestamps, Errno> {
    let seconds = entry.header().mtime().map_err(|_| Errno::INVAL)?;
    let time = Timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: 0 };
    Ok(Timestamps { last_access: time, last_modification: time })
}

/// Takes away what is in the way of a new entry; a directory stays when a directory comes. True when a
/// whiteout was there: what comes then hides what is below.
fn clear(parent: &OwnedFd, name: &OsStr, directory_comes: bool) -> Result<bool, Errno> {
    match kind_of(parent, name)? {
        None => Ok(false),
        Some((FileType::Directory, _)) if directory_comes => Ok(false),
        Some((kind, device)) => {
            remove(parent, name)?;
            Ok(kind == FileType::CharacterDevice && device == 0)
        }
    }
}

/// `.wh.NAME` removes a name of the layers below, `.wh..wh..opq` all of them; other names of that form are
/// bookkeeping of the file system that invented them.
fn whiteout(parent: &OwnedFd, hidden: &OsStr) -> Result<(), Errno> {
    if hidden == ".wh..opq" {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        return opaque(&rustix::fs::openat(parent, ".", flags, Mode::empty())?);
    }
    if hidden.as_bytes().starts_with(b".wh.") {
        return Ok(());
    }
    if hidden.is_empty() || hidden == "." || hidden == ".." {
        return Err(Errno::INVAL);
    }
    match kind_of(parent, hidden)? {
        // The same layer has something of that name, which hides the lower one by itself.
        Some((FileType::Directory, _)) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            opaque(&rustix::fs::openat(parent, hidden, flags, Mode::empty())?)
        }
        Some(_) => Ok(()),
        None => rustix::fs::mknodat(parent, hidden, FileType::CharacterDevice, Mode::empty(), 0),
    }
}

fn opaque(directory: &OwnedFd) -> Result<(), Errno> {
    rustix::fs::fsetxattr(directory, "user.overlay.opaque", b"y", XattrFlags::empty())
}

/// Why an entry could not be made.
enum Failure {
    Escape,
    TooLarge,
    System(Errno),
    Io(io::Error),
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
