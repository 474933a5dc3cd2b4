//! Streams of messages about a long operation: JSON objects, a line each.

use std::collections::VecDeque;

use bollard::errors::Error;
use llcm_runtime::ProgressEvent;
use serde_json::Value;

use crate::raw::Output;

/// No message is longer. What is longer is no message.
const LINE_BYTES: usize = 4 << 20;

/// Messages as they come.
#[derive(Debug)]
pub(crate) struct Messages {
    output: Output,
    buffer: Vec<u8>,
    ready: VecDeque<Value>,
}

impl Messages {
    /// The messages in an answer.
    pub(crate) fn new(output: Output) -> Self {
        Self { output, buffer: Vec::new(), ready: VecDeque::new() }
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// The engine's own error, when the message is about one, and whatever breaks the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if let Some(value) = self.ready.pop_front() {
                return Message::new(value).map(Some);
            }
            let Some(bytes) = self.output.next().await? else {
                let last = std::mem::take(&mut self.buffer);
                return parse(&last)?.map(Message::new).transpose();
            };
            self.buffer.extend_from_slice(&bytes);
            let complete = self.buffer.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
            let lines: Vec<u8> = self.buffer.drain(..complete).collect();
            for line in lines.split(|&byte| byte == b'\n') {
                self.ready.extend(parse(line)?);
            }
            if self.buffer.len() > LINE_BYTES {
                return Err(broken("a message without an end"));
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<Option<Value>, Error> {
    let line = line.trim_ascii();
    if line.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(line).map(Some).map_err(|error| broken(&error.to_string()))
}

fn broken(what: &str) -> Error {
    Error::IOError { err: std::io::Error::other(format!("the engine's messages cannot be read: {what}")) }
}

/// One message that is no error.
#[derive(Debug)]
pub(crate) struct Message {
    value: Value,
}

impl Message {
    fn new(value: Value) -> Result<Self, Error> {
        let error = value.pointer("/errorDetail/message").or_else(|| value.get("error"));
        match error.and_then(Value::as_str) {
            Some(text) => Err(Error::DockerStreamError { error: text.to_owned() }),
            None => Ok(Self { value }),
        }
    }

    /// All of it.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key)?.as_str()
    }

    /// A piece of a build's output.
    pub(crate) fn output(&self) -> Option<&str> {
        self.text("stream")
    }

    /// What is worth telling of it; `subject`: what it is about when it does not say.
    pub(crate) fn event(&self, subject: &str) -> Option<ProgressEvent> {
        let status = self.text("status").or_else(|| self.output())?.trim();
        let size = |key: &str| self.value.pointer(key)?.as_u64();
        (!status.is_empty()).then(|| ProgressEvent {
            subject: self.text("id").unwrap_or(subject).to_owned(),
            status: status.to_owned(),
            bytes: size("/progressDetail/current").zip(size("/progressDetail/total")),
        })
    }
}
