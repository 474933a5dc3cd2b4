//! What an archive holds: images with their configuration and layers, in the words of `docker save` or of OCI.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::archive::Archive;
use super::{ImageConfig, ImageError, ImageLimits};

/// An image as an archive describes it.
#[derive(Debug)]
pub(crate) struct Described {
    /// Names it goes by.
    pub(crate) references: Vec<String>,
    /// Digest of the configuration.
    pub(crate) id: String,
    /// How to run it.
    pub(crate) config: ImageConfig,
    /// Members with the layers, lowest first, each with the digest of its plain contents.
    pub(crate) layers: Vec<(String, String)>,
}

/// One element of `manifest.json`, as `docker save` writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// OCI image specification, `config.md`.
#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(default)]
    config: Option<ImageConfig>,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// OCI image specification, `image-index.md` and `manifest.md`: an index has `manifests`, a manifest the rest.
#[derive(Debug, Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// OCI image specification, `descriptor.md`.
#[derive(Debug, Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

/// Indexes within indexes end here: one level is usual (several platforms under one name).
const DEEPEST: usize = 3;

/// An archive names at most so many images: `docker save` takes what its user lists.
const MOST_IMAGES: usize = 1000;

/// All images of the archive.
pub(crate) fn describe(archive: &Archive, limits: &ImageLimits) -> Result<Vec<Described>, ImageError> {
    if archive.has("manifest.json") {
        let saved: Vec<Saved> =
            parse("manifest.json", &archive.document("manifest.json", limits.document_bytes)?)?;
        saved.into_iter().take(MOST_IMAGES).map(|it| from_saved(archive, limits, it)).collect()
    } else if archive.has("index.json") {
        let bytes = archive.document("index.json", limits.document_bytes)?;
        let mut found = Vec::new();
        from_index(archive, limits, parse("index.json", &bytes)?, None, DEEPEST, &mut found)?;
        Ok(found)
    } else {
        Err(ImageError::Unknown)
    }
}

fn from_saved(archive: &Archive, limits: &ImageLimits, saved: Saved) -> Result<Described, ImageError> {
    let bytes = archive.document(&saved.config, limits.document_bytes)?;
    let references = saved.repo_tags.unwrap_or_default();
    described(&saved.config, &bytes, saved.layers, references, limits)
}

fn from_index(
    archive: &Archive,
    limits: &ImageLimits,
    index: Manifest,
    name: Option<&str>,
    depth: usize,
    found: &mut Vec<Described>,
) -> Result<(), ImageError> {
    for descriptor in &index.manifests {
        if found.len() >= MOST_IMAGES {
            return Err(ImageError::Malformed(format!("more than {MOST_IMAGES} images")));
        }
        let foreign = descriptor.platform.as_ref().is_some_and(|it| !it.is_ours());
        if foreign {
            continue;
        }
        let named = name.or_else(|| reference_of(descriptor));
        let bytes = blob(archive, &descriptor.digest, limits)?;
        let manifest: Manifest = parse(&descriptor.digest, &bytes)?;
        match &manifest.config {
            Some(config) => {
                let layers = manifest.layers.iter().map(|layer| member_of(&layer.digest));
                let layers = layers.collect::<Result<Vec<_>, _>>()?;
                let configuration = blob(archive, &config.digest, limits)?;
                let references = named.map(str::to_owned).into_iter().collect();
                found.push(described(&config.digest, &configuration, layers, references, limits)?);
            }
            None if depth > 0 => from_index(archive, limits, manifest, named, depth - 1, found)?,
            None => return Err(ImageError::Malformed("indexes are nested too deeply".to_owned())),
        }
    }
    Ok(())
}

/// containerd writes the whole reference to a name of its own; the specification's may be the tag alone.
fn reference_of(descriptor: &Descriptor) -> Option<&str> {
    let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
    names.iter().find_map(|name| descriptor.annotations.get(*name)).map(String::as_str)
}

impl Platform {
    /// Whether this machine runs it. Attestations call themselves `unknown` and are none of ours either.
    fn is_ours(&self) -> bool {
        self.os == "linux" && self.architecture == architecture()
    }
}

fn described(
    member: &str,
    configuration: &[u8],
    layers: Vec<String>,
    references: Vec<String>,
    limits: &ImageLimits,
) -> Result<Described, ImageError> {
    let parsed: Configuration = parse(member, configuration)?;
    let diff_ids = parsed.rootfs.diff_ids;
    if diff_ids.len() != layers.len() {
        let text = format!("{member} counts {} layers, its manifest {}", diff_ids.len(), layers.len());
        return Err(ImageError::Malformed(text));
    }
    if u64::try_from(layers.len()).is_ok_and(|count| count > limits.layers) {
        return Err(ImageError::TooLarge { what: "layers", limit: limits.layers });
    }
    for digest in &diff_ids {
        hex_of(digest)?;
    }
    Ok(Described {
        references,
        id: format!("sha256:{}", hex(&Sha256::digest(configuration))),
        config: parsed.config.unwrap_or_default(),
        layers: layers.into_iter().zip(diff_ids).collect(),
    })
}

/// The digest of the configuration (OCI image specification, `config.md`) of an image that is made here, of one
/// layer. The same layer and words give the same image.
pub(crate) fn id_of_made(config: &ImageConfig, diff_id: &str) -> String {
    let text = serde_json::json!({
        "architecture": architecture(),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    format!("sha256:{}", hex(&Sha256::digest(text.to_string())))
}

/// This machine's architecture in the words of OCI.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The member of an OCI layout that has a digest.
fn member_of(digest: &str) -> Result<String, ImageError> {
    Ok(format!("blobs/sha256/{}", hex_of(digest)?))
}

/// A document of an OCI layout, its digest checked.
fn blob(archive: &Archive, digest: &str, limits: &ImageLimits) -> Result<Vec<u8>, ImageError> {
    let member = member_of(digest)?;
    let bytes = archive.document(&member, limits.document_bytes)?;
    let found = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
    if found != digest {
        return Err(ImageError::Digest { member, expected: digest.to_owned(), found });
    }
    Ok(bytes)
}

/// The 64 digits of a SHA-256 digest; other algorithms and other text are refused, for they become file names.
pub(crate) fn hex_of(digest: &str) -> Result<&str, ImageError> {
    let is_hex =
        |hex: &&str| hex.len() == 64 && hex.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    digest
        .strip_prefix("sha256:")
        .filter(is_hex)
        .ok_or_else(|| ImageError::Malformed(format!("`{digest}` is no SHA-256 digest")))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse<T: DeserializeOwned>(member: &str, bytes: &[u8]) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|source| ImageError::Json { member: member.to_owned(), source })
}
