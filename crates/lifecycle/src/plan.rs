//! The plan of an instance: every name, data center, port, address and segment, decided before anything is
//! done.
//!
//! [`build`] is a pure function of the descriptors, the topology, the settings, what is live ([`PlanState`])
//! and what the host has ([`HostFacts`]). Acting on an [`InstancePlan`] takes no further decision but one: a
//! start or stop script that the descriptors do not give may stand in the image's own environment
//! ([`Script::FromImage`]). The plan is what the journal records, so all of it can be serialised.
//!
//! How a service comes to run:
//! 1. [`images`]: what must be there before anything starts (onboarding);
//! 2. [`reserve`]: the service's subnets (at onboarding in dialect `tango`, within [`build`] in `sonata`);
//! 3. [`build`]: one instance; then [`PlanState::occupy`] makes what it uses unavailable to the next plan, and
//!    [`PlanState::release`] gives it back.
//!
//! [`plan_offline`] does all of it without a server, and [`document`] is its public JSON.

use ipnetwork::{IpNetwork, Ipv4Network};
use llcm_descriptors::{ConnectivityType, Diagnostic};
use llcm_names::{ContainerName, DcName, IfName, InstanceId, LinkGroup, Owner, PortId, Ssiid};
use llcm_placement::Quality;
use llcm_runtime::{ContainerSpec, PortSpec, SegmentSpec};
use serde::{Deserialize, Serialize};

use crate::settings::{Dialect, SapKind};

mod access;
mod build;
mod containers;
mod display;
pub mod document;
mod drafts;
mod environment;
mod findings;
mod images;
mod limits;
mod links;
mod management;
pub mod offline;
mod paths;
mod placing;
mod policy;
mod ports;
mod reserve;
mod saps;
mod service;
mod state;
mod volumes;

pub use build::{PlanRequest, build};
pub use document::{InstanceDocument, PlanDocument};
pub use environment::{container_names, parse_env_file};
pub use images::{ImageNeed, images};
pub(crate) use images::{image_of, place_of};
pub use offline::{PackageInput, plan_offline};
pub(crate) use paths::NO_PATH;
pub use reserve::reserve;
pub use saps::SAP_IMAGE;
pub use state::{HostFacts, PlanState};

/// What an instance will be, decided. Its `Display` is a text for people; its serialised form is what the
/// journal records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstancePlan {
    /// Whose everything is: installation and instance.
    pub owner: Owner,
    /// The service's number for this instance.
    pub ssiid: Ssiid,
    /// `<vendor>.<name>.<version>-inst.<SSIID>`, of the NSD.
    pub name: String,
    /// The conventions it follows.
    pub dialect: Dialect,
    /// The kernel group of its network devices.
    pub group: LinkGroup,
    /// How its units were placed; `None`: planned before that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<PlacementPlan>,
    /// Its containers, in starting order.
    pub containers: Vec<ContainerPlan>,
    /// Its links: the NSD's in their order, then the functions' internal ones.
    pub links: Vec<LinkPlan>,
    /// Its service access points, in the order of the NSD's connection points.
    #[serde(default)]
    pub saps: Vec<SapPlan>,
    /// Subnets that this instance holds by itself (in dialect `sonata` all, in `tango` those of external access
    /// points); those of the service are not in it.
    pub leases: Reserved,
    /// The placement's counter after this instance.
    pub placement_turn: u64,
    /// What deserves attention.
    pub warnings: Vec<Diagnostic>,
}

impl InstancePlan {
    /// The instance.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.owner.instance
    }

    /// The segments, in the order of the links.
    pub fn segments(&self) -> impl Iterator<Item = &SegmentSpec> {
        self.links.iter().map(|link| &link.segment)
    }

    /// The ports of all containers, in starting order, then those of the host.
    pub fn ports(&self) -> impl Iterator<Item = &PortSpec> {
        let containers = self.containers.iter();
        containers.flat_map(|container| container.interfaces.iter().map(|i| &i.port)).chain(self.host_ports())
    }

    /// The ports of the host: its external access points.
    pub fn host_ports(&self) -> impl Iterator<Item = &PortSpec> {
        self.saps.iter().filter_map(|sap| match &sap.place {
            SapPlace::Host { port } => Some(&**port),
            SapPlace::Container => None,
        })
    }
}

/// How the units of a plan were placed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PlacementPlan {
    /// The algorithm's name; `None`: one of the embedding program's own.
    pub algorithm: Option<String>,
    /// The round trips between the data centers of the links' ends, added up over all links as the algorithm `latency`
    /// does, in microseconds; `None`: some ends do not reach one another.
    pub round_trips_us: Option<u64>,
    /// Whether there is a better placement by the algorithm's own measure, if it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Quality>,
}

/// A container of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerPlan {
    /// Its logical name.
    pub name: ContainerName,
    /// The function it belongs to.
    pub vnf_id: String,
    /// The deployment unit it is.
    pub du_id: String,
    /// What the container driver gets.
    pub spec: ContainerSpec,
    /// Its interfaces, in the descriptor's order, with what the network driver gets.
    pub interfaces: Vec<InterfacePlan>,
    /// The connection point that the engine's own interface is (`docker_management`); it is none of `interfaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<ManagementPlan>,
    /// Run once, in the background, after all its interfaces are wired.
    pub start: Script,
    /// Run before the container is stopped.
    pub stop: Script,
    /// What it takes of its data center.
    pub load: Load,
}

impl ContainerPlan {
    /// The data center it runs in.
    #[must_use]
    pub fn datacenter(&self) -> &DcName {
        &self.spec.datacenter
    }
}

/// A connection point of a container that is no port: the engine's own interface takes its name, and keeps the
/// engine's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagementPlan {
    /// The connection point's id as the descriptor writes it.
    pub id: String,
    /// The interface's name in the container.
    pub name: IfName,
}

/// An interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfacePlan {
    /// The connection point's id as the descriptor writes it.
    pub id: String,
    /// The address that the descriptor gives it.
    pub static_address: Option<IpNetwork>,
    /// The interface in the container and its port in the data center.
    pub port: PortSpec,
}

/// A service access point of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SapPlan {
    /// The connection point's id as the NSD writes it.
    pub id: String,
    /// Its logical name: its container's, or what that would be.
    pub name: ContainerName,
    /// What it is.
    pub kind: SapKind,
    /// The data center that it is joined to.
    pub datacenter: DcName,
    /// Where it is.
    pub place: SapPlace,
}

/// Where a service access point is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum SapPlace {
    /// The container of its name, one of the plan's.
    Container,
    /// An interface of the host.
    Host {
        /// What the network driver gets.
        port: Box<PortSpec>,
    },
}

/// A script that is run in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Script {
    /// The descriptors or the environment files give it.
    Given {
        /// The command, for a shell.
        command: String,
    },
    /// The first of these keys that the image's own environment has, if any, holds the command.
    FromImage {
        /// Keys of the environment, in order.
        keys: Vec<String>,
    },
}

/// What units take of a data center.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Load {
    /// Units.
    pub units: u64,
    /// Thousandths of a CPU: the sum of the quotas.
    pub cpu_milli: u64,
    /// Bytes: the sum of the limits; units without a limit count nothing.
    pub memory_bytes: u64,
}

/// A link of a plan: one segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkPlan {
    /// The NSD's id of it, or `<vnf_id>:<link id>` for a function's internal link.
    pub id: String,
    /// How it is deployed: an E-Line with more than two endpoints has become an E-LAN.
    pub connectivity: ConnectivityType,
    /// Where its addresses are from.
    pub subnet: Ipv4Network,
    /// How frames are steered, for E-Lines.
    pub chain: Option<Chain>,
    /// Its ends, in the order of the references.
    pub ends: Vec<LinkEnd>,
    /// What the network driver gets.
    pub segment: SegmentSpec,
}

/// How the frames of an E-Line are steered: the originals' flow rules had these, and their clients see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Whether frames go both ways.
    pub bidirectional: bool,
    /// The flow rules' cookie.
    pub cookie: u32,
    /// The flow rules' priority.
    pub priority: u32,
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkEnd {
    /// The container, or the external access point's name.
    pub container: ContainerName,
    /// The interface's name in the container, or on the host.
    pub interface: IfName,
    /// Its port.
    pub port: PortId,
    /// Its address on this link: given out of the subnet, or static.
    pub address: IpNetwork,
}

/// Subnets held by a service or, in dialect `sonata`, by an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reserved {
    /// One per declared E-Line, in order.
    pub eline: Vec<Ipv4Network>,
    /// One per declared E-LAN or E-Tree, in order.
    pub elan: Vec<Ipv4Network>,
    /// One per external service access point that is the first on some link, in order.
    pub sap: Vec<Ipv4Network>,
}

impl Reserved {
    /// Adds what somebody else holds.
    pub fn append(&mut self, other: Self) {
        self.eline.extend(other.eline);
        self.elan.extend(other.elan);
        self.sap.extend(other.sap);
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Ipv4Network> + '_ {
        self.eline.iter().chain(&self.elan).chain(&self.sap).copied()
    }
}

#[cfg(test)]
mod tests;
