//! Images from registries (OCI distribution specification; Docker's registry API, version 2).
//!
//! Nothing that a registry says is believed: documents and layers are held against their digests, sizes are
//! counted as bytes arrive, and every wait has an end. Layers come side by side; one that breaks off is asked for
//! again a few times. Dropping a call leaves files below its directory and nothing else.
//!
//! Reading order: [`options`](RegistryOptions), `place` (which server a reference means), `pull` (the steps),
//! `manifest` (what the documents say), `layers` (downloads), `session` (one server, with a token), `auth` and
//! `credentials`, `http` (requests, redirects, deadlines), `connect` (TCP, proxies, TLS), `failure` (errors).

mod auth;
mod connect;
mod credentials;
mod failure;
mod http;
mod layers;
mod manifest;
mod options;
mod place;
mod pull;
mod session;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use llcm_runtime::{DriverResult, ErrorKind, ImageReference, Progress};

pub use options::{RegistryDeadlines, RegistryOptions};

use crate::source::ImageSource;
use failure::Attempt;
use http::Http;
use place::Place;
use session::Session;

/// The registries that references name; those without a name mean Docker Hub.
#[derive(Debug)]
pub struct Registry {
    options: RegistryOptions,
    http: Http,
}

impl Registry {
    /// A client; nothing is asked for yet.
    ///
    /// # Errors
    /// `Invalid` for a proxy or a file of certificates that is none.
    pub fn new(options: RegistryOptions) -> DriverResult<Self> {
        let http = Http::new(&options).map_err(|failure| Attempt("use registries", "all").failed(failure))?;
        Ok(Self { options, http })
    }

    /// The digest of the configuration of the image that `reference` means for this machine.
    ///
    /// # Errors
    /// `NotFound` for a name or tag that the registry does not have, and for an image that it has for other
    /// machines only; `Denied` when it wants other credentials, or some; `Unavailable` when it does not answer,
    /// or not in time, or refuses for now; `Invalid` for a reference that is none, or credentials that cannot
    /// be read; `Failed` for answers that make no sense.
    pub async fn resolve(&self, reference: &str) -> DriverResult<String> {
        let operation = "look up image";
        let reference = ImageReference::parse(operation, reference)?;
        let session = self.session(&reference);
        let found = pull::find(&session, &reference, &self.options).await;
        let found = found.map_err(|failure| Attempt(operation, reference.as_str()).failed(failure))?;
        Ok(found.manifest.config.digest)
    }

    /// Brings the image that `reference` means for this machine into an OCI layout below `into`, and returns
    /// the layout's path. The layout leaves the image without a name.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; also `Failed` when a layer breaks off again and again, is not what its digest
    /// says, or is larger than the limits allow, and when files cannot be written.
    pub async fn pull(&self, reference: &str, into: &Path, progress: &dyn Progress) -> DriverResult<PathBuf> {
        let operation = "pull image";
        let reference = ImageReference::parse(operation, reference)?;
        let session = self.session(&reference);
        let pulled = pull::pull(&session, &reference, &self.options, into, progress).await;
        pulled.map_err(|failure| Attempt(operation, reference.as_str()).failed(failure))
    }

    fn session(&self, reference: &ImageReference) -> Session<'_> {
        let place = Place::of(reference, &self.options.insecure);
        Session::new(&self.http, place, self.options.docker_config.as_deref())
    }
}

#[async_trait]
impl ImageSource for Registry {
    fn name(&self) -> &str {
        "the image's registry"
    }

    fn is_local(&self) -> bool {
        false
    }

    async fn digest(&self, reference: &str) -> DriverResult<Option<String>> {
        has(self.resolve(reference).await)
    }

    async fn fetch(
        &self,
        reference: &str,
        into: &Path,
        progress: &dyn Progress,
    ) -> DriverResult<Option<PathBuf>> {
        has(self.pull(reference, into, progress).await)
    }
}

/// For who asks one place after another, a name that a place does not have is no error.
fn has<T>(result: DriverResult<T>) -> DriverResult<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        // The registry has it for other machines: asking elsewhere would hide the reason.
        Err(error) if error.kind == ErrorKind::NotFound && !failure::is_foreign(&error) => {
            log::debug!("{error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
