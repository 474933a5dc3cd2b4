//! Picks drivers by name and wires the layers together.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::ValueEnum as _;
use llcm_driver_linux::LinuxNetwork;
use llcm_lifecycle::installation::{hold, installation_id};
use llcm_lifecycle::{LifecycleError, Orchestrator, Parts, SystemClock, SystemIds};
use llcm_names::InstallationId;
use llcm_runtime::{Backend, simulated};
use llcm_topology::DataCenter;

use crate::config::Config;
use crate::config::raw::Engine;
use crate::engines;
use crate::ground::Ground;
use crate::open_files;

/// A life-cycle manager with its drivers.
#[derive(Debug)]
pub(crate) struct Composed {
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) backend: Backend,
    pub(crate) installation: InstallationId,
    /// The engine's name.
    pub(crate) engine: String,
}

/// Opens the life-cycle manager that a configuration describes.
///
/// # Errors
/// When the drivers cannot be had, or the store cannot be opened.
pub(crate) async fn open(config: &Config, ground: &Ground) -> anyhow::Result<Composed> {
    let installation =
        installation_id(&config.data_dir, &SystemIds).map_err(|error| anyhow!(told(&error))).with_context(
            || format!("cannot keep state in {} (--data-dir names another place)", config.data_dir.display()),
        )?;
    if config.engine != Engine::Simulated {
        end_lost(config, &installation).await?;
    }
    let (engine, backend) = match config.engine {
        Engine::Simulated => ("simulated", simulated_backend(config, &installation)?),
        engine => {
            let containers = engines::named(engine, config, &installation, ground).await?;
            open_files::raise_limit();
            let network = LinuxNetwork::new(installation.clone(), ground.network())?;
            (engine.word(), Backend::pair(containers, Arc::new(network))?)
        }
    };
    let backend = with_engines(backend, config, &installation, ground).await?;
    let parts = Parts {
        data_dir: config.data_dir.clone(),
        settings: config.settings.clone(),
        topology: config.topology.clone(),
        backend: backend.clone(),
        placement: None,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let orchestrator = Orchestrator::open(parts).await.map_err(|error| anyhow!(told(&error)))?;
    Ok(Composed { orchestrator, backend, installation, engine: engine.to_owned() })
}

/// Ends containers that no engine will know of. Their instances are shown without them, as degraded. Not those of a server
/// that runs: what it is just making or removing is not lost.
async fn end_lost(config: &Config, installation: &InstallationId) -> anyhow::Result<()> {
    let data_dir = config.data_dir.clone();
    let _held =
        tokio::task::spawn_blocking(move || hold(&data_dir)).await?.map_err(|error| anyhow!(told(&error)))?;
    for lost in engines::lost(&config.data_dir, installation).await? {
        let name = lost.name().to_owned();
        log::warn!(
            "container {name} has lost its directory, which somebody has removed: what is left of it is ended"
        );
        if let Err(error) = engines::end_lost(lost).await {
            log::error!("container {name}: {error:#}");
        }
    }
    Ok(())
}

/// Gives the data centers the engines that the topology names.
async fn with_engines(
    mut backend: Backend,
    config: &Config,
    installation: &InstallationId,
    ground: &Ground,
) -> anyhow::Result<Backend> {
    let mut drivers = BTreeMap::from([(config.engine, Arc::clone(backend.containers()))]);
    for datacenter in &config.topology.datacenters {
        if datacenter.engine.is_none() {
            continue;
        }
        let place = || format!("data center {} of the topology", datacenter.name);
        let engine = engine_of(datacenter, config.engine).with_context(place)?;
        let driver = match drivers.get(&engine) {
            Some(driver) => Arc::clone(driver),
            None => {
                let driver =
                    engines::named(engine, config, installation, ground).await.with_context(place)?;
                drivers.insert(engine, Arc::clone(&driver));
                driver
            }
        };
        backend = backend.with_datacenter(datacenter.name.clone(), driver)?;
    }
    Ok(backend)
}

/// The engine of a data center: the one that the topology names, else the server's `own`.
///
/// # Errors
/// When there is no such engine, or the two cannot be wired.
pub(crate) fn engine_of(datacenter: &DataCenter, own: Engine) -> anyhow::Result<Engine> {
    let Some(name) = &datacenter.engine else { return Ok(own) };
    let engine = Engine::from_str(name, false).map_err(|_| {
        let all: Vec<_> = Engine::value_variants().iter().map(|engine| engine.word()).collect();
        anyhow!("there is no engine `{name}`: choose among {}", all.join(", "))
    })?;
    if engine != own && [engine, own].contains(&Engine::Simulated) {
        bail!(
            "engine {name} cannot be wired to the server's own, {}: a simulated container has no interfaces",
            own.word()
        );
    }
    Ok(engine)
}

fn simulated_backend(config: &Config, installation: &InstallationId) -> anyhow::Result<Backend> {
    Ok(simulated::backend(&simulated::World::with_script(simulated_script(config)?), installation))
}

/// Latencies and faults of the simulated engine.
///
/// # Errors
/// When the file cannot be read or has errors.
pub(crate) fn simulated_script(config: &Config) -> anyhow::Result<simulated::Script> {
    let Some(path) = &config.simulated_script else { return Ok(simulated::Script::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the simulation's script {}", path.display()))?;
    simulated::Script::parse(&text).with_context(|| path.display().to_string())
}

/// An error with all that belongs to it, for people.
pub(crate) fn told(error: &LifecycleError) -> String {
    let mut lines = vec![error.message.clone()];
    let findings = error.diagnostics.iter().map(ToString::to_string);
    lines.extend(findings.chain(error.others.iter().cloned()).filter(|line| !error.message.contains(line)));
    lines.join("\n  ")
}
