//! Every way in which an archive can be no package.

use std::path::PathBuf;

use thiserror::Error;

/// What a caller branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// It is no archive, or a damaged one.
    NotAPackage,
    /// It breaks a limit.
    TooLarge,
    /// It is an archive that is refused for what is in it.
    Invalid,
    /// The own disk failed.
    Io,
}

/// Why a package was not unpacked. The text says what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackagingError {
    /// The file is empty.
    #[error("the file is empty: send a .tgo or .son package")]
    Empty,
    /// No end of an archive is found where it must be.
    #[error("not a zip archive, or a truncated one ({reason}): send the complete .tgo or .son file")]
    NotAnArchive {
        /// What was looked for.
        reason: String,
    },
    /// An entry's data cannot be decompressed or has another checksum than the archive says.
    #[error("`{member}` is damaged ({reason}): pack or download the package again")]
    Damaged {
        /// The entry.
        member: String,
        /// What does not fit.
        reason: String,
    },
    /// The archive itself is too large.
    #[error("the package has {got} bytes, and {limit} are allowed: make it smaller, or raise `max_upload`")]
    ArchiveTooLarge {
        /// Bytes.
        got: u64,
        /// Bytes.
        limit: u64,
    },
    /// Too much comes out of it.
    #[error(
        "the package holds more than the {limit} bytes allowed (`{member}` went beyond): leave large files out, or raise `max_unpacked`"
    )]
    ContentTooLarge {
        /// The entry that went beyond.
        member: String,
        /// Bytes.
        limit: u64,
    },
    /// An entry expands suspiciously.
    #[error(
        "`{member}` expands to more than {limit} times its compressed size: this looks like a decompression bomb; store it uncompressed, or raise `max_ratio`"
    )]
    RatioTooHigh {
        /// The entry.
        member: String,
        /// Times.
        limit: u64,
    },
    /// Too many entries.
    #[error("the package has {got} entries, and {limit} are allowed: leave some out, or raise `max_entries`")]
    TooManyEntries {
        /// Entries.
        got: u64,
        /// Entries.
        limit: u64,
    },
    /// A path too deep.
    #[error(
        "`{member}` lies {got} levels deep, and {limit} are allowed: flatten the folders, or raise `max_depth`"
    )]
    TooDeep {
        /// The entry.
        member: String,
        /// Levels.
        got: usize,
        /// Levels.
        limit: usize,
    },
    /// A path that does not stay inside the package.
    #[error("the entry name `{member}` is refused ({reason}): pack the folder's content with relative names")]
    UnsafePath {
        /// The entry's name, shortened.
        member: String,
        /// The rule.
        reason: &'static str,
    },
    /// Two entries for one file.
    #[error(
        "the entries `{first}` and `{second}` collide: give each file a name of its own (case does not count)"
    )]
    Collision {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// A name more than once.
    #[error("the archive lists {got} entries under {names} names: pack it again with each file once")]
    DuplicateNames {
        /// Entries.
        got: u64,
        /// Distinct names.
        names: u64,
    },
    /// A link, device, socket...
    #[error("`{member}` is a {what}: pack regular files and folders only")]
    SpecialEntry {
        /// The entry.
        member: String,
        /// "symbolic link".
        what: &'static str,
    },
    /// A password is needed.
    #[error("`{member}` is encrypted: pack it without a password")]
    Encrypted {
        /// The entry.
        member: String,
    },
    /// Entries share bytes.
    #[error("entries of the archive overlap: this looks like a decompression bomb; pack it again")]
    Overlap,
    /// Headers that contradict each other or the data.
    #[error("the archive contradicts itself ({reason}): pack it again")]
    Contradiction {
        /// What does not fit.
        reason: String,
    },
    /// A compression method that is not read.
    #[error("`{member}` is compressed with method {method}: use deflate, or store it")]
    UnsupportedMethod {
        /// The entry.
        member: String,
        /// As the archive says.
        method: String,
    },
    /// The own disk.
    #[error("cannot {op} {path}")]
    Io {
        /// "create", "write", "rename".
        op: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl PackagingError {
    /// What a caller branches on.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Empty | Self::NotAnArchive { .. } | Self::Damaged { .. } => ErrorKind::NotAPackage,
            Self::ArchiveTooLarge { .. }
            | Self::ContentTooLarge { .. }
            | Self::RatioTooHigh { .. }
            | Self::TooManyEntries { .. }
            | Self::TooDeep { .. } => ErrorKind::TooLarge,
            Self::UnsafePath { .. }
            | Self::Collision { .. }
            | Self::DuplicateNames { .. }
            | Self::SpecialEntry { .. }
            | Self::Encrypted { .. }
            | Self::Overlap
            | Self::Contradiction { .. }
            | Self::UnsupportedMethod { .. } => ErrorKind::Invalid,
            Self::Io { .. } => ErrorKind::Io,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty-file",
            Self::NotAnArchive { .. } => "not-an-archive",
            Self::Damaged { .. } => "damaged-entry",
            Self::ArchiveTooLarge { .. } => "archive-too-large",
            Self::ContentTooLarge { .. } => "content-too-large",
            Self::RatioTooHigh { .. } => "ratio-too-high",
            Self::TooManyEntries { .. } => "too-many-entries",
            Self::TooDeep { .. } => "path-too-deep",
            Self::UnsafePath { .. } => "unsafe-path",
            Self::Collision { .. } => "colliding-names",
            Self::DuplicateNames { .. } => "duplicate-names",
            Self::SpecialEntry { .. } => "special-entry",
            Self::Encrypted { .. } => "encrypted-entry",
            Self::Overlap => "overlapping-entries",
            Self::Contradiction { .. } => "contradicting-headers",
            Self::UnsupportedMethod { .. } => "unsupported-compression",
            Self::Io { .. } => "io",
        }
    }

    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { op, path, source }
    }
}
