//! Topologies as large networks have them.

use std::collections::BTreeMap;

use llcm_names::DcName;
use llcm_topology::{Capacity, DataCenter, Link, LinkEnd, LinkProperties, Topology};

use crate::Lots;

/// One in so many data centers gets a link beside those that join all.
const LINKS_BESIDE: usize = 4;

/// A connected topology of `d0` to `d<count - 1>` that is sparse as those of the Internet Topology Zoo (Knight et al., 2011) are:
/// data centers at places that look drawn, each joined with the nearest one before it, and a quarter as many short
/// links beside, which makes a mean degree of 2.5. Links limit nothing. The same in every run.
///
/// # Panics
/// When `count` is 0.
#[must_use]
pub fn zoo(count: usize) -> Topology {
    assert!(count > 0, "a topology has a data center");
    let mut lots = Lots::new(2011);
    let places: Vec<[u64; 2]> = (0..count).map(|_| [lots.below(1 << 20), lots.below(1 << 20)]).collect();
    let distance = |a: usize, b: usize| -> u64 {
        places[a].iter().zip(places[b]).map(|(a, b)| a.abs_diff(b) * a.abs_diff(b)).sum()
    };
    let nearest =
        |to: usize, among: &mut dyn Iterator<Item = usize>| among.min_by_key(|it| distance(*it, to));
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for next in 1..count {
        pairs.extend(nearest(next, &mut (0..next)).map(|near| (near, next)));
    }
    // The nearest ones to which a data center has no link yet.
    for _ in 0..count / LINKS_BESIDE {
        let from = lots.pick(count);
        let joined: Vec<usize> = pairs
            .iter()
            .filter_map(|(a, b)| if *a == from { Some(*b) } else { (*b == from).then_some(*a) })
            .chain([from])
            .collect();
        pairs.extend(
            nearest(from, &mut (0..count).filter(|it| !joined.contains(it))).map(|near| (from, near)),
        );
    }
    let name = |number: usize| DcName::parse(&format!("d{number}")).expect("a data center's name");
    let end = |number| LinkEnd { dc: name(number), egress: LinkProperties::default() };
    let datacenter = |number| DataCenter {
        name: name(number),
        metadata: BTreeMap::new(),
        capacity: Capacity::default(),
        engine: None,
    };
    Topology {
        datacenters: (0..count).map(datacenter).collect(),
        links: pairs
            .into_iter()
            .map(|(a, b)| Link { name: format!("d{a}-d{b}"), a: end(a), b: end(b), up: true })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use llcm_topology::Paths;

    use super::*;

    #[test]
    fn a_zoo_is_connected_sparse_and_always_the_same() {
        for count in [1, 2, 3, 200] {
            let topology = zoo(count);
            assert_eq!(topology.datacenters.len(), count);
            assert!(Paths::new(&topology).is_connected(), "{count}");
            assert_eq!(topology, zoo(count));
        }
        let links = zoo(200).links;
        assert_eq!(links.len(), 199 + 50);
        let mut names: Vec<_> = links.iter().map(|link| &link.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), links.len(), "no link is twice");
    }
}
