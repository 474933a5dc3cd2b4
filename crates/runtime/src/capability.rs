//! Optional powers of container drivers.

use std::collections::BTreeMap;

use async_trait::async_trait;
use llcm_names::{EngineName, Owner};
use serde::{Deserialize, Serialize};

use crate::DriverResult;

/// Runs commands in running containers.
#[async_trait]
pub trait Exec: Send + Sync {
    /// Runs a command, hands its output to `sink` as it comes, and returns when the command has ended.
    ///
    /// # Errors
    /// `NotFound` for the container, `Conflict` for another owner's, `Invalid` when the command cannot be
    /// executed.
    async fn exec(
        &self,
        owner: &Owner,
        name: &EngineName,
        spec: &ExecSpec,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<ExecOutcome>;
}

/// Reads the output of containers' own processes.
#[async_trait]
pub trait Logs: Send + Sync {
    /// Hands the output to `sink` as it comes; with `follow`, until the container stops or `sink` says enough.
    ///
    /// # Errors
    /// `NotFound` for the container, `Conflict` for another owner's.
    async fn logs(
        &self,
        owner: &Owner,
        name: &EngineName,
        options: LogOptions,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<()>;
}

/// Takes output as it comes.
#[async_trait]
pub trait OutputSink: Send {
    /// One piece of output. Returning `false` says that no more is wanted.
    async fn write(&mut self, chunk: OutputChunk) -> bool;
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputChunk {
    /// Where it was written to.
    pub stream: OutputStream,
    /// The bytes, as they were written.
    pub bytes: Vec<u8>,
}

/// Where output was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputStream {
    /// Standard output, and all output of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Keeps all output, both streams in one, for short commands and tests.
#[async_trait]
impl OutputSink for Vec<u8> {
    async fn write(&mut self, chunk: OutputChunk) -> bool {
        self.extend_from_slice(&chunk.bytes);
        true
    }
}

/// A command to run in a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Program and arguments; never through a shell unless the caller names one.
    pub argv: Vec<String>,
    /// Environment on top of the container's.
    pub environment: BTreeMap<String, String>,
    /// Whether the command gets a terminal.
    pub terminal: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOutcome {
    /// Its exit code; `None` when the engine does not know it.
    pub exit_code: Option<i64>,
}

/// Which output is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogOptions {
    /// Go on while the container runs.
    pub follow: bool,
    /// Only the last lines; `None`: all.
    pub tail: Option<u32>,
    /// With a timestamp before each line.
    pub timestamps: bool,
}
