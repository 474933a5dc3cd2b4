//! Shortest-path trees by number: what [`Paths`](crate::Paths) walks, without the topology's lifetime.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::num::NonZeroU32;
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
    /// By source.
    trees: Vec<OnceLock<Tree>>,
}

/// The shortest paths from one data center, by data center. There may be thousands of thousands of these entries: they are
/// kept small.
#[derive(Debug)]
struct Tree {
    /// The last edge on the way there, counted from 1; `None` also for the source itself.
    last: Vec<Option<NonZeroU32>>,
    /// The delay of the whole way in microseconds; says nothing where there is no way.
    delays: Vec<u64>,
}

impl Tree {
    fn last(&self, number: usize) -> Option<usize> {
        let last = (*self.last.get(number)?)?;
        usize::try_from(last.get()).ok()?.checked_sub(1)
    }
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
        let tree = self.tree(from)?;
        let mut steps = Vec::new();
        let mut here = to;
        while here != from {
            let (step, _) = self.edges[tree.last(here)?];
            steps.push(step);
            here = step.from;
        }
        Some(steps)
    }

    /// The delay of the shortest path in microseconds, without walking it; `None` as for [`Trees::back`].
    #[must_use]
    pub fn delay_us(&self, from: usize, to: usize) -> Option<u64> {
        let tree = self.tree(from)?;
        if from != to {
            tree.last(to)?;
        }
        tree.delays.get(to).copied()
    }

    /// From a data center to each, there and back: the delays of both shortest paths together, in microseconds. `None` for
    /// one that it does not reach; empty when there is no data center of that number. Nothing of it is kept, and it takes two
    /// trees, however many data centers there are.
    #[must_use]
    pub fn round_trips_us(&self, of: usize) -> Vec<Option<u64>> {
        if of >= self.leaving.len() {
            return Vec::new();
        }
        let delay = |length: Option<Length>| length.map(|(delay, _)| delay);
        let there = self.grow(of, |edge| edge).0;
        // Both directions of a link stand side by side: against the edges, what is found is the ways back.
        let back = self.grow(of, |edge| edge ^ 1).0;
        let both = there.into_iter().zip(back);
        both.map(|(there, back)| Some(delay(there)?.saturating_add(delay(back)?))).collect()
    }

    fn tree(&self, from: usize) -> Option<&Tree> {
        let new = || {
            let (lengths, last) = self.grow(from, |edge| edge);
            // There are far fewer links than this counts: a topology of more would not fit into memory.
            let numbered = |edge: usize| u32::try_from(edge + 1).ok().and_then(NonZeroU32::new);
            Tree {
                last: last.into_iter().map(|edge| edge.and_then(numbered)).collect(),
                delays: lengths.into_iter().map(|length| length.map_or(0, |(delay, _)| delay)).collect(),
            }
        };
        Some(self.trees.get(from)?.get_or_init(new))
    }

    /// Dijkstra's algorithm: how far each data center is, and the last edge on the way there. Among equals the edges that
    /// stand first. An edge is as long as the one that `weighed` says.
    fn grow(
        &self,
        source: usize,
        weighed: impl Fn(usize) -> usize,
    ) -> (Vec<Option<Length>>, Vec<Option<usize>>) {
        let mut lengths: Vec<Option<Length>> = vec![None; self.leaving.len()];
        let mut last: Vec<Option<usize>> = vec![None; self.leaving.len()];
        let mut waiting = BinaryHeap::from([Reverse(((0, 0), source))]);
        lengths[source] = Some((0, 0));
        while let Some(Reverse((length, here))) = waiting.pop() {
            if lengths[here] != Some(length) {
                continue;
            }
            for &edge in &self.leaving[here] {
                let Step { to, .. } = self.edges[edge].0;
                let more = self.edges[weighed(edge)].1;
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
        (lengths, last)
    }
}
