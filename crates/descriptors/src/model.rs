//! The strict model: what a package means, after every default and every alternative spelling is resolved.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use llcm_names::{IfName, MacAddr, Port, Protocol};
use serde::{Deserialize, Serialize};

/// All that a package describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Descriptors {
    /// The package itself.
    pub package: PackageInfo,
    /// The network service.
    pub nsd: Nsd,
    /// The functions' descriptors that the service uses, by their names (`vnf_name`).
    pub vnfds: BTreeMap<String, Vnfd>,
}

/// The package format, told from the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageKind {
    /// 5GTANGO: `TOSCA-Metadata/NAPD.yaml`.
    Tgo,
    /// SONATA: `META-INF/MANIFEST.MF`.
    Son,
}

/// What identifies a package or descriptor. Real ones agree in nothing but the name: never link by all three.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Triple {
    /// Vendor; empty when missing.
    pub vendor: String,
    /// Name.
    pub name: String,
    /// Version as written; empty when missing.
    pub version: String,
}

impl std::fmt::Display for Triple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.vendor, self.name, self.version)
    }
}

/// The package's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageInfo {
    /// Its format.
    pub kind: PackageKind,
    /// Its identity.
    pub id: Triple,
}

/// A network service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nsd {
    /// Its identity.
    pub id: Triple,
    /// The file it stands in, for diagnostics.
    pub document: String,
    /// Its functions, in the descriptor's order, `vnf_id`s unique.
    pub functions: Vec<NetworkFunction>,
    /// The ids of its own connection points, in the descriptor's order.
    pub connection_points: Vec<ServiceConnectionPoint>,
    /// Its virtual links, in the descriptor's order.
    pub links: Vec<VirtualLink>,
    /// Whether it has a `forwarding_graphs` key: the condition under which its links are deployed.
    pub has_forwarding_graphs: bool,
}

/// A service's own connection point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceConnectionPoint {
    /// As written (`input`, `ns:input`).
    pub id: String,
    /// As written (`external`, `internal`, `management`); empty when missing.
    pub kind: String,
}

/// One use of a function in a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkFunction {
    /// Unique in the service.
    pub vnf_id: String,
    /// The VNFD's name: a key of [`Descriptors::vnfds`].
    pub vnf_name: String,
}

/// How a link's endpoints are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConnectivityType {
    /// Point to point.
    #[serde(rename = "E-Line")]
    ELine,
    /// Any to any.
    #[serde(rename = "E-LAN")]
    ELan,
    /// Leaves reach roots.
    #[serde(rename = "E-Tree")]
    ETree,
}

impl ConnectivityType {
    /// The field's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ELine => "E-Line",
            Self::ELan => "E-LAN",
            Self::ETree => "E-Tree",
        }
    }
}

/// A virtual link of a service or, between the units of one function, of a VNFD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VirtualLink {
    /// Its id; made of its position when missing.
    pub id: String,
    /// How its endpoints are joined.
    pub connectivity: ConnectivityType,
    /// Its endpoints, in the descriptor's order.
    pub endpoints: Vec<Endpoint>,
    /// The endpoints named as roots of an E-Tree, where the descriptor names any.
    pub roots: Vec<Endpoint>,
    /// The place in the document, for diagnostics (`virtual_links[2]`).
    pub path: String,
}

/// A reference to a connection point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "of")]
pub enum Endpoint {
    /// `vnf0:input`: of a function (in an NSD) or of a deployment unit (in a VNFD).
    Function {
        /// The `vnf_id`, or the unit's id.
        id: String,
        /// The connection point.
        cp: String,
    },
    /// `input` or `ns:input`: of the service (in an NSD) or of the function (in a VNFD).
    Own {
        /// The connection point, without `ns:`.
        cp: String,
    },
}

/// A network function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Vnfd {
    /// Its identity.
    pub id: Triple,
    /// The file it stands in, for diagnostics.
    pub document: String,
    /// The function's own connection points, in the descriptor's order.
    pub interfaces: Vec<Interface>,
    /// Ports that stand with those, likewise; containers of dialect `sonata` listen on them.
    #[serde(default)]
    pub exposed: Vec<(Port, Protocol)>,
    /// Published ports that stand with those: container port, protocol, declared host port.
    #[serde(default)]
    pub published: Vec<(Port, Protocol, Port)>,
    /// Startable units: first virtual, then cloud-native ones, in the descriptor's order, ids unique.
    pub units: Vec<DeploymentUnit>,
    /// Its internal virtual links.
    pub links: Vec<VirtualLink>,
}

/// A unit that becomes a container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeploymentUnit {
    /// Unique in the function.
    pub id: String,
    /// The place in the document, for diagnostics (`virtual_deployment_units[0]`).
    pub path: String,
    /// Where its image comes from.
    pub image: ImageSource,
    /// The CPU list as written, blanks removed (`cpuset`, `cores` or `vcpus`); `None` when missing.
    pub cpu_list: Option<String>,
    /// `vcpus` as a number, where it is one: for the setting that takes it as a count.
    pub vcpus: Option<f64>,
    /// `cpu_bw`: the share of the CPU time of one CPU, default 1.0.
    pub cpu_bandwidth: f64,
    /// Memory limit; `None`: not limited.
    pub memory: Option<MemorySize>,
    /// The unit's own interfaces, in the descriptor's order.
    pub interfaces: Vec<Interface>,
    /// Ports it listens on, in the descriptor's order, without repetitions.
    pub exposed: Vec<(Port, Protocol)>,
    /// Published ports: container port, protocol, declared host port.
    pub published: Vec<(Port, Protocol, Port)>,
    /// Environment of its `parameters.env`.
    pub environment: BTreeMap<String, String>,
    /// `vm_cmd_start`, when not empty and not "None".
    pub start_command: Option<String>,
    /// `vm_cmd_stop`, likewise.
    pub stop_command: Option<String>,
    /// `ipc_mode`.
    pub ipc_mode: Option<String>,
    /// `devices`, as written (`/dev/x[:/dev/y[:rwm]]`).
    pub devices: Vec<String>,
    /// `cap_add`, upper case, without `CAP_`.
    pub cap_add: Vec<String>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "from")]
pub enum ImageSource {
    /// An image reference, for the engine and its registries.
    Reference {
        /// `http://` stripped.
        reference: String,
    },
    /// A Dockerfile inside the package.
    Dockerfile {
        /// Its path within the package.
        path: String,
    },
}

/// Bytes of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemorySize(pub u64);

/// A connection point that becomes a network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// As written.
    pub id: String,
    /// The interface's name, unique within its unit.
    pub name: IfName,
    /// As written (`internal`, `external`, `management`); empty when missing.
    pub kind: String,
    /// Static address with prefix length.
    pub address: Option<IpNetwork>,
    /// Static MAC address.
    pub mac: Option<MacAddr>,
}
