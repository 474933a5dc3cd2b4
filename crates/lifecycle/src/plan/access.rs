//! External service access points -> ports of the host: data centers, names, addresses.

use std::collections::{BTreeMap, VecDeque};

use ipnetwork::{IpNetwork, Ipv4Network};
use llcm_names::{IfName, MacAddr};
use llcm_netplan::address_members;
use llcm_placement::{Placed, Unit};
use llcm_runtime::{HostPort, PortSpec};

use super::build::Making;
use super::drafts::{Draft, Member};
use super::placing::{near, outside};
use super::saps::{SapSubnets, Saps, logical_name};
use super::{SapPlace, SapPlan};

/// The external access points of a plan in the making.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// By position among the external ones; one that is on no link is left out.
    plans: BTreeMap<usize, SapPlan>,
    subnets: SapSubnets,
    /// The addresses of each subnet, in the order of the links and their ends.
    addresses: BTreeMap<usize, VecDeque<IpNetwork>>,
}

impl Access {
    /// Places the access points that are on links, and gives their links' ends addresses.
    pub(super) fn new(
        making: &mut Making<'_>,
        saps: &Saps<'_>,
        drafts: &[Draft<'_>],
        subnets: SapSubnets,
        placed: &[Placed],
    ) -> Self {
        let request = making.request;
        let document = saps.descriptors.nsd.document.as_str();
        let mut access = Self { subnets, ..Self::default() };
        for (position, sap) in saps.external().enumerate() {
            let is_it = |member: &Member| *member == Member::Sap(position);
            let on_links = drafts.iter().any(|draft| draft.members.iter().any(|(it, _)| is_it(it)));
            if !on_links {
                let message = format!("the access point {} is on no link that is deployed: left out", sap.id);
                making.findings.warn("unlinked-sap", (document, "connection_points"), message, "");
                continue;
            }
            // That it makes a name was checked when the access points were gathered.
            let Some(name) = logical_name(sap, request.dialect, request.ssiid) else { continue };
            let unit = Unit {
                access_point: Some(near(&is_it, drafts, |unit| {
                    placed.get(unit).map(|it| it.unit.name.clone())
                })),
                ..Unit::named(name.as_str())
            };
            let Some(datacenter) = outside(request, placed, unit, &mut making.findings) else { continue };
            let port = PortSpec {
                owner: making.owner.clone(),
                id: making.ids.port(),
                group: making.group,
                datacenter: datacenter.clone(),
                container: name.engine_name(),
                ifname: IfName::of_host(request.installation, request.instance, &sap.cp),
                mac: MacAddr::derive(request.instance, &format!("{name}:{}", sap.cp)),
                addresses: Vec::new(),
                mtu: request.settings.mtu,
                segments: Vec::new(),
                neighbours: Vec::new(),
                host: Some(HostPort { nat: request.settings.saps.nat }),
            };
            let place = SapPlace::Host { port: Box::new(port) };
            access
                .plans
                .insert(position, SapPlan { id: sap.id.clone(), name, kind: sap.kind, datacenter, place });
        }
        access.give_addresses(making, drafts);
        let filters = request.facts.map(|facts| facts.host.filters.as_slice()).unwrap_or_default();
        if request.settings.saps.nat && !access.plans.is_empty() && !filters.is_empty() {
            making.findings.warn(
                "nat-is-filtered",
                (document, "connection_points"),
                format!(
                    "what comes out at external access points will not leave this host: {}",
                    filters.join("; ")
                ),
                "accept packets from the access points' interfaces there",
            );
        }
        access
    }

    /// All ends of the links that have a point's subnet, the point itself first.
    fn give_addresses(&mut self, making: &mut Making<'_>, drafts: &[Draft<'_>]) {
        for (&position, &subnet) in &self.subnets {
            let of_it = || drafts.iter().filter(|draft| draft.sap() == Some(position));
            let others =
                of_it().flat_map(|draft| &draft.members).filter(|(it, _)| *it != Member::Sap(position));
            let statics = others.map(|(member, _)| match member {
                Member::Unit(socket) => making.service.static_address(*socket),
                Member::Sap(_) => None,
            });
            let statics: Vec<_> = std::iter::once(None).chain(statics).collect();
            match address_members(subnet, &statics) {
                Ok(addresses) => {
                    self.addresses.insert(position, addresses.into());
                }
                Err(error) => {
                    let place = of_it().next().map_or(("", ""), Draft::place);
                    let message = format!("the links of an access point: {error}");
                    making.findings.error("no-address", place, message, "change the static addresses");
                }
            }
        }
    }

    /// The subnet of a link that an external access point is on.
    pub(super) fn subnet(&self, draft: &Draft<'_>) -> Option<Ipv4Network> {
        self.subnets.get(&draft.sap()?).copied()
    }

    /// The addresses of such a link's ends, in order; links are asked for in the order of the drafts.
    pub(super) fn addresses(&mut self, draft: &Draft<'_>) -> Option<Vec<IpNetwork>> {
        let position = draft.sap()?;
        let left = self.addresses.get_mut(&position)?;
        let own = *left.front()?;
        let mut addresses = Vec::with_capacity(draft.members.len());
        for (member, _) in &draft.members {
            // The first one stays, for the point's next link.
            addresses.push(if *member == Member::Sap(position) { own } else { left.remove(1)? });
        }
        Some(addresses)
    }

    /// An access point, to be joined to a link.
    pub(super) fn plan_mut(&mut self, position: usize) -> Option<&mut SapPlan> {
        self.plans.get_mut(&position)
    }

    /// An access point.
    pub(super) fn plan(&self, position: usize) -> Option<&SapPlan> {
        self.plans.get(&position)
    }

    /// All of them, by position among the external ones.
    pub(super) fn into_plans(self) -> BTreeMap<usize, SapPlan> {
        self.plans
    }
}
