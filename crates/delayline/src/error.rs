//! What can go wrong.

use std::io;

use thiserror::Error;

/// Why a link could not be made or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineError {
    /// There is no link of that name.
    #[error("there is no line of link {0}")]
    Unknown(String),
    /// The kernel refused something.
    #[error("{what}: {source}")]
    Kernel {
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process that moves the frames does not answer, or not as it should.
    #[error("the delay line's process: {0}")]
    Helper(String),
}

impl From<io::Error> for LineError {
    fn from(source: io::Error) -> Self {
        Self::Kernel { what: "TAP device", source }
    }
}

/// Says what was tried when it fails.
pub(crate) trait Context<T> {
    fn during(self, what: &'static str) -> Result<T, LineError>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, LineError> {
        self.map_err(|error| LineError::Kernel { what, source: error.into() })
    }
}
