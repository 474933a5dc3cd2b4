//! Random small services, and the best placement of one by trying all.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

use llcm_placement::{Delays, Demand, Placed, Room, ServiceLink, ServiceView, Site, Unit, round_trips_us};

/// A service and the data centers for it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The data centers.
    pub(crate) sites: Vec<Site>,
    /// The units.
    pub(crate) units: Vec<Unit>,
    /// The links.
    pub(crate) links: Vec<ServiceLink>,
    /// One-way delays, row by row; `None`: apart.
    pub(crate) delays: Vec<Option<u64>>,
}

impl Delays for Case {
    fn delay_us(&self, from: usize, to: usize) -> Option<u64> {
        self.delays[from * self.sites.len() + to]
    }
}

impl Case {
    /// As algorithms see it.
    pub(crate) fn view(&self) -> ServiceView<'_> {
        ServiceView { sites: &self.sites, units: &self.units, links: &self.links, delays: self, turn: 0 }
    }

    /// What placed units cost in microseconds.
    pub(crate) fn cost(&self, placed: &[Placed]) -> Option<u64> {
        round_trips_us(&self.sites, placed, &self.links, self)
    }

    /// The cost of the best placement, found by trying all; `None`: there is none.
    pub(crate) fn best(&self) -> Option<u64> {
        let (units, sites) = (self.units.len(), self.sites.len());
        let mut best = None;
        for number in 0..sites.pow(u32::try_from(units).unwrap()) {
            let mut rest = number;
            let mut rooms: Vec<Room> = self.sites.iter().map(Room::of).collect();
            let mut placed = Vec::new();
            for unit in &self.units {
                let at = rest % sites;
                rest /= sites;
                if !rooms[at].fits(unit.demand) {
                    break;
                }
                rooms[at].take(unit.demand);
                let datacenter = self.sites[at].datacenter.name.clone();
                placed.push(Placed { unit: unit.clone(), datacenter, warning: None });
            }
            if placed.len() == units
                && let Some(cost) = self.cost(&placed)
            {
                best = Some(best.map_or(cost, |best: u64| best.min(cost)));
            }
        }
        best
    }
}

/// SplitMix64: the same seed has the same cases everywhere.
#[derive(Debug)]
pub(crate) struct Lots(pub(crate) u64);

impl Lots {
    /// A number below a limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A position in a list.
    pub(crate) fn size(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(u64::try_from(limit).unwrap())).unwrap()
    }
}

/// A random service of that many units on that many data centers: chains, trees and meshes with E-LANs and E-Trees,
/// capacities from tight to ample, live instances, delays of points on a plane or arbitrary ones, some of them apart.
pub(crate) fn random(lots: &mut Lots, units: usize, sites: usize) -> Case {
    let demands: Vec<Demand> = (0..units)
        .map(|_| Demand { cpu_milli: 250 * lots.below(9), memory_bytes: (64 << 20) * lots.below(9) })
        .collect();
    let sum = |amount: fn(&Demand) -> u64| demands.iter().map(amount).sum::<u64>();
    // From 1.05 to 2.8 times what is demanded, in all.
    let slack = 105 + lots.below(8) * 25;
    let share = |lots: &mut Lots, all: u64, open: u64| {
        let even = all * slack / 100 / u64::try_from(sites).unwrap();
        (lots.below(open) > 0).then(|| even / 2 + lots.below(even + 1))
    };
    let case_sites: Vec<Site> = (0..sites)
        .map(|at| {
            let mut site = Site::named(&format!("dc{at}")).unwrap();
            site.datacenter.cpu_milli = share(lots, sum(|demand| demand.cpu_milli), 20);
            site.datacenter.memory_bytes = share(lots, sum(|demand| demand.memory_bytes), 3);
            if lots.below(4) == 0 {
                site.load =
                    Demand { cpu_milli: 250 * lots.below(3), memory_bytes: (64 << 20) * lots.below(3) };
                site.units = 1;
            }
            site
        })
        .collect();
    let mut links = Vec::new();
    for unit in 1..units {
        links.push(ServiceLink::line(lots.size(unit), unit));
    }
    for _ in 0..lots.below(3) {
        links.push(ServiceLink::line(lots.size(units), lots.size(units)));
    }
    if units > 2 && lots.below(2) == 0 {
        let ends: Vec<usize> = (0..units).filter(|_| lots.below(2) == 0).collect();
        let (roots, leaves) = ends.split_at(if lots.below(2) == 0 { ends.len() } else { ends.len() / 2 });
        links.push(ServiceLink::tree(roots.to_vec(), leaves.to_vec()));
    }
    let plane: Vec<(u64, u64)> = (0..sites).map(|_| (lots.below(20), lots.below(20))).collect();
    let metric = lots.below(3) > 0;
    let apart = (lots.below(5) == 0).then(|| lots.size(sites));
    let mut delays = Vec::new();
    for from in 0..sites {
        for to in 0..sites {
            let (a, b) = (plane[from], plane[to]);
            let distance = 1 + a.0.abs_diff(b.0) + a.1.abs_diff(b.1);
            let delay = if metric { distance } else { 1 + lots.below(30) };
            delays.push(if from == to {
                Some(0)
            } else {
                (apart != Some(from) && apart != Some(to)).then_some(delay * 1000)
            });
        }
    }
    let units = demands.into_iter().enumerate();
    let units = units.map(|(at, demand)| Unit { demand, ..Unit::named(&format!("u{at}")) }).collect();
    Case { sites: case_sites, units, links, delays }
}
