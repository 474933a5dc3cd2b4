//! Branch and bound: the best placement there is.

use super::Found;
use super::map::Map;
use super::state::State;
use crate::model::Quality;

/// Looks for a placement that costs less than `found`, until there is none or the steps are used up: then the best one
/// so far is the answer, and only heuristic.
///
/// Units are placed one after the other, on each site that has room, the cheapest first. A branch is given up when what
/// is placed, and the least that each further unit costs beside that, is no less than the best so far.
pub(super) fn search(map: &Map, found: Option<Found>, steps: u64) -> (Option<Found>, Quality) {
    let mut search = Search {
        state: State::new(map),
        order: order(map),
        prices: vec![vec![0; map.sites()]; map.units()],
        best: found,
        steps,
    };
    let ended = search.descend(0);
    (search.best, if ended { Quality::Optimal } else { Quality::Heuristic })
}

struct Search<'a> {
    state: State<'a>,
    order: Vec<usize>,
    /// What each unit costs at each site, by what is placed: kept up as units come and go.
    prices: Vec<Vec<u128>>,
    best: Option<Found>,
    steps: u64,
}

impl Search<'_> {
    /// Places the units from `depth` on; false: the steps are used up.
    fn descend(&mut self, depth: usize) -> bool {
        let Some(&unit) = self.order.get(depth) else {
            if let Some(at) = self.state.all() {
                self.best = Some(Found { cost: self.state.cost, at });
            }
            return true;
        };
        let Some(rest) = self.least(depth + 1) else { return !self.is_over() };
        if self.is_over() {
            return false;
        }
        let prices = self.prices.get(unit).cloned().unwrap_or_default();
        let fits = prices.into_iter().enumerate().filter(|(site, _)| self.state.fits(unit, *site));
        let mut branches: Vec<(u128, usize)> = fits.map(|(site, price)| (price, site)).collect();
        branches.sort_unstable();
        for (price, site) in branches {
            let least = self.state.cost + price + rest;
            if self.best.as_ref().is_some_and(|best| least >= best.cost) {
                // The others cost more still.
                break;
            }
            self.state.put(unit, site, price);
            self.reprice(unit, site, true);
            let goes_on = self.descend(depth + 1);
            self.state.take(unit);
            self.reprice(unit, site, false);
            if !goes_on {
                return false;
            }
        }
        true
    }

    fn is_over(&self) -> bool {
        self.steps == 0
    }

    /// The least that the units from `depth` on cost beside what is placed, each by itself; `None` when one of them
    /// has no room anywhere, or the steps are used up.
    fn least(&mut self, depth: usize) -> Option<u128> {
        let mut sum = 0;
        for &unit in self.order.get(depth..).unwrap_or_default() {
            self.steps = self.steps.saturating_sub(u64::try_from(self.state.map.sites()).unwrap_or(u64::MAX));
            if self.steps == 0 {
                return None;
            }
            let prices = self.prices.get(unit)?.iter().enumerate();
            sum += prices.filter(|(site, _)| self.state.fits(unit, *site)).map(|(_, price)| *price).min()?;
        }
        Some(sum)
    }

    /// Adds what a unit at a site costs those that it has links with, or takes it off again.
    fn reprice(&mut self, unit: usize, site: usize, add: bool) {
        let map = self.state.map;
        for own in map.seats_of(unit) {
            for (other, seat) in map.units_on(own.link) {
                if *other == unit {
                    continue;
                }
                let pairs = own.roots * (seat.roots + seat.leaves) + own.leaves * seat.roots;
                let weight = map.weight(own.link) * u128::from(pairs);
                let Some(prices) = self.prices.get_mut(*other) else { continue };
                for (price, trip) in prices.iter_mut().zip(map.round_trips_of(site)) {
                    let change = weight * trip;
                    *price = if add { *price + change } else { *price - change };
                }
            }
        }
    }
}

/// The unit with most links first, then always the one with most links to those before: what is placed early tells most
/// about what follows. Among equals, the larger demand, which is harder to find room for, then the order given.
pub(super) fn order(map: &Map) -> Vec<usize> {
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
