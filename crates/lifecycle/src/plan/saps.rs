//! Service access points: where a service's own connection points lead, when they are deployed.
//!
//! Internal and management ones are containers of the SAP image. They become functions of the service, and
//! everything that holds for functions holds for them. External ones are interfaces of the host: they become
//! ends of the links that name them, with a subnet of their own, of which the host has the first address.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::Ipv4Network;
use llcm_descriptors::{
    DeploymentUnit, Descriptors, Endpoint, ImageSource, Interface, MemorySize, NetworkFunction,
    ServiceConnectionPoint, Triple, VirtualLink, Vnfd,
};
use llcm_names::{ContainerName, IfName, Ssiid};

use super::access::Access;
use super::findings::Findings;
use super::{ContainerPlan, SapPlace, SapPlan};
use crate::settings::{Dialect, SapKind, SapSettings, Settings};

/// The kind of a connection point: the setting's, else the descriptor's, internal where that has none (the originals'
/// rule); `None`: it is none of these.
fn kind_of(point: &ServiceConnectionPoint, cp: &str, settings: &SapSettings) -> Option<SapKind> {
    let set = settings.kinds.get(cp).or_else(|| settings.kinds.get(&point.id));
    set.copied().or(match point.kind.as_str() {
        "external" | "public" => Some(SapKind::External),
        "management" => Some(SapKind::Management),
        "internal" | "" => Some(SapKind::Internal),
        _ => None,
    })
}

/// A service access point, before it is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SapPoint {
    /// The connection point as written.
    pub(super) id: String,
    /// Without `ns:`, as links refer to it.
    pub(super) cp: String,
    /// What it is called as a function: unique in the service.
    pub(super) name: String,
    pub(super) kind: SapKind,
}

/// The service access points of a service, in the order of the connection points, and the service with the
/// containers among them as functions.
#[derive(Debug)]
pub(super) struct Saps<'a> {
    pub(super) points: Vec<SapPoint>,
    pub(super) descriptors: Cow<'a, Descriptors>,
}

/// What cannot be had on this host.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Without<'a> {
    /// Why the host can have no interfaces on segments, if so.
    pub(super) host_ports: Option<&'a str>,
}

impl<'a> Saps<'a> {
    /// None of them, as when they are not deployed.
    fn none(descriptors: &'a Descriptors) -> Self {
        Self { points: Vec::new(), descriptors: Cow::Borrowed(descriptors) }
    }

    /// Those that the settings ask for.
    pub(super) fn new(
        descriptors: &'a Descriptors,
        settings: &Settings,
        without: Without<'_>,
        findings: &mut Findings,
    ) -> Self {
        if !settings.saps.deploy || descriptors.nsd.connection_points.is_empty() {
            return Self::none(descriptors);
        }
        let points = points(descriptors, &settings.saps, without, findings);
        let mut with = descriptors.clone();
        let containers: BTreeMap<&str, &str> = points
            .iter()
            .filter(|point| point.kind != SapKind::External)
            .map(|point| (point.cp.as_str(), point.name.as_str()))
            .collect();
        for point in points.iter().filter(|point| point.kind != SapKind::External) {
            let vnfd = vnfd(point, &settings.saps, &with);
            let function = NetworkFunction { vnf_id: point.name.clone(), vnf_name: vnfd.id.name.clone() };
            with.nsd.functions.push(function);
            with.vnfds.insert(vnfd.id.name.clone(), vnfd);
        }
        for link in &mut with.nsd.links {
            lead_to(link, &containers);
        }
        Self { points, descriptors: Cow::Owned(with) }
    }

    /// The external ones, with the connection points by which links refer to them.
    pub(super) fn external(&self) -> impl Iterator<Item = &SapPoint> {
        self.points.iter().filter(|point| point.kind == SapKind::External)
    }

    /// All of them as they are planned, in the order of the connection points.
    pub(super) fn plans(&self, containers: &[ContainerPlan], access: Access) -> Vec<SapPlan> {
        let mut external = access.into_plans();
        let mut plans = Vec::with_capacity(self.points.len());
        for (point, position) in self.points.iter().zip(self.positions()) {
            let plan = match position {
                Some(position) => external.remove(&position),
                None => containers.iter().find(|container| container.vnf_id == point.name).map(|container| {
                    SapPlan {
                        id: point.id.clone(),
                        name: container.name.clone(),
                        kind: point.kind,
                        datacenter: container.datacenter().clone(),
                        place: SapPlace::Container,
                    }
                }),
            };
            plans.extend(plan);
        }
        plans
    }

    /// For each point, its position among the external ones, if it is one.
    fn positions(&self) -> impl Iterator<Item = Option<usize>> {
        let mut next = 0;
        self.points.iter().map(move |point| {
            let external = point.kind == SapKind::External;
            next += usize::from(external);
            external.then(|| next - 1)
        })
    }

    /// The names of those that are functions.
    pub(super) fn functions(&self) -> BTreeSet<&str> {
        let functions = self.points.iter().filter(|point| point.kind != SapKind::External);
        functions.map(|point| point.name.as_str()).collect()
    }
}

fn points(
    descriptors: &Descriptors,
    settings: &SapSettings,
    without: Without<'_>,
    findings: &mut Findings,
) -> Vec<SapPoint> {
    let nsd = &descriptors.nsd;
    let mut taken: BTreeSet<String> = nsd.functions.iter().map(|function| function.vnf_id.clone()).collect();
    let mut seen = BTreeSet::new();
    let mut points = Vec::new();
    for (position, point) in nsd.connection_points.iter().enumerate() {
        let cp = point.id.strip_prefix("ns:").unwrap_or(&point.id);
        let path = format!("connection_points[{position}]");
        if cp.is_empty() || !seen.insert(cp.to_owned()) {
            continue;
        }
        let Some(mut kind) = kind_of(point, cp, settings) else {
            findings.warn(
                "no-sap-kind",
                (&nsd.document, &path),
                format!("no access point at {}: its type is {}", point.id, point.kind),
                "write external, internal or management, or use the setting `sap`",
            );
            continue;
        };
        if let (SapKind::External, Some(reason)) = (kind, without.host_ports) {
            findings.warn(
                "external-sap-as-container",
                (&nsd.document, &path),
                format!("the external access point {} becomes a container: {reason}", point.id),
                "send traffic from inside of it with `llcm sap exec`, or run the server as root",
            );
            kind = SapKind::Internal;
        }
        // The originals' name: `ns:mgmt` becomes `ns_mgmt`.
        let mut name = point.id.replace(':', "_");
        while taken.contains(&name) {
            name.insert_str(0, "sap_");
        }
        if let Err(error) = ContainerName::derive_sonata(&name, Ssiid::default()) {
            findings.error(
                "bad-container-name",
                (&nsd.document, &path),
                format!("the access point {}: {error}", point.id),
                "give the connection point another id",
            );
            continue;
        }
        taken.insert(name.clone());
        points.push(SapPoint { id: point.id.clone(), cp: cp.to_owned(), name, kind });
    }
    points
}

/// What the container of an access point is: the setting's descriptor, or the built-in one, with the one
/// interface that the connection point gives its name to.
fn vnfd(point: &SapPoint, settings: &SapSettings, descriptors: &Descriptors) -> Vnfd {
    // A name that no descriptor of the package has.
    let mut name = point.name.clone();
    while descriptors.vnfds.contains_key(&name) {
        name.insert_str(0, "sap_");
    }
    let mut vnfd = settings.vnfd.clone().unwrap_or_else(built_in);
    vnfd.id.name = name;
    // Every connection point makes an interface name; one that is empty was left out before.
    let ifname = IfName::derive(&point.cp).or_else(|_| IfName::parse("sap"));
    let interface = |ifname: IfName| Interface {
        id: point.cp.clone(),
        name: ifname,
        kind: point.kind.as_str().to_owned(),
        address: None,
        mac: None,
    };
    let interfaces: Vec<Interface> = ifname.into_iter().map(interface).collect();
    vnfd.links.clear();
    vnfd.units.truncate(1);
    for unit in &mut vnfd.units {
        if let Some(image) = &settings.image {
            unit.image = ImageSource::Reference { reference: image.clone() };
        }
        unit.interfaces.clone_from(&interfaces);
    }
    vnfd.interfaces = interfaces;
    vnfd
}

/// The image of access points that the program brings with it.
pub const SAP_IMAGE: &str = concat!("llcm/sap:", env!("CARGO_PKG_VERSION"));

/// The descriptor of access points that the program brings with it: limits are those of the originals'.
fn built_in() -> Vnfd {
    let unit = DeploymentUnit {
        id: "sap".to_owned(),
        path: "virtual_deployment_units[0]".to_owned(),
        image: ImageSource::Reference { reference: SAP_IMAGE.to_owned() },
        cpu_list: None,
        vcpus: None,
        cpu_bandwidth: 1.0,
        memory: Some(MemorySize(1 << 30)),
        interfaces: Vec::new(),
        exposed: Vec::new(),
        published: Vec::new(),
        environment: BTreeMap::new(),
        start_command: None,
        stop_command: None,
        ipc_mode: None,
        devices: Vec::new(),
        cap_add: vec!["NET_ADMIN".to_owned()],
    };
    Vnfd {
        id: Triple { vendor: "llcm".to_owned(), name: "sap".to_owned(), version: String::new() },
        document: "the built-in access point".to_owned(),
        interfaces: Vec::new(),
        exposed: Vec::new(),
        published: Vec::new(),
        units: vec![unit],
        links: Vec::new(),
    }
}

/// Has a link's references to access points that are containers lead to these.
fn lead_to(link: &mut VirtualLink, containers: &BTreeMap<&str, &str>) {
    for endpoint in link.endpoints.iter_mut().chain(&mut link.roots) {
        let Endpoint::Own { cp } = endpoint else { continue };
        if let Some(&name) = containers.get(cp.as_str()) {
            *endpoint = Endpoint::Function { id: name.to_owned(), cp: std::mem::take(cp) };
        }
    }
}

/// The logical name of an access point: what its container is called, or would be.
pub(super) fn logical_name(point: &SapPoint, dialect: Dialect, ssiid: Ssiid) -> Option<ContainerName> {
    match dialect {
        Dialect::Tango => ContainerName::derive(&point.name, "sap", ssiid).ok(),
        Dialect::Sonata => ContainerName::derive_sonata(&point.name, ssiid).ok(),
    }
}

/// The subnets of the external access points, by their positions among these.
pub(super) type SapSubnets = BTreeMap<usize, Ipv4Network>;
