//! Branch and bound: the best placement there is.

use std::collections::BTreeMap;

use super::Found;
use super::map::{Map, trip};
use crate::capacity::Room;
use crate::model::Quality;

/// Looks for a placement that costs less than `found`, until there is none or the steps are used up: then the best one
/// so far is the answer, and only heuristic.
///
/// Units are placed one after the other, on each site that has room, the cheapest first. A branch is given up when what
/// is placed, and the least that each further unit costs beside that, is no less than the best so far.
pub(super) fn search(map: &Map<'_>, found: Option<Found>, steps: u64) -> (Option<Found>, Quality) {
    let mut search = Search::new(map, found, steps);
    let quality = if search.descend(0).is_some() { Quality::Optimal } else { Quality::Heuristic };
    (search.best, quality)
}

pub(super) struct Search<'a> {
    map: &'a Map<'a>,
    order: Vec<usize>,
    /// By position in the order: the units behind that it has links with, and what a microsecond between the two costs.
    bonds: Vec<Vec<(usize, u128)>>,
    /// What each unit costs at each site, by what is placed before it in the order: kept up as units come and go.
    prices: Vec<Vec<u128>>,
    rooms: Vec<Room>,
    at: Vec<usize>,
    cost: u128,
    pub(super) best: Option<Found>,
    steps: u64,
    /// Units put somewhere.
    #[cfg(test)]
    pub(super) placed: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(map: &'a Map<'a>, best: Option<Found>, steps: u64) -> Self {
        let order = order(map);
        Self {
            map,
            bonds: bonds(map, &order),
            order,
            prices: vec![vec![0; map.sites()]; map.units()],
            rooms: map.rooms.clone(),
            at: vec![0; map.units()],
            cost: 0,
            best,
            steps,
            #[cfg(test)]
            placed: 0,
        }
    }

    /// Places the units from `depth` on; `None`: the steps are used up.
    pub(super) fn descend(&mut self, depth: usize) -> Option<()> {
        let Some(&unit) = self.order.get(depth) else {
            self.keep();
            return Some(());
        };
        let sites = self.map.sites();
        let last = depth + 1 == self.order.len();
        // The sites are looked at once, and to be sorted about as often again as their number has digits.
        let sorting = if last { 0 } else { usize::try_from(sites.max(1).ilog2()).unwrap_or(0) };
        self.spend(1 + sorting, sites)?;
        let Some(rest) = self.least(depth + 1)? else { return Some(()) };
        let prices = self.prices.get(unit).map(Vec::as_slice).unwrap_or_default().iter().enumerate();
        let fits = prices.filter(|(site, _)| self.fits(unit, *site)).map(|(site, price)| (*price, site));
        let branches = if last {
            // None of the others is any cheaper.
            fits.min().into_iter().collect()
        } else {
            let mut branches: Vec<(u128, usize)> = fits.collect();
            branches.sort_unstable();
            branches
        };
        for (price, site) in branches {
            let least = self.cost + price + rest;
            if self.best.as_ref().is_some_and(|best| least >= best.cost) {
                // The others cost more still.
                break;
            }
            // Also for taking it off again.
            self.spend(2 * self.bonds.get(depth).map_or(0, Vec::len), sites)?;
            self.put(unit, site, price);
            self.reprice(depth, site, true);
            let goes_on = self.descend(depth + 1);
            self.reprice(depth, site, false);
            self.take(unit, site, price);
            goes_on?;
        }
        Some(())
    }

    fn keep(&mut self) {
        if self.best.as_ref().is_none_or(|best| self.cost < best.cost) {
            self.best = Some(Found { cost: self.cost, at: self.at.clone() });
        }
    }

    /// Takes that many steps for each of some sites before they are made; `None`: there are not as many left.
    fn spend(&mut self, steps: usize, sites: usize) -> Option<()> {
        let steps = u64::try_from(steps.saturating_mul(sites)).unwrap_or(u64::MAX);
        self.steps = self.steps.checked_sub(steps)?;
        Some(())
    }

    fn fits(&self, unit: usize, site: usize) -> bool {
        self.rooms.get(site).is_some_and(|room| room.fits(self.map.demand(unit)))
    }

    fn put(&mut self, unit: usize, site: usize, price: u128) {
        self.cost += price;
        if let (Some(at), Some(room)) = (self.at.get_mut(unit), self.rooms.get_mut(site)) {
            *at = site;
            room.take(self.map.demand(unit));
        }
        #[cfg(test)]
        {
            self.placed += 1;
        }
    }

    fn take(&mut self, unit: usize, site: usize, price: u128) {
        self.cost -= price;
        if let Some(room) = self.rooms.get_mut(site) {
            room.give_back(self.map.demand(unit));
        }
    }

    /// The least that the units from `depth` on cost beside what is placed, each by itself: nothing when one of them has no
    /// room anywhere. `None`: the steps are used up.
    fn least(&mut self, depth: usize) -> Option<Option<u128>> {
        let mut sum = 0;
        for position in depth..self.order.len() {
            self.spend(1, self.map.sites())?;
            let Some(&unit) = self.order.get(position) else { break };
            let prices = self.prices.get(unit).map(Vec::as_slice).unwrap_or_default().iter().enumerate();
            match prices.filter(|(site, _)| self.fits(unit, *site)).map(|(_, price)| *price).min() {
                Some(price) => sum += price,
                None => return Some(None),
            }
        }
        Some(Some(sum))
    }

    /// Adds what a unit at a site costs those behind it that it has links with, or takes it off again.
    fn reprice(&mut self, depth: usize, site: usize, add: bool) {
        for (other, weight) in self.bonds.get(depth).map(Vec::as_slice).unwrap_or_default() {
            let Some(prices) = self.prices.get_mut(*other) else { continue };
            for (price, number) in prices.iter_mut().zip(self.map.row(site)) {
                let change = weight * trip(*number);
                *price = if add { *price + change } else { *price - change };
            }
        }
    }
}

/// By position in the order: each unit behind that has links with that one, and what a microsecond between both costs.
fn bonds(map: &Map<'_>, order: &[usize]) -> Vec<Vec<(usize, u128)>> {
    let mut left: Vec<bool> = vec![true; map.units()];
    let of = |unit: &usize| {
        if let Some(left) = left.get_mut(*unit) {
            *left = false;
        }
        let mut bonds: BTreeMap<usize, u128> = BTreeMap::new();
        for own in map.seats_of(*unit) {
            for (other, seat) in map.units_on(own.link) {
                if left.get(*other) == Some(&true) {
                    let pairs = own.roots * (seat.roots + seat.leaves) + own.leaves * seat.roots;
                    *bonds.entry(*other).or_default() += map.weight(own.link) * u128::from(pairs);
                }
            }
        }
        bonds.into_iter().filter(|(_, weight)| *weight > 0).collect()
    };
    order.iter().map(of).collect()
}

/// The unit with most links first, then always the one with most links to those before: what is placed early tells most
/// about what follows. Among equals, the larger demand, which is harder to find room for, then the order given.
pub(super) fn order(map: &Map<'_>) -> Vec<usize> {
    let mut bonds = vec![0_u128; map.units()];
    let mut strength = vec![0_u128; map.units()];
    for (unit, strength) in strength.iter_mut().enumerate() {
        for seat in map.seats_of(unit) {
            let ends: u64 = map.units_on(seat.link).iter().map(|(_, seat)| seat.roots + seat.leaves).sum();
            *strength += map.weight(seat.link) * u128::from(ends);
        }
    }
    let mut left: Vec<usize> = (0..map.units()).collect();
    let mut order = Vec::with_capacity(left.len());
    let value = |list: &[u128], unit: usize| list.get(unit).copied().unwrap_or_default();
    while let Some(position) = (0..left.len()).max_by_key(|&position| {
        let unit = left.get(position).copied().unwrap_or_default();
        let first = (value(&bonds, unit), value(&strength, unit), map.size(unit));
        (first, std::cmp::Reverse(unit))
    }) {
        let unit = left.remove(position);
        order.push(unit);
        for own in map.seats_of(unit) {
            for (other, seat) in map.units_on(own.link) {
                let pairs = own.roots * (seat.roots + seat.leaves) + own.leaves * seat.roots;
                if let Some(bond) = bonds.get_mut(*other) {
                    *bond += map.weight(own.link) * u128::from(pairs);
                }
            }
        }
    }
    order
}
