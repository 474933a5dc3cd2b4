//! Replies that grow: one JSON value a line (`application/x-ndjson`).

use actix_web::HttpResponse;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use llcm_runtime::{Direction, Frame, OutputChunk, OutputSink, OutputStream};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::error::ApiError;

/// Lines that may wait for a slow client before whoever makes them has to wait.
const WAITING: usize = 32;

/// A line of the output of a command or container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OutputLine {
    /// A piece of output, base64 (RFC 4648, section 4, padded).
    Output {
        /// Where it was written to.
        stream: OutputStream,
        /// The bytes.
        data: String,
    },
    /// The last line after a failure.
    Failed {
        /// What went wrong.
        error: String,
        /// The word of [`crate::codes`].
        code: String,
    },
    /// The last line otherwise; for a container's output, `null`.
    Ended {
        /// The command's exit code, `null` when it is not known.
        exit_code: Option<i64>,
    },
}

impl OutputLine {
    /// A piece of output as a line.
    #[must_use]
    pub fn output(chunk: &OutputChunk) -> Self {
        Self::Output { stream: chunk.stream, data: STANDARD.encode(&chunk.bytes) }
    }

    /// A failure as a line.
    #[must_use]
    pub fn failed(error: &ApiError) -> Self {
        Self::Failed { error: error.message.clone(), code: error.code.to_string() }
    }

    /// The bytes of a piece of output; `None` for other lines.
    ///
    /// # Errors
    /// When the data is no base64.
    pub fn bytes(&self) -> Result<Option<Vec<u8>>, String> {
        match self {
            Self::Output { data, .. } => {
                STANDARD.decode(data).map(Some).map_err(|error| format!("the output is not base64: {error}"))
            }
            Self::Failed { .. } | Self::Ended { .. } => Ok(None),
        }
    }
}

/// A line of a capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CaptureLine {
    /// A frame.
    Frame {
        /// When it passed, in nanoseconds since the beginning of 1970.
        at_ns: u64,
        /// Which way it went.
        direction: Direction,
        /// How long it was, in bytes.
        length: u32,
        /// Its beginning, base64.
        data: String,
        /// How many frames were dropped before it, where that is more than was told before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped: Option<u64>,
    },
    /// The first line: frames are looked at from now on.
    Began {
        /// `true`.
        capturing: bool,
    },
    /// The last line after a failure.
    Failed {
        /// What went wrong.
        error: String,
        /// The word of [`crate::codes`].
        code: String,
        /// As at another end, where it is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dropped: Option<u64>,
    },
    /// The last line otherwise.
    Ended {
        /// Frames sent.
        frames: u64,
        /// Frames that passed and were not sent, because they came faster than the client took them.
        dropped: u64,
    },
}

impl CaptureLine {
    /// A frame as a line; `told`: the dropped frames that were told before.
    #[must_use]
    pub fn frame(frame: &Frame, told: u64) -> Self {
        Self::Frame {
            at_ns: u64::try_from(frame.at.as_nanos()).unwrap_or(u64::MAX),
            direction: frame.direction,
            length: frame.length,
            data: STANDARD.encode(&frame.bytes),
            dropped: (frame.dropped > told).then_some(frame.dropped),
        }
    }

    /// A failure as a line.
    #[must_use]
    pub fn failed(error: &ApiError) -> Self {
        Self::Failed { error: error.message.clone(), code: error.code.to_string(), dropped: None }
    }

    /// The end of what has nothing to look at any more: a failure, for more was wanted.
    #[must_use]
    pub fn gone(error: &ApiError, dropped: u64) -> Self {
        Self::Failed { error: error.message.clone(), code: error.code.to_string(), dropped: Some(dropped) }
    }
}

/// The end of a growing reply at which lines are put in.
#[derive(Debug, Clone)]
pub(crate) struct Lines(mpsc::Sender<Bytes>);

impl Lines {
    /// Sends a line; `false` when the client has hung up.
    pub(crate) async fn send(&self, line: &impl Serialize) -> bool {
        match serde_json::to_vec(line) {
            Ok(mut text) => {
                text.push(b'\n');
                self.0.send(text.into()).await.is_ok()
            }
            Err(error) => {
                log::error!("cannot write a line of a reply: {error}");
                false
            }
        }
    }

    /// Sends an empty line, so that both sides see that the connection lives.
    pub(crate) async fn beat(&self) -> bool {
        self.0.send(Bytes::from_static(b"\n")).await.is_ok()
    }

    /// Resolves when the client has hung up.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// Output goes to the client piece by piece; once it has hung up, no more is wanted.
#[async_trait]
impl OutputSink for Lines {
    async fn write(&mut self, chunk: OutputChunk) -> bool {
        self.send(&OutputLine::output(&chunk)).await
    }
}

/// A reply and the end at which its lines are put in. The reply ends when every clone of that end is dropped.
pub(crate) fn reply() -> (HttpResponse, Lines) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let body = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
        receiver.recv().await.map(|line| (Ok::<_, std::convert::Infallible>(line), receiver))
    });
    let response = HttpResponse::Ok().content_type("application/x-ndjson").streaming(body);
    (response, Lines(sender))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_documented_form_and_are_read_back() {
        let chunk = OutputChunk { stream: OutputStream::Stderr, bytes: vec![0, 255, b'\n'] };
        let failure = ApiError::new(crate::codes::Code::StepFailed, "it broke");
        for (line, text) in [
            (OutputLine::output(&chunk), r#"{"stream":"stderr","data":"AP8K"}"#),
            (OutputLine::failed(&failure), r#"{"error":"it broke","code":"step-failed"}"#),
            (OutputLine::Ended { exit_code: Some(3) }, r#"{"exit_code":3}"#),
            (OutputLine::Ended { exit_code: None }, r#"{"exit_code":null}"#),
        ] {
            assert_eq!(serde_json::to_string(&line).unwrap(), text);
            assert_eq!(serde_json::from_str::<OutputLine>(text).unwrap(), line);
        }
        assert_eq!(OutputLine::output(&chunk).bytes(), Ok(Some(chunk.bytes)));
    }

    #[tokio::test]
    async fn a_client_that_hangs_up_is_noticed() {
        let (response, mut lines) = reply();
        let chunk = OutputChunk { stream: OutputStream::Stdout, bytes: b"x".to_vec() };
        assert!(lines.write(chunk.clone()).await);
        drop(response);
        lines.closed().await;
        assert!(!lines.write(chunk).await);
    }
}
