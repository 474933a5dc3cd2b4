//! Where images come from that are not in the engine's store.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use llcm_runtime::{BuildSpec, DriverResult, Progress};

/// A place that may have an image: a Docker engine on this machine, registries.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// The place in words, for messages and as the mark of what came from it ("Docker on this machine").
    fn name(&self) -> &str;

    /// Whether it is on this machine, so that asking costs next to nothing. What came from such a place is
    /// compared with it whenever it is needed: people build an image again under the same name.
    fn is_local(&self) -> bool;

    /// The digest of the configuration (`sha256:...`) of the image that a reference means there now; `None`
    /// when it has none of that name, or nobody answers there.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`; `Invalid` for a reference that is none.
    async fn digest(&self, reference: &str) -> DriverResult<Option<String>>;

    /// Brings an image: writes an archive or an OCI layout below `into`, an empty directory, and returns its
    /// path; `None` when it has none of that name, or nobody answers there.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`; `Invalid` for a reference that is none; `Failed` when it breaks off.
    async fn fetch(
        &self,
        reference: &str,
        into: &Path,
        progress: &dyn Progress,
    ) -> DriverResult<Option<PathBuf>>;

    /// Builds an image and keeps it under its tag; `None` when this place builds none, or nobody answers there.
    ///
    /// # Errors
    /// `Failed` with the end of the build's output.
    async fn build(&self, _spec: &BuildSpec, _progress: &dyn Progress) -> DriverResult<Option<()>> {
        Ok(None)
    }
}
