//! Shortest paths between data centers.

use llcm_names::DcName;

use crate::model::{DEFAULT_MTU, Link, LinkProperties, Topology};
use crate::trees::{Step, Trees};

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

/// The paths of a topology: computed when asked for, once per source.
#[derive(Debug)]
pub struct Paths<'a> {
    topology: &'a Topology,
    trees: Trees,
}

impl<'a> Paths<'a> {
    /// The paths of a topology: over the links that are up.
    #[must_use]
    pub fn new(topology: &'a Topology) -> Self {
        Self { topology, trees: Trees::new(topology) }
    }

    /// The paths that there are when all links are up.
    #[must_use]
    pub fn of_all_links(topology: &'a Topology) -> Self {
        Self { topology, trees: Trees::of_all_links(topology) }
    }

    /// The topology's own copy of a name; `None` when it has no such data center.
    #[must_use]
    pub fn name(&self, dc: &DcName) -> Option<&'a DcName> {
        Some(&self.topology.datacenters.get(self.trees.number(dc)?)?.name)
    }

    /// The shortest path, by delay, then by hops; among equals the one whose last hops stand first in the
    /// topology, so that equal topologies have equal paths. `None` when there is no path or no such data
    /// center.
    #[must_use]
    pub fn between(&self, from: &DcName, to: &DcName) -> Option<Path<'a>> {
        let steps = self.trees.back(self.trees.number(from)?, self.trees.number(to)?)?;
        let hop = |step: &Step| {
            let link = self.topology.links.get(step.link)?;
            let (from, to) = if step.backward { (&link.b, &link.a) } else { (&link.a, &link.b) };
            Some(Hop { link, from: &from.dc, to: &to.dc })
        };
        let hops: Option<Vec<_>> = steps.iter().rev().map(hop).collect();
        Some(Path { hops: hops? })
    }

    /// The delay of the shortest path in microseconds; `None` as for [`Paths::between`].
    #[must_use]
    pub fn delay_us(&self, from: &DcName, to: &DcName) -> Option<u64> {
        self.trees.delay_us(self.trees.number(from)?, self.trees.number(to)?)
    }

    /// [`Trees::delay_us`]: for those who count data centers as the topology does.
    #[must_use]
    pub fn delay_by_number_us(&self, from: usize, to: usize) -> Option<u64> {
        self.trees.delay_us(from, to)
    }

    /// [`Trees::round_trips_us`]: likewise.
    #[must_use]
    pub fn round_trips_us(&self, of: usize) -> Vec<Option<u64>> {
        self.trees.round_trips_us(of)
    }

    /// Whether every data center reaches every other one.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        // Links go both ways, so that whatever one of them reaches, all reach.
        (0..self.topology.datacenters.len()).all(|number| self.trees.back(0, number).is_some())
    }
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
        assert!(Paths::of_all_links(&ring).is_connected());
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
        assert_eq!((paths.delay_us(&a, &c), paths.delay_us(&c, &a)), (Some(3000), Some(11_000)));
        assert_eq!(
            (paths.delay_us(&a, &a), paths.delay_us(&a, &DcName::parse("d").unwrap())),
            (Some(0), None)
        );
        let there_and_back = [Some(0), Some(10_000), Some(14_000), None];
        assert_eq!(paths.round_trips_us(0), there_and_back);
        assert_eq!(paths.round_trips_us(4), vec![]);
    }

    /// What is kept of a path, and what is found the other way round, is what walking the path says.
    #[test]
    fn delays_are_those_of_the_paths() {
        let file = "  - {ends: [a, b], delay: 7ms, backward: {delay: 1ms}}\n  - {ends: [b, c], delay: 2ms}\n  - {ends: [c, a], \
                    delay: 3ms, backward: {delay: 20ms}}\n  - {ends: [a, c], delay: 4ms, name: second}\n";
        let topology = topology(file);
        let paths = Paths::new(&topology);
        for (of, from) in topology.datacenters.iter().enumerate() {
            let walked = topology.datacenters.iter().enumerate().map(|(number, to)| {
                let there = paths.between(&from.name, &to.name).map(|path| path.delay_us());
                assert_eq!(paths.delay_us(&from.name, &to.name), there);
                assert_eq!(paths.delay_by_number_us(of, number), there);
                Some(there? + paths.between(&to.name, &from.name)?.delay_us())
            });
            assert_eq!(paths.round_trips_us(of), walked.collect::<Vec<_>>(), "{}", from.name);
        }
    }
}
