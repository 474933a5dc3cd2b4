//! What can go wrong with the two files.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// An operation on tokens or the audit log that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The system refuses.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file may be read or written by others.
    #[error("{} may be used by others than its owner (mode {mode:04o}): `chmod 600` it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not what this program writes.
    #[error("{} is no file of tokens: {problem}", path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The name of a token breaks a rule.
    #[error(
        "{0:?} is no name of a token: write 1 to 64 letters, digits, `.`, `_` and `-`, a letter or digit first"
    )]
    BadName(String),
    /// There is a token of that name.
    #[error("there is a token `{0}` already: choose another name, or remove that one first")]
    NameTaken(String),
    /// There is no token of that name.
    #[error("there is no token `{0}`")]
    NoSuchToken(String),
    /// There are as many tokens as there may be.
    #[error("there are {0} tokens already, as many as there may be: remove those that nobody uses")]
    TooMany(usize),
}

impl AccessError {
    /// Its code for programs and the audit log, one of those of the REST interface.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::File { source, .. }
                if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) =>
            {
                "disk-full"
            }
            // Writing is done with other words.
            Self::File { operation: "look at" | "open" | "read", .. }
            | Self::Exposed { .. }
            | Self::Garbled { .. } => "tokens-unreadable",
            Self::File { .. } => "internal",
            Self::BadName(_) | Self::NameTaken(_) | Self::TooMany(_) => "bad-request",
            Self::NoSuchToken(_) => "not-found",
        }
    }
}

/// Puts operation and path to an error of the system.
pub(crate) trait Context<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, AccessError>;
}

impl<T, E: Into<std::io::Error>> Context<T> for Result<T, E> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, AccessError> {
        self.map_err(|source| AccessError::File { operation, path: path.to_owned(), source: source.into() })
    }
}
