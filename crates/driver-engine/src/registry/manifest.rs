//! What a registry's documents say: manifests, and lists of manifests for several platforms.

use std::fmt;

use llcm_runtime::ErrorKind;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::failure::{Failure, tame};

/// All that is understood, in one header.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// OCI image specification, `manifest.md` and `image-index.md`; Docker's schema 2 has the same form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) schema_version: u64,
    pub(super) media_type: Option<String>,
    #[serde(default)]
    pub(super) manifests: Vec<Entry>,
    pub(super) config: Option<Descriptor>,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
}

/// OCI image specification, `descriptor.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    #[serde(default)]
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
}

/// A manifest in a list.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Entry {
    pub(super) digest: String,
    pub(super) platform: Option<Platform>,
}

/// What an image runs on, in the words of Go's tools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub(super) struct Platform {
    pub(super) os: String,
    pub(super) architecture: String,
    pub(super) variant: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.variant.is_empty() { "" } else { "/" };
        write!(f, "{}/{}{slash}{}", self.os, self.architecture, self.variant)
    }
}

/// The manifest of one image for one platform.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

impl Platform {
    /// This machine's.
    pub(super) fn ours() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: String::new() }
    }

    /// How well this machine runs images for it, less is better; `None`: not at all.
    pub(super) fn rank(&self) -> Option<u8> {
        let ours = Self::ours();
        if self.os != ours.os || self.architecture != ours.architecture {
            return None;
        }
        // What every processor of the architecture can do; later variants need newer ones.
        match (self.architecture.as_str(), self.variant.as_str()) {
            (_, "") => Some(0),
            ("amd64", "v1") | ("arm64", "v8") => Some(1),
            _ => None,
        }
    }
}

/// The manifest of a list that this machine runs.
pub(super) fn choose(entries: &[Entry]) -> Result<&Entry, Failure> {
    let ranked = entries.iter().filter_map(|entry| Some((entry.platform.as_ref()?.rank()?, entry)));
    // The first of the best: lists are in their author's order of preference.
    if let Some((_, entry)) = ranked.min_by_key(|(rank, _)| *rank) {
        return Ok(entry);
    }
    // Attestations stand in lists, too, for a platform `unknown`.
    let platforms = entries.iter().filter_map(|entry| entry.platform.as_ref());
    let names: Vec<_> = platforms.filter(|it| it.os != "unknown").map(|it| it.to_string()).take(20).collect();
    let there_is = if names.is_empty() { "no platform at all".to_owned() } else { tame(&names.join(", ")) };
    Err(Failure::foreign(&Platform::ours().to_string(), &there_is))
}

/// Reads a document.
pub(super) fn parse(bytes: &[u8]) -> Result<Document, Failure> {
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|error| Failure::nonsense(format!("the image's manifest cannot be understood: {error}")))?;
    if document.schema_version == 1 {
        let message = "the image is of a form that Docker gave up (schema 1): have it pushed again";
        return Err(Failure::new(ErrorKind::Unsupported, message));
    }
    Ok(document)
}

/// Holds bytes against the digest they should have.
pub(super) fn check(what: &str, bytes: &[u8], digest: &str) -> Result<(), Failure> {
    let found = digest_of(bytes);
    if found == digest {
        return Ok(());
    }
    Err(Failure::nonsense(format!("{what} should have the digest {digest} and has {found}")))
}

/// The SHA-256 digest of bytes.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    written(&Sha256::digest(bytes))
}

/// A digest as it is written.
pub(super) fn written(hash: &[u8]) -> String {
    hash.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// The digits of a SHA-256 digest, which become a file's name; others are refused.
pub(super) fn digits(digest: &str) -> Result<&str, Failure> {
    let is_hex =
        |hex: &&str| hex.len() == 64 && hex.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    digest
        .strip_prefix("sha256:")
        .filter(is_hex)
        .ok_or_else(|| Failure::nonsense(format!("`{}` is no SHA-256 digest", tame(digest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(os: &str, architecture: &str, variant: &str) -> Entry {
        let platform = Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        };
        Entry { digest: platform.to_string(), platform: Some(platform) }
    }

    #[test]
    fn the_manifest_for_this_machine_is_chosen() {
        let ours = Platform::ours();
        let (architecture, usual) =
            (ours.architecture.as_str(), if ours.architecture == "amd64" { "v1" } else { "v8" });
        let chosen = |entries: &[Entry]| choose(entries).map(|it| it.digest.clone()).map_err(|it| it.message);
        let list = [
            entry("windows", architecture, ""),
            entry("linux", "mips", ""),
            entry("linux", architecture, "v99"),
            entry("linux", architecture, usual),
            entry("linux", architecture, ""),
            entry("unknown", "unknown", ""),
        ];
        assert_eq!(chosen(&list), Ok(format!("linux/{architecture}")));
        assert_eq!(chosen(&list[..4]), Ok(format!("linux/{architecture}/{usual}")));
        let others = chosen(&[list[1].clone(), list[2].clone(), list[5].clone()]).unwrap_err();
        assert!(others.ends_with(&format!("has it for linux/mips, linux/{architecture}/v99")), "{others}");
        assert!(chosen(&[]).unwrap_err().contains("no platform at all"));
    }
}
