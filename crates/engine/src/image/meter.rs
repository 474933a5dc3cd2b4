//! A reader that counts: how much is produced at all, and how much before the next member is delivered.
//!
//! The second bound is for the headers of tar: a name may come as a member of its own that the reader of tar
//! takes into memory whole, so that a few compressed bytes could ask for gigabytes of it.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest as _, Sha256};

/// Names, links and extended headers of one member take no more than this.
const HEADER_BYTES: u64 = 2 << 20;

/// What both the reader and its user look at.
#[derive(Debug)]
pub(crate) struct Meter {
    total: Cell<u64>,
    limit: u64,
    header: Cell<Option<u64>>,
}

impl Meter {
    /// Allows `limit` bytes in all.
    pub(crate) fn new(limit: u64) -> Self {
        Self { total: Cell::new(0), limit, header: Cell::new(None) }
    }

    /// From here to [`Meter::contents`] only headers are read.
    pub(crate) fn headers(&self) {
        self.header.set(Some(HEADER_BYTES));
    }

    /// From here on the contents of a member are read.
    pub(crate) fn contents(&self) {
        self.header.set(None);
    }

    /// Whether the limit on all bytes was passed.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.total.get() > self.limit
    }

    fn count(&self, read: usize) -> io::Result<()> {
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        self.total.set(self.total.get().saturating_add(read));
        if self.is_exceeded() {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than the limit allows"));
        }
        if let Some(left) = self.header.get() {
            let left = left.checked_sub(read).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "the header of a member is longer than any needs")
            })?;
            self.header.set(Some(left));
        }
        Ok(())
    }
}

/// Reads from `inner`, counts in a [`Meter`] and hashes if asked to.
pub(crate) struct Metered<'a, R> {
    pub(crate) inner: R,
    pub(crate) meter: &'a Meter,
    pub(crate) hash: Option<&'a mut Sha256>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.count(read)?;
        if let (Some(hash), Some(bytes)) = (&mut self.hash, buffer.get(..read)) {
            hash.update(bytes);
        }
        Ok(read)
    }
}

impl<R: Seek> Seek for Metered<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
