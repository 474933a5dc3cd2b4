//! Driver errors: the kind a caller branches on, and what was done to what.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a caller can do about a failure. Exactly what the life-cycle branches on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The object or image does not exist.
    NotFound,
    /// The name, port or address is held by another owner, or the same object has another spec.
    Conflict,
    /// This driver or this host cannot do it.
    Unsupported,
    /// The request makes no sense: a bad reference, a value out of range.
    Invalid,
    /// A privilege is missing; the message says which.
    Denied,
    /// The engine does not answer, or not in time; trying again later may help.
    Unavailable,
    /// Anything else the engine or kernel reported.
    Failed,
}

/// A driver operation that failed.
#[derive(Debug, Error)]
#[error("{operation} {target}: {message}")]
pub struct DriverError {
    /// What a caller branches on.
    pub kind: ErrorKind,
    /// The operation in words ("create container", "add VXLAN device").
    pub operation: &'static str,
    /// The name of what it was done to.
    pub target: String,
    /// What the engine or kernel said, with what to do about it where that is known.
    pub message: String,
}

/// What driver operations return.
pub type DriverResult<T> = Result<T, DriverError>;

impl DriverError {
    /// An error of the given kind.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        operation: &'static str,
        target: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { kind, operation, target: target.into(), message: message.into() }
    }
}
