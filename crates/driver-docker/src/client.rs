//! The connection to the engine. Every request has a deadline.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use llcm_runtime::{DriverResult, ErrorKind};

use crate::map_error::Attempt;
use crate::options::{Deadlines, DockerOptions};
use crate::raw::{Body, Output};

/// The client library's own limit, which counts whole seconds and covers less than ours: out of the way.
const LIBRARY_LIMIT_S: u64 = 24 * 3600;

/// A connection to an engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    docker: Docker,
    socket: PathBuf,
    deadlines: Deadlines,
    /// Which engine answered ("docker", "podman"), and its version.
    product: Arc<(String, String)>,
}

impl Client {
    /// Connects, and agrees with the engine on a version of its interface.
    ///
    /// # Errors
    /// `Unavailable` when no engine answers, `Denied` without the permission to use the socket.
    pub(crate) async fn connect(options: &DockerOptions) -> DriverResult<Self> {
        let path = options.socket.display().to_string();
        let attempt = Attempt::new("connect to engine", &path);
        if let Err(error) = std::fs::metadata(&options.socket) {
            // The library takes every failure for an absent socket.
            return Err(attempt.failed(&Error::IOError { err: error }));
        }
        let docker = Docker::connect_with_unix(&path, LIBRARY_LIMIT_S, API_DEFAULT_VERSION)
            .map_err(|error| attempt.failed(&error))?;
        let mut client = Self {
            docker,
            socket: options.socket.clone(),
            deadlines: options.deadlines,
            product: Arc::new(<(String, String)>::default()),
        };
        let docker = client.docker.clone();
        client.docker = client.call(attempt, async |_| docker.negotiate_version().await).await?;
        let version = client.call(attempt, async |docker| docker.version().await).await?;
        let is_podman = version
            .components
            .iter()
            .flatten()
            .any(|component| component.name.to_ascii_lowercase().contains("podman"));
        let name = if is_podman { "podman" } else { "docker" };
        client.product = Arc::new((name.to_owned(), version.version.unwrap_or_default()));
        Ok(client)
    }

    /// Asks for a path whose answer is read as a stream.
    pub(crate) async fn get(&self, path: &str) -> Result<Output, Error> {
        Output::get(&self.socket, &self.versioned(path)).await
    }

    /// Posts a body to a path whose answer is read as a stream.
    pub(crate) async fn post(&self, path: &str, body: Body) -> Result<Output, Error> {
        Output::post(&self.socket, &self.versioned(path), body).await
    }

    /// Posts JSON to a path and takes the connection over.
    pub(crate) async fn upgrade(&self, path: &str, json: String) -> Result<Output, Error> {
        Output::upgrade(&self.socket, &self.versioned(path), json).await
    }

    /// The path in the version of the interface that both sides know.
    fn versioned(&self, path: &str) -> String {
        format!("/v{}{path}", self.docker.client_version())
    }

    /// The deadlines that were asked for.
    pub(crate) fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    /// The engine's name and version.
    pub(crate) fn product(&self) -> (&str, &str) {
        (&self.product.0, &self.product.1)
    }

    /// One request and its whole answer, within the request's deadline.
    pub(crate) async fn call<'a, T, F>(
        &'a self,
        attempt: Attempt<'_>,
        request: impl FnOnce(&'a Docker) -> F,
    ) -> DriverResult<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.call_within(self.deadlines.request, attempt, request).await
    }

    /// The same for a request that takes longer by its nature.
    pub(crate) async fn call_within<'a, T, F>(
        &'a self,
        deadline: Duration,
        attempt: Attempt<'_>,
        request: impl FnOnce(&'a Docker) -> F,
    ) -> DriverResult<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match tokio::time::timeout(deadline, request(&self.docker)).await {
            Ok(answer) => answer.map_err(|error| attempt.failed(&error)),
            Err(_) => Err(attempt.too_late(deadline)),
        }
    }

    /// As [`Client::call`], with `None` for what does not exist.
    pub(crate) async fn find<'a, T, F>(
        &'a self,
        attempt: Attempt<'_>,
        request: impl FnOnce(&'a Docker) -> F,
    ) -> DriverResult<Option<T>>
    where
        F: Future<Output = Result<T, Error>>,
    {
        match self.call(attempt, request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
