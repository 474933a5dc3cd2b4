//! Output of containers and commands, byte by byte.
//!
//! The client library reads such output in lines, which holds a line without an end back for ever, however
//! long it grows, and takes a terminal's output that begins with a byte below 3 for a frame. So these two
//! requests are made without it.

use std::path::Path;

use bollard::errors::Error;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use llcm_runtime::{OutputChunk, OutputStream};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

/// An error's body is not read beyond this.
const ERROR_BYTES: usize = 64 * 1024;
/// How much is read at a time.
const READ_BYTES: usize = 16 * 1024;

/// A stream of bytes from the engine.
#[derive(Debug)]
pub(crate) struct Output {
    source: Source,
    /// The connection's own task, which ends with this.
    _connection: JoinSet<()>,
}

#[derive(Debug)]
enum Source {
    Body(Incoming),
    Upgraded(TokioIo<Upgraded>),
}

impl Output {
    /// Asks for a path whose answer's body is the output.
    pub(crate) async fn get(socket: &Path, path: &str) -> Result<Self, Error> {
        let request = Request::get(path).header(HOST, "docker").body(Full::default())?;
        let (response, connection) = send(socket, request).await?;
        Ok(Self { source: Source::Body(response.into_body()), _connection: connection })
    }

    /// Posts JSON to a path and takes the connection over for the output.
    pub(crate) async fn upgrade(socket: &Path, path: &str, json: String) -> Result<Self, Error> {
        let request = Request::post(path)
            .header(HOST, "docker")
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "tcp")
            .body(Full::from(json))?;
        let (response, connection) = send(socket, request).await?;
        let source = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            Source::Upgraded(TokioIo::new(hyper::upgrade::on(response).await?))
        } else {
            Source::Body(response.into_body())
        };
        Ok(Self { source, _connection: connection })
    }

    /// The next bytes, as soon as there are any; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.source {
            Source::Body(body) => loop {
                match body.frame().await {
                    None => return Ok(None),
                    Some(frame) => {
                        if let Ok(data) = frame?.into_data() {
                            return Ok(Some(data));
                        }
                    }
                }
            },
            Source::Upgraded(stream) => {
                let mut buffer = vec![0; READ_BYTES];
                let length = stream.read(&mut buffer).await?;
                buffer.truncate(length);
                Ok((length != 0).then(|| buffer.into()))
            }
        }
    }
}

async fn send(
    socket: &Path,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Incoming>, JoinSet<()>), Error> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut task = JoinSet::new();
    task.spawn(async move {
        // What goes wrong with the connection shows at the reader's end.
        drop(connection.with_upgrades().await);
    });
    let response = sender.send_request(request).await?;
    if response.status().is_success() || response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Ok((response, task));
    }
    let status_code = response.status().as_u16();
    let body = http_body_util::Limited::new(response.into_body(), ERROR_BYTES).collect().await;
    let text = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let message = serde_json::from_slice::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| value.get("message")?.as_str().map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&text).into_owned());
    Err(Error::DockerResponseServerError { status_code, message })
}

/// Parts standard output from standard error (Docker Engine API, "Stream format": eight bytes of header,
/// the first telling the stream, the last four the length, then so many bytes). A terminal has one stream
/// and no headers. Nothing is held back until a frame is whole.
#[derive(Debug)]
pub(crate) struct Streams {
    terminal: bool,
    header: Vec<u8>,
    stream: OutputStream,
    left: usize,
}

/// The length of a frame's header.
const HEADER: usize = 8;

impl Streams {
    /// The reader for output from a terminal, or from two streams.
    pub(crate) fn new(terminal: bool) -> Self {
        Self { terminal, header: Vec::with_capacity(HEADER), stream: OutputStream::Stdout, left: 0 }
    }

    /// What these bytes hold.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<OutputChunk> {
        if self.terminal {
            return vec![OutputChunk { stream: OutputStream::Stdout, bytes: bytes.to_vec() }];
        }
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            if self.left == 0 {
                let (head, rest) = bytes.split_at(bytes.len().min(HEADER - self.header.len()));
                self.header.extend_from_slice(head);
                bytes = rest;
                if let &[stream, _, _, _, a, b, c, d] = self.header.as_slice() {
                    self.stream = if stream == 2 { OutputStream::Stderr } else { OutputStream::Stdout };
                    self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                    self.header.clear();
                }
                continue;
            }
            let (data, rest) = bytes.split_at(bytes.len().min(self.left));
            chunks.push(OutputChunk { stream: self.stream, bytes: data.to_vec() });
            self.left -= data.len();
            bytes = rest;
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_parted_wherever_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        for (stream, text) in [(1, "out"), (2, "error"), (1, ""), (1, "\x01\x02")] {
            bytes.extend_from_slice(&[stream, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()]);
            bytes.extend_from_slice(text.as_bytes());
        }
        for size in 1..=bytes.len() {
            let mut streams = Streams::new(false);
            let (mut out, mut error) = (Vec::new(), Vec::new());
            for piece in bytes.chunks(size) {
                for chunk in streams.push(piece) {
                    match chunk.stream {
                        OutputStream::Stdout => out.extend(chunk.bytes),
                        OutputStream::Stderr => error.extend(chunk.bytes),
                    }
                }
            }
            assert_eq!(
                (out.as_slice(), error.as_slice()),
                (&b"out\x01\x02"[..], &b"error"[..]),
                "cut at {size}"
            );
        }
    }

    #[test]
    fn a_terminals_bytes_are_passed_on_as_they_are() {
        let mut streams = Streams::new(true);
        let bytes = [1, 0, 0, 0, 255, 255, 255, 255, 0];
        let expected = OutputChunk { stream: OutputStream::Stdout, bytes: bytes.to_vec() };
        assert_eq!(streams.push(&bytes), [expected]);
    }
}
