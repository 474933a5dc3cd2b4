//! What a server stands on: the host as root has it, or namespaces of an ordinary user's own.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use llcm_engine::Helper;
use llcm_engine::rootless::{self, Rootless, RootlessOptions};

use crate::config::raw::Engine;
use crate::config::{Config, engine_dir};
use crate::engines;

/// Where the network's files are, and the namespaces if they are the user's own.
#[derive(Debug)]
pub(crate) struct Ground {
    rootless: Option<Rootless>,
    network: llcm_driver_linux::Options,
}

impl Ground {
    /// Enters namespaces where that is needed: for real containers without root. The program must have one thread.
    ///
    /// # Errors
    /// When the kernel does not allow it, or an engine is wanted that needs root.
    pub(crate) fn enter(config: &Config) -> anyhow::Result<Self> {
        // Traffic over slow links goes on when the server is started again.
        let delay_line = Some(llcm_driver_linux::Helper::default());
        let network = llcm_driver_linux::Options { delay_line, ..llcm_driver_linux::Options::default() };
        let host = Self { rootless: None, network };
        if rustix::process::geteuid().is_root() || config.engine == Engine::Simulated {
            return Ok(host);
        }
        let names = config.topology.datacenters.iter().filter_map(|dc| dc.engine.as_deref());
        if config.engine == Engine::Docker || names.into_iter().any(|name| name == Engine::Docker.word()) {
            bail!(
                "engine docker needs root, for the links to its containers: run this as root, or choose \
                 --engine embedded, which does not"
            );
        }
        let run_dir = run_dir(config);
        let options = RootlessOptions {
            state_dir: engine_dir(&config.data_dir),
            helper: Helper::default(),
            run_dir: run_dir.clone(),
        };
        let entered = rootless::enter(&options).map_err(|error| {
            let advice = "without root, --engine embedded needs namespaces of its own (`llcm doctor` says more); \
                          --engine simulated needs nothing";
            engines::explain(error, config, advice)
        })?;
        let (netns_dir, run_dir) = (run_dir.join("netns"), run_dir.join("net"));
        Ok(Self {
            rootless: Some(entered),
            network: llcm_driver_linux::Options { netns_dir, run_dir, ..host.network },
        })
    }

    /// Whether the program is an ordinary user's.
    pub(crate) fn is_rootless(&self) -> bool {
        self.rootless.is_some()
    }

    /// Where the network driver keeps its files.
    pub(crate) fn network(&self) -> llcm_driver_linux::Options {
        self.network.clone()
    }

    /// Takes the namespaces down when nothing is in them any more (`idle`); otherwise they stay for the next server.
    ///
    /// # Errors
    /// When something is in them that ought not to.
    pub(crate) fn leave(self, idle: bool) -> anyhow::Result<()> {
        match self.rootless.filter(|_| idle) {
            Some(rootless) => rootless.end().context("cannot take the namespaces down"),
            None => Ok(()),
        }
    }
}

/// The directory for what goes with the namespaces.
fn run_dir(config: &Config) -> PathBuf {
    config.data_dir.join("run")
}
