//! What traffic would do in the world.

use std::net::IpAddr;

use llcm_names::{DcName, EngineName, InstallationId};
use llcm_topology::Paths;

use super::state::{Container, PluggedPort, State};
use super::traffic::Party;
use super::world::World;
use crate::{ContainerState, SegmentKind, SegmentSpec, TreeRole};

impl World {
    /// Whether an echo request that container `from` sends to `to` would be answered: some interface of
    /// `from` has `to` in its subnet, and over the chains and segments of that interface frames reach a running
    /// container's or the host's interface with that address, and come back.
    #[must_use]
    pub fn ping(&self, from: &EngineName, to: IpAddr) -> bool {
        let mut state = self.lock();
        let Some((near, far)) = state.answering(from, to) else { return false };
        self.echo(&mut state, &near, &far);
        true
    }
}

impl State {
    /// The port from which a container reaches an address, and the one that answers there.
    fn answering(&self, from: &EngineName, to: IpAddr) -> Option<(Party, Party)> {
        let found = |name: &EngineName| self.containers.get(name);
        found(from).filter(|it| it.state == ContainerState::Running)?;
        let answers = |far: &&PluggedPort| {
            far.spec.addresses.iter().any(|address| address.ip() == to)
                && self.is_alive(far)
                && far.up
                // It is the kernel that answers: also for processes that are frozen.
                && (far.spec.host.is_some() || found(&far.spec.container).is_some_and(Container::is_live))
        };
        let party = |port: &PluggedPort, address| Party {
            key: (port.spec.owner.installation.clone(), port.spec.id),
            mac: port.spec.mac,
            address,
        };
        self.ports_of(from).filter(|port| port.up).find_map(|near| {
            let own = near.spec.addresses.iter().find(|it| it.contains(to) && it.ip() != to)?.ip();
            let passes = |far: &&PluggedPort| {
                self.echo_passes(near, far, [own, to]) && self.echo_passes(far, near, [to, own])
            };
            let far = self.ports.values().filter(answers).find(passes)?;
            Some((party(near, own), party(far, to)))
        })
    }

    /// Whether an echo packet of these addresses goes from one port to another.
    fn echo_passes(&self, from: &PluggedPort, to: &PluggedPort, addresses: [IpAddr; 2]) -> bool {
        self.chained(from, to, addresses).unwrap_or_else(|| self.frames_pass(from, to))
    }

    /// Whether frames go from one port to another over some segment that both are joined to.
    fn frames_pass(&self, from: &PluggedPort, to: &PluggedPort) -> bool {
        let installation = &from.spec.owner.installation;
        *installation == to.spec.owner.installation
            && self.path_leads(installation, &from.spec.datacenter, &to.spec.datacenter)
            && from.joined.intersection(&to.joined).any(|id| {
                self.segments
                    .get(&(installation.clone(), *id))
                    .is_some_and(|segment| segment_passes(segment, from, to))
            })
    }
}

impl State {
    /// Whether a path of links that are up leads from one data center to another.
    fn path_leads(&self, installation: &InstallationId, from: &DcName, to: &DcName) -> bool {
        let topology = self.topologies.get(installation);
        from == to || topology.is_some_and(|topology| Paths::new(topology).between(from, to).is_some())
    }
}

fn segment_passes(segment: &SegmentSpec, from: &PluggedPort, to: &PluggedPort) -> bool {
    let end = |port: &PluggedPort| segment.ends.iter().position(|end| end.port == port.spec.id);
    let (Some(from), Some(to)) = (end(from), end(to)) else { return false };
    match segment.kind {
        SegmentKind::ELine { bidirectional } => from != to && (bidirectional || from == 0),
        SegmentKind::ELan => from != to,
        SegmentKind::ETree => {
            let role = |index: usize| segment.ends[index].role;
            from != to && (role(from) == TreeRole::Root || role(to) == TreeRole::Root)
        }
    }
}
