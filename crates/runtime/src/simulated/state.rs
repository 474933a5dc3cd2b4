//! What is in the world.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use llcm_names::{DcName, EngineName, IfName, InstallationId, Owner, PortId, SegmentId};
use llcm_topology::Topology;

use super::script::Script;
use super::world::{Call, ExecRecord};
use crate::taken::overlap;
use crate::{
    AttachPoint, ChainSpec, ContainerSpec, ContainerState, ContainerView, Counts, EngineId, ErrorKind,
    HeldPort, ImageView, OutputStream, PortBinding, PortSpec, SegmentSpec, Taken,
};

/// The error of an effect before the operation and target are put to it.
pub(super) type Refusal = (ErrorKind, String);

pub(super) fn refuse<T>(kind: ErrorKind, message: impl Into<String>) -> Result<T, Refusal> {
    Err((kind, message.into()))
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) script: Script,
    /// Calls so far that matched each fault of the script.
    pub(super) fault_counts: Vec<u64>,
    pub(super) calls: Vec<Call>,
    /// By engine and reference.
    pub(super) images: BTreeMap<(EngineId, String), ImageView>,
    /// Names are taken once in the world, whichever engine has the container.
    pub(super) containers: BTreeMap<EngineName, Container>,
    pub(super) next_container: u64,
    pub(super) topologies: BTreeMap<InstallationId, Topology>,
    pub(super) segments: BTreeMap<(InstallationId, SegmentId), SegmentSpec>,
    pub(super) chains: BTreeMap<(InstallationId, SegmentId), ChainSpec>,
    pub(super) ports: BTreeMap<(InstallationId, PortId), PluggedPort>,
    pub(super) execs: Vec<ExecRecord>,
    /// Whether nobody hears what happens to containers.
    pub(super) deaf: bool,
}

/// A container of the world; `spec` is `None` for one that somebody else made.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: u64,
    pub(super) engine: EngineId,
    pub(super) image: String,
    pub(super) spec: Option<ContainerSpec>,
    pub(super) state: ContainerState,
    /// Counts the starts: the network namespace of an earlier start is gone.
    pub(super) incarnation: u64,
    /// Whether there is a network namespace for the next start already.
    pub(super) prepared: bool,
    /// Whether the container's own process has begun since the last start: it is held back until the
    /// interfaces of the spec are there.
    pub(super) began: bool,
    /// The name that the engine's own interface was given, with the incarnation that it was given in.
    pub(super) management: Option<(IfName, u64)>,
    pub(super) output: Vec<OutputLine>,
}

#[derive(Debug, Clone)]
pub(super) struct OutputLine {
    pub(super) stream: OutputStream,
    pub(super) at: Duration,
    pub(super) bytes: Vec<u8>,
}

/// A port with the container's incarnation it was plugged into.
#[derive(Debug, Clone)]
pub(super) struct PluggedPort {
    pub(super) spec: PortSpec,
    pub(super) container: u64,
    pub(super) incarnation: u64,
    /// The segments that it is joined to: those of its spec that have not been removed since.
    pub(super) joined: BTreeSet<SegmentId>,
    /// Whether the data center's side is up.
    pub(super) up: bool,
    /// What its container sent and received.
    pub(super) sent: Counts,
    pub(super) received: Counts,
}

impl Container {
    pub(super) fn new(id: u64, engine: &EngineId, image: &str, spec: Option<ContainerSpec>) -> Self {
        let state = ContainerState::Created;
        let (incarnation, prepared, began, management, output) = (0, false, false, None, Vec::new());
        let (engine, image) = (engine.clone(), image.to_owned());
        Self { id, engine, image, spec, state, incarnation, prepared, began, management, output }
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.spec.as_ref().map(|spec| &spec.owner)
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }

    pub(super) fn has_namespace(&self) -> bool {
        self.is_live() || self.prepared
    }

    /// The first process ends, and with it the network namespace and its interfaces.
    pub(super) fn end(&mut self, code: i64) {
        self.state = ContainerState::Exited { code: Some(code) };
        self.incarnation += 1;
    }

    /// A start: in the namespace that `create` has made, else in a new one.
    pub(super) fn run(&mut self) {
        if !std::mem::take(&mut self.prepared) {
            self.incarnation += 1;
        }
        self.state = ContainerState::Running;
        self.began = false;
    }

    pub(super) fn view(&self, name: &EngineName) -> ContainerView {
        ContainerView {
            name: name.clone(),
            id: format!("{:012x}", self.id),
            owner: self.owner().cloned(),
            datacenter: self.spec.as_ref().map(|spec| spec.datacenter.clone()),
            image: self.image.clone(),
            state: self.state,
            attach: self.has_namespace().then(|| self.attach_point(name)),
            management_address: self.management_address(),
        }
    }

    /// The name of the engine's own interface, if it was given one since the last start.
    pub(super) fn management(&self) -> Option<&IfName> {
        self.management.as_ref().filter(|(_, when)| *when == self.incarnation).map(|(name, _)| name)
    }

    /// The engine's address: told of containers that have to do with it, 172.17.0.0/16 as with Docker.
    fn management_address(&self) -> Option<String> {
        let asked = self.spec.as_ref().is_some_and(|spec| spec.management.is_some());
        let number = self.id % (1 << 16);
        (asked && self.is_live()).then(|| format!("172.17.{}.{}", number / 256, number % 256))
    }

    /// How it is reached while it has a network namespace.
    pub(super) fn attach_point(&self, name: &EngineName) -> AttachPoint {
        let run = self.is_live().then(|| format!("{:012x}.{}", self.id, self.incarnation));
        AttachPoint { netns: None, engine: Some((self.engine.clone(), name.to_string())), run }
    }

    pub(super) fn bindings(&self) -> &[PortBinding] {
        self.spec.as_ref().map_or(&[], |spec| &spec.published)
    }

    pub(super) fn write(&mut self, stream: OutputStream, at: Duration, text: &str) {
        for line in text.split_inclusive('\n') {
            self.output.push(OutputLine { stream, at, bytes: line.as_bytes().to_vec() });
        }
    }
}

impl State {
    pub(super) fn image(&self, engine: &EngineId, reference: &str) -> Option<&ImageView> {
        self.images.get(&(engine.clone(), reference.to_owned()))
    }

    /// The engine's container of that name, if it is this owner's.
    pub(super) fn owned(
        &mut self,
        engine: &EngineId,
        owner: &Owner,
        name: &EngineName,
    ) -> Result<Option<&mut Container>, Refusal> {
        match self.containers.get_mut(name) {
            Some(container) if container.engine != *engine => Ok(None),
            Some(container) if container.owner() != Some(owner) => {
                refuse(ErrorKind::Conflict, held_by(container.owner()))
            }
            found => Ok(found),
        }
    }

    /// Who listens on a host port that `binding` asks for, other than `name`.
    pub(super) fn holder_of(&self, binding: &PortBinding, name: &EngineName) -> Option<&EngineName> {
        let clash = |other: &PortBinding| {
            (other.protocol, other.host) == (binding.protocol, binding.host)
                && overlap(other.host_ip, binding.host_ip)
        };
        self.containers
            .iter()
            .find(|(other, container)| {
                *other != name && container.is_live() && container.bindings().iter().any(clash)
            })
            .map(|(other, _)| other)
    }

    /// What containers of others hold in an engine.
    pub(super) fn taken(&self, engine: &EngineId, installation: &InstallationId) -> Taken {
        let foreign = |container: &Container| {
            container.engine == *engine
                && container.owner().is_none_or(|owner| owner.installation != *installation)
        };
        let mut taken = Taken::default();
        for (name, container) in self.containers.iter().filter(|(_, container)| foreign(container)) {
            taken.names.insert(name.clone());
            if container.is_live() {
                taken.ports.extend(container.bindings().iter().map(|binding| HeldPort {
                    protocol: binding.protocol,
                    port: binding.host,
                    address: binding.host_ip,
                }));
            }
        }
        taken
    }

    /// Whether the container still has the interface that the port was plugged in with.
    pub(super) fn is_alive(&self, port: &PluggedPort) -> bool {
        port.spec.host.is_some()
            || self.containers.get(&port.spec.container).is_some_and(|container| {
                container.id == port.container && container.incarnation == port.incarnation
            })
    }

    /// The live ports of a container.
    pub(super) fn ports_of<'a>(&'a self, name: &'a EngineName) -> impl Iterator<Item = &'a PluggedPort> {
        let of = move |port: &&PluggedPort| port.spec.container == *name && port.spec.host.is_none();
        self.ports.values().filter(of).filter(|port| self.is_alive(port))
    }

    /// The interfaces of its spec that a container still waits for.
    pub(super) fn waiting_for(&self, name: &EngineName) -> Vec<IfName> {
        let Some(container) = self.containers.get(name) else { return Vec::new() };
        let Some(spec) = container.spec.as_ref() else { return Vec::new() };
        let has = |ifname: &IfName| {
            container.management() == Some(ifname)
                || self.ports_of(name).any(|port| port.spec.ifname == *ifname)
        };
        spec.interfaces.iter().filter(|ifname| !has(ifname)).cloned().collect()
    }

    /// The container's own process begins if it runs and waits for no interface: it writes what the script
    /// says.
    pub(super) fn begin_process(&mut self, name: &EngineName, at: Duration) {
        if !self.waiting_for(name).is_empty() {
            return;
        }
        let output: Vec<_> = self.script.output_of(name.as_str()).cloned().collect();
        let waits = |it: &&mut Container| it.state == ContainerState::Running && !it.began;
        if let Some(container) = self.containers.get_mut(name).filter(waits) {
            container.began = true;
            for text in output {
                container.write(OutputStream::Stdout, at, &text.stdout);
                container.write(OutputStream::Stderr, at, &text.stderr);
            }
        }
    }

    pub(super) fn has_datacenter(&self, installation: &InstallationId, name: &DcName) -> bool {
        self.topologies
            .get(installation)
            .is_some_and(|topology| topology.datacenters.iter().any(|dc| dc.name == *name))
    }
}

/// What a refusal says about the holder of a name.
pub(super) fn held_by(owner: Option<&Owner>) -> String {
    match owner {
        Some(owner) => {
            format!("belongs to instance {} of installation {}", owner.instance, owner.installation)
        }
        None => "belongs to somebody else: it carries no mark of this program".to_owned(),
    }
}
