//! The steps of a pull: from a reference to a manifest, from there to an OCI layout.

use std::path::{Path, PathBuf};

use llcm_engine::image::ImageLimits;
use llcm_runtime::{ErrorKind, ImageReference, Progress, ProgressEvent};
use serde::Deserialize;

use super::failure::Failure;
use super::layers::{Blobs, layers};
use super::manifest::{ACCEPTED, Descriptor, Manifest, Platform, check, choose, digest_of, digits, parse};
use super::options::RegistryOptions;
use super::session::Session;

/// Lists within lists end here: one level is usual.
const DEEPEST: usize = 3;

/// A manifest, and what it is filed under.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) manifest: Manifest,
    bytes: Vec<u8>,
    media_type: String,
}

/// The part of a configuration (OCI image specification, `config.md`) that is looked at here.
#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(flatten)]
    platform: Platform,
}

/// The manifest that a reference means for this machine.
pub(super) async fn find(
    session: &Session<'_>,
    reference: &ImageReference,
    options: &RegistryOptions,
) -> Result<Found, Failure> {
    let (_, version) = reference.name_and_version();
    let mut version = version.to_owned();
    // What has no digest of its own is taken as it comes.
    let mut digest = reference.digest().map(str::to_owned);
    for _ in 0..=DEEPEST {
        if let Some(digest) = &digest {
            digits(digest).map_err(|failure| Failure::new(ErrorKind::Invalid, failure.message))?;
        }
        let answer = session.get(&format!("manifests/{version}"), ACCEPTED).await?;
        let told = answer.headers.get(hyper::header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let told = told.map(str::to_owned);
        let bytes = answer.document(options.limits.document_bytes).await?;
        if let Some(digest) = &digest {
            check("the image's manifest", &bytes, digest)?;
        }
        let document = parse(&bytes)?;
        if let Some(config) = document.config {
            let manifest = Manifest { config, layers: document.layers };
            within(&manifest, &options.limits)?;
            let media_type = document.media_type.or(told).unwrap_or_default();
            return Ok(Found { manifest, bytes, media_type });
        }
        version.clone_from(&choose(&document.manifests)?.digest);
        digits(&version)?;
        digest = Some(version.clone());
    }
    Err(Failure::nonsense("lists of manifests are nested too deeply"))
}

/// Refuses what cannot be right, or is too large by its own account, before anything is fetched.
fn within(manifest: &Manifest, limits: &ImageLimits) -> Result<(), Failure> {
    digits(&manifest.config.digest)?;
    for layer in &manifest.layers {
        digits(&layer.digest)?;
    }
    if u64::try_from(manifest.layers.len()).map_or(true, |count| count > limits.layers) {
        let message =
            format!("the image has {} layers, and {} are allowed", manifest.layers.len(), limits.layers);
        return Err(Failure::nonsense(message));
    }
    let sum = manifest.layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.size));
    if sum.is_none_or(|sum| sum > limits.bytes) {
        let message =
            format!("the image's layers are larger than the {} bytes that are allowed", limits.bytes);
        return Err(Failure::nonsense(message));
    }
    Ok(())
}

/// Brings an image into a layout below `into`.
pub(super) async fn pull(
    session: &Session<'_>,
    reference: &ImageReference,
    options: &RegistryOptions,
    into: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, Failure> {
    let tell = |status: &str| {
        progress.report(ProgressEvent {
            subject: reference.as_str().to_owned(),
            status: status.to_owned(),
            bytes: None,
        });
    };
    tell(&format!("Pulling from {}", session.place.registry));
    let found = find(session, reference, options).await?;
    let root = into.join("layout");
    let blobs = Blobs::make(&root).await?;
    let config = &found.manifest.config;
    let answer = session.get(&format!("blobs/{}", config.digest), "*/*").await?;
    let bytes = answer.document(options.limits.document_bytes).await?;
    check("the image's configuration", &bytes, &config.digest)?;
    let configuration: Configuration = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::nonsense(format!("the image's configuration cannot be understood: {error}"))
    })?;
    // An image without a list of manifests is for one platform, which is told here only.
    let platform = configuration.platform;
    if !platform.architecture.is_empty() && platform.rank().is_none() {
        return Err(Failure::foreign(
            &Platform::ours().to_string(),
            &super::failure::tame(&platform.to_string()),
        ));
    }
    blobs.write(&config.digest, &bytes).await?;
    layers(session, &found.manifest.layers, &blobs, options, progress).await?;
    let digest = digest_of(&found.bytes);
    blobs.write(&digest, &found.bytes).await?;
    let size = u64::try_from(found.bytes.len()).unwrap_or(u64::MAX);
    let descriptor = Descriptor { media_type: found.media_type, digest, size };
    let index = serde_json::json!({"schemaVersion": 2, "manifests": [descriptor]});
    write(&root.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#).await?;
    // What reads layouts looks for this one: it comes last.
    write(&root.join("index.json"), index.to_string().as_bytes()).await?;
    tell("Pull complete");
    Ok(root)
}

/// Writes a file.
pub(super) async fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    tokio::fs::write(path, bytes).await.map_err(|error| Failure::local("write", path, &error))
}
