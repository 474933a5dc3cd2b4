//! The archive's end, read before the zip crate reads the whole list of entries into memory.
//!
//! PKWARE APPNOTE 6.3.10, sections 4.3.14 to 4.3.16.

use std::io::{Read, Seek, SeekFrom};

use crate::error::PackagingError;

/// Bytes of the end record without its comment.
const END: usize = 22;
/// The longest comment.
const MAX_COMMENT: u64 = 0xffff;
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const LOCATOR: u64 = 20;
const LOCATOR_SIGNATURE: [u8; 4] = *b"PK\x06\x07";
const END64: usize = 56;
const END64_SIGNATURE: [u8; 4] = *b"PK\x06\x06";
/// Bytes of directory allowed for each entry: 46 of the record, a name, extra fields, a comment.
const DIRECTORY_PER_ENTRY: u64 = 4096;

/// What the end record says, as far as it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Entries in the directory.
    pub(crate) entries: u64,
    /// Where the directory begins.
    pub(crate) directory_start: u64,
}

fn not_an_archive(reason: &str) -> PackagingError {
    PackagingError::NotAnArchive { reason: reason.to_owned() }
}

fn contradiction(reason: &str) -> PackagingError {
    PackagingError::Contradiction { reason: reason.to_owned() }
}

/// Finds the end record: the last one in the file, which must reach to the file's last byte, with the directory
/// right before it. Archives with something before or behind them can be read in two ways and are refused.
///
/// # Errors
/// When there is none, when it contradicts the file, or when there are too many entries.
pub(crate) fn find(
    file: &mut (impl Read + Seek),
    length: u64,
    max_entries: u64,
) -> Result<End, PackagingError> {
    let tail_start = length.saturating_sub(END as u64 + MAX_COMMENT);
    let tail = read(file, tail_start, length - tail_start)?;
    let at = tail
        .windows(END)
        .rposition(|window| window.starts_with(&END_SIGNATURE))
        .ok_or_else(|| not_an_archive("it has no end record"))?;
    let record = &tail[at..];
    let comment = usize::from(u16_at(record, 20));
    if record.len() != END + comment {
        return Err(not_an_archive("its end record does not reach to the file's end"));
    }
    let position = tail_start + at as u64;
    let (disk, start_disk) = (u16_at(record, 4), u16_at(record, 6));
    let (here, entries) = (u16_at(record, 8), u16_at(record, 10));
    let (size, offset) = (u32_at(record, 12), u32_at(record, 16));
    let saturated = here == u16::MAX || entries == u16::MAX || size == u32::MAX || offset == u32::MAX;
    let (entries, size, offset, directory_end) = match end64(file, position)? {
        Some((end, at)) if saturated => (end[0], end[1], end[2], at),
        _ if disk != 0 || start_disk != 0 || here != entries => {
            return Err(contradiction("it says that it is one of several parts"));
        }
        _ => (u64::from(entries), u64::from(size), u64::from(offset), position),
    };
    if entries > max_entries {
        return Err(PackagingError::TooManyEntries { got: entries, limit: max_entries });
    }
    if offset.checked_add(size) != Some(directory_end) {
        return Err(contradiction("its directory is not where its end record says"));
    }
    if size > entries.saturating_mul(DIRECTORY_PER_ENTRY) {
        return Err(contradiction("its directory is larger than its entries need"));
    }
    Ok(End { entries, directory_start: offset })
}

/// Entries, size and start of the directory, and the record's own place, when a ZIP64 end record is announced.
fn end64(
    file: &mut (impl Read + Seek),
    end_position: u64,
) -> Result<Option<([u64; 3], u64)>, PackagingError> {
    let Some(at) = end_position.checked_sub(LOCATOR) else { return Ok(None) };
    let locator = read(file, at, LOCATOR)?;
    if !locator.starts_with(&LOCATOR_SIGNATURE) {
        return Ok(None);
    }
    let record_at = u64_at(&locator, 8);
    if record_at.checked_add(END64 as u64).is_none_or(|end| end > at) {
        return Err(contradiction("its ZIP64 end record is not where it is said to be"));
    }
    let record = read(file, record_at, END64 as u64)?;
    if !record.starts_with(&END64_SIGNATURE) || u64_at(&record, 24) != u64_at(&record, 32) {
        return Err(contradiction("its ZIP64 end record is not readable"));
    }
    Ok(Some(([u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48)], record_at)))
}

fn read(file: &mut (impl Read + Seek), at: u64, length: u64) -> Result<Vec<u8>, PackagingError> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.by_ref().take(length).read_to_end(&mut bytes))
        .map_err(PackagingError::io("read", "the package"))?;
    // A file that shrinks while it is read is no archive either.
    if u64::try_from(bytes.len()) == Ok(length) { Ok(bytes) } else { Err(not_an_archive("it ends early")) }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
