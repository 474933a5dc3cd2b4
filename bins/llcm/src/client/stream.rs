//! Answers that are told line by line, each line a JSON value (NDJSON).

use std::io::Write as _;

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A line may not be longer than this; the server's are some tens of KiB.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// An answer that is still being told.
#[derive(Debug)]
pub(crate) struct Lines {
    response: Response,
    /// What is told, in the words of error messages.
    what: &'static str,
    buffer: Vec<u8>,
    /// How much of the buffer is known to have no end of line.
    searched: usize,
}

impl Lines {
    pub(crate) fn new(response: Response, what: &'static str) -> Self {
        Self { response, what, buffer: Vec::new(), searched: 0 }
    }

    /// The next value; empty lines (heartbeats) are passed over. `None` at the end.
    ///
    /// # Errors
    /// When the connection breaks or a line is no such value.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> anyhow::Result<Option<T>> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=self.searched + end).collect();
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line).map(Some).context("the server's answer is garbled");
            }
            self.searched = self.buffer.len();
            if self.searched > LONGEST_LINE {
                bail!("the server's answer has a line without an end");
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk),
                Ok(None) if self.buffer.trim_ascii().is_empty() => return Ok(None),
                // Where in the answer it was, as the error of the connection says, is of no use to anybody.
                Ok(None) | Err(_) => bail!("the connection to the server ended before {} did", self.what),
            }
        }
    }
}

/// A line of the output of a command or of a container.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OutputLine {
    Data { stream: String, data: String },
    Error { error: String },
    End { exit_code: Option<i64> },
}

/// Writes output where it belongs as it comes; returns the exit code that the last line told, if any.
///
/// # Errors
/// When the connection breaks, the server reports an error, or the output cannot be written.
pub(crate) async fn copy_output(mut lines: Lines) -> anyhow::Result<Option<i64>> {
    let mut code = None;
    while let Some(line) = lines.next::<OutputLine>().await? {
        match line {
            OutputLine::Data { stream, data } => {
                let bytes = STANDARD.decode(data).context("the server's answer is garbled")?;
                if stream == "stderr" {
                    std::io::stderr().lock().write_all(&bytes)?;
                } else {
                    let mut out = std::io::stdout().lock();
                    out.write_all(&bytes)?;
                    out.flush()?;
                }
            }
            OutputLine::Error { error } => return Err(anyhow!(error)),
            OutputLine::End { exit_code } => code = exit_code,
        }
    }
    Ok(code)
}
