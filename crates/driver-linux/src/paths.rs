//! Which link a data center sends to another one over: shortest by delay, then by hops.

use std::collections::BTreeMap;

use llcm_names::DcName;
use llcm_topology::{Link, LinkEnd, Topology};

/// The first step from one data center towards another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    /// The link to take.
    pub(crate) link: &'a Link,
    /// The data center at its far end.
    pub(crate) next: &'a DcName,
}

/// The first step from `from` to every data center it can reach. Among equally short paths the one whose
/// links stand first in the topology is taken, so that the same topology always has the same routes.
pub(crate) fn first_hops<'a>(topology: &'a Topology, from: &'a DcName) -> BTreeMap<&'a DcName, Hop<'a>> {
    let mut done: BTreeMap<&DcName, Hop<'_>> = BTreeMap::new();
    // Distance (delay, hops, order of discovery) and the first step there.
    let mut open: BTreeMap<(u64, usize, usize), (&DcName, Option<Hop<'_>>)> = BTreeMap::new();
    let mut visited: Vec<&DcName> = Vec::new();
    let mut order = 0;
    open.insert((0, 0, 0), (from, None));
    while let Some(((delay, hops, _), (here, first))) = open.pop_first() {
        if visited.contains(&here) {
            continue;
        }
        visited.push(here);
        if let Some(first) = &first {
            done.insert(here, first.clone());
        }
        for link in &topology.links {
            for (near, far) in [(&link.a, &link.b), (&link.b, &link.a)] {
                if near.dc == *here && !visited.contains(&&far.dc) {
                    order += 1;
                    let step = first.clone().unwrap_or(Hop { link, next: &far.dc });
                    let distance = delay.saturating_add(near.egress.delay_us);
                    open.insert((distance, hops + 1, order), (&far.dc, Some(step)));
                }
            }
        }
    }
    done
}

/// The two ends of a link, with their position.
pub(crate) fn ends(link: &Link) -> [(usize, &LinkEnd); 2] {
    [(0, &link.a), (1, &link.b)]
}

#[cfg(test)]
mod tests {
    use llcm_topology::{Capacity, DataCenter, LinkProperties};

    use super::*;

    fn topology(names: &[&str], links: &[(&str, &str, u64)]) -> Topology {
        let dc = |name: &str| DataCenter {
            name: DcName::parse(name).unwrap(),
            metadata: BTreeMap::new(),
            capacity: Capacity::default(),
            engine: None,
        };
        let end = |name: &str, delay_us| LinkEnd {
            dc: DcName::parse(name).unwrap(),
            egress: LinkProperties { delay_us, ..LinkProperties::default() },
        };
        Topology {
            datacenters: names.iter().map(|name| dc(name)).collect(),
            links: links
                .iter()
                .map(|(a, b, delay)| Link { name: format!("{a}-{b}"), a: end(a, *delay), b: end(b, *delay) })
                .collect(),
        }
    }

    #[track_caller]
    fn check(links: &[(&str, &str, u64)], from: &str, expect: &[(&str, &str)]) {
        let topology = topology(&["a", "b", "c", "d"], links);
        let from = DcName::parse(from).unwrap();
        let hops = first_hops(&topology, &from);
        let found: Vec<(&str, &str)> =
            hops.iter().map(|(to, hop)| (to.as_str(), hop.link.name.as_str())).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn without_delays_the_fewest_hops_win() {
        let ring = [("a", "b", 0), ("b", "c", 0), ("c", "d", 0), ("a", "d", 0)];
        check(&ring, "a", &[("b", "a-b"), ("c", "a-b"), ("d", "a-d")]);
    }

    #[test]
    fn the_least_delay_wins_over_hops() {
        check(&[("a", "c", 30), ("a", "b", 10), ("b", "c", 10)], "a", &[("b", "a-b"), ("c", "a-b")]);
    }

    #[test]
    fn what_cannot_be_reached_has_no_hop() {
        check(&[("b", "c", 0)], "a", &[]);
    }
}
