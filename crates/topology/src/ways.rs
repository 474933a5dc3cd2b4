//! Which links traffic between some data centers can ever take.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use llcm_names::DcName;

use crate::model::Topology;

/// The ways through a topology, whichever of its links are up and however slow they are: any way that goes through no
/// data center twice can become the shortest one.
#[derive(Debug)]
pub struct Ways<'a> {
    numbers: BTreeMap<&'a DcName, usize>,
    /// By data center: those that it is joined to.
    joined: Vec<Vec<usize>>,
}

/// A side of a data center on a way: ways enter and then leave, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    In,
    Out,
}

impl<'a> Ways<'a> {
    /// Those of a topology.
    #[must_use]
    pub fn new(topology: &'a Topology) -> Self {
        let numbers: BTreeMap<_, _> =
            topology.datacenters.iter().enumerate().map(|(number, dc)| (&dc.name, number)).collect();
        let mut joined = vec![Vec::new(); topology.datacenters.len()];
        for link in &topology.links {
            if let (Some(&a), Some(&b)) = (numbers.get(&link.a.dc), numbers.get(&link.b.dc)) {
                joined[a].push(b);
                joined[b].push(a);
            }
        }
        Self { numbers, joined }
    }

    /// Whether a way from one of the sites to another one can lead over a link with these ends. It does not when what is
    /// behind the link has no site, or can only be left as it was entered.
    #[must_use]
    pub fn lead_over(&self, ends: [&DcName; 2], sites: &BTreeSet<&DcName>) -> bool {
        let [Some(&first), Some(&second)] = ends.map(|end| self.numbers.get(end)) else { return false };
        let sites: BTreeSet<usize> =
            sites.iter().filter_map(|site| self.numbers.get(site).copied()).collect();
        // Two ways that share no data center, from the ends to different sites: a flow of two, found by augmenting
        // twice (Ford and Fulkerson), for which each data center is split into where it is entered and left.
        let Some(way) = self.nearest(first, &sites) else { return false };
        self.augmented(&way, second, &sites)
    }

    /// The shortest way to a site, from the beginning to the site.
    fn nearest(&self, from: usize, sites: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let mut before: Vec<Option<usize>> = vec![None; self.joined.len()];
        let mut waiting = VecDeque::from([from]);
        while let Some(here) = waiting.pop_front() {
            if sites.contains(&here) {
                let mut way = vec![here];
                while let Some(previous) = before[way[way.len() - 1]] {
                    way.push(previous);
                }
                way.reverse();
                return Some(way);
            }
            for &next in &self.joined[here] {
                if next != from && before[next].is_none() {
                    before[next] = Some(here);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    /// Whether beside that way, or with parts of it, there can be another one from `from` to another site.
    fn augmented(&self, way: &[usize], from: usize, sites: &BTreeSet<usize>) -> bool {
        let (mut previous, mut on_way) = (BTreeMap::new(), BTreeSet::new());
        for pair in way.windows(2) {
            previous.insert(pair[1], pair[0]);
        }
        on_way.extend(way.iter().copied());
        let taken = way.last();
        let mut seen = vec![[false; 2]; self.joined.len()];
        let mut waiting = vec![(from, Side::In)];
        while let Some((here, side)) = waiting.pop() {
            if std::mem::replace(&mut seen[here][side as usize], true) {
                continue;
            }
            match side {
                // What is on the way already can only be gone back from, so that the way leads on from there.
                Side::In if on_way.contains(&here) => {
                    waiting.extend(previous.get(&here).map(|&before| (before, Side::Out)));
                }
                Side::In => waiting.push((here, Side::Out)),
                Side::Out => {
                    if sites.contains(&here) && taken != Some(&here) {
                        return true;
                    }
                    if on_way.contains(&here) {
                        waiting.push((here, Side::In));
                    }
                    let onward = self.joined[here].iter().filter(|&&next| previous.get(&next) != Some(&here));
                    waiting.extend(onward.map(|&next| (next, Side::In)));
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether some way between the sites, without a data center twice, leads from `a` to `b` or back: all are tried.
    fn tried(ways: &Ways<'_>, a: usize, b: usize, sites: &BTreeSet<usize>) -> bool {
        fn walk(ways: &Ways<'_>, way: &mut Vec<usize>, ends: [usize; 2], sites: &BTreeSet<usize>) -> bool {
            let here = way[way.len() - 1];
            let over = way.windows(2).any(|pair| pair == ends || [pair[1], pair[0]] == ends);
            if way.len() > 1 && over && sites.contains(&here) {
                return true;
            }
            ways.joined[here].iter().any(|&next| {
                if way.contains(&next) {
                    return false;
                }
                way.push(next);
                let found = walk(ways, way, ends, sites);
                way.pop();
                found
            })
        }
        sites.iter().any(|&site| walk(ways, &mut vec![site], [a, b], sites))
    }

    #[test]
    fn all_links_of_small_networks_are_as_trying_all_ways_says() {
        // Numbers of a generator (Knuth's MMIX), so that each run has the same networks.
        let mut seed = 1_u64;
        let mut below = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        let names: Vec<String> = (0..7).map(|number| format!("d{number}")).collect();
        let (mut used, mut unused) = (0, 0);
        for _ in 0..400 {
            let links: Vec<String> = (0..5 + below(5))
                .map(|_| (below(7), below(7)))
                .filter(|(a, b)| a != b)
                .map(|(a, b)| format!("[d{a}, d{b}]"))
                .collect();
            let file = format!("datacenters: [{}]\nlinks: [{}]", names.join(", "), links.join(", "));
            let topology = crate::load(file.as_bytes()).0.unwrap();
            let ways = Ways::new(&topology);
            let sites: BTreeSet<usize> =
                (0..2 + below(2)).map(|_| usize::try_from(below(7)).unwrap()).collect();
            let named: BTreeSet<&DcName> =
                sites.iter().map(|&site| &topology.datacenters[site].name).collect();
            for link in &topology.links {
                let [a, b] = [&link.a.dc, &link.b.dc];
                let expected = tried(&ways, ways.numbers[a], ways.numbers[b], &sites);
                assert_eq!(ways.lead_over([a, b], &named), expected, "{file} {}: {named:?}", link.name);
                if expected { used += 1 } else { unused += 1 }
            }
        }
        assert!(used > 200 && unused > 200, "{used} {unused}");
    }
}
