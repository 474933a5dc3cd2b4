//! What the searches look at: sites, units and links as numbers.

use std::collections::BTreeMap;

use crate::capacity::Room;
use crate::model::{Demand, ServiceView};

/// What counts for a round trip between sites that do not reach one another: more than all real ones of a service
/// together, which are at most 2^36 us for each of 2^19 ends, in 2^20ths.
pub(super) const NONE: u128 = 1 << 76;
/// The longest real round trip in microseconds: 19 hours.
const LONGEST: u64 = 1 << 36;

/// A unit's place on a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    pub(super) link: usize,
    /// How many of its interfaces are roots there.
    pub(super) roots: u64,
    /// How many are leaves.
    pub(super) leaves: u64,
}

/// A task in numbers.
#[derive(Debug)]
pub(super) struct Map {
    /// Between any two sites, row by row.
    round_trips: Vec<u128>,
    pub(super) rooms: Vec<Room>,
    pub(super) demands: Vec<Demand>,
    /// The seats of each unit.
    pub(super) seats: Vec<Vec<Seat>>,
    /// The units on each link, each once, with the position of its seat.
    pub(super) on: Vec<Vec<(usize, Seat)>>,
    weights: Vec<u128>,
    sizes: Vec<u128>,
}

impl Map {
    pub(super) fn new(service: &ServiceView<'_>) -> Self {
        let sites = service.sites.len();
        let mut round_trips = vec![0; sites * sites];
        for from in 0..sites {
            for to in 0..from {
                let (there, back) = (service.delays.delay_us(from, to), service.delays.delay_us(to, from));
                let trip = there
                    .zip(back)
                    .map_or(NONE, |(there, back)| there.saturating_add(back).min(LONGEST).into());
                for at in [from * sites + to, to * sites + from] {
                    if let Some(place) = round_trips.get_mut(at) {
                        *place = trip;
                    }
                }
            }
        }
        let rooms: Vec<Room> = service.sites.iter().map(Room::of).collect();
        let demands: Vec<Demand> = service.units.iter().map(|unit| unit.demand).collect();
        let mut map = Self {
            round_trips,
            sizes: sizes(&rooms, &demands),
            rooms,
            demands,
            seats: vec![Vec::new(); service.units.len()],
            on: Vec::with_capacity(service.links.len()),
            weights: Vec::with_capacity(service.links.len()),
        };
        for link in service.links {
            let mut ends: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
            link.roots().iter().for_each(|&unit| ends.entry(unit).or_default().0 += 1);
            link.leaves().iter().for_each(|&unit| ends.entry(unit).or_default().1 += 1);
            ends.retain(|unit, _| *unit < map.seats.len());
            // A link of one unit alone costs nothing wherever that is.
            if ends.len() < 2 {
                continue;
            }
            let position = map.on.len();
            let seat = |(roots, leaves)| Seat { link: position, roots, leaves };
            let ends: Vec<_> = ends.into_iter().map(|(unit, end)| (unit, seat(end))).collect();
            for (unit, seat) in &ends {
                if let Some(seats) = map.seats.get_mut(*unit) {
                    seats.push(*seat);
                }
            }
            map.on.push(ends);
            map.weights.push(link.weight().into());
        }
        map
    }

    pub(super) fn units(&self) -> usize {
        self.demands.len()
    }

    pub(super) fn sites(&self) -> usize {
        self.rooms.len()
    }

    /// From a site to each and back.
    pub(super) fn round_trips_of(&self, site: usize) -> &[u128] {
        let sites = self.sites();
        self.round_trips.get(site * sites..(site + 1) * sites).unwrap_or_default()
    }

    pub(super) fn demand(&self, unit: usize) -> Demand {
        self.demands.get(unit).copied().unwrap_or_default()
    }

    pub(super) fn seats_of(&self, unit: usize) -> &[Seat] {
        self.seats.get(unit).map(Vec::as_slice).unwrap_or_default()
    }

    /// The units on a link.
    pub(super) fn units_on(&self, link: usize) -> &[(usize, Seat)] {
        self.on.get(link).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn weight(&self, link: usize) -> u128 {
        self.weights.get(link).copied().unwrap_or_default()
    }

    /// How large a unit's demand is for bin packing: the larger of its shares of what is free in all sites, in
    /// millionths.
    pub(super) fn size(&self, unit: usize) -> u128 {
        self.sizes.get(unit).copied().unwrap_or_default()
    }
}

fn sizes(rooms: &[Room], demands: &[Demand]) -> Vec<u128> {
    let all = |free: fn(&Room) -> Option<u64>| rooms.iter().filter_map(free).map(u128::from).sum::<u128>();
    let (cpu, memory) = (all(|room| room.cpu_milli), all(|room| room.memory_bytes));
    let share = |demand: u64, all: u128| (u128::from(demand) * 1_000_000).checked_div(all).unwrap_or(0);
    let size = |demand: &Demand| share(demand.cpu_milli, cpu).max(share(demand.memory_bytes, memory));
    demands.iter().map(size).collect()
}
