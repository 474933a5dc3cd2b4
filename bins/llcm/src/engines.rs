//! Container engines by name.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_driver_engine::{EngineContainers, EngineOptions, ImageSource};
use llcm_engine::image::HostTools;
use llcm_names::InstallationId;
use llcm_runtime::ContainerDriver;

use crate::config::Config;
use crate::config::raw::Engine;
use crate::docker_images::DockerImages;
use crate::tools;

/// The driver of an engine that works with the kernel's network.
///
/// # Errors
/// When the engine cannot be used here, with what to do.
pub(crate) async fn named(
    engine: Engine,
    config: &Config,
    installation: &InstallationId,
) -> anyhow::Result<Arc<dyn ContainerDriver>> {
    match engine {
        Engine::Embedded => Ok(Arc::new(embedded(config, installation).await?)),
        Engine::Docker => Ok(Arc::new(docker(config).await?)),
        Engine::Simulated => bail!("the simulated engine has no containers that the kernel could wire"),
    }
}

/// The engine in this program.
async fn embedded(config: &Config, installation: &InstallationId) -> anyhow::Result<EngineContainers> {
    let options = llcm_engine::Options {
        cgroup: format!("llcm-{installation}"),
        host_tools: Some(HostTools { program: "/proc/self/exe".into(), names: tools::names() }),
        ..llcm_engine::Options::new(state_dir(config))
    };
    let opened = tokio::task::spawn_blocking(move || llcm_engine::Engine::open(options)).await;
    let engine = opened.context("a thread ended abnormally")?.context(
        "--engine embedded cannot be used here (`--engine docker` and `--engine simulated` are the others)",
    )?;
    let sources: Vec<Arc<dyn ImageSource>> = vec![Arc::new(DockerImages::new(docker_options(config)?))];
    let options = EngineOptions { image_map: config.image_map.clone() };
    Ok(EngineContainers::new(Arc::new(engine), options, sources))
}

/// Where the embedded engine keeps containers and images.
pub(crate) fn state_dir(config: &Config) -> PathBuf {
    config.data_dir.join("engine")
}

async fn docker(config: &Config) -> anyhow::Result<DockerContainers> {
    DockerContainers::connect(&docker_options(config)?).await.map_err(|error| anyhow!(error)).context(
        "--engine docker needs a Docker engine on this machine (--docker-host names its socket); \
         --engine embedded needs nothing installed",
    )
}

fn docker_options(config: &Config) -> anyhow::Result<DockerOptions> {
    // Docker's own variable counts where nothing else is said, as for every client of Docker.
    let host = config.docker_host.clone().or_else(|| std::env::var("DOCKER_HOST").ok());
    let socket = match host.filter(|host| !host.is_empty()) {
        Some(host) => DockerOptions::socket_of_host(&host)?,
        None => DockerOptions::DEFAULT_SOCKET.into(),
    };
    Ok(DockerOptions::new(socket, config.data_dir.join("helper")))
}
