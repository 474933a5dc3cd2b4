//! Tries what a server would do: what was tried is taken back.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use llcm_driver_docker::DockerContainers;
use llcm_driver_linux::Kernel;
use llcm_engine::Helper;
use llcm_engine::rootless::{self, Rootless, RootlessOptions};
use llcm_names::InstallationId;
use llcm_runtime::ContainerDriver as _;
use tempfile::TempDir;

use super::data_dir;
use super::findings::{Docker, Embedded, Findings, Network, Place};
use crate::config::Config;
use crate::{compose, engines, shutdown};

/// How long Docker may think about one question.
const PATIENCE: Duration = Duration::from_secs(5);

/// What has to be tried where containers would run.
type Tried = (Result<Embedded, String>, Result<Network, String>);

/// Finds everything. The program must have one thread.
///
/// # Errors
/// When there is no room for trials, something of them stays behind, or a signal ended them.
pub(super) fn look(config: &Config) -> anyhow::Result<Findings> {
    let user = rustix::process::geteuid();
    // Before namespaces are entered, where this user has another number.
    let (data_dir, installation) = data_dir::look(&config.data_dir);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    // From now on a signal does not end the program with something left.
    let stop = runtime.block_on(async { shutdown::listen() })?;
    let place = TempDir::with_prefix("llcm-doctor-").context("cannot make a directory for trials")?;
    let ground = if user.is_root() { Ok(None) } else { enter(place.path()).map(Some) };
    let all = async {
        let tried = match &ground {
            Ok(rootless) => try_both(config, place.path(), installation.as_ref(), rootless.is_some()),
            Err(reason) => {
                (Err(reason.clone()), Err(format!("without root it needs namespaces of its own: {reason}")))
            }
        };
        (tried, docker(config, installation.as_ref()).await)
    };
    let told = runtime.block_on(unless(stop, all));
    drop(runtime);
    if let Ok(Some(rootless)) = ground {
        rootless.end().context("cannot take the namespaces down")?;
    }
    place.close().context("cannot remove the directory for trials")?;
    let ((embedded, network), docker) = told?;
    Ok(Findings {
        user: user.as_raw(),
        is_root: user.is_root(),
        engine: config.engine,
        best_effort: config.settings.best_effort,
        embedded,
        image_sources: in_words(engines::image_sources(config).map(drop)),
        docker,
        simulated: in_words(compose::simulated_script(config).map(drop)),
        network,
        data_dir,
        datacenters: places(config),
        links: config.topology.links.len(),
    })
}

fn in_words<T>(result: anyhow::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{error:#}"))
}

/// Does `work` unless a signal comes first.
async fn unless<T>(stop: impl Future<Output = ()>, work: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::select! {
        done = work => Ok(done),
        () = stop => bail!("interrupted"),
    }
}

/// Enters namespaces as a server without root does, if that is possible.
fn enter(place: &Path) -> Result<Rootless, String> {
    // In a process of its own first: of a refusal halfway nothing must be left in this one.
    rootless::possible(&Helper::default())?;
    let options = RootlessOptions {
        state_dir: place.join("state"),
        helper: Helper::default(),
        run_dir: place.join("run"),
    };
    in_words(rootless::enter(&options).map_err(Into::into))
}

/// Opens an engine and tries the kernel.
fn try_both(
    config: &Config,
    place: &Path,
    installation: Option<&InstallationId>,
    is_rootless: bool,
) -> Tried {
    let cgroup = installation.map_or_else(|| "llcm-doctor".to_owned(), |id| format!("llcm-{id}"));
    let opened = llcm_engine::Engine::open(engines::options(place.join("state"), cgroup, is_rootless));
    let embedded =
        opened.map(|engine| Embedded { powers: engine.powers().clone(), publishing: engine.publishing() });
    let kernel = Kernel::check().map(|kernel| Network {
        properties: kernel.properties(),
        not_emulated: kernel.not_emulated(&config.topology),
    });
    (in_words(embedded.map_err(Into::into)), in_words(kernel.map_err(Into::into)))
}

/// Asks Docker as a server would.
async fn docker(config: &Config, installation: Option<&InstallationId>) -> Result<Docker, String> {
    let mut options = in_words(engines::docker_options(config))?;
    options.deadlines.request = PATIENCE;
    let asked = async {
        let docker = DockerContainers::connect(&options).await?;
        let info = docker.info().await?;
        let containers = match installation {
            Some(id) => docker.list_owned(id).await?.len(),
            None => 0,
        };
        anyhow::Ok(Docker { name: info.name, version: info.version, warnings: info.warnings, containers })
    };
    in_words(asked.await)
}

/// The topology's data centers, with what would run their containers.
fn places(config: &Config) -> Vec<Place> {
    let place = |datacenter: &llcm_topology::DataCenter| Place {
        name: datacenter.name.to_string(),
        engine_name: datacenter.engine.clone().unwrap_or_else(|| config.engine.word().to_owned()),
        engine: in_words(compose::engine_of(datacenter, config.engine)),
    };
    config.topology.datacenters.iter().map(place).collect()
}
