//! Shortest-path trees by number: what [`Paths`](crate::Paths) walks, without the topology's lifetime.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::OnceLock;

use llcm_names::DcName;

use crate::model::{Link, Topology};

/// The length of a path: delay in microseconds, then hops.
type Length = (u64, u32);

/// A step of a path, in numbers of the topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Which data center it leaves, as the topology counts them.
    pub from: usize,
    /// Which one it reaches.
    pub to: usize,
    /// Which link it takes, as the topology counts them.
    pub link: usize,
    /// Whether it goes from the link's second end to the first.
    pub backward: bool,
}

/// The shortest paths of a topology, kept without it: a tree for each source, made when it is asked for first. What is
/// made of a topology says nothing of another one.
#[derive(Debug, Default)]
pub struct Trees {
    numbers: BTreeMap<DcName, usize>,
    /// Both directions of each link that counts, in the order of the links.
    edges: Vec<(Step, Length)>,
    /// By data center: the edges that leave it.
    leaving: Vec<Vec<usize>>,
    /// By source, then by data center: the last edge on the way there.
    trees: Vec<OnceLock<Vec<Option<usize>>>>,
}

impl Trees {
    /// Those of a topology: over the links that are up.
    #[must_use]
    pub fn new(topology: &Topology) -> Self {
        Self::over(topology, |link| link.up)
    }

    /// Those that there are when all links are up.
    #[must_use]
    pub fn of_all_links(topology: &Topology) -> Self {
        Self::over(topology, |_| true)
    }

    fn over(topology: &Topology, counts: impl Fn(&Link) -> bool) -> Self {
        let numbers: BTreeMap<DcName, usize> =
            topology.datacenters.iter().enumerate().map(|(number, dc)| (dc.name.clone(), number)).collect();
        let mut edges = Vec::new();
        let mut leaving = vec![Vec::new(); topology.datacenters.len()];
        for (link, Link { a, b, .. }) in topology.links.iter().enumerate().filter(|(_, link)| counts(link)) {
            let (Some(&first), Some(&second)) = (numbers.get(&a.dc), numbers.get(&b.dc)) else { continue };
            for (from, to, end, backward) in [(first, second, a, false), (second, first, b, true)] {
                leaving[from].push(edges.len());
                edges.push((Step { from, to, link, backward }, (end.egress.delay_us, 1)));
            }
        }
        let trees = topology.datacenters.iter().map(|_| OnceLock::new()).collect();
        Self { numbers, edges, leaving, trees }
    }

    /// The number of a data center.
    #[must_use]
    pub fn number(&self, dc: &DcName) -> Option<usize> {
        self.numbers.get(dc).copied()
    }

    /// The shortest path, as [`Paths::between`](crate::Paths::between) says, from the last step to the first. `None` when
    /// there is no path or no data center of such a number. Whatever lies on a path has the rest of it as its own
    /// path.
    #[must_use]
    pub fn back(&self, from: usize, to: usize) -> Option<Vec<Step>> {
        let tree = self.trees.get(from)?.get_or_init(|| self.grow(from));
        let mut steps = Vec::new();
        let mut here = to;
        while here != from {
            let (step, _) = self.edges[(*tree.get(here)?)?];
            steps.push(step);
            here = step.from;
        }
        Some(steps)
    }

    /// Dijkstra's algorithm. Among equals the edges that stand first.
    fn grow(&self, source: usize) -> Vec<Option<usize>> {
        let mut lengths: Vec<Option<Length>> = vec![None; self.leaving.len()];
        let mut last: Vec<Option<usize>> = vec![None; self.leaving.len()];
        let mut waiting = BinaryHeap::from([Reverse(((0, 0), source))]);
        lengths[source] = Some((0, 0));
        while let Some(Reverse((length, here))) = waiting.pop() {
            if lengths[here] != Some(length) {
                continue;
            }
            for &edge in &self.leaving[here] {
                let (Step { to, .. }, more) = self.edges[edge];
                let through = (length.0.saturating_add(more.0), length.1.saturating_add(more.1));
                match lengths[to] {
                    Some(known) if known < through => {}
                    // What leads here is final, and so are all lengths that it is compared with.
                    Some(known) if known == through => {
                        if last[to].is_some_and(|other| edge < other) {
                            last[to] = Some(edge);
                        }
                    }
                    _ => {
                        lengths[to] = Some(through);
                        last[to] = Some(edge);
                        waiting.push(Reverse((through, to)));
                    }
                }
            }
        }
        last
    }
}
