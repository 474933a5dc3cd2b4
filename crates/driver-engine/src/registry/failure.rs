//! What goes wrong between this program and a registry, and what that means to callers.

use std::error::Error;

use llcm_runtime::{DriverError, ErrorKind};

/// What was attempted on which reference.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a>(pub(super) &'static str, pub(super) &'a str);

impl Attempt<'_> {
    pub(super) fn failed(self, failure: Failure) -> DriverError {
        DriverError::new(failure.kind, self.0, self.1, failure.message)
    }
}

/// A failure that does not know yet what it is told about.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    /// Whether the same request may succeed a moment later.
    pub(super) passes: bool,
}

/// Begins what is said of an image that is there for other machines only.
const FOREIGN: &str = "the image is not for this machine";

/// Whether an error is that of an image for other machines.
pub(super) fn is_foreign(error: &DriverError) -> bool {
    error.message.starts_with(FOREIGN)
}

impl Failure {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), passes: false }
    }

    /// The registry's answer makes no sense.
    pub(super) fn nonsense(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// The image is for other machines; `there_is`: which.
    pub(super) fn foreign(ours: &str, there_is: &str) -> Self {
        Self::new(ErrorKind::NotFound, format!("{FOREIGN} ({ours}): the registry has it for {there_is}"))
    }

    /// The server, or the way to it, is not there for now.
    pub(super) fn passing(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Unavailable, message: message.into(), passes: true }
    }

    /// Something on this machine.
    pub(super) fn local(operation: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(ErrorKind::Failed, format!("cannot {operation} {}: {error}", path.display()))
    }

    /// What a status of HTTP means; `said`: the registry's own words.
    pub(super) fn status(host: &str, status: u16, said: &str) -> Self {
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        match status {
            401 | 403 => {
                let advice = "there is no such image, or it is private: check the name, and the credentials \
                              for this registry (`docker login` writes them)";
                Self::new(ErrorKind::Denied, format!("{host} denies access{said}; {advice}"))
            }
            404 => {
                let advice = "check the image's name and tag";
                Self::new(ErrorKind::NotFound, format!("{host} does not have it{said}; {advice}"))
            }
            429 => Self::passing(format!("{host} limits requests{said}; try again later")),
            408 | 500..=599 => Self::passing(format!("{host} answers with status {status}{said}")),
            _ => Self::nonsense(format!("{host} answers with status {status}{said}")),
        }
    }
}

/// The innermost cause: the wrappers around it say no more than that something failed.
pub(super) fn innermost(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// What a stranger wrote, fit for a message: one line, not too long, nothing that a terminal acts on.
pub(super) fn tame(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
