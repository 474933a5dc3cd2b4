//! Looking at a store's file without changing it: it is read into memory and opened there.
//!
//! A file that a server was killed over has to be repaired by the database, which forgets a transaction that was not
//! finished; that is done to the image here, and to the file when it is opened. What is not as the database wrote it
//! is found by its checksums, all of which are verified.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::{Database, StorageBackend};

use super::file::{Raw, read_format, read_raw};
use super::{Contents, FORMAT, StoreError, migrations};

/// The bytes of a file, in memory; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Image(Arc<Mutex<Vec<u8>>>);

impl Image {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Image").field(&self.bytes().len()).finish()
    }
}

/// The part of an image; an error where it ends before.
fn range(offset: u64, length: usize, whole: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
    let end = start.checked_add(length).filter(|end| *end <= whole).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(start..end)
}

impl StorageBackend for Image {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes();
        out.copy_from_slice(&bytes[range(offset, out.len(), bytes.len())?]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.bytes().resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.bytes();
        let range = range(offset, data.len(), bytes.len())?;
        bytes[range].copy_from_slice(data);
        Ok(())
    }
}

/// Opens an image of a store and verifies all of it.
///
/// # Errors
/// `Damaged`, `Format` when a newer program wrote it.
pub(crate) fn examine(bytes: Vec<u8>, path: &str) -> Result<Database, StoreError> {
    let damaged = |reason: String| StoreError::Damaged { path: path.to_owned(), reason };
    if bytes.is_empty() {
        return Err(damaged("it is empty".to_owned()));
    }
    let image = Image::new(bytes);
    // The database takes a file to be its own and may stumble over one that only looks like it.
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| open(image)));
    let opened = opened.unwrap_or_else(|_| Err(redb::Error::Corrupted("it makes no sense".to_owned())));
    let (database, found, by) = opened.map_err(|error| damaged(error.to_string()))?;
    match found {
        Some(found) if found > FORMAT => Err(StoreError::Format { path: path.to_owned(), found, by }),
        // One that was killed before it had written anything has no stamp.
        Some(_) | None => Ok(database),
    }
}

fn open(image: Image) -> Result<(Database, Option<u32>, String), redb::Error> {
    let mut database = Database::builder().create_with_backend(image)?;
    if !database.check_integrity()? {
        return Err(redb::Error::Corrupted("checksums do not match".to_owned()));
    }
    let found = read_format(&database)?;
    let by = if found.is_some() { migrations::program(&database)? } else { String::new() };
    // All of it can be listed.
    if found.is_some_and(|found| found <= FORMAT) {
        read_raw(&database)?;
    }
    Ok((database, found, by))
}

/// What an image holds.
///
/// # Errors
/// As [`examine`]; `Record` for a value that cannot be read.
pub(crate) fn contents(bytes: Vec<u8>, path: &str) -> Result<Contents, StoreError> {
    let database = examine(bytes, path)?;
    match read_format(&database) {
        Ok(Some(_)) => raw(&database, path)?.decode(Err),
        Ok(None) => Ok(Contents::default()),
        Err(error) => Err(StoreError::Damaged { path: path.to_owned(), reason: error.to_string() }),
    }
}

fn raw(database: &Database, path: &str) -> Result<Raw, StoreError> {
    read_raw(database)
        .map_err(|error| StoreError::Damaged { path: path.to_owned(), reason: error.to_string() })
}

/// What can be read of a damaged image, and what was found to be unreadable, in words.
pub(crate) fn salvage(bytes: Vec<u8>) -> (Contents, Vec<String>) {
    let read = std::panic::catch_unwind(AssertUnwindSafe(|| -> Result<Raw, redb::Error> {
        read_raw(&Database::builder().create_with_backend(Image::new(bytes))?)
    }));
    let raw = match read {
        Ok(Ok(raw)) => raw,
        Ok(Err(error)) => return (Contents::default(), vec![error.to_string()]),
        Err(_) => return (Contents::default(), vec!["it makes no sense".to_owned()]),
    };
    let mut unreadable = Vec::new();
    let decoded = raw.decode(|error| {
        if let StoreError::Record { what, reason } = error {
            unreadable.push(format!("{what}: {reason}"));
        }
        Ok(())
    });
    let mut contents = decoded.unwrap_or_default();
    // What does not say what it is about says nothing.
    contents.journals.retain(|id, journal| {
        let usable = matches!(journal.first(), Some(crate::journal::Record::Planned(_)));
        if !usable {
            unreadable.push(format!("journal of instance {id}: its beginning is lost"));
        }
        usable
    });
    (contents, unreadable)
}

#[cfg(test)]
mod tests;
