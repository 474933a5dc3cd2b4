//! From the engine's errors to the contract's.

use std::io;

use llcm_engine::EngineError;
use llcm_runtime::{DriverError, ErrorKind};

/// What is being done to what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) operation: &'static str,
    pub(crate) target: &'a str,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(operation: &'static str, target: &'a str) -> Self {
        Self { operation, target }
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> DriverError {
        DriverError::new(kind, self.operation, self.target, message)
    }

    pub(crate) fn io(&self, what: &str, error: &io::Error) -> DriverError {
        self.error(kind_of(error), format!("{what}: {error}"))
    }

    pub(crate) fn engine(&self, error: &EngineError) -> DriverError {
        let kind = match error {
            EngineError::System { source, .. } => kind_of(source),
            EngineError::Image { .. } | EngineError::Start { .. } => ErrorKind::Failed,
            EngineError::NotFound { .. } => ErrorKind::NotFound,
            EngineError::Conflict { .. } | EngineError::InUse { .. } => ErrorKind::Conflict,
            EngineError::Invalid(_) => ErrorKind::Invalid,
        };
        self.error(kind, chain(error))
    }
}

fn kind_of(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::PermissionDenied => ErrorKind::Denied,
        io::ErrorKind::AddrInUse => ErrorKind::Conflict,
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => ErrorKind::Unavailable,
        _ => ErrorKind::Failed,
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_and_kinds_kept() {
        let error = EngineError::System {
            operation: "open",
            target: "/x".into(),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        let mapped = Attempt::new("start container", "a").engine(&error);
        assert_eq!(mapped.kind, ErrorKind::Denied);
        assert_eq!(mapped.to_string(), "start container a: cannot open /x: permission denied");
    }
}
