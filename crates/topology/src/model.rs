//! The checked topology: what everything above works with.

use std::collections::BTreeMap;

use llcm_names::DcName;
use serde::{Deserialize, Serialize};

/// The MTU of a link that does not state one, in bytes.
pub(crate) const DEFAULT_MTU: u32 = 9000;

/// Data centers in the order of the file (the order that placement follows) and the links between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// At least one, names unique, in the file's order.
    pub datacenters: Vec<DataCenter>,
    /// Every end names a data center of this topology; the two ends differ.
    pub links: Vec<Link>,
}

/// An emulated data center (point of presence).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataCenter {
    /// Unique within the topology.
    pub name: DcName,
    /// The author's own keys and values; nothing is decided by them.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// What the data center offers; what is not stated is not limited.
    #[serde(default)]
    pub capacity: Capacity,
    /// The name of the container engine that runs this data center's VNFs, where it is not the server's default one.
    /// Which engines there are is the server's to know: any name is read.
    #[serde(default)]
    pub engine: Option<String>,
}

/// What a data center offers. `None`: not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capacity {
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// Bytes.
    pub memory_bytes: Option<u64>,
}

/// A link between two data centers. Each direction has properties of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Unique within the topology: given, or made of the ends (`dc1-dc2`, `dc1-dc2.2` for a parallel one).
    pub name: String,
    /// One end, with the properties of the direction that leaves it.
    pub a: LinkEnd,
    /// The other end, likewise.
    pub b: LinkEnd,
    /// Whether it carries traffic. No path leads over a link that is down; it keeps its properties.
    #[serde(default = "up")]
    pub up: bool,
}

/// What a link is where nothing is said.
fn up() -> bool {
    true
}

/// One end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEnd {
    /// The data center at this end.
    pub dc: DcName,
    /// What traffic that leaves by this end experiences.
    pub egress: LinkProperties,
}

/// What traffic in one direction of a link experiences. `None` and 0: not emulated, the kernel's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkProperties {
    /// Bits per second.
    pub bandwidth_bps: Option<u64>,
    /// One-way delay in microseconds.
    pub delay_us: u64,
    /// Largest deviation from the delay in microseconds.
    pub jitter_us: u64,
    /// Lost packets per million.
    pub loss_ppm: u32,
    /// Largest IP packet that VNFs can send over the link unfragmented, in bytes. `None`: 9000.
    pub mtu: Option<u32>,
    /// Packets that may wait in the link's queue. `None`: as the rate needs.
    pub queue_packets: Option<u32>,
}

impl Topology {
    /// The data center of a name.
    #[must_use]
    pub fn datacenter(&self, name: &DcName) -> Option<&DataCenter> {
        self.datacenters.iter().find(|dc| dc.name == *name)
    }
}

/// What is used without a file: dc1 and dc2, joined by one link without limits.
#[must_use]
pub fn default_topology() -> Topology {
    let names: Vec<DcName> = ["dc1", "dc2"].into_iter().filter_map(|name| DcName::parse(name).ok()).collect();
    let end = |dc: &DcName| LinkEnd { dc: dc.clone(), egress: LinkProperties::default() };
    let links = names.windows(2).map(|pair| Link {
        name: format!("{}-{}", pair[0], pair[1]),
        a: end(&pair[0]),
        b: end(&pair[1]),
        up: true,
    });
    Topology {
        links: links.collect(),
        datacenters: names
            .iter()
            .map(|name| DataCenter {
                name: name.clone(),
                metadata: BTreeMap::new(),
                capacity: Capacity::default(),
                engine: None,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Links were written down without it before it could be changed.
    #[test]
    fn a_link_is_up_where_nothing_is_said() {
        let topology = default_topology();
        let mut written = serde_json::to_value(&topology).unwrap();
        let link = written["links"][0].as_object_mut().unwrap();
        assert_eq!(link.remove("up"), Some(serde_json::Value::Bool(true)));
        assert_eq!(serde_json::from_value::<Topology>(written).unwrap(), topology);
    }
}
