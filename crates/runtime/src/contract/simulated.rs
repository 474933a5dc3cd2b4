//! The suite on the simulated drivers: what it must pass before it judges others.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Port};

use super::commands::COMMAND;
use super::{Drivers, Factory, Host, Probe, SeenInterface, SeenLimits};
use crate::simulated::{
    Script, ScriptedCommand, ScriptedOutput, SimulatedContainers, SimulatedNetwork, World,
};

/// Simulated drivers on one world, looked at through the world's own inspection.
#[derive(Debug)]
pub struct SimulatedFactory {
    world: Arc<World>,
    host: Host,
    early: bool,
}

impl Default for SimulatedFactory {
    fn default() -> Self {
        let missing = Host::with_image("x").missing_image;
        let command = ScriptedCommand {
            stderr: "to stderr\n".to_owned(),
            ..ScriptedCommand::new(&["sh", "-c", COMMAND], "to stdout\n", 7)
        };
        let output =
            ScriptedOutput { container: "*".to_owned(), stdout: "ready\n".to_owned(), stderr: String::new() };
        let script = Script {
            missing_images: vec![missing],
            missing_programs: vec!["/no/such/program".to_owned()],
            commands: vec![command],
            output: vec![output],
            ..Script::default()
        };
        let mut host = Host::with_image("contract:simulated");
        host.first_line = Some("ready".to_owned());
        Self { world: World::with_script(script), host, early: false }
    }
}

impl SimulatedFactory {
    /// The same with network namespaces that exist from `create` on.
    #[must_use]
    pub fn with_early_namespace() -> Self {
        Self { early: true, ..Self::default() }
    }

    /// The world.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }
}

#[async_trait]
impl Factory for SimulatedFactory {
    async fn drivers(&self, installation: &InstallationId) -> Result<Drivers, String> {
        let world = || Arc::clone(&self.world);
        let containers = if self.early {
            SimulatedContainers::with_early_namespace(world())
        } else {
            SimulatedContainers::new(world())
        };
        let network = SimulatedNetwork::new(world(), installation.clone());
        Ok(Drivers { containers: Arc::new(containers), network: Some(Arc::new(network)) })
    }

    fn host(&self) -> &Host {
        &self.host
    }

    fn probe(&self) -> &dyn Probe {
        self.world.as_ref()
    }
}

#[async_trait]
impl Probe for World {
    async fn ping(&self, from: &EngineName, to: IpAddr) -> Option<bool> {
        Some(Self::ping(self, from, to))
    }

    async fn interfaces(&self, container: &EngineName) -> Option<Vec<SeenInterface>> {
        let ports = self.snapshot().ports.into_iter();
        let seen =
            ports.filter(|port| port.alive && port.spec.container == *container).map(|port| SeenInterface {
                name: port.spec.ifname,
                mac: port.spec.mac,
                mtu: port.spec.mtu,
                addresses: port.spec.addresses,
                up: true,
            });
        Some(seen.collect())
    }

    async fn environment(&self, container: &EngineName) -> Option<BTreeMap<String, String>> {
        self.spec(container).map(|spec| spec.environment)
    }

    async fn limits(&self, container: &EngineName) -> Option<SeenLimits> {
        self.spec(container).map(|spec| SeenLimits { cpu: spec.cpu, memory_bytes: spec.memory_bytes })
    }

    async fn listen(&self, container: &EngineName, _port: Port) -> Option<()> {
        self.spec(container).map(|_| ())
    }

    async fn connects(&self, host_port: Port) -> Option<bool> {
        Some(self.published(host_port).is_some())
    }

    async fn make_foreign(&self, name: &EngineName) -> Option<()> {
        self.add_foreign(name, "foreign");
        Some(())
    }

    async fn remove_foreign(&self, name: &EngineName) -> Option<bool> {
        Some(self.lose(name))
    }

    async fn kill(&self, container: &EngineName) -> Option<()> {
        self.exit(container, 137).then_some(())
    }

    async fn restart(&self, container: &EngineName) -> Option<()> {
        Self::restart(self, container).then_some(())
    }

    async fn pause(&self, container: &EngineName, paused: bool) -> Option<()> {
        if paused { Self::pause(self, container) } else { self.unpause(container) }.then_some(())
    }

    async fn remove(&self, container: &EngineName) -> Option<()> {
        self.lose(container).then_some(())
    }

    async fn leftovers(&self, installation: &InstallationId) -> Option<Vec<String>> {
        let snapshot = self.snapshot();
        let ours =
            |owner: Option<&llcm_names::Owner>| owner.is_some_and(|it| it.installation == *installation);
        let containers = snapshot.containers.iter().filter(|it| ours(it.owner.as_ref()));
        let mut left: Vec<_> = containers.map(|it| format!("container {}", it.name)).collect();
        left.extend(
            snapshot
                .ports
                .iter()
                .filter(|it| ours(Some(&it.spec.owner)))
                .map(|it| format!("port {}", it.spec.id)),
        );
        left.extend(
            snapshot
                .segments
                .iter()
                .filter(|it| ours(Some(&it.owner)))
                .map(|it| format!("segment {}", it.id)),
        );
        let chains = snapshot.chains.iter().filter(|it| ours(Some(&it.owner)));
        left.extend(chains.map(|it| format!("chain {}", it.id)));
        if snapshot.datacenters.contains_key(installation) {
            left.push("data centers".to_owned());
        }
        Some(left)
    }
}
