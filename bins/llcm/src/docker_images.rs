//! Images of a Docker engine on this machine, for the embedded engine: what people have built is simply there.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_driver_engine::ImageSource;
use llcm_runtime::{BuildSpec, ContainerDriver as _, DriverResult, ErrorKind, Progress};

/// A Docker engine, if one runs.
#[derive(Debug)]
pub(crate) struct DockerImages {
    options: DockerOptions,
}

impl DockerImages {
    pub(crate) fn new(options: DockerOptions) -> Self {
        Self { options }
    }

    /// Asked each time: it may be started and stopped while this program runs. `None` where nobody answers, or
    /// where this user may not ask: a machine with Docker for others is no error.
    async fn connect(&self) -> DriverResult<Option<DockerContainers>> {
        match DockerContainers::connect(&self.options).await {
            Err(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Denied) => {
                log::debug!("no images from Docker: {error}");
                Ok(None)
            }
            connected => connected.map(Some),
        }
    }
}

#[async_trait]
impl ImageSource for DockerImages {
    fn name(&self) -> &str {
        "Docker on this machine"
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn digest(&self, reference: &str) -> DriverResult<Option<String>> {
        let Some(docker) = self.connect().await? else { return Ok(None) };
        docker.image_digest(reference).await
    }

    async fn fetch(
        &self,
        reference: &str,
        into: &Path,
        progress: &dyn Progress,
    ) -> DriverResult<Option<PathBuf>> {
        let Some(docker) = self.connect().await? else { return Ok(None) };
        let archive = into.join("image.tar");
        let is_there = docker.save_image(reference, &archive, progress).await?;
        Ok(is_there.then_some(archive))
    }

    async fn build(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<Option<()>> {
        let Some(docker) = self.connect().await? else { return Ok(None) };
        docker.build_image(spec, progress).await.map(|_view| Some(()))
    }
}
