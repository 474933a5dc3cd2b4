//! What can go wrong: one variant per kind of failure, each with what it happened to.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A call to the system failed.
    #[error("cannot {operation} {}", target.display())]
    System {
        /// What was tried, as a verb that reads after "cannot".
        operation: &'static str,
        /// The file, directory, mount or process it was tried on.
        target: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// An image's archive is not as it must be.
    #[error("image archive {} is refused", archive.display())]
    Image {
        /// The archive or directory.
        archive: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ImageError,
    },
    /// There is no such image, container or file.
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// "image" or "container".
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The name is taken, or the state does not allow it.
    #[error("{kind} `{name}` {problem}")]
    Conflict {
        /// "image", "container", "port" or "state directory".
        kind: &'static str,
        /// Which one.
        name: String,
        /// What is in the way, and what to do.
        problem: &'static str,
    },
    /// Another program has the engine's directory.
    #[error(
        "state directory `{}` is used by another program: stop it, or choose another directory",
        directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// A specification that cannot be run.
    #[error("{0}")]
    Invalid(String),
    /// The process could not be started: what the helper reported from inside.
    #[error("cannot start `{container}`: {report}")]
    Start {
        /// The container.
        container: String,
        /// What failed and why, from the helper process.
        report: String,
    },
}

/// Why an image's archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Reading failed: truncated, damaged, or not of the format it claims.
    #[error("cannot read {member}")]
    Read {
        /// The member of the archive.
        member: String,
        /// What the reader says.
        #[source]
        source: io::Error,
    },
    /// Neither `manifest.json` nor `index.json` is there.
    #[error("neither manifest.json (docker save) nor index.json (OCI) is in it")]
    Unknown,
    /// A member that another one names is missing.
    #[error("{0} is named and missing")]
    Missing(String),
    /// A member of JSON is not as it should be.
    #[error("cannot understand {member}")]
    Json {
        /// The member.
        member: String,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Contents and digest do not agree.
    #[error("{member} should have the digest {expected} and has {found}")]
    Digest {
        /// The member.
        member: String,
        /// As the manifest or configuration says.
        expected: String,
        /// As computed.
        found: String,
    },
    /// An entry of a layer would leave the layer's directory.
    #[error("entry `{0}` leads out of the image")]
    Escape(String),
    /// An entry of a layer cannot be made.
    #[error("cannot unpack entry `{entry}`")]
    Entry {
        /// Its path in the layer.
        entry: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// More than the limits allow.
    #[error("more than {limit} {what}: raise the limit if the image is to be trusted")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Something else that no honest image has.
    #[error("{0}")]
    Malformed(String),
}

/// Wraps the system's answer with what was tried on what.
pub(crate) trait Context<T> {
    fn context(self, operation: &'static str, target: &Path) -> Result<T, EngineError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, operation: &'static str, target: &Path) -> Result<T, EngineError> {
        self.map_err(|source| EngineError::System {
            operation,
            target: target.to_path_buf(),
            source: source.into(),
        })
    }
}

/// An error and its causes in one line: how helpers report to the engine.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
