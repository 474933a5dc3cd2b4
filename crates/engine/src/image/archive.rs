//! The members of an image's archive, be it a directory (OCI layout) or a tar file (`docker save`, OCI archive).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tar::EntryType;

use super::beneath::{Beneath, normal};
use super::compression::decompressed;
use super::meter::{Meter, Metered};
use super::{ImageError, ImageLimits};

/// An image's archive, opened.
#[derive(Debug)]
pub(crate) enum Archive {
    /// A directory.
    Directory(Beneath),
    /// A tar file and where its members lie.
    Tar { file: File, members: BTreeMap<PathBuf, Member> },
}

/// A member of a tar file.
#[derive(Debug, Clone)]
pub(crate) enum Member {
    /// Offset and length in bytes.
    File(u64, u64),
    /// Another name for a member: older `docker save` archives link layers that are the same.
    Link(PathBuf),
}

/// An archive with more members is none of an image: manifests, configurations and layers are few.
const MOST_MEMBERS: usize = 100_000;

impl Archive {
    /// Opens `path`. A compressed tar file is unpacked to `spool` first, a file without a name, since its
    /// members are read out of order.
    pub(crate) fn open(path: &Path, spool: &Path, limits: &ImageLimits) -> Result<Self, ImageError> {
        let reading = |source: io::Error| ImageError::Read { member: "it".to_owned(), source };
        if path.is_dir() {
            return Beneath::open(path).map(Self::Directory).map_err(|error| reading(error.into()));
        }
        let mut file = File::open(path).map_err(reading)?;
        let mut start = Vec::new();
        file.by_ref().take(4).read_to_end(&mut start).map_err(reading)?;
        file.seek(SeekFrom::Start(0)).map_err(reading)?;
        if start.starts_with(&[0x1f, 0x8b]) || start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            file = spooled(file, spool, limits.bytes)?;
        }
        let members = index(&file).map_err(reading)?;
        Ok(Self::Tar { file, members })
    }

    /// Whether there is such a member.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::Directory(directory) => directory.open_at(Path::new(name), OFlags::PATH).is_ok(),
            Self::Tar { members, .. } => members.contains_key(Path::new(name)),
        }
    }

    /// Opens a member by name.
    pub(crate) fn member(&self, name: &str) -> Result<Box<dyn Read + '_>, ImageError> {
        let reading = |source: io::Error| ImageError::Read { member: name.to_owned(), source };
        let path = normal(Path::new(name)).ok_or_else(|| ImageError::Escape(name.to_owned()))?;
        match self {
            Self::Directory(directory) => match directory.open_at(&path, OFlags::RDONLY | OFlags::NONBLOCK) {
                Ok(file) => {
                    let file = File::from(file);
                    if !file.metadata().map_err(reading)?.is_file() {
                        return Err(ImageError::Malformed(format!("{name} is not a file")));
                    }
                    Ok(Box::new(file))
                }
                Err(rustix::io::Errno::NOENT) => Err(ImageError::Missing(name.to_owned())),
                Err(error) => Err(reading(error.into())),
            },
            Self::Tar { file, members } => {
                let (mut path, mut hops) = (path, 0);
                loop {
                    match members.get(&path) {
                        Some(Member::File(offset, length)) => {
                            let mut file = file.try_clone().map_err(reading)?;
                            file.seek(SeekFrom::Start(*offset)).map_err(reading)?;
                            return Ok(Box::new(BufReader::new(file).take(*length)));
                        }
                        Some(Member::Link(target)) if hops < 4 => (path, hops) = (target.clone(), hops + 1),
                        Some(Member::Link(_)) | None => return Err(ImageError::Missing(name.to_owned())),
                    }
                }
            }
        }
    }

    /// Reads a whole member of at most `limit` bytes.
    pub(crate) fn document(&self, name: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        self.member(name)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| ImageError::Read { member: name.to_owned(), source })?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
            return Err(ImageError::TooLarge { what: "bytes in a manifest or configuration", limit });
        }
        Ok(bytes)
    }
}

/// Decompresses a whole archive into a file of `directory` that has no name and vanishes when it is closed.
fn spooled(file: File, directory: &Path, limit: u64) -> Result<File, ImageError> {
    let reading = |source: io::Error| ImageError::Read { member: "it".to_owned(), source };
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let unnamed = rustix::fs::open(directory, flags, rustix::fs::Mode::from_raw_mode(0o600))
        .map_err(|error| reading(error.into()))?;
    let mut unnamed = File::from(unnamed);
    let mut plain = decompressed(file).map_err(reading)?.take(limit.saturating_add(1));
    if io::copy(&mut plain, &mut unnamed).map_err(reading)? > limit {
        return Err(ImageError::TooLarge { what: "bytes", limit });
    }
    unnamed.seek(SeekFrom::Start(0)).map_err(reading)?;
    Ok(unnamed)
}

/// Where the members of a tar file lie. Of two members of one name the later one counts, as with tar.
fn index(file: &File) -> io::Result<BTreeMap<PathBuf, Member>> {
    let mut members = BTreeMap::new();
    let meter = Meter::new(u64::MAX);
    let mut archive = tar::Archive::new(Metered { inner: BufReader::new(file), meter: &meter, hash: None });
    meter.headers();
    for (count, entry) in archive.entries_with_seek()?.enumerate() {
        let entry = entry?;
        meter.headers();
        if count >= MOST_MEMBERS {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many members for an image"));
        }
        let Some(path) = normal(&entry.path()?) else { continue };
        let member = match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                Member::File(entry.raw_file_position(), entry.size())
            }
            EntryType::Link => match entry.link_name()?.as_deref().and_then(normal) {
                Some(target) => Member::Link(target),
                None => continue,
            },
            EntryType::Symlink => match entry.link_name()?.and_then(|target| sibling(&path, &target)) {
                Some(target) => Member::Link(target),
                None => continue,
            },
            _ => continue,
        };
        members.insert(path, member);
    }
    Ok(members)
}

/// The member a symbolic link at `path` names: `../other/layer.tar` seen from `this/layer.tar`.
fn sibling(path: &Path, target: &Path) -> Option<PathBuf> {
    let mut at = path.parent()?.to_path_buf();
    for part in target {
        if part == ".." {
            if !at.pop() {
                return None;
            }
        } else {
            at.push(part);
        }
    }
    normal(&at)
}
