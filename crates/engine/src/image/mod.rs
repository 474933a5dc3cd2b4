//! Images: what an image is, and the store that keeps them unpacked.
//!
//! Read on in [`store`] (what users call), then `archive` (the two formats), then `layer` (how a layer that
//! nobody vouches for becomes a directory), then `beneath` (why it cannot leave it).

pub(crate) mod accounts;
pub(crate) mod archive;
pub(crate) mod beneath;
pub(crate) mod compression;
pub(crate) mod host;
pub(crate) mod layer;
pub(crate) mod manifest;
pub(crate) mod meter;
pub mod store;
#[cfg(test)]
mod store_tests;
#[cfg(test)]
mod tests;
pub(crate) mod tools;
pub(crate) mod usage;

use std::path::PathBuf;

pub(crate) use crate::error::ImageError;
pub use tools::HostTools;

use serde::{Deserialize, Serialize};

/// The name of the built-in image: the host's own programs, read-only, under a fresh root.
pub const HOST_IMAGE: &str = "host";

/// An image in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The digest of its configuration, `sha256:` and 64 hexadecimal digits; `host` for the built-in one.
    pub id: String,
    /// Directories of the unpacked layers, below the store's `layers`, lowest first.
    pub layers: Vec<String>,
    /// Paths of the host that are bound, read-only, at the same place in the container; the built-in image
    /// has some, others have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_paths: Vec<PathBuf>,
    /// How to run it.
    pub config: ImageConfig,
}

/// What an image says on how to run it: the part of the OCI image configuration that the engine heeds.
///
/// Source: OCI image specification, `config.md`, property `config`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ImageConfig {
    /// `NAME=value`, in order.
    #[serde(deserialize_with = "null_is_empty")]
    pub env: Vec<String>,
    /// The beginning of the command line.
    #[serde(deserialize_with = "null_is_empty")]
    pub entrypoint: Vec<String>,
    /// The rest of the command line, unless the caller gives one.
    #[serde(deserialize_with = "null_is_empty")]
    pub cmd: Vec<String>,
    /// The directory to start in; empty: `/`.
    #[serde(deserialize_with = "null_is_empty")]
    pub working_dir: String,
    /// `user[:group]`, names or numbers; empty: root.
    #[serde(deserialize_with = "null_is_empty")]
    pub user: String,
    /// The signal that asks it to stop, as `SIGTERM` or a number; empty: `SIGTERM`.
    #[serde(deserialize_with = "null_is_empty")]
    pub stop_signal: String,
}

/// Docker writes `null` for what is empty.
fn null_is_empty<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// How much an image may hold. What exceeds them is refused while it is unpacked, by bytes really produced:
/// sizes in headers are not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageLimits {
    /// Bytes of all layers together, unpacked.
    pub bytes: u64,
    /// Entries of all layers together.
    pub entries: u64,
    /// Layers. The kernel takes a page of text for all of them, which is room for about a hundred.
    pub layers: u64,
    /// Bytes of one manifest or configuration.
    pub document_bytes: u64,
}

impl Default for ImageLimits {
    /// 32 GiB, two million entries, 100 layers, 4 MiB: more than any image of a VNF seen so far.
    fn default() -> Self {
        Self { bytes: 32 << 30, entries: 2_000_000, layers: 100, document_bytes: 4 << 20 }
    }
}

/// The form under which a reference is kept: with a tag, and without the prefixes that Docker leaves out.
///
/// ```
/// assert_eq!(llcm_engine::image::normal_reference("ubuntu"), "ubuntu:latest");
/// assert_eq!(llcm_engine::image::normal_reference("docker.io/library/ubuntu:trusty"), "ubuntu:trusty");
/// assert_eq!(llcm_engine::image::normal_reference("localhost:5000/vnf"), "localhost:5000/vnf:latest");
/// ```
#[must_use]
pub fn normal_reference(reference: &str) -> String {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    let short = short.strip_prefix("library/").unwrap_or(short);
    let last = short.rsplit('/').next().unwrap_or(short);
    if short == HOST_IMAGE || short.starts_with("sha256:") || last.contains([':', '@']) {
        short.to_owned()
    } else {
        format!("{short}:latest")
    }
}
