//! A placement that changes unit by unit, with its cost.

use std::collections::BTreeMap;

use super::map::{Map, NONE, Seat};
use crate::capacity::Room;
use crate::model::{Delays, ServiceLink};

/// Costs from here on are those of placements in which ends of a link do not reach one another.
pub(super) const APART: u128 = NONE;

/// Where a link's ends are.
#[derive(Debug, Clone)]
enum Spread {
    /// Site, roots, leaves: as long as the link has sites.
    Sites(Vec<(usize, u64, u64)>),
    /// By site, what a root there would pay, and what a leaf: for links that have so many ends that adding them up
    /// would cost more.
    Fields(Vec<(u128, u128)>),
}

/// Some units placed, others not yet.
#[derive(Debug, Clone)]
pub(super) struct State<'a> {
    pub(super) map: &'a Map,
    pub(super) at: Vec<Option<usize>>,
    rooms: Vec<Room>,
    spreads: Vec<Spread>,
    pub(super) cost: u128,
}

impl<'a> State<'a> {
    pub(super) fn new(map: &'a Map) -> Self {
        Self {
            map,
            at: vec![None; map.units()],
            rooms: map.rooms.clone(),
            spreads: map.on.iter().map(|on| Spread::new(on.len(), map.sites())).collect(),
            cost: 0,
        }
    }

    pub(super) fn fits(&self, unit: usize, site: usize) -> bool {
        self.rooms.get(site).is_some_and(|room| room.fits(self.map.demand(unit)))
    }

    pub(super) fn room(&self, site: usize) -> Option<Room> {
        self.rooms.get(site).copied()
    }

    /// What a unit that is not placed would cost at a site, by what is placed.
    pub(super) fn price(&self, unit: usize, site: usize) -> u128 {
        let trips = self.map.round_trips_of(site);
        let seats = self.map.seats_of(unit).iter();
        seats
            .map(|seat| {
                let sum = self.spreads.get(seat.link).map_or(0, |spread| spread.price(seat, site, trips));
                sum * self.map.weight(seat.link)
            })
            .sum()
    }

    /// Places a unit that is not placed.
    pub(super) fn put(&mut self, unit: usize, site: usize, price: u128) {
        self.cost += price;
        if let Some(at) = self.at.get_mut(unit) {
            *at = Some(site);
        }
        if let Some(room) = self.rooms.get_mut(site) {
            room.take(self.map.demand(unit));
        }
        for seat in self.map.seats_of(unit) {
            if let Some(spread) = self.spreads.get_mut(seat.link) {
                spread.add(seat, site, self.map.round_trips_of(site));
            }
        }
    }

    /// Takes a unit away again; where it was, and what it cost there.
    pub(super) fn take(&mut self, unit: usize) -> Option<(usize, u128)> {
        let site = self.at.get_mut(unit)?.take()?;
        if let Some(room) = self.rooms.get_mut(site) {
            room.give_back(self.map.demand(unit));
        }
        for seat in self.map.seats_of(unit) {
            if let Some(spread) = self.spreads.get_mut(seat.link) {
                spread.remove(seat, site, self.map.round_trips_of(site));
            }
        }
        let price = self.price(unit, site);
        self.cost -= price;
        Some((site, price))
    }

    /// The positions of all units' sites; `None` while one is not placed.
    pub(super) fn all(&self) -> Option<Vec<usize>> {
        self.at.iter().copied().collect()
    }
}

impl Spread {
    fn new(ends: usize, sites: usize) -> Self {
        if ends > 4 && ends.saturating_mul(4) > sites {
            Self::Fields(vec![(0, 0); sites])
        } else {
            Self::Sites(Vec::new())
        }
    }

    /// What a seat would pay at a site, which has these round trips to all. A root speaks with all, a leaf with roots.
    fn price(&self, seat: &Seat, site: usize, trips: &[u128]) -> u128 {
        match self {
            Self::Fields(fields) => {
                let (root, leaf) = fields.get(site).copied().unwrap_or_default();
                u128::from(seat.roots) * root + u128::from(seat.leaves) * leaf
            }
            Self::Sites(ends) => ends
                .iter()
                .map(|&(at, roots, leaves)| {
                    let pairs = seat.roots * (roots + leaves) + seat.leaves * roots;
                    u128::from(pairs) * trips.get(at).copied().unwrap_or(NONE)
                })
                .sum(),
        }
    }

    fn add(&mut self, seat: &Seat, site: usize, trips: &[u128]) {
        match self {
            Self::Fields(fields) => {
                for ((root, leaf), trip) in fields.iter_mut().zip(trips) {
                    *root += u128::from(seat.roots + seat.leaves) * trip;
                    *leaf += u128::from(seat.roots) * trip;
                }
            }
            Self::Sites(ends) => match ends.iter_mut().find(|(at, ..)| *at == site) {
                Some((_, roots, leaves)) => {
                    *roots += seat.roots;
                    *leaves += seat.leaves;
                }
                None => ends.push((site, seat.roots, seat.leaves)),
            },
        }
    }

    fn remove(&mut self, seat: &Seat, site: usize, trips: &[u128]) {
        match self {
            Self::Fields(fields) => {
                for ((root, leaf), trip) in fields.iter_mut().zip(trips) {
                    *root -= u128::from(seat.roots + seat.leaves) * trip;
                    *leaf -= u128::from(seat.roots) * trip;
                }
            }
            Self::Sites(ends) => {
                if let Some((_, roots, leaves)) = ends.iter_mut().find(|(at, ..)| *at == site) {
                    *roots -= seat.roots;
                    *leaves -= seat.leaves;
                }
                ends.retain(|(_, roots, leaves)| roots + leaves > 0);
            }
        }
    }
}

/// What one link costs; `None` when ends of it do not reach one another, or are nowhere.
pub(super) fn cost_of(link: &ServiceLink, at: &[usize], delays: &dyn Delays) -> Option<u128> {
    let mut sites: BTreeMap<usize, (u128, u128)> = BTreeMap::new();
    for &root in link.roots() {
        sites.entry(*at.get(root)?).or_default().0 += 1;
    }
    for &leaf in link.leaves() {
        sites.entry(*at.get(leaf)?).or_default().1 += 1;
    }
    let mut sum = 0_u128;
    for (&here, &(roots, leaves)) in &sites {
        for (&there, &(others, other_leaves)) in sites.range(here + 1..) {
            let pairs = roots * (others + other_leaves) + leaves * others;
            if pairs > 0 {
                let trip = delays.delay_us(here, there)?.saturating_add(delays.delay_us(there, here)?);
                sum = sum.saturating_add(pairs.saturating_mul(trip.into()));
            }
        }
    }
    Some(sum.saturating_mul(link.weight().into()))
}
