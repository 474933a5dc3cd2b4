//! Images out of the engine: for another engine on this machine that has no registry to ask.

use std::io::Read;
use std::path::Path;

use bollard::errors::Error;
use bytes::Bytes;
use llcm_runtime::{DriverResult, ErrorKind, ImageReference, Progress, ProgressEvent};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use crate::client::Client;
use crate::driver::DockerContainers;
use crate::images::reference;
use crate::map_error::Attempt;
use crate::raw::Output;

/// How often is told how far the archive is.
const REPORT_BYTES: u64 = 8 << 20;
/// An archive's `manifest.json` is not longer.
const MANIFEST_BYTES: u64 = 4 << 20;
/// Pieces of an archive on the way to its reader.
const PIECES: usize = 8;

impl DockerContainers {
    /// The digest of the configuration (`sha256:...`) of the image that a reference means now; `None` when the
    /// engine has none of that name.
    ///
    /// Mostly that is what the engine calls the image's id. Where containerd keeps the images it is not: the id is
    /// that of a manifest then, and the configuration is named in nothing but the archive that the engine makes
    /// of the image. That is read through once for each id, which takes as long as saving it.
    ///
    /// # Errors
    /// `Invalid` for a reference that is none, `Unavailable`, and `Failed` for an archive without a digest.
    pub async fn image_digest(&self, reference: &str) -> DriverResult<Option<String>> {
        let attempt = Attempt::new("look up image", reference);
        let reference = self::reference(attempt, reference)?;
        let Some((id, _)) = look(&self.client, attempt, &reference).await? else { return Ok(None) };
        if !has_containerd(&self.client, attempt).await? {
            return Ok(Some(id));
        }
        if let Some(digest) = self.digests().get(&id).cloned() {
            return Ok(Some(digest));
        }
        let Some(digest) = read_digest(&self.client, attempt, &reference).await? else { return Ok(None) };
        self.digests().insert(id, digest.clone());
        Ok(Some(digest))
    }

    /// Writes an image to the file `file` as `docker save` does; false when the engine has none of that name. The
    /// file is not whole unless this returns true.
    ///
    /// # Errors
    /// `Invalid` for a reference that is none; `Unavailable` when the engine says nothing for as long as a pull
    /// may be silent, or breaks off; `Failed` when the file cannot be written.
    pub async fn save_image(
        &self,
        reference: &str,
        file: &Path,
        progress: &dyn Progress,
    ) -> DriverResult<bool> {
        let attempt = Attempt::new("save image", reference);
        let reference = self::reference(attempt, reference)?;
        let Some((_, size)) = look(&self.client, attempt, &reference).await? else { return Ok(false) };
        let Some(mut archive) = Archive::open(&self.client, attempt, &reference).await? else {
            return Ok(false);
        };
        let writing = |error: std::io::Error| {
            attempt.error(ErrorKind::Failed, format!("cannot write {}: {error}", file.display()))
        };
        let mut target = tokio::fs::File::create(file).await.map_err(writing)?;
        let (mut done, mut told) = (0_u64, 0_u64);
        let tell = |status: &str, done: u64| {
            // The engine knows the sum of the files; the archive is a little longer.
            let bytes = Some((done, size.max(done)));
            let (subject, status) = (reference.as_str().to_owned(), status.to_owned());
            progress.report(ProgressEvent { subject, status, bytes });
        };
        tell("Saving", 0);
        while let Some(bytes) = archive.next().await? {
            target.write_all(&bytes).await.map_err(writing)?;
            done = done.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            if done - told >= REPORT_BYTES {
                told = done;
                tell("Saving", done);
            }
        }
        target.flush().await.map_err(writing)?;
        tell("Saved", done);
        Ok(true)
    }
}

/// The engine's id of an image, and the bytes of its files.
async fn look(
    client: &Client,
    attempt: Attempt<'_>,
    reference: &ImageReference,
) -> DriverResult<Option<(String, u64)>> {
    let found = client.find(attempt, |docker| docker.inspect_image(reference.as_str())).await?;
    let Some(found) = found else { return Ok(None) };
    let id = found.id.unwrap_or_default();
    // Podman leaves the algorithm out in places.
    let id = if id.contains(':') { id } else { format!("sha256:{id}") };
    let id = digest(&id).ok_or_else(|| {
        attempt.error(ErrorKind::Failed, format!("the engine calls the image `{id}`, which is no digest"))
    })?;
    Ok(Some((id, found.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default())))
}

/// Whether containerd keeps the engine's images (`docker info` says `driver-type: io.containerd.snapshotter.v1`).
async fn has_containerd(client: &Client, attempt: Attempt<'_>) -> DriverResult<bool> {
    let info = client.call(attempt, |docker| docker.info()).await?;
    let told = info.driver_status.unwrap_or_default();
    Ok(told.iter().flatten().any(|word| word.starts_with("io.containerd.snapshotter")))
}

/// An archive as it comes.
struct Archive<'a> {
    attempt: Attempt<'a>,
    output: Output,
    silence: std::time::Duration,
}

impl<'a> Archive<'a> {
    /// `None`: there is no such image any more.
    async fn open(
        client: &Client,
        attempt: Attempt<'a>,
        reference: &ImageReference,
    ) -> DriverResult<Option<Self>> {
        let silence = client.deadlines().pull_silence;
        // A reference holds nothing that has a meaning in a path but slashes, which stay.
        let path = format!("/images/{}/get", reference.as_str());
        // Older engines write the whole archive to a disk of theirs before they answer.
        let begun = tokio::time::timeout(silence, client.get(&path)).await;
        match begun.map_err(|_| silent(attempt, silence))? {
            Ok(output) => Ok(Some(Self { attempt, output, silence })),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(attempt.failed(&error)),
        }
    }

    async fn next(&mut self) -> DriverResult<Option<Bytes>> {
        let next = tokio::time::timeout(self.silence, self.output.next()).await;
        next.map_err(|_| silent(self.attempt, self.silence))?.map_err(|error| self.attempt.failed(&error))
    }
}

fn silent(attempt: Attempt<'_>, silence: std::time::Duration) -> llcm_runtime::DriverError {
    let message = format!("the engine has said nothing for {} s", silence.as_secs());
    attempt.error(ErrorKind::Unavailable, message)
}

/// Reads an image's archive for the digest of its configuration.
async fn read_digest(
    client: &Client,
    attempt: Attempt<'_>,
    reference: &ImageReference,
) -> DriverResult<Option<String>> {
    let Some(mut archive) = Archive::open(client, attempt, reference).await? else { return Ok(None) };
    let (sender, receiver) = mpsc::channel(PIECES);
    let reader = tokio::task::spawn_blocking(move || config_digest(Pieces { receiver, piece: Bytes::new() }));
    while let Some(bytes) = archive.next().await? {
        // The reader has what it wants, or has given up.
        if sender.send(bytes).await.is_err() {
            break;
        }
    }
    drop(sender);
    let failed = |error: &dyn std::fmt::Display| {
        attempt.error(ErrorKind::Failed, format!("the engine's archive of it cannot be understood: {error}"))
    };
    reader.await.map_err(|error| failed(&error))?.map(Some).map_err(|error| failed(&error))
}

/// Pieces of a stream as a reader.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        let piece = self.piece.split_to(length);
        for (to, from) in buffer.iter_mut().zip(piece) {
            *to = from;
        }
        Ok(length)
    }
}

/// The digest in the name of the configuration that an archive's `manifest.json` tells.
fn config_digest(archive: impl Read) -> Result<String, String> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        if entry.path_bytes().as_ref() != b"manifest.json" {
            continue;
        }
        let manifest: Value =
            serde_json::from_reader(entry.take(MANIFEST_BYTES)).map_err(|error| error.to_string())?;
        let name = manifest.pointer("/0/Config").and_then(Value::as_str).unwrap_or_default();
        // `blobs/sha256/<hex>`, or `<hex>.json` as older engines have it.
        let last = name.rsplit('/').next().unwrap_or_default().trim_end_matches(".json");
        return digest(&format!("sha256:{last}"))
            .ok_or_else(|| format!("its configuration `{name}` is not named by a digest"));
    }
    Err("it has no manifest.json".to_owned())
}

/// A SHA-256 digest, if it is one.
fn digest(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    let is_hex = hex.len() == 64 && hex.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| text.to_owned())
}
