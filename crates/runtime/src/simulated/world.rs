//! The world that both simulated drivers act on, and its inspection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llcm_names::{DcName, EngineName, IfName, InstallationId, Owner, Port, Protocol};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::containers::SimulatedContainers;
use super::faults::{Action, Fault, Operation, When};
use super::moments::Observing;
use super::script::Script;
use super::state::{Container, Refusal, State};
use super::traffic::Looker;
use crate::{
    ChainSpec, ContainerSpec, ContainerState, DriverError, DriverResult, EngineId, ErrorKind, ImageView,
    OutputStream, PortBinding, PortSpec, SegmentSpec,
};

/// A host in memory: images, containers, data centers, segments and ports, and the script it follows.
///
/// Drivers hold it by `Arc`. Whoever keeps another `Arc` keeps the world: drop the drivers in the middle of
/// their work, give the world to new ones, and the program has crashed and come back.
#[derive(Debug)]
pub struct World {
    pub(super) state: Mutex<State>,
    /// Counts the changes, for those who wait for one.
    pub(super) changes: watch::Sender<u64>,
    pub(super) began: Instant,
    /// Who looks at frames; locked after the state.
    pub(super) lookers: Mutex<Vec<Looker>>,
    /// Who is told of the calls' effects.
    pub(super) observer: Mutex<Option<Observing>>,
}

/// A call that a driver received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The operation.
    pub operation: Operation,
    /// What it was to be done to; see [`Operation`].
    pub target: String,
    /// The container engine that was to do it; `None`: the network.
    pub engine: Option<EngineId>,
}

/// A command that was run in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExecRecord {
    /// The container.
    pub container: EngineName,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The environment given with the command.
    pub environment: BTreeMap<String, String>,
    /// Its exit code; `None` while it runs.
    pub exit_code: Option<i64>,
}

/// Everything in a world at one moment, for assertions and snapshots; in the order of names and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The containers.
    pub containers: Vec<ContainerSnapshot>,
    /// The segments.
    pub segments: Vec<SegmentSpec>,
    /// The chains.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chains: Vec<ChainSpec>,
    /// The ports.
    pub ports: Vec<PortSnapshot>,
    /// The data centers of each installation.
    pub datacenters: BTreeMap<InstallationId, Vec<DcName>>,
}

/// A container in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerSnapshot {
    /// Its name in the engine.
    pub name: EngineName,
    /// The engine that has it.
    pub engine: EngineId,
    /// Whose it is; `None` for one that somebody else made.
    pub owner: Option<Owner>,
    /// What it does.
    pub state: ContainerState,
    /// Interfaces of its spec that are not there: its own process is held back until they are.
    pub waiting_for: Vec<IfName>,
}

/// A port in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortSnapshot {
    /// As it was attached.
    pub spec: PortSpec,
    /// Whether the container's side is still there.
    pub alive: bool,
    /// Whether the data center's side is up.
    pub up: bool,
}

impl World {
    /// A world in which everything exists, nothing takes time and nothing fails.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_script(Script::default())
    }

    /// A world that follows a script.
    #[must_use]
    pub fn with_script(script: Script) -> Arc<Self> {
        let world = Self {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            began: Instant::now(),
            lookers: Mutex::default(),
            observer: Mutex::default(),
        };
        world.set_script(script);
        Arc::new(world)
    }

    /// From now on follows this script; its faults count from here.
    pub fn set_script(&self, script: Script) {
        let mut state = self.lock();
        state.fault_counts = vec![0; script.faults.len()];
        state.script = script;
    }

    /// Adds a fault; it counts from here.
    pub fn add_fault(&self, fault: Fault) {
        let mut state = self.lock();
        state.script.faults.push(fault);
        state.fault_counts.push(0);
    }

    /// Takes all faults back. Calls that hang already go on hanging.
    pub fn clear_faults(&self) {
        let mut state = self.lock();
        state.script.faults.clear();
        state.fault_counts.clear();
    }

    /// All calls so far, in the order in which they came.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Forgets the calls and commands so far.
    pub fn forget_calls(&self) {
        let mut state = self.lock();
        state.calls.clear();
        state.execs.clear();
    }

    /// All commands run in containers so far, in the order in which they began.
    #[must_use]
    pub fn execs(&self) -> Vec<ExecRecord> {
        self.lock().execs.clone()
    }

    /// Whether there is no container, link, chain or port, of whomever. Data centers and images are the host's.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        let links = state.segments.is_empty() && state.chains.is_empty();
        links && state.containers.is_empty() && state.ports.is_empty()
    }

    /// Everything there is.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let state = self.lock();
        let containers = state.containers.iter().map(|(name, container)| ContainerSnapshot {
            name: name.clone(),
            engine: container.engine.clone(),
            owner: container.owner().cloned(),
            state: container.state,
            waiting_for: state.waiting_for(name),
        });
        let ports = state.ports.values();
        let names = |it: &llcm_topology::Topology| it.datacenters.iter().map(|dc| dc.name.clone()).collect();
        Snapshot {
            containers: containers.collect(),
            segments: state.segments.values().cloned().collect(),
            chains: state.chains.values().cloned().collect(),
            ports: ports
                .map(|p| PortSnapshot { spec: p.spec.clone(), alive: state.is_alive(p), up: p.up })
                .collect(),
            datacenters: state
                .topologies
                .iter()
                .map(|(id, topology)| (id.clone(), names(topology)))
                .collect(),
        }
    }

    /// The data centers and links of an installation, as they were last prepared; `None`: there are none.
    #[must_use]
    pub fn topology(&self, installation: &InstallationId) -> Option<llcm_topology::Topology> {
        self.lock().topologies.get(installation).cloned()
    }

    /// What a container was created with; `None` for one that is not there or not of this program.
    #[must_use]
    pub fn spec(&self, name: &EngineName) -> Option<ContainerSpec> {
        self.lock().containers.get(name).and_then(|container| container.spec.clone())
    }

    /// The running container that publishes a TCP port of the host.
    #[must_use]
    pub fn published(&self, host_port: Port) -> Option<EngineName> {
        let holds = |container: &&Container| {
            let tcp = |it: &PortBinding| it.protocol == Protocol::Tcp && it.host == host_port;
            container.is_live() && container.bindings().iter().any(tcp)
        };
        self.lock().containers.iter().find(|(_, it)| holds(it)).map(|(name, _)| name.clone())
    }

    /// An image that the default engine has already.
    pub fn add_image(&self, reference: &str, image: ImageView) {
        self.add_image_to(&SimulatedContainers::default_engine(), reference, image);
    }

    /// An image that an engine has already.
    pub fn add_image_to(&self, engine: &EngineId, reference: &str, image: ImageView) {
        self.lock().images.insert((engine.clone(), reference.to_owned()), image);
    }

    /// An image as an engine has it.
    #[must_use]
    pub fn image(&self, engine: &EngineId, reference: &str) -> Option<ImageView> {
        self.lock().image(engine, reference).cloned()
    }

    /// Somebody prunes the engines' images. Tells whether there was such an image.
    pub fn remove_image(&self, reference: &str) -> bool {
        let mut state = self.lock();
        let before = state.images.len();
        state.images.retain(|(_, known), _| known != reference);
        state.images.len() < before
    }

    /// From now on nobody hears what happens to containers, or hears of it again; watches that were deaf tell of the gap.
    pub fn set_deaf(&self, deaf: bool) {
        self.lock().deaf = deaf;
        self.changed();
    }

    /// The host loses a container behind the drivers' backs. Tells whether there was such a container.
    pub fn lose(&self, name: &EngineName) -> bool {
        let lost = self.lock().containers.remove(name).is_some();
        self.changed();
        lost
    }

    /// A container's own process writes something. Tells whether there is such a container.
    pub fn write_output(&self, name: &EngineName, stream: OutputStream, text: &str) -> bool {
        let at = self.time();
        let found = self.lock().containers.get_mut(name).map(|found| found.write(stream, at, text)).is_some();
        self.changed();
        found
    }

    pub(super) fn alter(&self, name: &EngineName, change: impl FnOnce(&mut Container)) -> bool {
        let found = self.lock().containers.get_mut(name).filter(|it| it.is_live()).map(change).is_some();
        self.changed();
        found
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// How long the world has existed.
    pub(super) fn time(&self) -> Duration {
        self.began.elapsed()
    }

    /// Every operation goes through here: it is recorded, takes its time, fails as scripted, and has its
    /// effect at one moment. Dropped while it takes its time, it has had no effect.
    pub(super) async fn perform<T>(
        &self,
        engine: Option<&EngineId>,
        operation: Operation,
        target: &str,
        effect: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> DriverResult<T> {
        let (time, fault) = self.begin(engine, operation, target);
        if time.is_zero() {
            // Where nothing takes time, tasks still take turns.
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(time).await;
        }
        let error = |(kind, message): Refusal| DriverError::new(kind, operation.in_words(), target, message);
        if let Some(fault) = fault.as_ref().filter(|fault| fault.when == When::Before) {
            return Err(error(strike(fault).await));
        }
        self.tell(engine, operation, target, When::Before);
        let outcome = effect(&mut self.lock()).map_err(error);
        self.changed();
        self.tell(engine, operation, target, When::After);
        match fault {
            Some(fault) if outcome.is_ok() => Err(error(strike(&fault).await)),
            _ => outcome,
        }
    }

    fn begin(
        &self,
        engine: Option<&EngineId>,
        operation: Operation,
        target: &str,
    ) -> (Duration, Option<Fault>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let same = |call: &&Call| {
            call.operation == operation && call.target == target && call.engine.as_ref() == engine
        };
        let latency = state.script.latency.get(&operation).map(|latency| {
            let earlier = u64::try_from(state.calls.iter().filter(same).count()).unwrap_or(u64::MAX);
            latency.of_call(state.script.seed, operation.in_words(), target, earlier)
        });
        state.calls.push(Call { operation, target: target.to_owned(), engine: engine.cloned() });
        let mut hit = None;
        for (fault, count) in state.script.faults.iter().zip(&mut state.fault_counts) {
            if fault.matches(engine, operation, target) {
                *count += 1;
                if hit.is_none() && fault.hits(*count) {
                    hit = Some(fault.clone());
                }
            }
        }
        (latency.unwrap_or_default(), hit)
    }
}

async fn strike(fault: &Fault) -> (ErrorKind, String) {
    match fault.action {
        Action::Fail => (fault.kind, fault.message.clone()),
        Action::Hang => std::future::pending().await,
    }
}
