//! Management links that are left to the engine (`docker_management`): they get no segment, and the engine's own
//! interface in each container takes the connection point's name.

use std::collections::{BTreeMap, BTreeSet};

use llcm_descriptors::{ConnectivityType, Endpoint, VirtualLink, Vnfd};

use super::build::Making;
use super::saps::Saps;
use super::service::{Service, Socket};
use super::{ContainerPlan, ManagementPlan};
use crate::settings::LinkRule;

/// The type of management connection points.
const MANAGEMENT: &str = "management";

/// Which connection points of a service are for management.
#[derive(Debug)]
pub(super) struct Management<'a> {
    /// `vnf_id` -> connection point -> whether it is. What the function says goes before what its units say.
    functions: BTreeMap<&'a str, BTreeMap<&'a str, bool>>,
    /// The service's own ones.
    own: BTreeMap<&'a str, bool>,
}

impl<'a> Management<'a> {
    pub(super) fn new(saps: &'a Saps<'_>, service: &Service<'a>) -> Self {
        let points = saps.descriptors.nsd.connection_points.iter();
        let own = points.map(|point| (point.id.strip_prefix("ns:").unwrap_or(&point.id), is(&point.kind)));
        // The host has no interface of the engine's: an access point there needs a link like others.
        let own = own.chain(saps.external().map(|sap| (sap.cp.as_str(), false)));
        let functions = service.functions.iter().map(|(vnf_id, vnfd, _)| (*vnf_id, points_of(vnfd)));
        Self { functions: functions.collect(), own: own.collect() }
    }

    /// Whether a link is an E-LAN of management connection points only, functions' ones among them.
    pub(super) fn has(&self, link: &VirtualLink) -> bool {
        let mut functions = 0;
        let all = link.endpoints.iter().all(|endpoint| match endpoint {
            Endpoint::Function { id, cp } => {
                functions += 1;
                let point = bare(cp);
                self.functions.get(id.as_str()).and_then(|points| points.get(point)).is_some_and(|is| *is)
            }
            // One that the service does not declare says nothing.
            Endpoint::Own { cp } => self.own.get(cp.as_str()).is_none_or(|is| *is),
        });
        link.connectivity == ConnectivityType::ELan && all && functions > 0
    }
}

fn is(kind: &str) -> bool {
    kind.eq_ignore_ascii_case(MANAGEMENT)
}

fn bare(cp: &str) -> &str {
    cp.strip_prefix("vnf:").unwrap_or(cp)
}

fn points_of(vnfd: &Vnfd) -> BTreeMap<&str, bool> {
    let mut points = BTreeMap::new();
    for point in vnfd.units.iter().flat_map(|unit| &unit.interfaces) {
        // The same name in several units: all of them have to be for management.
        *points.entry(point.id.as_str()).or_insert(true) &= is(&point.kind);
    }
    points.extend(vnfd.interfaces.iter().map(|point| (bare(&point.id), is(&point.kind))));
    points
}

/// Gives the engine's interfaces the names of the management links' connection points, which are no ports then.
pub(super) fn take(making: &mut Making<'_>, saps: &Saps<'_>, containers: &mut [ContainerPlan]) {
    let (request, service) = (making.request, making.service);
    let nsd = &saps.descriptors.nsd;
    let deployed = nsd.has_forwarding_graphs || request.settings.links == LinkRule::Declared;
    if !request.settings.docker_management || !deployed {
        return;
    }
    let management = Management::new(saps, service);
    let mut taken: BTreeSet<Socket> = BTreeSet::new();
    for link in nsd.links.iter().filter(|link| management.has(link)) {
        for endpoint in &link.endpoints {
            let Endpoint::Function { id, cp } = endpoint else { continue };
            for socket in service.resolve(id, cp) {
                if taken.insert(socket) {
                    give(making, containers, socket, link);
                }
            }
        }
    }
    // From behind, so that the positions of those before stay what they are.
    for socket in taken.into_iter().rev() {
        let Some(container) = containers.get_mut(socket.unit) else { continue };
        if socket.interface < container.interfaces.len() {
            container.interfaces.remove(socket.interface);
        }
    }
}

/// Makes an interface of a container the engine's.
fn give(making: &mut Making<'_>, containers: &mut [ContainerPlan], socket: Socket, link: &VirtualLink) {
    let request = making.request;
    let findings = &mut making.findings;
    let place = (request.descriptors.nsd.document.as_str(), link.path.as_str());
    let Some(container) = containers.get_mut(socket.unit) else { return };
    let Some(interface) = container.interfaces.get(socket.interface) else { return };
    let what = format!("{} of {}", interface.port.ifname, container.name);
    let off = "or set `docker_management` to false, so that the link is one like others";
    let without = request.facts.and_then(|facts| facts.without_management.get(container.datacenter()));
    if let Some(engine) = without {
        findings.error(
            "no-management-network",
            place,
            format!(
                "{what} is to be the engine's own interface, by the setting `docker_management`, and the engine of {}, {engine}, has none",
                container.datacenter()
            ),
            &format!("run the data center's containers with Docker, {off}"),
        );
        return;
    }
    if let Some(first) = &container.management {
        findings.error(
            "management-twice",
            place,
            format!("{what} is to be the engine's own interface, which is {} already", first.name),
            &format!("leave the unit one management connection point on such links, {off}"),
        );
        return;
    }
    if !interface.port.segments.is_empty() {
        findings.error(
            "management-on-other-link",
            place,
            format!("{what} is to be the engine's own interface, and is on another link, too"),
            &format!("give the other link a connection point of its own, {off}"),
        );
        return;
    }
    if let Some(address) = interface.static_address {
        findings.warn(
            "management-address",
            place,
            format!("{what} is the engine's own interface and keeps the engine's address: not {address}"),
            "leave the address out",
        );
    }
    let name = interface.port.ifname.clone();
    container.spec.management = Some(name.clone());
    container.management = Some(ManagementPlan { id: interface.id.clone(), name });
}
