//! How much an upload may cost.

use serde::{Deserialize, Serialize};

/// Limits on a package, settings of the same meaning in the program's configuration: `max_upload`,
/// `max_unpacked`, `max_descriptor`, `max_entries`, `max_ratio`, `max_depth`. The defaults are well above the
/// largest published package and well below what hurts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of the archive; 512 MiB, so that a package may carry an image.
    pub compressed_bytes: u64,
    /// Bytes of all files together, as written; 2 GiB.
    pub unpacked_bytes: u64,
    /// Bytes of one descriptor or manifest; 1 MiB, a hundred times the usual.
    pub descriptor_bytes: u64,
    /// Entries of the archive, directories included; 10,000.
    pub entries: u64,
    /// Bytes written for each byte of an entry's compressed data, beyond the first MiB; 200. Text reaches 20,
    /// deflate 1032.
    pub ratio: u64,
    /// Components of a path; 16.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compressed_bytes: 512 << 20,
            unpacked_bytes: 2 << 30,
            descriptor_bytes: 1 << 20,
            entries: 10_000,
            ratio: 200,
            depth: 16,
        }
    }
}
