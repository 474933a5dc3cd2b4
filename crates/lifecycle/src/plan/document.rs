//! The plan as public JSON, version 1: keys are only ever added.

use std::collections::BTreeMap;

use ipnetwork::{IpNetwork, Ipv4Network};
use llcm_descriptors::{Descriptors, Diagnostic, PackageInfo, PackageKind, Triple};
use llcm_names::{ContainerName, DcName, EngineName, IfName, MacAddr, PackageHash, Port, Protocol, Ssiid};
use serde::{Deserialize, Serialize};

use super::{
    ContainerPlan, InstancePlan, InterfacePlan, LinkEnd, LinkPlan, ManagementPlan, PlacementPlan, Reserved,
    SapPlace, SapPlan,
};
use crate::settings::Dialect;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// What instantiating a package would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDocument {
    /// [`FORMAT`].
    pub format: u32,
    /// The conventions followed.
    pub dialect: Dialect,
    /// The package; `None` when its manifest cannot be read.
    pub package: Option<PackageDocument>,
    /// The network service; `None` when its descriptor cannot be read.
    pub nsd: Option<Triple>,
    /// `vnf_id` -> `vnf_name`.
    pub vnfs: BTreeMap<String, String>,
    /// The subnets held by the service; in dialect `sonata`, by its instances.
    pub reserved: Reserved,
    /// All findings about the package and its plans.
    pub diagnostics: Vec<Diagnostic>,
    /// The instances, by SSIID; none when there is an error.
    pub instances: Vec<InstanceDocument>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageDocument {
    /// Vendor, name and version.
    #[serde(flatten)]
    pub id: Triple,
    /// The SHA-1 of the file's bytes.
    pub sha1: PackageHash,
    /// Its format.
    pub kind: PackageKind,
}

impl PackageDocument {
    /// The package of that manifest and digest.
    #[must_use]
    pub fn new(info: &PackageInfo, sha1: &PackageHash) -> Self {
        Self { id: info.id.clone(), sha1: sha1.clone(), kind: info.kind }
    }
}

/// One instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceDocument {
    /// Its number within the service.
    pub ssiid: Ssiid,
    /// `<vendor>.<name>.<version>-inst.<SSIID>`.
    pub name: String,
    /// How its units were placed; not there in what was planned before that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementPlan>,
    /// Its containers, in starting order.
    pub containers: Vec<ContainerDocument>,
    /// Its E-Lines, in the NSD's order.
    pub elines: Vec<ELineDocument>,
    /// Its E-LANs and E-Trees, in the NSD's order, then the functions' internal ones.
    pub elans: Vec<ELanDocument>,
    /// Its service access points.
    pub saps: Vec<SapDocument>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerDocument {
    /// Its logical name.
    pub name: ContainerName,
    /// Its name in the engine.
    pub engine_name: EngineName,
    /// Its function.
    pub vnf_id: String,
    /// Its unit.
    pub du_id: String,
    /// Where it runs.
    pub datacenter: DcName,
    /// Its image.
    pub image: String,
    /// CPUs to run on (`0,2-3`).
    pub cpuset_cpus: Option<String>,
    /// The scheduler's period in microseconds.
    pub cpu_period: Option<u64>,
    /// CPU time within a period in microseconds.
    pub cpu_quota: Option<u64>,
    /// Bytes of memory; `None`: not limited.
    pub mem_limit: Option<u64>,
    /// Ports it listens on.
    pub ports: Vec<PortDocument>,
    /// Published ports.
    pub port_bindings: Vec<BindingDocument>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Directories of the host, `host:container:rw` or `:ro`.
    pub volumes: Vec<String>,
    /// IPC mode.
    pub ipc_mode: Option<String>,
    /// Devices, `host:container:permissions`.
    pub devices: Vec<String>,
    /// Added capabilities.
    pub cap_add: Vec<String>,
    /// Its interfaces, linked or not, without the engine's own.
    pub interfaces: Vec<InterfaceDocument>,
    /// The connection point that the engine's own interface is; not there where it is none (`docker_management`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<ManagementPlan>,
}

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortDocument {
    /// Its number.
    pub port: Port,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindingDocument {
    /// In the container.
    pub container: Port,
    /// Its protocol.
    pub protocol: Protocol,
    /// On the host.
    pub host: Port,
}

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceDocument {
    /// The connection point's id as written.
    pub id: String,
    /// The interface's name in the container.
    pub name: IfName,
    /// Its static address; those given out stand with the links.
    pub address: Option<IpNetwork>,
    /// Its MAC address.
    pub mac: MacAddr,
}

/// An end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndDocument {
    /// The container's logical name.
    pub container: ContainerName,
    /// The interface's name in the container.
    pub interface: IfName,
    /// Its address with prefix length.
    pub address: IpNetwork,
}

/// A point-to-point link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ELineDocument {
    /// Its id in the NSD.
    pub id: String,
    /// Its subnet.
    pub subnet: Ipv4Network,
    /// Whether frames go both ways.
    pub bidirectional: bool,
    /// The flow rules' cookie.
    pub cookie: u32,
    /// The flow rules' priority.
    pub priority: u32,
    /// Two ends.
    pub ends: Vec<EndDocument>,
}

/// A segment of any number of members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ELanDocument {
    /// Its id in the NSD, or `<vnf_id>:<link id>`.
    pub id: String,
    /// Its subnet.
    pub subnet: Ipv4Network,
    /// Its members, in the order of the references.
    pub members: Vec<EndDocument>,
}

/// A service access point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SapDocument {
    /// The connection point's id as the NSD writes it.
    pub id: String,
    /// `external`, `internal` or `management`.
    pub kind: String,
    /// Where it is joined to the network.
    pub datacenter: DcName,
    /// The subnet of its first link; `None`: it is on none.
    pub subnet: Option<Ipv4Network>,
    /// Its address on that link.
    pub address: Option<IpNetwork>,
    /// Its container's logical name; `None`: it is an interface of the host.
    pub container: Option<ContainerName>,
    /// Its name in the links.
    pub name: ContainerName,
    /// The interface, in the container or on the host; `None`: the container has none.
    pub interface: Option<IfName>,
    /// Whether what comes in by it may leave the host.
    pub nat: bool,
}

impl SapDocument {
    pub(crate) fn new(sap: &SapPlan, plan: &InstancePlan) -> Self {
        let is_it = |end: &&LinkEnd| end.container == sap.name;
        let first = plan.links.iter().find_map(|link| Some((link, link.ends.iter().find(is_it)?)));
        let (container, interface, nat) = match &sap.place {
            SapPlace::Host { port } => {
                (None, Some(port.ifname.clone()), port.host.is_some_and(|host| host.nat))
            }
            SapPlace::Container => {
                let container = plan.containers.iter().find(|container| container.name == sap.name);
                let interface = container.and_then(|it| it.interfaces.first());
                (Some(sap.name.clone()), interface.map(|interface| interface.port.ifname.clone()), false)
            }
        };
        Self {
            id: sap.id.clone(),
            kind: sap.kind.as_str().to_owned(),
            datacenter: sap.datacenter.clone(),
            subnet: first.map(|(link, _)| link.subnet),
            address: first.map(|(_, end)| end.address),
            container,
            name: sap.name.clone(),
            interface,
            nat,
        }
    }
}

/// `vnf_id` -> `vnf_name`.
pub(super) fn vnfs(descriptors: &Descriptors) -> BTreeMap<String, String> {
    let functions = descriptors.nsd.functions.iter();
    functions.map(|function| (function.vnf_id.clone(), function.vnf_name.clone())).collect()
}

impl From<&InstancePlan> for InstanceDocument {
    fn from(plan: &InstancePlan) -> Self {
        let mut document = Self {
            ssiid: plan.ssiid,
            name: plan.name.clone(),
            placement: plan.placement.clone(),
            containers: plan.containers.iter().map(ContainerDocument::from).collect(),
            elines: Vec::new(),
            elans: Vec::new(),
            saps: plan.saps.iter().map(|sap| SapDocument::new(sap, plan)).collect(),
        };
        for LinkPlan { id, subnet, chain, ends, .. } in &plan.links {
            let (id, subnet) = (id.clone(), *subnet);
            let ends = ends.iter().map(EndDocument::from).collect();
            match chain {
                Some(chain) => document.elines.push(ELineDocument {
                    id,
                    subnet,
                    bidirectional: chain.bidirectional,
                    cookie: chain.cookie,
                    priority: chain.priority,
                    ends,
                }),
                None => document.elans.push(ELanDocument { id, subnet, members: ends }),
            }
        }
        document
    }
}

impl From<&ContainerPlan> for ContainerDocument {
    fn from(plan: &ContainerPlan) -> Self {
        let spec = &plan.spec;
        let mode = |read_only| if read_only { "ro" } else { "rw" };
        let volumes = spec.binds.iter();
        let devices = spec.devices.iter();
        Self {
            name: plan.name.clone(),
            engine_name: spec.name.clone(),
            vnf_id: plan.vnf_id.clone(),
            du_id: plan.du_id.clone(),
            datacenter: spec.datacenter.clone(),
            image: spec.image.clone(),
            cpuset_cpus: spec.cpu.cpuset.clone(),
            cpu_period: spec.cpu.period_us,
            cpu_quota: spec.cpu.quota_us,
            mem_limit: spec.memory_bytes,
            ports: spec
                .exposed
                .iter()
                .map(|exposed| PortDocument { port: exposed.port, protocol: exposed.protocol })
                .collect(),
            port_bindings: spec
                .published
                .iter()
                .map(|binding| BindingDocument {
                    container: binding.container,
                    protocol: binding.protocol,
                    host: binding.host,
                })
                .collect(),
            environment: spec.environment.clone(),
            volumes: volumes
                .map(|b| format!("{}:{}:{}", b.host.display(), b.container.display(), mode(b.read_only)))
                .collect(),
            ipc_mode: spec.ipc_mode.clone(),
            devices: devices
                .map(|d| format!("{}:{}:{}", d.host.display(), d.container.display(), d.permissions))
                .collect(),
            cap_add: spec.cap_add.clone(),
            interfaces: plan.interfaces.iter().map(InterfaceDocument::from).collect(),
            management: plan.management.clone(),
        }
    }
}

impl From<&InterfacePlan> for InterfaceDocument {
    fn from(plan: &InterfacePlan) -> Self {
        Self {
            id: plan.id.clone(),
            name: plan.port.ifname.clone(),
            address: plan.static_address,
            mac: plan.port.mac,
        }
    }
}

impl From<&LinkEnd> for EndDocument {
    fn from(end: &LinkEnd) -> Self {
        Self { container: end.container.clone(), interface: end.interface.clone(), address: end.address }
    }
}
