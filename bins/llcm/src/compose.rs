//! Picks drivers by name and wires the layers together.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use llcm_driver_linux::LinuxNetwork;
use llcm_lifecycle::installation::installation_id;
use llcm_lifecycle::{LifecycleError, Orchestrator, Parts, SystemClock, SystemIds};
use llcm_names::InstallationId;
use llcm_runtime::{Backend, simulated};
use llcm_topology::Topology;

use crate::config::Config;
use crate::config::raw::Engine;
use crate::engines;

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
pub(crate) async fn open(config: &Config) -> anyhow::Result<Composed> {
    let installation =
        installation_id(&config.data_dir, &SystemIds).map_err(|error| anyhow!(told(&error))).with_context(
            || format!("cannot keep state in {} (--data-dir names another place)", config.data_dir.display()),
        )?;
    let (engine, backend) = match config.engine {
        Engine::Simulated => ("simulated", simulated_backend(config, &installation)?),
        engine => {
            let containers = engines::named(engine, config, &installation).await?;
            let network = LinuxNetwork::new(installation.clone(), llcm_driver_linux::Options::default())?;
            (engine.word(), Backend::pair(containers, Arc::new(network))?)
        }
    };
    let backend = with_engines(engine, backend, &config.topology)?;
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
    let missing = orchestrator.not_emulated();
    if !missing.is_empty() && !config.best_effort {
        let told = format!(
            "this host cannot emulate the links as the topology says; --best-effort goes on without:\n  {}",
            missing.join("\n  ")
        );
        // What runs already goes on as it is; without anything, nothing stays behind.
        let idle = orchestrator.instances(false).is_empty();
        orchestrator.shutdown(idle).await.map_err(|error| anyhow!("{told}\n{}", self::told(&error)))?;
        bail!(told);
    }
    Ok(Composed { orchestrator, backend, installation, engine: engine.to_owned() })
}

/// Gives the data centers the engines that the topology names.
fn with_engines(own: &str, mut backend: Backend, topology: &Topology) -> anyhow::Result<Backend> {
    // The drivers by the names that a topology calls them: one per engine of the server.
    let engines = BTreeMap::from([(own, Arc::clone(backend.containers()))]);
    for datacenter in &topology.datacenters {
        let Some(name) = &datacenter.engine else { continue };
        let driver = engines.get(name.as_str()).with_context(|| {
            let here: Vec<_> = engines.keys().copied().collect();
            format!(
                "data center {} of the topology names engine `{name}`, which this server does not run: it runs {} \
                 (--engine); engines that exist are docker and simulated",
                datacenter.name,
                here.join(", ")
            )
        })?;
        backend = backend.with_datacenter(datacenter.name.clone(), Arc::clone(driver))?;
    }
    Ok(backend)
}

fn simulated_backend(config: &Config, installation: &InstallationId) -> anyhow::Result<Backend> {
    let script = match &config.simulated_script {
        None => simulated::Script::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the simulation's script {}", path.display()))?;
            simulated::Script::parse(&text).with_context(|| path.display().to_string())?
        }
    };
    Ok(simulated::backend(&simulated::World::with_script(script), installation))
}

/// An error with all that belongs to it, for people.
pub(crate) fn told(error: &LifecycleError) -> String {
    let mut lines = vec![error.message.clone()];
    let findings = error.diagnostics.iter().map(ToString::to_string);
    lines.extend(findings.chain(error.others.iter().cloned()).filter(|line| !error.message.contains(line)));
    lines.join("\n  ")
}
