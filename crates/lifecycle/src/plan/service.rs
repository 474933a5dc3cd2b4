//! A service's units in starting order, and where its functions' connection points lead.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::IpNetwork;
use llcm_descriptors::{DeploymentUnit, Descriptors, Endpoint, Interface, Vnfd};
use llcm_names::{ContainerName, NameError, Ssiid};

use super::findings::Findings;
use crate::settings::Dialect;

/// Units of a service: more than one host can run. Few bytes of descriptors can mean very many units, because
/// every use of a function has all of its units.
const MAX_UNITS: usize = 1 << 16;
/// Interfaces of a service.
const MAX_INTERFACES: usize = 1 << 19;
/// Pairs of a function's connection points and the interfaces they lead to.
const MAX_PAIRS: usize = 1 << 20;

/// A deployment unit of one function of a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnitRef<'a> {
    /// The function's id in the service.
    pub(super) vnf_id: &'a str,
    /// The function's descriptor.
    pub(super) vnfd: &'a Vnfd,
    /// The unit.
    pub(super) unit: &'a DeploymentUnit,
    /// Its position within its function.
    pub(super) position: usize,
    /// The interfaces it gets: its own, or in dialect `sonata` the function's.
    pub(super) interfaces: &'a [Interface],
}

impl UnitRef<'_> {
    /// The name of its container.
    ///
    /// # Errors
    /// When the ids make none.
    pub(super) fn container_name(&self, dialect: Dialect, ssiid: Ssiid) -> Result<ContainerName, NameError> {
        match dialect {
            Dialect::Tango => ContainerName::derive(self.vnf_id, &self.unit.id, ssiid),
            // The original knows one unit per function only; further ones are told apart by their ids.
            Dialect::Sonata if self.position == 0 => ContainerName::derive_sonata(self.vnf_id, ssiid),
            Dialect::Sonata => {
                ContainerName::derive_sonata(&format!("{}.{}", self.vnf_id, self.unit.id), ssiid)
            }
        }
    }
}

/// An interface of a unit: positions in [`Service::units`] and in [`UnitRef::interfaces`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Socket {
    pub(super) unit: usize,
    pub(super) interface: usize,
}

/// A service with its functions' descriptors looked up.
#[derive(Debug)]
pub(super) struct Service<'a> {
    /// All units, in starting order: functions as in the NSD, units as in their VNFD.
    pub(super) units: Vec<UnitRef<'a>>,
    /// The functions, in the NSD's order, with the position of their first unit.
    pub(super) functions: Vec<(&'a str, &'a Vnfd, usize)>,
    /// `vnf_id` -> position in `functions`.
    by_id: BTreeMap<&'a str, usize>,
    /// VNFD's name -> where its connection points lead.
    wirings: BTreeMap<&'a str, Wiring<'a>>,
}

impl<'a> Service<'a> {
    /// Looks everything up.
    pub(super) fn new(descriptors: &'a Descriptors, dialect: Dialect, findings: &mut Findings) -> Self {
        let mut service = Self {
            units: Vec::new(),
            functions: Vec::with_capacity(descriptors.nsd.functions.len()),
            by_id: BTreeMap::new(),
            wirings: BTreeMap::new(),
        };
        let mut interfaces = 0;
        for function in &descriptors.nsd.functions {
            let place = (descriptors.nsd.document.as_str(), "network_functions");
            let Some(vnfd) = descriptors.vnfds.get(&function.vnf_name) else {
                findings.error(
                    "unknown-vnfd",
                    place,
                    format!("{} is of {}, which no VNFD is called", function.vnf_id, function.vnf_name),
                    "put that VNFD into the package, or correct vnf_name",
                );
                continue;
            };
            let first = service.units.len();
            let unit = |(position, unit): (usize, &'a DeploymentUnit)| UnitRef {
                vnf_id: &function.vnf_id,
                vnfd,
                unit,
                position,
                interfaces: match dialect {
                    Dialect::Tango => &unit.interfaces,
                    Dialect::Sonata => &vnfd.interfaces,
                },
            };
            let count = |unit: &DeploymentUnit| match dialect {
                Dialect::Tango => unit.interfaces.len(),
                Dialect::Sonata => vnfd.interfaces.len(),
            };
            interfaces += vnfd.units.iter().map(count).sum::<usize>();
            if first + vnfd.units.len() > MAX_UNITS || interfaces > MAX_INTERFACES {
                let message =
                    format!("the service has more than {MAX_UNITS} units or {MAX_INTERFACES} interfaces");
                findings.error("service-too-large", place, message, "split it into several services");
                break;
            }
            service.by_id.insert(&function.vnf_id, service.functions.len());
            service.functions.push((&function.vnf_id, vnfd, first));
            if !service.wirings.contains_key(function.vnf_name.as_str()) {
                let wiring = Wiring::new(vnfd, dialect).unwrap_or_else(|| {
                    let message =
                        format!("connection points lead to interfaces in more than {MAX_PAIRS} ways");
                    let hint = "name fewer connection points in one link";
                    findings.error("function-too-large", (&vnfd.document, "virtual_links"), message, hint);
                    Wiring::default()
                });
                service.wirings.insert(&function.vnf_name, wiring);
            }
            service.units.extend(vnfd.units.iter().enumerate().map(unit));
        }
        service
    }

    /// Whether the service has such a function.
    pub(super) fn has_function(&self, vnf_id: &str) -> bool {
        self.by_id.contains_key(vnf_id)
    }

    /// The interfaces that `vnf_id:cp` means, in order; empty when there is no such connection point.
    pub(super) fn resolve(&self, vnf_id: &str, cp: &str) -> Vec<Socket> {
        let Some(&(_, vnfd, first)) = self.by_id.get(vnf_id).and_then(|&at| self.functions.get(at)) else {
            return Vec::new();
        };
        let spots = self.wiring(vnfd).and_then(|wiring| wiring.points.get(bare(cp)));
        spots.into_iter().flatten().map(|spot| spot.of(first)).collect()
    }

    /// The internal links of a descriptor that join interfaces of several units.
    pub(super) fn internal_links(&self, vnfd: &'a Vnfd) -> &[InternalLink<'a>] {
        self.wiring(vnfd).map_or(&[], |wiring| &wiring.internal)
    }

    /// The static address of an interface, given by the unit or by the function.
    pub(super) fn static_address(&self, socket: Socket) -> Option<IpNetwork> {
        let unit = self.units.get(socket.unit)?;
        let own = unit.interfaces.get(socket.interface)?.address;
        own.or_else(|| {
            let spot = Spot { unit: unit.position, interface: socket.interface };
            self.wiring(unit.vnfd)?.addresses.get(&spot).copied()
        })
    }

    fn wiring(&self, vnfd: &Vnfd) -> Option<&Wiring<'a>> {
        self.wirings.get(vnfd.id.name.as_str())
    }
}

/// An interface of a unit within one function: positions in the VNFD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    unit: usize,
    interface: usize,
}

impl Spot {
    /// The same interface in a service where the function's units begin at `first`.
    pub(super) fn of(self, first: usize) -> Socket {
        Socket { unit: first + self.unit, interface: self.interface }
    }
}

/// A link inside a function that joins interfaces of several units.
#[derive(Debug)]
pub(super) struct InternalLink<'a> {
    /// As the descriptor has it.
    pub(super) link: &'a llcm_descriptors::VirtualLink,
    /// The function's connection points that it leads to.
    pub(super) points: BTreeSet<&'a str>,
    /// The interfaces it joins, in order, with whether they are named as roots.
    pub(super) spots: Vec<(Spot, bool)>,
}

/// Where the connection points of one VNFD lead.
#[derive(Debug, Default)]
struct Wiring<'a> {
    /// Connection point -> interfaces: through the VNFD's own links, else by equal id.
    points: BTreeMap<&'a str, Vec<Spot>>,
    /// Addresses that the function's connection points give their interfaces.
    addresses: BTreeMap<Spot, IpNetwork>,
    internal: Vec<InternalLink<'a>>,
}

/// A connection point's id without the word that some authors put before it for "of this function".
fn bare(cp: &str) -> &str {
    cp.strip_prefix("vnf:").unwrap_or(cp)
}

impl<'a> Wiring<'a> {
    /// `None`: there are too many ways.
    fn new(vnfd: &'a Vnfd, dialect: Dialect) -> Option<Self> {
        let mut wiring = Self::default();
        match dialect {
            // Containers have the function's interfaces, so that every reference meets its own name.
            Dialect::Sonata => {
                if vnfd.interfaces.len().saturating_mul(vnfd.units.len()) > MAX_PAIRS {
                    return None;
                }
                for (interface, point) in vnfd.interfaces.iter().enumerate() {
                    let spots = (0..vnfd.units.len()).map(|unit| Spot { unit, interface }).collect();
                    wiring.points.insert(bare(&point.id), spots);
                }
            }
            Dialect::Tango => {
                wiring.follow_links(vnfd)?;
                wiring.match_names(vnfd);
                wiring.hand_down_addresses(vnfd);
            }
        }
        Some(wiring)
    }

    fn follow_links(&mut self, vnfd: &'a Vnfd) -> Option<()> {
        let spots = spots_by_name(vnfd);
        let mut pairs = 0_usize;
        let mut leads: BTreeSet<(&str, Spot)> = BTreeSet::new();
        for link in &vnfd.links {
            let mut points = BTreeSet::new();
            let mut joined: Vec<(Spot, bool)> = Vec::new();
            let mut seen = BTreeSet::new();
            let roots: BTreeSet<&Endpoint> = link.roots.iter().collect();
            for endpoint in &link.endpoints {
                match endpoint {
                    Endpoint::Own { cp } => {
                        points.insert(bare(cp));
                    }
                    Endpoint::Function { id, cp } => {
                        if let Some(&spot) = spots.get(&(id.as_str(), cp.as_str()))
                            && seen.insert(spot)
                        {
                            joined.push((spot, roots.contains(endpoint)));
                        }
                    }
                }
            }
            pairs = pairs.saturating_add(points.len().saturating_mul(joined.len()));
            if pairs > MAX_PAIRS {
                return None;
            }
            for point in &points {
                let known = self.points.entry(point).or_default();
                known
                    .extend(joined.iter().map(|(spot, _)| *spot).filter(|spot| leads.insert((point, *spot))));
            }
            let units: BTreeSet<usize> = joined.iter().map(|(spot, _)| spot.unit).collect();
            if units.len() > 1 {
                self.internal.push(InternalLink { link, points, spots: joined });
            }
        }
        self.points.retain(|_, spots| !spots.is_empty());
        Some(())
    }

    fn match_names(&mut self, vnfd: &'a Vnfd) {
        let linked: BTreeSet<&str> = self.points.keys().copied().collect();
        for (unit, du) in vnfd.units.iter().enumerate() {
            for (interface, point) in du.interfaces.iter().enumerate() {
                if !linked.contains(point.id.as_str()) {
                    self.points.entry(&point.id).or_default().push(Spot { unit, interface });
                }
            }
        }
    }

    fn hand_down_addresses(&mut self, vnfd: &'a Vnfd) {
        for point in &vnfd.interfaces {
            if let (Some(address), Some([spot])) =
                (point.address, self.points.get(bare(&point.id)).map(Vec::as_slice))
            {
                self.addresses.insert(*spot, address);
            }
        }
    }
}

/// Unit and connection point -> interface. Some descriptors repeat the unit's id in the ids of its connection
/// points (`vdu01:eth0`), and refer to them by the rest.
fn spots_by_name(vnfd: &Vnfd) -> BTreeMap<(&str, &str), Spot> {
    let mut spots = BTreeMap::new();
    for (unit, du) in vnfd.units.iter().enumerate() {
        for (interface, point) in du.interfaces.iter().enumerate() {
            let spot = Spot { unit, interface };
            spots.entry((du.id.as_str(), point.id.as_str())).or_insert(spot);
            if let Some((of, name)) = point.id.split_once(':').filter(|(of, _)| *of == du.id) {
                spots.entry((of, name)).or_insert(spot);
            }
        }
    }
    spots
}
