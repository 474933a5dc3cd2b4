//! The simulated network driver.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use llcm_names::{DcName, EngineName, InstallationId, Owner, PortId, SegmentId};
use llcm_topology::Topology;

use super::containers::SimulatedContainers;
use super::faults::Operation;
use super::state::{PluggedPort, Refusal, State, held_by, refuse};
use super::world::World;
use crate::{
    AttachPoint, Capture, Chains, Counters, DriverError, DriverResult, EngineId, ErrorKind, HostSide,
    LinkView, Management, ManagementSpec, Needs, NetworkDriver, NetworkObject, PortSpec, PortView,
    PrepareReport, SegmentKind, SegmentSpec,
};

/// Joins the containers of a [`World`]. Addresses, MTUs and the properties of links are kept as they are
/// told; no traffic flows, but [`World::ping`] tells what traffic would.
#[derive(Debug, Clone)]
pub struct SimulatedNetwork {
    world: Arc<World>,
    installation: InstallationId,
    engines: BTreeSet<EngineId>,
}

impl SimulatedNetwork {
    /// A driver for the objects of one installation.
    #[must_use]
    pub fn new(world: Arc<World>, installation: InstallationId) -> Self {
        Self { world, installation, engines: BTreeSet::from([SimulatedContainers::default_engine()]) }
    }

    /// The same for containers of these engines of the world. New, it is for those of the default one.
    #[must_use]
    pub fn reaching(mut self, engines: impl IntoIterator<Item = EngineId>) -> Self {
        self.engines = engines.into_iter().collect();
        self
    }

    /// The installation.
    pub(super) fn installation(&self) -> &InstallationId {
        &self.installation
    }

    /// As [`World::perform`], as a call of no container engine.
    pub(super) async fn perform<T>(
        &self,
        operation: Operation,
        target: &str,
        effect: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> DriverResult<T> {
        self.world.perform(None, operation, target, effect).await
    }

    /// The world.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    pub(super) fn check_installation(&self, owner: &Owner) -> Result<(), Refusal> {
        if owner.installation == self.installation {
            return Ok(());
        }
        refuse(ErrorKind::Invalid, format!("this driver serves installation {}", self.installation))
    }

    async fn on_installation<T>(
        &self,
        operation: Operation,
        effect: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> DriverResult<T> {
        self.perform(operation, self.installation.as_str(), effect).await
    }
}

#[async_trait]
impl NetworkDriver for SimulatedNetwork {
    fn needs(&self) -> Needs {
        match self.engines.iter().next() {
            Some(only) if self.engines.len() == 1 => Needs::Engine(only.clone()),
            _ => Needs::AnyOf(self.engines.clone()),
        }
    }

    async fn host_side(&self) -> DriverResult<HostSide> {
        let side = |state: &mut State| Ok(state.script.host.clone());
        self.on_installation(Operation::HostSide, side).await
    }

    async fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        let prepare = |state: &mut State| {
            let stays = |name: &DcName| topology.datacenters.iter().any(|dc| dc.name == *name);
            let ours = &self.installation;
            state
                .ports
                .retain(|(installation, _), port| installation != ours || stays(&port.spec.datacenter));
            state.topologies.insert(ours.clone(), topology.clone());
            Ok(PrepareReport { not_emulated: state.script.not_emulated.clone() })
        };
        self.on_installation(Operation::Prepare, prepare).await
    }

    async fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()> {
        let ensure = |state: &mut State| {
            self.check_installation(&spec.owner)?;
            ensure_segment(state, &self.installation, spec)
        };
        self.perform(Operation::EnsureSegment, &spec.id.to_string(), ensure).await
    }

    async fn attach(&self, spec: &PortSpec, point: &AttachPoint) -> DriverResult<PortView> {
        let target = format!("{}/{}", spec.container, spec.ifname);
        let at = self.world.time();
        let attach = |state: &mut State| {
            self.check_installation(&spec.owner)?;
            attach(state, &self.installation, spec, point)?;
            if spec.host.is_none() {
                state.begin_process(&spec.container, at);
            }
            Ok(PortView { id: spec.id, host_device: String::new() })
        };
        self.perform(Operation::Attach, &target, attach).await
    }

    async fn detach(&self, owner: &Owner, datacenter: &DcName, port: PortId) -> DriverResult<()> {
        let detach = |state: &mut State| {
            let key = (self.installation.clone(), port);
            match state.ports.get(&key) {
                Some(known) if known.spec.owner != *owner => {
                    refuse(ErrorKind::Conflict, held_by(Some(&known.spec.owner)))
                }
                Some(known) if known.spec.datacenter != *datacenter => Ok(()),
                _ => {
                    state.ports.remove(&key);
                    Ok(())
                }
            }
        };
        self.perform(Operation::Detach, &port.to_string(), detach).await
    }

    async fn set_port(&self, owner: &Owner, datacenter: &DcName, port: PortId, up: bool) -> DriverResult<()> {
        let set = |state: &mut State| {
            let known = state.ports.get_mut(&(self.installation.clone(), port));
            match known.filter(|known| known.spec.datacenter == *datacenter) {
                Some(known) if known.spec.owner != *owner => {
                    refuse(ErrorKind::Conflict, held_by(Some(&known.spec.owner)))
                }
                Some(known) => {
                    known.up = up;
                    Ok(())
                }
                None if up => refuse(ErrorKind::NotFound, "there is no such port: attach it"),
                None => Ok(()),
            }
        };
        self.perform(Operation::SetPort, &port.to_string(), set).await
    }

    async fn remove_segment(&self, owner: &Owner, segment: SegmentId) -> DriverResult<()> {
        let remove = |state: &mut State| {
            let key = (self.installation.clone(), segment);
            let chain = state.chains.get(&key).map(|chain| &chain.owner);
            match state.segments.get(&key).map(|segment| &segment.owner).or(chain) {
                Some(known) if known != owner => refuse(ErrorKind::Conflict, held_by(Some(known))),
                None => Ok(()),
                Some(_) => {
                    state.chains.remove(&key);
                    forget_segment(state, &key);
                    Ok(())
                }
            }
        };
        self.perform(Operation::RemoveSegment, &segment.to_string(), remove).await
    }

    async fn remove_instance(&self, owner: &Owner) -> Result<(), Vec<DriverError>> {
        let remove = |state: &mut State| {
            state.ports.retain(|_, port| port.spec.owner != *owner);
            state.chains.retain(|_, chain| chain.owner != *owner);
            let segments = state.segments.iter().filter(|(_, spec)| spec.owner == *owner);
            for key in segments.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
                forget_segment(state, &key);
            }
            Ok(())
        };
        let target = owner.instance.to_string();
        self.perform(Operation::RemoveInstance, &target, remove).await.map_err(|error| vec![error])
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>> {
        let list = |state: &mut State| {
            let ports = state.ports.values().map(|port| NetworkObject::Port {
                owner: port.spec.owner.clone(),
                datacenter: port.spec.datacenter.clone(),
                id: port.spec.id,
            });
            let chains = state.chains.values().map(|chain| (&chain.owner, chain.id));
            let segments = state.segments.values().map(|segment| (&segment.owner, segment.id)).chain(chains);
            let segments = segments.map(|(owner, id)| NetworkObject::Segment { owner: owner.clone(), id });
            Ok(ports.chain(segments).filter(|it| it.owner().installation == *installation).collect())
        };
        self.perform(Operation::ListNetwork, installation.as_str(), list).await
    }

    async fn links(&self) -> DriverResult<Vec<LinkView>> {
        let links = |state: &mut State| {
            let links = state.topologies.get(&self.installation).map_or(&[][..], |topology| &topology.links);
            Ok(links
                .iter()
                .map(|link| LinkView {
                    name: link.name.clone(),
                    ends: [link.a.dc.clone(), link.b.dc.clone()],
                    up: link.up,
                    emulated_by: ["recorded".to_owned(), "recorded".to_owned()],
                })
                .collect())
        };
        self.on_installation(Operation::Links, links).await
    }

    async fn teardown(&self) -> DriverResult<()> {
        let teardown = |state: &mut State| {
            state.topologies.remove(&self.installation);
            state.ports.retain(|(installation, _), _| *installation != self.installation);
            state.segments.retain(|(installation, _), _| *installation != self.installation);
            state.chains.retain(|(installation, _), _| *installation != self.installation);
            Ok(())
        };
        self.on_installation(Operation::Teardown, teardown).await
    }

    fn management(&self) -> Option<&dyn Management> {
        Some(self)
    }

    fn chains(&self) -> Option<&dyn Chains> {
        Some(self)
    }

    fn counters(&self) -> Option<&dyn Counters> {
        Some(self)
    }

    fn capture(&self) -> Option<&dyn Capture> {
        Some(self)
    }
}

#[async_trait]
impl Management for SimulatedNetwork {
    async fn name_management(&self, spec: &ManagementSpec, point: &AttachPoint) -> DriverResult<()> {
        let target = format!("{}/{}", spec.container, spec.ifname);
        let at = self.world.time();
        let name = |state: &mut State| {
            self.check_installation(&spec.owner)?;
            let (_, incarnation) = reach(state, &spec.container, point)?;
            if state.ports_of(&spec.container).any(|port| port.spec.ifname == spec.ifname) {
                return refuse(ErrorKind::Conflict, "the container has another interface of that name");
            }
            if let Some(container) = state.containers.get_mut(&spec.container) {
                container.management = Some((spec.ifname.clone(), incarnation));
            }
            state.begin_process(&spec.container, at);
            Ok(())
        };
        self.perform(Operation::Attach, &target, name).await
    }
}

fn forget_segment(state: &mut State, key: &(InstallationId, SegmentId)) {
    state.segments.remove(key);
    for ((installation, _), port) in &mut state.ports {
        if *installation == key.0 {
            port.joined.remove(&key.1);
        }
    }
}

fn ensure_segment(
    state: &mut State,
    installation: &InstallationId,
    spec: &SegmentSpec,
) -> Result<(), Refusal> {
    if matches!(spec.kind, SegmentKind::ELine { .. }) && spec.ends.len() != 2 {
        return refuse(ErrorKind::Invalid, format!("an E-Line has two ends, not {}", spec.ends.len()));
    }
    if let Some(end) = spec.ends.iter().find(|end| !state.has_datacenter(installation, &end.datacenter)) {
        return refuse(ErrorKind::NotFound, format!("there is no data center {}", end.datacenter));
    }
    let key = (installation.clone(), spec.id);
    if state.chains.contains_key(&key) {
        return refuse(ErrorKind::Conflict, "a chain has its id");
    }
    match state.segments.get(&key) {
        Some(known) if known == spec => Ok(()),
        Some(known) if known.owner == spec.owner => {
            refuse(ErrorKind::Conflict, "exists already and was created with another specification")
        }
        Some(known) => refuse(ErrorKind::Conflict, held_by(Some(&known.owner))),
        None => {
            state.segments.insert(key, spec.clone());
            Ok(())
        }
    }
}

fn attach(
    state: &mut State,
    installation: &InstallationId,
    spec: &PortSpec,
    point: &AttachPoint,
) -> Result<(), Refusal> {
    // The host is no container, and always there.
    let (container, incarnation) = match &spec.host {
        None => reach(state, &spec.container, point)?,
        Some(_) => match &state.script.host.obstacle {
            Some(reason) => return refuse(ErrorKind::Unsupported, reason),
            None => (0, 0),
        },
    };
    if !state.has_datacenter(installation, &spec.datacenter) {
        return refuse(ErrorKind::NotFound, format!("there is no data center {}", spec.datacenter));
    }
    for id in &spec.segments {
        let Some(segment) = state.segments.get(&(installation.clone(), *id)) else {
            return refuse(ErrorKind::NotFound, format!("there is no segment {id}"));
        };
        if !segment.ends.iter().any(|end| end.port == spec.id && end.datacenter == spec.datacenter) {
            let (port, dc) = (spec.id, &spec.datacenter);
            return refuse(ErrorKind::Invalid, format!("port {port} in {dc} is no end of segment {id}"));
        }
    }
    let key = (installation.clone(), spec.id);
    match state.ports.get(&key) {
        Some(known) if known.spec.owner != spec.owner => {
            return refuse(ErrorKind::Conflict, held_by(Some(&known.spec.owner)));
        }
        Some(known) if known.spec != *spec => {
            return refuse(ErrorKind::Conflict, "exists already and was attached with another specification");
        }
        _ => {}
    }
    let beside = |port: &&PluggedPort| match spec.host {
        Some(_) => port.spec.host.is_some(),
        None => port.spec.host.is_none() && port.spec.container == spec.container,
    };
    let clashes = |port: &PluggedPort| port.spec.ifname == spec.ifname && port.spec.id != spec.id;
    let managed = state.containers.get(&spec.container).and_then(|container| container.management());
    let is_managed = spec.host.is_none() && managed == Some(&spec.ifname);
    if is_managed || state.ports.values().filter(beside).any(clashes) {
        let whose = if spec.host.is_some() { "host" } else { "container" };
        return refuse(ErrorKind::Conflict, format!("the {whose} has another interface of that name"));
    }
    let joined = spec.segments.iter().copied().collect();
    let counted = state.ports.get(&key).map(|port| (port.sent, port.received)).unwrap_or_default();
    state.ports.insert(
        key,
        PluggedPort {
            spec: spec.clone(),
            container,
            incarnation,
            joined,
            up: true,
            sent: counted.0,
            received: counted.1,
        },
    );
    Ok(())
}

/// The container's engine id and incarnation, if the attach point still leads to it.
fn reach(state: &State, container: &EngineName, point: &AttachPoint) -> Result<(u64, u64), Refusal> {
    let Some((engine, name)) = &point.engine else {
        return refuse(ErrorKind::Invalid, "the attach point leads to no simulated container");
    };
    if name != container.as_str() {
        return refuse(ErrorKind::Invalid, format!("the attach point leads to container {name}"));
    }
    let container = EngineName::parse(name).ok().and_then(|name| state.containers.get(&name));
    match container {
        Some(container) if container.engine != *engine => {
            refuse(ErrorKind::Invalid, format!("the attach point leads to engine {engine}"))
        }
        Some(container) if container.has_namespace() => Ok((container.id, container.incarnation)),
        _ => refuse(ErrorKind::NotFound, "the container does not run: its network namespace is gone"),
    }
}
