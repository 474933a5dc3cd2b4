//! Shortest paths between data centers.

use std::collections::BTreeMap;
use std::ops::Add;
use std::sync::OnceLock;

use llcm_names::DcName;
use petgraph::Direction;
use petgraph::algo::dijkstra;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::model::{Link, LinkProperties, Topology};

/// The MTU of a link that does not state one, in bytes.
const DEFAULT_MTU: u32 = 9000;

/// A step of a path: over a link, out of one data center and into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop<'a> {
    /// The link.
    pub link: &'a Link,
    /// The data center it leaves.
    pub from: &'a DcName,
    /// The data center it reaches.
    pub to: &'a DcName,
}

impl<'a> Hop<'a> {
    /// What traffic in this direction experiences.
    #[must_use]
    pub fn properties(&self) -> &'a LinkProperties {
        if self.link.a.dc == *self.from { &self.link.a.egress } else { &self.link.b.egress }
    }
}

/// A path, from the first hop to the last; without hops from a data center to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    /// Its hops.
    pub hops: Vec<Hop<'a>>,
}

impl Path<'_> {
    /// The sum of the delays in microseconds.
    #[must_use]
    pub fn delay_us(&self) -> u64 {
        self.hops.iter().fold(0, |sum: u64, hop| sum.saturating_add(hop.properties().delay_us))
    }

    /// The largest IP packet in bytes that gets through unfragmented; 9000 for a path without hops.
    #[must_use]
    pub fn mtu(&self) -> u32 {
        let mtus = self.hops.iter().map(|hop| hop.properties().mtu.unwrap_or(DEFAULT_MTU));
        mtus.min().unwrap_or(DEFAULT_MTU)
    }

    /// The bandwidth of its slowest link in bits per second; `None`: not limited.
    #[must_use]
    pub fn bandwidth_bps(&self) -> Option<u64> {
        self.hops.iter().filter_map(|hop| hop.properties().bandwidth_bps).min()
    }
}

/// The length of a path: by delay, then by hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Length {
    delay_us: u64,
    hops: u32,
}

impl Add for Length {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            delay_us: self.delay_us.saturating_add(other.delay_us),
            hops: self.hops.saturating_add(other.hops),
        }
    }
}

/// The paths of a topology: computed when asked for, once per source.
#[derive(Debug)]
pub struct Paths<'a> {
    nodes: BTreeMap<&'a DcName, NodeIndex>,
    /// Two edges for each link that is up, in the order of the links.
    graph: DiGraph<&'a DcName, Hop<'a>>,
    /// By source: the lengths to all that can be reached.
    lengths: Vec<OnceLock<BTreeMap<NodeIndex, Length>>>,
}

impl<'a> Paths<'a> {
    /// The paths of a topology.
    #[must_use]
    pub fn new(topology: &'a Topology) -> Self {
        let mut graph = DiGraph::new();
        let nodes: BTreeMap<&DcName, NodeIndex> =
            topology.datacenters.iter().map(|dc| (&dc.name, graph.add_node(&dc.name))).collect();
        for link in topology.links.iter().filter(|link| link.up) {
            for (from, to) in [(&link.a.dc, &link.b.dc), (&link.b.dc, &link.a.dc)] {
                if let (Some(&source), Some(&target)) = (nodes.get(from), nodes.get(to)) {
                    graph.add_edge(source, target, Hop { link, from, to });
                }
            }
        }
        let lengths = topology.datacenters.iter().map(|_| OnceLock::new()).collect();
        Self { nodes, graph, lengths }
    }

    /// The topology's own copy of a name; `None` when it has no such data center.
    #[must_use]
    pub fn name(&self, dc: &DcName) -> Option<&'a DcName> {
        self.nodes.get_key_value(dc).map(|(name, _)| *name)
    }

    /// The shortest path, by delay, then by hops; among equals the one whose last hops stand first in the
    /// topology, so that equal topologies have equal paths. `None` when there is no path or no such data
    /// center.
    #[must_use]
    pub fn between(&self, from: &DcName, to: &DcName) -> Option<Path<'a>> {
        let (source, target) = (*self.nodes.get(from)?, *self.nodes.get(to)?);
        let lengths = self.lengths_from(source)?;
        let mut here = target;
        let mut length = *lengths.get(&here)?;
        let mut hops = Vec::new();
        // Every step back has one hop less to go.
        while here != source {
            let step = self
                .graph
                .edges_directed(here, Direction::Incoming)
                .filter(|edge| {
                    lengths.get(&edge.source()).is_some_and(|l| *l + weigh(edge.weight()) == length)
                })
                .min_by_key(|edge| edge.id())?;
            hops.push(*step.weight());
            here = step.source();
            length = *lengths.get(&here)?;
        }
        hops.reverse();
        Some(Path { hops })
    }

    /// Whether every data center reaches every other one.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        let first = self.graph.node_indices().next();
        // Links go both ways, so that whatever one of them reaches, all reach.
        first
            .and_then(|first| self.lengths_from(first))
            .is_none_or(|reached| reached.len() == self.nodes.len())
    }

    fn lengths_from(&self, source: NodeIndex) -> Option<&BTreeMap<NodeIndex, Length>> {
        let cell = self.lengths.get(source.index())?;
        let compute =
            || dijkstra(&self.graph, source, None, |edge| weigh(edge.weight())).into_iter().collect();
        Some(cell.get_or_init(compute))
    }
}

fn weigh(hop: &Hop<'_>) -> Length {
    Length { delay_us: hop.properties().delay_us, hops: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(links: &str) -> Topology {
        let file = format!("datacenters: [a, b, c, d]\nlinks:\n{links}");
        let (topology, findings) = crate::load(file.as_bytes());
        assert!(findings.is_empty(), "{findings:?}");
        topology.unwrap()
    }

    fn walk(topology: &Topology, from: &str, to: &str) -> String {
        let paths = Paths::new(topology);
        let name = |text: &str| DcName::parse(text).unwrap();
        match paths.between(&name(from), &name(to)) {
            Some(path) => path.hops.iter().map(|hop| format!("{}:{} ", hop.link.name, hop.to)).collect(),
            None => "none".to_owned(),
        }
    }

    #[test]
    fn delay_counts_first_then_hops_then_the_order_of_the_file() {
        let slow = topology(
            "  - {ends: [a, b], delay: 10ms}\n  - {ends: [a, c], delay: 1ms}\n  - {ends: [c, b], delay: 1ms}\n",
        );
        assert_eq!(walk(&slow, "a", "b"), "a-c:c c-b:b ");
        let equal = topology("  - [a, c]\n  - [c, b]\n  - [a, b]\n  - [b, a]\n");
        assert_eq!(walk(&equal, "a", "b"), "a-b:b ");
        assert_eq!(walk(&equal, "b", "a"), "a-b:a ");
        assert_eq!(walk(&equal, "a", "a"), "");
        assert_eq!(walk(&equal, "a", "d"), "none");
        assert_eq!(walk(&equal, "a", "nowhere"), "none");
        assert!(!Paths::new(&equal).is_connected());
        let parallel = topology("  - [a, b]\n  - {ends: [b, a], name: second}\n  - [b, c]\n  - [c, d]\n");
        assert_eq!(walk(&parallel, "d", "a"), "c-d:c b-c:b a-b:a ");
        assert!(Paths::new(&parallel).is_connected());
    }

    #[test]
    fn no_path_leads_over_a_link_that_is_down() {
        let mut ring = topology("  - [a, b]\n  - [b, c]\n  - [c, a]\n  - {ends: [a, d], up: false}\n");
        assert_eq!(walk(&ring, "a", "b"), "a-b:b ");
        assert_eq!(walk(&ring, "a", "d"), "none");
        ring.links[0].up = false;
        assert_eq!(walk(&ring, "a", "b"), "c-a:c b-c:b ");
        assert_eq!(walk(&ring, "b", "a"), "b-c:c c-a:a ");
        ring.links[1].up = false;
        assert_eq!(walk(&ring, "a", "b"), "none");
        assert!(!Paths::new(&ring).is_connected());
    }

    #[test]
    fn each_direction_has_its_own_properties() {
        let file = "  - {ends: [a, b], delay: 1ms, bandwidth: 1Gbps, mtu: 2000, backward: {delay: 9ms, mtu: 1400}}\n  - {ends: [b, c], delay: 2ms, bandwidth: 10Mbps}\n";
        let topology = topology(file);
        let paths = Paths::new(&topology);
        let [a, c] = ["a", "c"].map(|text| DcName::parse(text).unwrap());
        let there = paths.between(&a, &c).unwrap();
        let back = paths.between(&c, &a).unwrap();
        assert_eq!((there.delay_us(), there.mtu(), there.bandwidth_bps()), (3000, 2000, Some(10_000_000)));
        assert_eq!((back.delay_us(), back.mtu()), (11_000, 1400));
    }
}
