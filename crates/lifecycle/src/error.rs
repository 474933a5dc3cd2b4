//! What can go wrong, with the codes that clients see.

use std::path::Path;

use llcm_descriptors::Diagnostic;
use llcm_runtime::{DriverError, ErrorKind};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::{self, StoreError};

/// Stable words for programs; each has one HTTP status and one paragraph of documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The upload is no package.
    NotAPackage,
    /// The upload or something in it is larger than the limits allow.
    TooLarge,
    /// The package was read, and its descriptors have errors.
    InvalidPackage,
    /// No such service.
    ServiceNotFound,
    /// There is no service at all.
    NoService,
    /// No such instance.
    InstanceNotFound,
    /// No such request.
    RequestNotFound,
    /// No such container in the instance.
    ContainerNotFound,
    /// No such link between data centers.
    LinkNotFound,
    /// No such data center.
    DatacenterNotFound,
    /// No such schedule.
    ScheduleNotFound,
    /// A change of the topology or a schedule has errors.
    InvalidChange,
    /// A change of the topology cannot be made as things stand.
    TopologyConflict,
    /// The host cannot emulate links as asked.
    NotEmulated,
    /// No such chain of the instance.
    ChainNotFound,
    /// What a chain is asked for makes no sense: its match, its ends.
    InvalidChain,
    /// A chain is there that takes the same frames already.
    ChainExists,
    /// The instance has as many chains as it may have.
    TooManyChains,
    /// No such interface of the instance, or no such link or end of one.
    PointNotFound,
    /// The service has running instances.
    ServiceInUse,
    /// The instance is in a state that does not allow it.
    WrongState,
    /// The service cannot be planned: a port is taken, a pool is exhausted, the policy refuses something.
    CannotPlan,
    /// An image cannot be had.
    ImageUnavailable,
    /// A step of instantiating or terminating failed.
    StepFailed,
    /// Taking down did not finish; it can be tried again.
    Stuck,
    /// The engine does not answer or refuses.
    EngineUnavailable,
    /// The engine cannot do what was asked.
    Unsupported,
    /// The store cannot be read or written.
    StoreFailed,
    /// More instances are being made than the server does at a time; later it may do.
    TooBusy,
    /// There are as many instances as there may be.
    TooManyInstances,
    /// The data directory's disk has too little room, or none.
    DiskFull,
    /// The server shuts down.
    ShuttingDown,
}

/// An operation of the life-cycle that failed.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct LifecycleError {
    /// What a program branches on.
    pub code: ErrorCode,
    /// What went wrong and what to do, for people, complete: causes included, each once.
    pub message: String,
    /// Findings about the package, where there are any.
    pub diagnostics: Vec<Diagnostic>,
    /// Further errors of the same operation (undo errors, for example), each complete.
    pub others: Vec<String>,
}

impl LifecycleError {
    /// An error without diagnostics.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), diagnostics: Vec::new(), others: Vec::new() }
    }

    /// An error of the disk that the data directory is on.
    pub(crate) fn disk(verb: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(disk_code(error), format!("{verb} {}: {error}", path.display()))
    }
}

/// The code of an error of the disk that the data directory is on.
#[must_use]
pub fn disk_code(error: &std::io::Error) -> ErrorCode {
    if store::is_no_space(error) { ErrorCode::DiskFull } else { ErrorCode::StoreFailed }
}

impl From<StoreError> for LifecycleError {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::NoSpace { .. } => ErrorCode::DiskFull,
            _ => ErrorCode::StoreFailed,
        };
        Self::new(code, error.to_string())
    }
}

/// The code of a driver's error in an operation that has no closer one of its own.
pub(crate) fn code_of(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Denied => ErrorCode::EngineUnavailable,
        ErrorKind::Unsupported => ErrorCode::Unsupported,
        ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::Failed => {
            ErrorCode::StepFailed
        }
    }
}

impl From<DriverError> for LifecycleError {
    fn from(error: DriverError) -> Self {
        Self::new(code_of(error.kind), error.to_string())
    }
}
