//! Segments and ports, decided by the plan down to the last name.

use std::net::Ipv4Addr;

use ipnetwork::IpNetwork;
use llcm_names::{DcName, EngineName, IfName, LinkGroup, MacAddr, Owner, PortId, SegmentId};
use serde::{Deserialize, Serialize};

/// An isolated layer-2 segment. `Eq` is the "same spec" of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentSpec {
    /// Whose it is.
    pub owner: Owner,
    /// Unique in the installation; the VXLAN network identifier.
    pub id: SegmentId,
    /// The kernel group of everything the segment's instance has.
    pub group: LinkGroup,
    /// How frames go between its ends.
    pub kind: SegmentKind,
    /// Its ends. An end names a port that may not exist yet: the two are joined when it is attached.
    pub ends: Vec<SegmentEnd>,
}

/// How frames go between the ends of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum SegmentKind {
    /// Point to point: exactly two ends, every frame type passes. Not `bidirectional`: only from the first
    /// end to the second.
    ELine {
        /// Whether frames also go from the second end to the first.
        bidirectional: bool,
    },
    /// Any to any.
    ELan,
    /// Leaves reach roots only.
    ETree,
}

/// One end of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEnd {
    /// The port.
    pub port: PortId,
    /// The data center the port is in.
    pub datacenter: DcName,
    /// Its role in an E-Tree; of no meaning elsewhere.
    pub role: TreeRole,
}

/// The role of an E-Tree's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TreeRole {
    /// Reaches everybody.
    #[default]
    Root,
    /// Reaches roots only.
    Leaf,
}

/// A container's interface and the data center's port it is plugged into. `Eq` is the "same spec" of the
/// contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Whose it is.
    pub owner: Owner,
    /// Unique in the installation.
    pub id: PortId,
    /// The kernel group of everything the port's instance has.
    pub group: LinkGroup,
    /// The data center.
    pub datacenter: DcName,
    /// The container, by its engine name, for messages and for drivers that attach by engine; of a port of the
    /// host, the name that the access point would have as a container.
    pub container: EngineName,
    /// The interface's name in the container.
    pub ifname: IfName,
    /// The interface's MAC address.
    pub mac: MacAddr,
    /// The interface's addresses with prefix lengths; may be empty.
    pub addresses: Vec<IpNetwork>,
    /// Largest IP packet in bytes.
    pub mtu: u32,
    /// The segments it is an end of; empty for an interface that is on no link.
    pub segments: Vec<SegmentId>,
    /// Hardware addresses of IPv4 neighbours that the interface knows from the beginning, because they could not
    /// answer when asked: those at the other ends of E-Lines that carry frames there only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<Neighbour>,
    /// The interface is the host's own, not a container's: an external service access point. Left out where it
    /// is not, so that ports of earlier versions stay the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostPort>,
}

/// A neighbour of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub address: Ipv4Addr,
    /// The hardware address.
    pub mac: MacAddr,
}

/// What is particular to an interface in the host's own network namespace, the one that the driver runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostPort {
    /// Whether what comes in by it may leave the host, with the host's address as its source. Else the host
    /// passes nothing on that comes in by it.
    pub nat: bool,
}
