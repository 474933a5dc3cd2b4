//! Layers, some at a time, each asked for again when it breaks off.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures_util::{TryStreamExt as _, stream};
use llcm_runtime::{Progress, ProgressEvent};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::failure::Failure;
use super::manifest::{Descriptor, digits, written};
use super::options::RegistryOptions;
use super::pull::write;
use super::session::Session;

/// How often is told how far a layer is.
const REPORT_BYTES: u64 = 512 << 10;

/// The directory of a layout's blobs.
#[derive(Debug)]
pub(super) struct Blobs(PathBuf);

impl Blobs {
    /// Makes it.
    pub(super) async fn make(root: &Path) -> Result<Self, Failure> {
        let path = root.join("blobs/sha256");
        let made = tokio::fs::create_dir_all(&path).await;
        made.map_err(|error| Failure::local("make directory", &path, &error))?;
        Ok(Self(path))
    }

    fn path(&self, digest: &str) -> Result<PathBuf, Failure> {
        Ok(self.0.join(digits(digest)?))
    }

    /// Writes a blob of which the digest was checked.
    pub(super) async fn write(&self, digest: &str, bytes: &[u8]) -> Result<(), Failure> {
        write(&self.path(digest)?, bytes).await
    }
}

/// Fetches all layers, each once.
pub(super) async fn layers(
    session: &Session<'_>,
    all: &[Descriptor],
    blobs: &Blobs,
    options: &RegistryOptions,
    progress: &dyn Progress,
) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    let mut downloads = Vec::new();
    for layer in all.iter().filter(|layer| seen.insert(&layer.digest)) {
        downloads.push(Ok::<_, Failure>(Download { session, layer, blobs, options, progress }.run()));
    }
    // The first failure drops the others, and with them their connections.
    stream::iter(downloads).try_buffer_unordered(options.concurrency.max(1)).try_collect::<()>().await
}

/// One layer.
struct Download<'a> {
    session: &'a Session<'a>,
    layer: &'a Descriptor,
    blobs: &'a Blobs,
    options: &'a RegistryOptions,
    progress: &'a dyn Progress,
}

impl Download<'_> {
    async fn run(self) -> Result<(), Failure> {
        let path = self.blobs.path(&self.layer.digest)?;
        let mut pause = self.options.deadlines.back_off;
        let mut attempt = 1;
        loop {
            match self.once(&path).await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.passes && attempt < self.options.attempts => {
                    self.tell(&format!("Retrying: {}", failure.message), None);
                }
                Err(failure) if failure.passes => {
                    let message = format!("{} (asked for {attempt} times)", failure.message);
                    return Err(Failure { message, ..failure });
                }
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(pause).await;
            (pause, attempt) = (pause.saturating_mul(2), attempt + 1);
        }
    }

    async fn once(&self, path: &Path) -> Result<(), Failure> {
        let (digest, size) = (&self.layer.digest, self.layer.size);
        let writing = |error: std::io::Error| Failure::local("write", path, &error);
        let mut answer = self.session.get(&format!("blobs/{digest}"), "*/*").await?;
        let mut file = File::create(path).await.map_err(writing)?;
        let (mut hash, mut done, mut told) = (Sha256::new(), 0_u64, 0_u64);
        self.tell("Downloading", Some(0));
        while let Some(bytes) = answer.next().await? {
            done = done.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            // The sizes of all layers together were held against the limits: none may be larger than it said.
            if done > size {
                let message =
                    format!("layer {digest} is longer than the {size} bytes that its manifest tells");
                return Err(Failure::nonsense(message));
            }
            hash.update(&bytes);
            file.write_all(&bytes).await.map_err(writing)?;
            if done - told >= REPORT_BYTES {
                told = done;
                self.tell("Downloading", Some(done));
            }
        }
        // What cannot be written may show only now.
        file.flush().await.map_err(writing)?;
        if done < size {
            let host = &answer.host;
            let message = format!("layer {digest} of {host} ends after {done} of {size} bytes");
            return Err(Failure::passing(message));
        }
        let found = written(&hash.finalize());
        if found != *digest {
            let message = format!("a layer should have the digest {digest} and has {found}");
            return Err(Failure::nonsense(message));
        }
        self.tell("Download complete", Some(done));
        Ok(())
    }

    fn tell(&self, status: &str, done: Option<u64>) {
        let subject = self.layer.digest.trim_start_matches("sha256:").chars().take(12).collect();
        let bytes = done.map(|done| (done, self.layer.size));
        self.progress.report(ProgressEvent { subject, status: status.to_owned(), bytes });
    }
}
