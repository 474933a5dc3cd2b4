//! Requests whose answers are streams, read byte by byte.
//!
//! The client library is used for what is answered at once. Its streams are not: it reads output in lines,
//! which holds a line without an end back for ever, however long it grows; it takes a terminal's output that
//! begins with a byte below 3 for a frame; and a stream of messages fails when the network cuts it between a
//! message and the line's end. Nor is its reader of containers, which knows Docker's words for states only.

use std::path::Path;

use bollard::errors::Error;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

/// An error's body is not read beyond this.
const ERROR_BYTES: usize = 64 * 1024;
/// Nor is a whole answer beyond this.
const ANSWER_BYTES: usize = 16 << 20;
/// How much is read at a time.
const READ_BYTES: usize = 16 * 1024;

/// What is sent to the engine.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A word in a request's query, with every byte that could have a meaning there written as `%XX` (RFC 3986,
/// section 2.3).
pub(crate) fn encode(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for byte in word.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

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
        let request = Request::get(path).header(HOST, "docker").body(empty())?;
        let (response, connection) = send(socket, request).await?;
        Ok(Self { source: Source::Body(response.into_body()), _connection: connection })
    }

    /// Posts to a path whose answer's body is the output.
    pub(crate) async fn post(socket: &Path, path: &str, body: Body) -> Result<Self, Error> {
        let request = Request::post(path)
            .header(HOST, "docker")
            .header(CONTENT_TYPE, "application/x-tar")
            .body(body)?;
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
            .body(Full::from(json).map_err(|never| match never {}).boxed_unsync())?;
        let (response, connection) = send(socket, request).await?;
        let source = if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            Source::Upgraded(TokioIo::new(hyper::upgrade::on(response).await?))
        } else {
            Source::Body(response.into_body())
        };
        Ok(Self { source, _connection: connection })
    }

    /// All bytes; an answer beyond 16 MiB is an error.
    pub(crate) async fn all(mut self) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await? {
            all.extend_from_slice(&bytes);
            if all.len() > ANSWER_BYTES {
                return Err(std::io::Error::other("the engine's answer is too long").into());
            }
        }
        Ok(all)
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

async fn send(socket: &Path, request: Request<Body>) -> Result<(Response<Incoming>, JoinSet<()>), Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_query_cannot_leave_it() {
        assert_eq!(encode("a/b:1&x=ä"), "a%2Fb%3A1%26x%3D%C3%A4");
        assert_eq!(encode("sub-dir_1/Dockerfile.x~"), "sub-dir_1%2FDockerfile.x~");
    }
}
