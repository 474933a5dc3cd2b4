//! Container engines by name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_driver_engine::{EngineContainers, EngineOptions, ImageSource, Registry, RegistryOptions};
use llcm_engine::image::HostTools;
use llcm_engine::{EngineError, Lost, PublishVia};
use llcm_lifecycle::plan::SAP_IMAGE;
use llcm_lifecycle::store::StoreError;
use llcm_names::InstallationId;
use llcm_runtime::ContainerDriver;

use crate::config::raw::Engine;
use crate::config::{Config, engine_dir};
use crate::docker_images::DockerImages;
use crate::ground::Ground;
use crate::{sap_image, tools};

/// The driver of an engine that works with the kernel's network.
///
/// # Errors
/// When the engine cannot be used here, with what to do.
pub(crate) async fn named(
    engine: Engine,
    config: &Config,
    installation: &InstallationId,
    ground: &Ground,
) -> anyhow::Result<Arc<dyn ContainerDriver>> {
    match engine {
        Engine::Embedded => Ok(Arc::new(embedded(config, installation, ground).await?)),
        Engine::Docker => {
            let docker = docker(config).await?;
            if config.settings.any_saps() {
                sap_image::ensure(&docker, &config.settings.saps).await?;
            }
            Ok(Arc::new(docker))
        }
        Engine::Simulated => bail!("the simulated engine has no containers that the kernel could wire"),
    }
}

/// The engine in this program.
async fn embedded(
    config: &Config,
    installation: &InstallationId,
    ground: &Ground,
) -> anyhow::Result<EngineContainers> {
    let options = options(engine_dir(&config.data_dir), cgroup(installation), ground.is_rootless());
    let opened = tokio::task::spawn_blocking(move || llcm_engine::Engine::open(options)).await;
    let engine = opened.context("a thread ended abnormally")?.map_err(|error| {
        let advice =
            "--engine embedded cannot be used here (`--engine docker` and `--engine simulated` are the others)";
        explain(error, config, advice)
    })?;
    let mut image_map = config.image_map.clone();
    // The built-in image has all that an access point needs.
    image_map.entry(SAP_IMAGE.to_owned()).or_insert_with(|| "host".to_owned());
    let options = EngineOptions { image_map };
    Ok(EngineContainers::new(Arc::new(engine), options, image_sources(config)?))
}

/// The containers of the engine in this program whose directory is gone: no engine knows of them.
pub(crate) async fn lost(data_dir: &Path, installation: &InstallationId) -> anyhow::Result<Vec<Lost>> {
    let (place, cgroup) = (engine_dir(data_dir), cgroup(installation));
    let looked = tokio::task::spawn_blocking(move || Lost::look(&place, &cgroup)).await;
    Ok(looked.context("a thread ended abnormally")??)
}

/// Ends one of them.
pub(crate) async fn end_lost(lost: Lost) -> anyhow::Result<()> {
    Ok(tokio::task::spawn_blocking(move || lost.end()).await.context("a thread ended abnormally")??)
}

/// The control group of an installation's containers.
fn cgroup(installation: &InstallationId) -> String {
    format!("llcm-{installation}")
}

/// Why the engine in this program cannot be had, with advice. Where another server has the data directory no other
/// engine would help: that is told as by everything else that finds it in use.
pub(crate) fn explain(error: EngineError, config: &Config, advice: &'static str) -> anyhow::Error {
    match error {
        EngineError::InUse { .. } => {
            anyhow::Error::new(StoreError::InUse { path: config.data_dir.display().to_string() })
        }
        other => anyhow::Error::new(other).context(advice),
    }
}

/// How the engine in this program is opened.
pub(crate) fn options(state_dir: PathBuf, cgroup: String, is_rootless: bool) -> llcm_engine::Options {
    llcm_engine::Options {
        cgroup,
        host_tools: Some(HostTools { program: "/proc/self/exe".into(), names: tools::names() }),
        // The host's packet filter is not an ordinary user's.
        publish: if is_rootless { PublishVia::Proxy } else { PublishVia::Auto },
        ..llcm_engine::Options::new(state_dir)
    }
}

/// Where it looks for images that it does not have. Nothing is asked yet.
///
/// # Errors
/// When the settings for them are wrong.
pub(crate) fn image_sources(config: &Config) -> anyhow::Result<Vec<Arc<dyn ImageSource>>> {
    Ok(vec![Arc::new(DockerImages::new(docker_options(config)?)), Arc::new(registries(config)?)])
}

async fn docker(config: &Config) -> anyhow::Result<DockerContainers> {
    DockerContainers::connect(&docker_options(config)?).await.map_err(|error| anyhow!(error)).context(
        "--engine docker needs a Docker engine on this machine (--docker-host names its socket); \
         --engine embedded needs nothing installed",
    )
}

/// How Docker is reached.
///
/// # Errors
/// When the address is not one of this machine's.
pub(crate) fn docker_options(config: &Config) -> anyhow::Result<DockerOptions> {
    // Docker's own variable counts where nothing else is said, as for every client of Docker.
    let host = config.docker_host.clone().or_else(|| std::env::var("DOCKER_HOST").ok());
    let socket = match host.filter(|host| !host.is_empty()) {
        Some(host) => DockerOptions::socket_of_host(&host)?,
        None => DockerOptions::DEFAULT_SOCKET.into(),
    };
    let mut options = DockerOptions::new(socket, config.data_dir.join("helper"));
    // Those of the life-cycle count; these are the driver's own, behind them.
    let deadlines = config.settings.deadlines;
    options.deadlines.request = deadlines.change.max(deadlines.look);
    options.deadlines.pull_silence = deadlines.image;
    Ok(options)
}

fn registries(config: &Config) -> anyhow::Result<Registry> {
    let variable = |names: [&str; 2]| {
        names.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    };
    let options = RegistryOptions {
        insecure: config.insecure_registries.clone(),
        docker_config: config.registry_config.clone().or_else(usual_registry_config),
        https_proxy: variable(["HTTPS_PROXY", "https_proxy"]),
        no_proxy: variable(["NO_PROXY", "no_proxy"]),
        ..RegistryOptions::default()
    };
    Registry::new(options).context("cannot prepare for registries")
}

/// The file that `docker login` writes.
fn usual_registry_config() -> Option<PathBuf> {
    let directory = std::env::var_os("DOCKER_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = directory.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
    directory.map(|directory| directory.join("config.json"))
}
