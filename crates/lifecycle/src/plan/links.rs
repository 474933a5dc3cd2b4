//! Drafts + subnets -> links: segments, ends, addresses.

use std::collections::BTreeSet;

use ipnetwork::{IpNetwork, Ipv4Network};
use llcm_names::{ContainerName, DcName, MacAddr, SegmentId};
use llcm_netplan::{Shape, address_members};
use llcm_runtime::{Neighbour, PortSpec, SegmentEnd, SegmentKind, SegmentSpec};

use super::access::Access;
use super::build::{Making, PlanRequest};
use super::drafts::{Draft, Member};
use super::findings::Findings;
use super::paths::Reach;
use super::{Chain, ContainerPlan, LinkEnd, LinkPlan, Reserved, SapPlace, SapPlan};
use crate::settings::Dialect;

/// The cookie and the priority of the originals' flow rules.
const COOKIE: u32 = 1;
const PRIORITY: u32 = 10;

/// The deployed links; gives the containers' interfaces their addresses and segments.
pub(super) fn links(
    making: &mut Making<'_>,
    drafts: &[Draft<'_>],
    reserved: &Reserved,
    containers: &mut [ContainerPlan],
    access: &mut Access,
) -> Vec<LinkPlan> {
    let request = making.request;
    let bidirectional =
        request.settings.bidirectional_chain.unwrap_or(matches!(request.dialect, Dialect::Tango));
    let mut subnets =
        Subnets { dialect: request.dialect, elines: reserved.eline.iter(), elans: reserved.elan.iter() };
    let mut reach = Reach::new(request.topology);
    let mut plans = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let Some(subnet) = subnets.next(draft, access, &mut making.findings) else { continue };
        check_engine_networks(request, draft, subnet, &mut making.findings);
        let addresses = match draft.sap() {
            Some(_) => access.addresses(draft),
            None => addresses(making, draft, subnet),
        };
        let Some(addresses) = addresses else { continue };
        let sites: BTreeSet<&DcName> = draft
            .members
            .iter()
            .filter_map(|(member, _)| match member {
                Member::Unit(socket) => Some(containers.get(socket.unit)?.datacenter()),
                Member::Sap(sap) => Some(&access.plan(*sap)?.datacenter),
            })
            .collect();
        let Some(path_mtu) = reach.mtu(&sites, draft, &mut making.findings) else { continue };
        let Some(id) = making.ids.segment() else {
            let message = format!("all {} segment ids are taken", SegmentId::MAX);
            making.findings.error("no-segment-id", draft.place(), message, "terminate instances");
            continue;
        };
        let kind = match draft.shape {
            Shape::Line => SegmentKind::ELine { bidirectional },
            Shape::Lan => SegmentKind::ELan,
            Shape::Tree => SegmentKind::ETree,
        };
        let segment =
            SegmentSpec { owner: making.owner.clone(), id, group: making.group, kind, ends: Vec::new() };
        let chain = Chain { bidirectional, cookie: COOKIE, priority: PRIORITY };
        let mut plan = LinkPlan {
            id: draft.id.clone(),
            connectivity: draft.connectivity,
            subnet,
            chain: (draft.shape == Shape::Line).then_some(chain),
            ends: Vec::with_capacity(draft.members.len()),
            segment,
        };
        let macs = join(&mut plan, draft, &addresses, path_mtu, containers, access);
        if matches!(kind, SegmentKind::ELine { bidirectional: false }) {
            introduce(draft, &addresses, &macs, containers, access);
        }
        plans.push(plan);
    }
    plans
}

/// The addresses of a link's members, in order.
fn addresses(making: &mut Making<'_>, draft: &Draft<'_>, subnet: Ipv4Network) -> Option<Vec<IpNetwork>> {
    let statics = draft.members.iter().map(|(member, _)| match member {
        Member::Unit(socket) => making.service.static_address(*socket),
        Member::Sap(_) => None,
    });
    let statics: Vec<_> = statics.collect();
    match address_members(subnet, &statics) {
        Ok(addresses) => Some(addresses),
        Err(error) => {
            let message = format!("{} {}: {error}", draft.connectivity.as_str(), draft.id);
            making.findings.error("no-address", draft.place(), message, "change the static addresses");
            None
        }
    }
}

/// Makes the interfaces of its members ends of a link; their hardware addresses.
fn join(
    plan: &mut LinkPlan,
    draft: &Draft<'_>,
    addresses: &[IpNetwork],
    path_mtu: u32,
    containers: &mut [ContainerPlan],
    access: &mut Access,
) -> Vec<MacAddr> {
    let mut macs = Vec::with_capacity(draft.members.len());
    for ((member, role), address) in draft.members.iter().zip(addresses) {
        let Some((name, port)) = port_of(member, containers, access) else { continue };
        if !port.addresses.contains(address) {
            port.addresses.push(*address);
        }
        port.segments.push(plan.segment.id);
        port.mtu = port.mtu.min(path_mtu);
        let datacenter = port.datacenter.clone();
        macs.push(port.mac);
        plan.segment.ends.push(SegmentEnd { port: port.id, datacenter, role: *role });
        plan.ends.push(LinkEnd {
            container: name.clone(),
            interface: port.ifname.clone(),
            port: port.id,
            address: *address,
        });
    }
    macs
}

/// Lets the first end of a line that carries frames one way know the second one's hardware address: it would ask in
/// vain.
fn introduce(
    draft: &Draft<'_>,
    addresses: &[IpNetwork],
    macs: &[MacAddr],
    containers: &mut [ContainerPlan],
    access: &mut Access,
) {
    if let ([(first, _), _], [_, IpNetwork::V4(address)], [_, mac]) =
        (draft.members.as_slice(), addresses, macs)
        && let Some((_, port)) = port_of(first, containers, access)
    {
        port.neighbours.push(Neighbour { address: address.ip(), mac: *mac });
    }
}

/// The name and the port of a member.
fn port_of<'a>(
    member: &Member,
    containers: &'a mut [ContainerPlan],
    access: &'a mut Access,
) -> Option<(&'a ContainerName, &'a mut PortSpec)> {
    match member {
        Member::Unit(socket) => {
            let container = containers.get_mut(socket.unit)?;
            Some((&container.name, &mut container.interfaces.get_mut(socket.interface)?.port))
        }
        Member::Sap(sap) => match access.plan_mut(*sap)? {
            SapPlan { name, place: SapPlace::Host { port }, .. } => Some((&*name, port)),
            SapPlan { place: SapPlace::Container, .. } => None,
        },
    }
}

/// Hands out what is reserved: an E-Line that is not deployed leaves its subnet to the next one (the
/// originals' rule, on which the addresses of all published services rest); every E-LAN has its own, because
/// its size was chosen for it.
struct Subnets<'a> {
    dialect: Dialect,
    elines: std::slice::Iter<'a, Ipv4Network>,
    elans: std::slice::Iter<'a, Ipv4Network>,
}

impl Subnets<'_> {
    /// The subnet of a link; `None` when the link is not deployed or nothing is left.
    fn next(&mut self, draft: &Draft<'_>, access: &Access, findings: &mut Findings) -> Option<Ipv4Network> {
        if draft.sap().is_some() {
            // At onboarding, every E-LAN gets one, with or without access points.
            if self.dialect == Dialect::Tango && draft.shape != Shape::Line {
                self.elans.next();
            }
            return access.subnet(draft);
        }
        let deployed = !draft.members.is_empty();
        let subnet = match draft.shape {
            Shape::Line if !deployed => return None,
            Shape::Line => self.elines.next(),
            Shape::Lan | Shape::Tree => self.elans.next(),
        };
        if subnet.is_none() {
            findings.error(
                "not-reserved",
                draft.place(),
                format!("no subnet is reserved for {} {}", draft.connectivity.as_str(), draft.id),
                "the settings have changed since the package was uploaded: upload it again",
            );
        }
        subnet.copied().filter(|_| deployed)
    }
}

/// A subnet that the engine routes elsewhere would make its VNFs unreachable or the host's own traffic go
/// astray.
fn check_engine_networks(
    request: &PlanRequest<'_>,
    draft: &Draft<'_>,
    subnet: Ipv4Network,
    findings: &mut Findings,
) {
    let networks = request.facts.map(|facts| facts.engine_networks.as_slice()).unwrap_or_default();
    let overlapping = networks.iter().find(|network| match network {
        IpNetwork::V4(network) => network.contains(subnet.network()) || subnet.contains(network.network()),
        IpNetwork::V6(_) => false,
    });
    if let Some(network) = overlapping {
        findings.error(
            "engine-network-overlap",
            draft.place(),
            format!(
                "subnet {subnet} of {} {} overlaps {network}, a network of the container engine",
                draft.connectivity.as_str(),
                draft.id
            ),
            "choose other pools with the settings `eline_pool`, `elan_pool` and `sap_pool`, or another address range for the engine",
        );
    }
}
