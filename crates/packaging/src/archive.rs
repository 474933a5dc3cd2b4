//! Archive -> directory. The only user of the zip crate.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use zip::read::{ArchiveOffset, Config, ZipFile};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::end;
use crate::error::PackagingError;
use crate::limits::Limits;
use crate::member::{MemberPath, shorten};
use crate::staging::{Member, Unpacked};

/// Bytes copied at once: what unpacking needs in memory beyond the list of entries.
const CHUNK: usize = 64 << 10;
/// Bytes that an entry may have whatever its ratio.
const RATIO_FREE: u64 = 1 << 20;

/// Unpacks a package into a fresh directory below `staging`, which must exist.
///
/// # Errors
/// Everything that makes the archive no package, see [`PackagingError`]; nothing is left on disk then.
pub fn unpack(
    archive: impl Read + Seek,
    staging: &Path,
    limits: &Limits,
) -> Result<Unpacked, PackagingError> {
    let mut archive = open(archive, limits)?;
    let plan = plan(&mut archive, limits)?;
    let directory = tempfile::Builder::new()
        .prefix("unpack-")
        .tempdir_in(staging)
        .map_err(PackagingError::io("create a directory in", staging))?;
    let mut writer =
        Writer { root: directory.path(), limits, left: limits.unpacked_bytes, buffer: vec![0; CHUNK] };
    let mut members = Vec::new();
    for (index, entry) in plan.into_iter().enumerate() {
        if entry.is_dir {
            writer.directory(entry.path.as_str())?;
        } else {
            let mut file =
                archive.by_index(index).map_err(|error| entry_error(&error, entry.path.as_str()))?;
            let size = writer.file(&entry, &mut file)?;
            members.push(Member { path: entry.path, size });
        }
    }
    Ok(Unpacked::new(directory, members))
}

/// Reads the list of entries, after a look at how long it will be.
fn open<R: Read + Seek>(mut archive: R, limits: &Limits) -> Result<ZipArchive<BufReader<R>>, PackagingError> {
    let length = archive.seek(SeekFrom::End(0)).map_err(PackagingError::io("read", "the package"))?;
    if length == 0 {
        return Err(PackagingError::Empty);
    }
    if length > limits.compressed_bytes {
        return Err(PackagingError::ArchiveTooLarge { got: length, limit: limits.compressed_bytes });
    }
    let end = end::find(&mut archive, length, limits.entries)?;
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive =
        ZipArchive::with_config(config, BufReader::new(archive)).map_err(|error| archive_error(&error))?;
    let names = archive.len() as u64;
    if names != end.entries || archive.has_duplicate_names() {
        return Err(PackagingError::DuplicateNames { got: end.entries, names });
    }
    if archive.central_directory_start() != end.directory_start {
        return Err(PackagingError::Contradiction { reason: "it has two directories".to_owned() });
    }
    check_layout(&mut archive, end.directory_start)?;
    archive.validate_header_consistency().map_err(|error| archive_error(&error))?;
    Ok(archive)
}

/// The longest data descriptor behind an entry's data (APPNOTE 4.3.9: signature, CRC, two 64-bit sizes).
const MAX_DESCRIPTOR: u64 = 24;

/// Entries must stand one behind the other, from the archive's first byte to its directory. What overlaps is a
/// bomb; what lies between them is read by some programs and not by others, and searching it would take long.
fn check_layout(archive: &mut ZipArchive<impl Read + Seek>, directory: u64) -> Result<(), PackagingError> {
    let mut ranges = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| archive_error(&error))?;
        let data = entry.data_start().unwrap_or(u64::MAX);
        ranges.push((entry.header_start(), data.saturating_add(entry.compressed_size())));
    }
    ranges.sort_unstable();
    let mut reached = 0u64;
    for (start, end) in ranges.into_iter().chain([(directory, directory)]) {
        if start < reached {
            return Err(PackagingError::Overlap);
        }
        let allowed = if reached == 0 { 0 } else { MAX_DESCRIPTOR };
        if start - reached > allowed {
            let reason = format!("{} bytes of it belong to no entry", start - reached);
            return Err(PackagingError::Contradiction { reason });
        }
        reached = end;
    }
    Ok(())
}

/// An entry that will be written.
struct Entry {
    path: MemberPath,
    is_dir: bool,
    executable: bool,
    compressed: u64,
    claimed: u64,
}

/// Checks every entry before anything is written.
fn plan(archive: &mut ZipArchive<impl Read + Seek>, limits: &Limits) -> Result<Vec<Entry>, PackagingError> {
    let mut entries = Vec::with_capacity(archive.len());
    let mut seen: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index).map_err(|error| archive_error(&error))?;
        let name = file.name().map_err(|error| archive_error(&error))?;
        let path = MemberPath::parse(&name, limits.depth)?;
        check_kind(&file, &path)?;
        let is_dir = file.is_dir();
        if let Some((first, _)) = seen.insert(path.folded(), (name.to_string(), is_dir)) {
            return Err(PackagingError::Collision { first: shorten(&first), second: shorten(&name) });
        }
        let executable = file.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        let (compressed, claimed) = (file.compressed_size(), file.size());
        entries.push(Entry { path, is_dir, executable, compressed, claimed });
    }
    // A file where another entry needs a folder.
    for (folded, (name, _)) in &seen {
        let parents = folded.match_indices('/').map(|(at, _)| &folded[..at]);
        for parent in parents {
            if let Some((first, false)) = seen.get(parent) {
                return Err(PackagingError::Collision { first: shorten(first), second: shorten(name) });
            }
        }
    }
    Ok(entries)
}

/// File type bits of a Unix mode (`S_IFMT` of inode(7)).
const TYPE_MASK: u32 = 0o170_000;

fn check_kind(file: &ZipFile<'_, impl Read>, path: &MemberPath) -> Result<(), PackagingError> {
    let member = || path.to_string();
    if file.encrypted() {
        return Err(PackagingError::Encrypted { member: member() });
    }
    if !matches!(file.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
        let method = file.compression().to_string();
        return Err(PackagingError::UnsupportedMethod { member: member(), method });
    }
    let special = |what| Err(PackagingError::SpecialEntry { member: member(), what });
    match file.unix_mode().map_or(0, |mode| mode & TYPE_MASK) {
        0 | 0o040_000 | 0o100_000 => {}
        0o120_000 => return special("symbolic link"),
        0o060_000 => return special("block device"),
        0o020_000 => return special("character device"),
        0o010_000 => return special("named pipe"),
        0o140_000 => return special("socket"),
        _ => return special("entry of an unknown type"),
    }
    if file.is_symlink() {
        return special("symbolic link");
    }
    if file.is_dir() && file.size() != 0 {
        return special("folder with data of its own");
    }
    Ok(())
}

struct Writer<'a> {
    root: &'a Path,
    limits: &'a Limits,
    /// Bytes that may still be written.
    left: u64,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    fn directory(&self, path: &str) -> Result<(), PackagingError> {
        let path = self.root.join(path);
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&path)
            .map_err(PackagingError::io("create", path))
    }

    fn file(&mut self, entry: &Entry, data: &mut impl Read) -> Result<u64, PackagingError> {
        let path = entry.path.as_str();
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent)?;
        }
        let target = self.root.join(path);
        let mode = if entry.executable { 0o755 } else { 0o644 };
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&target)
            .map_err(PackagingError::io("create", &target))?;
        let mut size = 0u64;
        loop {
            let read = match data.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    return Err(PackagingError::Damaged {
                        member: path.to_owned(),
                        reason: error.to_string(),
                    });
                }
            };
            size += read as u64;
            self.check(entry, size)?;
            self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
                PackagingError::ContentTooLarge { member: path.to_owned(), limit: self.limits.unpacked_bytes }
            })?;
            file.write_all(&self.buffer[..read]).map_err(PackagingError::io("write", &target))?;
        }
        // Too many bytes for the header are an error of the reader's, before they come here.
        if size == entry.claimed {
            return Ok(size);
        }
        Err(PackagingError::Contradiction {
            reason: format!("`{path}` has {size} bytes, and its header says {}", entry.claimed),
        })
    }

    /// Checked before the bytes are written.
    fn check(&self, entry: &Entry, size: u64) -> Result<(), PackagingError> {
        let member = || entry.path.to_string();
        if size > RATIO_FREE && size > entry.compressed.saturating_mul(self.limits.ratio) {
            return Err(PackagingError::RatioTooHigh { member: member(), limit: self.limits.ratio });
        }
        Ok(())
    }
}

fn archive_error(error: &ZipError) -> PackagingError {
    match error {
        ZipError::InvalidArchive(reason) => PackagingError::Contradiction { reason: reason.to_string() },
        ZipError::Io(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            PackagingError::NotAnArchive { reason: error.to_string() }
        }
        ZipError::Io(_) => PackagingError::NotAnArchive { reason: "it ends early".to_owned() },
        other => PackagingError::Contradiction { reason: other.to_string() },
    }
}

fn entry_error(error: &ZipError, member: &str) -> PackagingError {
    PackagingError::Damaged { member: member.to_owned(), reason: error.to_string() }
}
