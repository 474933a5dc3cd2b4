//! Drafts + subnets -> links: segments, ends, addresses.

use std::collections::BTreeSet;

use ipnetwork::{IpNetwork, Ipv4Network};
use llcm_names::{DcName, SegmentId};
use llcm_netplan::{Shape, address_members};
use llcm_runtime::{SegmentEnd, SegmentKind, SegmentSpec};

use super::build::{Making, PlanRequest};
use super::drafts::Draft;
use super::findings::Findings;
use super::paths::Reach;
use super::{Chain, ContainerPlan, LinkEnd, LinkPlan, Reserved};
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
) -> Vec<LinkPlan> {
    let request = making.request;
    let bidirectional =
        request.settings.bidirectional_chain.unwrap_or(matches!(request.dialect, Dialect::Tango));
    let mut subnets = Subnets { elines: reserved.eline.iter(), elans: reserved.elan.iter() };
    let mut reach = Reach::new(request.topology);
    let mut plans = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let Some(subnet) = subnets.next(draft, &mut making.findings) else { continue };
        check_engine_networks(request, draft, subnet, &mut making.findings);
        let Some(addresses) = addresses(making, draft, subnet) else { continue };
        let sites: BTreeSet<&DcName> = draft
            .members
            .iter()
            .filter_map(|(socket, _)| Some(containers.get(socket.unit)?.datacenter()))
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
        join(&mut plan, draft, &addresses, path_mtu, containers);
        plans.push(plan);
    }
    plans
}

/// The addresses of a link's members, in order.
fn addresses(making: &mut Making<'_>, draft: &Draft<'_>, subnet: Ipv4Network) -> Option<Vec<IpNetwork>> {
    let statics: Vec<_> =
        draft.members.iter().map(|(socket, _)| making.service.static_address(*socket)).collect();
    match address_members(subnet, &statics) {
        Ok(addresses) => Some(addresses),
        Err(error) => {
            let message = format!("{} {}: {error}", draft.connectivity.as_str(), draft.id);
            making.findings.error("no-address", draft.place(), message, "change the static addresses");
            None
        }
    }
}

/// Makes the interfaces of its members ends of a link.
fn join(
    plan: &mut LinkPlan,
    draft: &Draft<'_>,
    addresses: &[IpNetwork],
    path_mtu: u32,
    containers: &mut [ContainerPlan],
) {
    for ((socket, role), address) in draft.members.iter().zip(addresses) {
        let Some(container) = containers.get_mut(socket.unit) else { continue };
        let Some(interface) = container.interfaces.get_mut(socket.interface) else { continue };
        let port = &mut interface.port;
        if !port.addresses.contains(address) {
            port.addresses.push(*address);
        }
        port.segments.push(plan.segment.id);
        port.mtu = port.mtu.min(path_mtu);
        let datacenter = port.datacenter.clone();
        plan.segment.ends.push(SegmentEnd { port: port.id, datacenter, role: *role });
        plan.ends.push(LinkEnd {
            container: container.name.clone(),
            interface: port.ifname.clone(),
            port: port.id,
            address: *address,
        });
    }
}

/// Hands out what is reserved: an E-Line that is not deployed leaves its subnet to the next one (the
/// originals' rule, on which the addresses of all published services rest); every E-LAN has its own, because
/// its size was chosen for it.
struct Subnets<'a> {
    elines: std::slice::Iter<'a, Ipv4Network>,
    elans: std::slice::Iter<'a, Ipv4Network>,
}

impl Subnets<'_> {
    /// The subnet of a link; `None` when the link is not deployed or nothing is left.
    fn next(&mut self, draft: &Draft<'_>, findings: &mut Findings) -> Option<Ipv4Network> {
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
            "choose other pools with the settings `eline_pool` and `elan_pool`, or another address range for the engine",
        );
    }
}
