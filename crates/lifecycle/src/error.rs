//! What can go wrong, with the codes that clients see.

use llcm_descriptors::Diagnostic;
use thiserror::Error;

/// Stable words for programs; each has one HTTP status and one paragraph of documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// The server shuts down.
    ShuttingDown,
}

/// An operation of the life-cycle that failed.
#[derive(Debug, Error)]
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
}
