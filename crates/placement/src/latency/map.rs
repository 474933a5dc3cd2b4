//! What the searches look at: sites, units and links as numbers.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;

use crate::capacity::Room;
use crate::model::{Delays, Demand, ServiceView};

/// What counts for a round trip between sites that do not reach one another: more than all real ones of a service
/// together, which are at most 2^40 us for each of 2^19 ends, in 2^20ths.
pub(super) const NONE: u128 = 1 << 80;
/// The longest round trip in microseconds that is told from longer ones: 12 days. Those of topology files are shorter, over
/// however many links.
const LONGEST: u64 = 1 << 40;
/// A round trip that there is not, as rows hold it.
const APART: u64 = u64::MAX;

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
pub(super) struct Map<'a> {
    delays: &'a dyn Delays,
    /// The round trips of each site with all: those of a site are asked for when something is put there, for between
    /// thousands of data centers there are too many to ask for all.
    rows: Vec<OnceCell<Vec<u64>>>,
    /// Whether one was longer than [`LONGEST`], and is taken for that.
    clamped: Cell<bool>,
    pub(super) rooms: Vec<Room>,
    pub(super) demands: Vec<Demand>,
    /// The seats of each unit.
    pub(super) seats: Vec<Vec<Seat>>,
    /// The units on each link, each once, with the position of its seat.
    pub(super) on: Vec<Vec<(usize, Seat)>>,
    weights: Vec<u128>,
    sizes: Vec<u128>,
}

impl std::fmt::Debug for Map<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Map")
            .field("sites", &self.sites())
            .field("units", &self.units())
            .finish_non_exhaustive()
    }
}

impl<'a> Map<'a> {
    pub(super) fn new(service: &ServiceView<'a>) -> Self {
        let rooms: Vec<Room> = service.sites.iter().map(Room::of).collect();
        let demands: Vec<Demand> = service.units.iter().map(|unit| unit.demand).collect();
        let mut map = Self {
            delays: service.delays,
            rows: service.sites.iter().map(|_| OnceCell::new()).collect(),
            clamped: Cell::new(false),
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

    /// From a site to each and back: numbers for [`trip`].
    pub(super) fn row(&self, site: usize) -> &[u64] {
        let Some(row) = self.rows.get(site) else { return &[] };
        row.get_or_init(|| {
            let trips = self.delays.round_trips_us(site, self.sites());
            let number = |(to, trip): (usize, Option<u64>)| match trip {
                _ if to == site => 0,
                Some(trip) => {
                    if trip > LONGEST {
                        self.clamped.set(true);
                    }
                    trip.min(LONGEST)
                }
                None => APART,
            };
            trips.into_iter().enumerate().map(number).collect()
        })
    }

    /// Whether longer round trips than can be told apart were looked at: then no placement is known to be the best.
    pub(super) fn clamped(&self) -> bool {
        self.clamped.get()
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

/// A number of a row as what it costs.
pub(super) fn trip(number: u64) -> u128 {
    if number == APART { NONE } else { number.into() }
}

fn sizes(rooms: &[Room], demands: &[Demand]) -> Vec<u128> {
    let all = |free: fn(&Room) -> Option<u64>| rooms.iter().filter_map(free).map(u128::from).sum::<u128>();
    let (cpu, memory) = (all(|room| room.cpu_milli), all(|room| room.memory_bytes));
    let share = |demand: u64, all: u128| (u128::from(demand) * 1_000_000).checked_div(all).unwrap_or(0);
    let size = |demand: &Demand| share(demand.cpu_milli, cpu).max(share(demand.memory_bytes, memory));
    demands.iter().map(size).collect()
}
