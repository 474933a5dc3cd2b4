//! A placement that changes unit by unit, with its cost.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::map::{Map, NONE, Seat, trip};
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
    pub(super) map: &'a Map<'a>,
    pub(super) at: Vec<Option<usize>>,
    rooms: Vec<Room>,
    spreads: Vec<Spread>,
    pub(super) cost: u128,
    /// Steps that were taken and not accounted for yet: see [`State::steps`].
    steps: Cell<u64>,
}

impl<'a> State<'a> {
    pub(super) fn new(map: &'a Map<'a>) -> Self {
        Self {
            map,
            at: vec![None; map.units()],
            rooms: map.rooms.clone(),
            spreads: map.on.iter().map(|on| Spread::new(on.len(), map.sites())).collect(),
            cost: 0,
            steps: Cell::new(0),
        }
    }

    /// The steps taken since this was asked last: one for each site of a link that was looked at.
    pub(super) fn steps(&self) -> u64 {
        self.steps.take()
    }

    fn step(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_add(u64::try_from(steps).unwrap_or(u64::MAX)));
    }

    /// What it takes to make a copy, in steps.
    pub(super) fn size(&self) -> usize {
        let spreads = self.spreads.iter().map(Spread::len).sum::<usize>();
        self.at.len() + self.rooms.len() + spreads
    }

    pub(super) fn fits(&self, unit: usize, site: usize) -> bool {
        self.rooms.get(site).is_some_and(|room| room.fits(self.map.demand(unit)))
    }

    pub(super) fn room(&self, site: usize) -> Option<Room> {
        self.rooms.get(site).copied()
    }

    /// What a unit that is not placed would cost at a site, by what is placed.
    pub(super) fn price(&self, unit: usize, site: usize) -> u128 {
        let seats = self.map.seats_of(unit).iter();
        let mut steps = 1;
        let sum = seats
            .map(|seat| {
                let Some(spread) = self.spreads.get(seat.link) else { return 0 };
                steps += spread.looked_at();
                spread.price(seat, site, self.map) * self.map.weight(seat.link)
            })
            .sum();
        self.step(steps);
        sum
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
        let mut steps = 1;
        for seat in self.map.seats_of(unit) {
            if let Some(spread) = self.spreads.get_mut(seat.link) {
                spread.add(seat, site, self.map);
                steps += spread.len();
            }
        }
        self.step(steps);
    }

    /// Takes a unit away again; where it was, and what it cost there.
    pub(super) fn take(&mut self, unit: usize) -> Option<(usize, u128)> {
        let site = self.at.get_mut(unit)?.take()?;
        if let Some(room) = self.rooms.get_mut(site) {
            room.give_back(self.map.demand(unit));
        }
        let mut steps = 1;
        for seat in self.map.seats_of(unit) {
            if let Some(spread) = self.spreads.get_mut(seat.link) {
                spread.remove(seat, site, self.map);
                steps += spread.len();
            }
        }
        self.step(steps);
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

    /// How many sites a change looks at.
    fn len(&self) -> usize {
        match self {
            Self::Fields(fields) => fields.len(),
            Self::Sites(ends) => ends.len(),
        }
    }

    /// How many sites a price looks at.
    fn looked_at(&self) -> usize {
        match self {
            Self::Fields(_) => 1,
            Self::Sites(ends) => ends.len(),
        }
    }

    /// What a seat would pay at a site. A root speaks with all, a leaf with roots.
    fn price(&self, seat: &Seat, site: usize, map: &Map<'_>) -> u128 {
        match self {
            Self::Fields(fields) => {
                let (root, leaf) = fields.get(site).copied().unwrap_or_default();
                u128::from(seat.roots) * root + u128::from(seat.leaves) * leaf
            }
            Self::Sites(ends) => ends
                .iter()
                .map(|&(at, roots, leaves)| {
                    let pairs = seat.roots * (roots + leaves) + seat.leaves * roots;
                    // A round trip is the same from both of its ends.
                    u128::from(pairs) * map.row(at).get(site).map_or(NONE, |number| trip(*number))
                })
                .sum(),
        }
    }

    fn add(&mut self, seat: &Seat, site: usize, map: &Map<'_>) {
        match self {
            Self::Fields(fields) => {
                for ((root, leaf), number) in fields.iter_mut().zip(map.row(site)) {
                    *root += u128::from(seat.roots + seat.leaves) * trip(*number);
                    *leaf += u128::from(seat.roots) * trip(*number);
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

    fn remove(&mut self, seat: &Seat, site: usize, map: &Map<'_>) {
        match self {
            Self::Fields(fields) => {
                for ((root, leaf), number) in fields.iter_mut().zip(map.row(site)) {
                    *root -= u128::from(seat.roots + seat.leaves) * trip(*number);
                    *leaf -= u128::from(seat.roots) * trip(*number);
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
