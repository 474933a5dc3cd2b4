//! A package on its way from the socket to a file: streamed, counted, hashed.
//!
//! At no time is more than about a mebibyte of an upload in memory. The file stands in the orchestrator's staging
//! directory and is removed when the value that holds it is dropped: on an error, on a client that hangs up, and
//! on the server's end alike.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use actix_multipart::{Multipart, MultipartError};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpMessage as _, HttpRequest};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use llcm_lifecycle::Orchestrator;
use llcm_lifecycle::error::disk_code;
use llcm_lifecycle::request::Upload;
use llcm_names::PackageHash;
use sha1_smol::Sha1;
use tempfile::NamedTempFile;
use tokio::sync::OwnedSemaphorePermit;

use crate::body::cut_short;
use crate::codes::Code;
use crate::error::ApiError;
use crate::size;
use crate::state::ApiState;

/// How much is collected before it is written and hashed, in bytes.
const BATCH: usize = 1024 * 1024;
/// What multipart framing may add to a file, in bytes: headers and boundaries.
const FRAMING: u64 = 64 * 1024;
/// The multipart field that holds the package.
const FIELD: &str = "package";

/// The longest boundary of a multipart body, in bytes (RFC 2046).
const LONGEST_BOUNDARY: usize = 70;

/// Receives the package of a request: the multipart field `package`, or the whole body whatever its content type.
/// A multipart body is known by its first line, too: son-access sends one as `application/zip`.
///
/// # Errors
/// `too-large` as soon as the length is announced or passed, `no-file` without a (non-empty) file,
/// `upload-interrupted`, `upload-timeout`, `too-many-uploads`, `bad-request` for a broken multipart body,
/// `disk-full` when too little room would be left, `internal` when the disk refuses.
pub(crate) async fn receive(
    state: &ApiState,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Upload, ApiError> {
    let settings = state.settings();
    let multipart = request.content_type().to_ascii_lowercase().starts_with("multipart/");
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let slack = if multipart { FRAMING } else { 0 };
    let announced: u64 = announced.and_then(|text| text.parse().ok()).unwrap_or(0);
    if announced > settings.max_upload.saturating_add(slack) {
        return Err(too_large(settings.max_upload));
    }
    let _turn = turn(state).await?;
    state.orchestrator().check_room(announced)?;
    let limit = settings.upload_deadline;
    let received = tokio::time::timeout(limit, copy(state, request, payload, multipart));
    received.await.unwrap_or_else(|_| {
        let message = format!(
            "the upload did not end within {} s: the setting `upload_deadline` allows no more",
            limit.as_secs()
        );
        Err(ApiError::new(Code::UploadTimeout, message))
    })
}

/// Copies the package of a request to a file.
async fn copy(
    state: &ApiState,
    request: &HttpRequest,
    payload: Payload,
    multipart: bool,
) -> Result<Upload, ApiError> {
    let settings = state.settings();
    let file = state.orchestrator().staging_file()?;
    let mut target = Target::new(file, settings.max_upload, Arc::clone(state.orchestrator()));
    let mut source = Source { idle: settings.upload_idle };
    if multipart {
        let parts = Multipart::new(request.headers(), payload);
        source.copy_field(parts, &mut target).await?;
        return target.finish().await;
    }
    let mut payload = payload;
    let head = source.head(&mut payload).await?;
    let form = boundary(&head).and_then(form_headers);
    let body = stream::iter([Ok(head)]).chain(payload);
    match form {
        Some(headers) => source.copy_field(Multipart::new(&headers, body), &mut target).await?,
        None => source.copy(body, &mut target, body_error).await?,
    }
    target.finish().await
}

/// The boundary of a multipart body, from its beginning: `--`, the boundary, the end of the line (RFC 2046). No
/// package begins like this.
fn boundary(head: &[u8]) -> Option<&str> {
    let line = head.strip_prefix(b"--")?;
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    let text = std::str::from_utf8(line.get(..end)?).ok()?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"'+_-.".contains(&c);
    (!text.is_empty() && text.len() <= LONGEST_BOUNDARY && text.bytes().all(plain)).then_some(text)
}

/// The headers that a multipart body with this boundary should have come with.
fn form_headers(boundary: &str) -> Option<HeaderMap> {
    let value = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}")).ok()?;
    Some(HeaderMap::from_iter([(header::CONTENT_TYPE, value)]))
}

/// Waits until fewer uploads than allowed are going on.
async fn turn(state: &ApiState) -> Result<OwnedSemaphorePermit, ApiError> {
    let busy = || {
        ApiError::new(
            Code::TooManyUploads,
            format!("{} uploads are going on already: try again later", state.settings().upload_concurrency),
        )
    };
    let permit = Arc::clone(state.uploads()).acquire_owned();
    tokio::time::timeout(state.settings().upload_idle, permit).await.map_err(|_| busy())?.map_err(|_| busy())
}

fn too_large(limit: u64) -> ApiError {
    ApiError::new(
        Code::TooLarge,
        format!("the upload is larger than {}: the setting `max_upload` allows no more", size::Bytes(limit)),
    )
    .detail("limit", limit)
}

fn body_error(error: PayloadError) -> ApiError {
    ApiError::new(Code::UploadInterrupted, format!("the upload is incomplete: {}", cut_short(&error)))
}

fn multipart_error(error: MultipartError) -> ApiError {
    match error {
        MultipartError::Payload(error) => body_error(error),
        MultipartError::Incomplete => {
            ApiError::new(Code::UploadInterrupted, "the upload is incomplete: its last boundary is missing")
        }
        other => ApiError::new(
            Code::BadRequest,
            format!("the multipart body is broken: {}", other.to_string().to_lowercase()),
        ),
    }
}

/// Reads with a limit on silence.
struct Source {
    idle: Duration,
}

impl Source {
    async fn next<S: Stream + Unpin>(&self, stream: &mut S) -> Result<Option<S::Item>, ApiError> {
        tokio::time::timeout(self.idle, stream.next()).await.map_err(|_| {
            ApiError::new(
                Code::UploadTimeout,
                format!("nothing more of the upload came for {} s", self.idle.as_secs()),
            )
        })
    }

    /// The beginning of a body: at least its first line, if that could be a boundary.
    async fn head(&self, payload: &mut Payload) -> Result<Bytes, ApiError> {
        let mut head = Bytes::new();
        while head.len() < LONGEST_BOUNDARY + 4 && (head.len() < 2 || head.starts_with(b"--")) {
            let Some(chunk) = self.next(payload).await? else { break };
            let chunk = chunk.map_err(body_error)?;
            head = if head.is_empty() { chunk } else { [head, chunk].concat().into() };
        }
        Ok(head)
    }

    async fn copy<E>(
        &mut self,
        mut stream: impl Stream<Item = Result<Bytes, E>> + Unpin,
        target: &mut Target,
        explain: fn(E) -> ApiError,
    ) -> Result<(), ApiError> {
        while let Some(chunk) = self.next(&mut stream).await? {
            target.push(chunk.map_err(explain)?).await?;
        }
        Ok(())
    }

    async fn copy_field(&mut self, mut parts: Multipart, target: &mut Target) -> Result<(), ApiError> {
        let (mut found, mut others, mut skipped) = (false, Vec::new(), 0);
        while let Some(field) = self.next(&mut parts).await? {
            let mut field = field.map_err(multipart_error)?;
            let name: String = field.name().unwrap_or_default().chars().take(40).collect();
            if name == FIELD {
                if found {
                    return Err(ApiError::new(
                        Code::BadRequest,
                        "the upload has two fields `package`: send one",
                    ));
                }
                found = true;
                self.copy(field, target, multipart_error).await?;
                continue;
            }
            while let Some(chunk) = self.next(&mut field).await? {
                skipped += u64::try_from(chunk.map_err(multipart_error)?.len()).unwrap_or(u64::MAX);
                if skipped > FRAMING {
                    let message =
                        format!("the upload's file is in the field {name:?}: it must be in `{FIELD}`");
                    return Err(ApiError::new(Code::NoFile, message));
                }
            }
            if others.len() < 8 {
                others.push(name);
            }
        }
        if found {
            return Ok(());
        }
        let message = if others.is_empty() {
            format!("the upload has no field: send the file in the field `{FIELD}`")
        } else {
            format!("the upload has the fields {others:?}: send the file in the field `{FIELD}`")
        };
        Err(ApiError::new(Code::NoFile, message))
    }
}

/// The file being written.
struct Target {
    /// Given away to the thread that writes, and taken back.
    writer: Option<Writer>,
    batch: Vec<Bytes>,
    batched: usize,
    size: u64,
    limit: u64,
    orchestrator: Arc<Orchestrator>,
}

struct Writer {
    file: NamedTempFile,
    sha1: Sha1,
}

impl Target {
    fn new(file: NamedTempFile, limit: u64, orchestrator: Arc<Orchestrator>) -> Self {
        let writer = Some(Writer { file, sha1: Sha1::new() });
        Self { writer, batch: Vec::new(), batched: 0, size: 0, limit, orchestrator }
    }

    async fn push(&mut self, chunk: Bytes) -> Result<(), ApiError> {
        self.size = self.size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if self.size > self.limit {
            return Err(too_large(self.limit));
        }
        self.batched += chunk.len();
        self.batch.push(chunk);
        if self.batched >= BATCH { self.flush().await } else { Ok(()) }
    }

    /// Writes and hashes the batch on a thread that may block.
    async fn flush(&mut self) -> Result<(), ApiError> {
        self.orchestrator.check_room(u64::try_from(self.batched).unwrap_or(u64::MAX))?;
        let batch = std::mem::take(&mut self.batch);
        self.batched = 0;
        let Some(mut writer) = self.writer.take() else {
            return Err(ApiError::new(
                Code::Internal,
                "the upload's file was given up after an earlier error",
            ));
        };
        let written = tokio::task::spawn_blocking(move || {
            for chunk in batch {
                writer.file.write_all(&chunk)?;
                writer.sha1.update(&chunk);
            }
            Ok::<_, std::io::Error>(writer)
        });
        let writer = written
            .await
            .map_err(|error| {
                ApiError::new(Code::Internal, format!("writing the upload was aborted: {error}"))
            })?
            .map_err(|error| {
                ApiError::new(
                    disk_code(&error).into(),
                    format!("cannot write the upload to the data directory: {error}"),
                )
            })?;
        self.writer = Some(writer);
        Ok(())
    }

    async fn finish(mut self) -> Result<Upload, ApiError> {
        if self.size == 0 {
            let message = format!("the upload is empty: send a file in the field `{FIELD}`, or as the body");
            return Err(ApiError::new(Code::NoFile, message));
        }
        self.flush().await?;
        let internal = |message: String| ApiError::new(Code::Internal, message);
        let Some(Writer { file, sha1 }) = self.writer else {
            return Err(internal("the upload's file is gone".to_owned()));
        };
        let sha1 =
            PackageHash::parse(&sha1.digest().to_string()).map_err(|error| internal(error.to_string()))?;
        Ok(Upload { file, size: self.size, sha1 })
    }
}
