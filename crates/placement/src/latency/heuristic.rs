//! A good placement, soon: grown from several sites, improved unit by unit, then stirred.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::Found;
use super::exact;
use super::map::Map;
use super::state::State;
use crate::capacity::Room;

/// Prices looked at in all. The first start is finished whatever it takes; others are begun while some are left.
const WORK: u64 = 3_000_000;
/// Units up to which the order of growing looks at all units for each: beyond, it follows the links breadth first.
const ORDERED: usize = 2_000;

/// The best placement found; `None` when there was none within capacity.
pub(super) fn search(map: &Map) -> Option<Found> {
    let by_links = if map.units() <= ORDERED { exact::order(map) } else { breadth_first(map) };
    let mut by_size: Vec<usize> = (0..map.units()).collect();
    by_size.sort_by_key(|&unit| Reverse(map.size(unit)));
    let mut search = Search { map, best: None, work: WORK };
    'starts: for start in starts(map) {
        for order in [&by_links, &by_size] {
            // Half of the work is for making the best of them better.
            if search.is_done() || search.work < WORK / 2 {
                break 'starts;
            }
            if let Some(grown) = search.grow(order, start) {
                search.improve(grown);
            }
        }
    }
    if search.best.is_none()
        && let Some(packed) = search.pack(&by_size)
    {
        search.improve(packed);
    }
    search.stir();
    search.best
}

pub(super) struct Search<'a> {
    pub(super) map: &'a Map,
    pub(super) best: Option<Found>,
    pub(super) work: u64,
}

impl<'a> Search<'a> {
    pub(super) fn is_done(&self) -> bool {
        self.work == 0 || self.best.as_ref().is_some_and(|best| best.cost == 0)
    }

    pub(super) fn spend(&mut self, prices: usize) {
        self.work = self.work.saturating_sub(u64::try_from(prices).unwrap_or(u64::MAX));
    }

    /// Puts each unit where it costs least beside those before; of equal sites, on the nearest to the start.
    fn grow(&mut self, order: &[usize], start: usize) -> Option<State<'a>> {
        let mut state = State::new(self.map);
        let far = self.map.round_trips_of(start);
        for &unit in order {
            self.spend(self.map.sites());
            let fits = (0..self.map.sites()).filter(|site| state.fits(unit, *site));
            let priced = fits.map(|site| (state.price(unit, site), far.get(site), site));
            let (price, _, site) = priced.min()?;
            state.put(unit, site, price);
        }
        Some(state)
    }

    /// Puts each unit, the largest first, where it leaves least, whatever it costs: what finds room most easily.
    fn pack(&mut self, by_size: &[usize]) -> Option<State<'a>> {
        let mut state = State::new(self.map);
        for &unit in by_size {
            self.spend(self.map.sites());
            let fits = (0..self.map.sites()).filter(|site| state.fits(unit, *site));
            let left = |site: &usize| {
                let room = state.room(*site).unwrap_or(Room { cpu_milli: None, memory_bytes: None });
                let amount = |free: Option<u64>| free.unwrap_or(u64::MAX);
                (amount(room.cpu_milli), amount(room.memory_bytes), *site)
            };
            let site = fits.min_by_key(left)?;
            let price = state.price(unit, site);
            state.put(unit, site, price);
        }
        Some(state)
    }

    /// Moves and exchanges units until nothing helps, and keeps what comes of it if it is better.
    fn improve(&mut self, mut state: State<'a>) {
        self.settle(&mut state);
        self.keep(&state);
    }

    /// Keeps a placement if it is better than the best so far.
    pub(super) fn keep(&mut self, state: &State<'a>) {
        if self.best.as_ref().is_none_or(|best| state.cost < best.cost)
            && let Some(at) = state.all()
        {
            self.best = Some(Found { cost: state.cost, at });
        }
    }

    /// Moves and exchanges units until nothing helps.
    pub(super) fn settle(&mut self, state: &mut State<'a>) {
        loop {
            let before = state.cost;
            for unit in 0..self.map.units() {
                self.shift(state, unit);
            }
            if state.cost == before {
                self.exchange_all(state);
            }
            if state.cost == before || state.cost == 0 || self.work == 0 {
                break;
            }
        }
    }

    /// Moves one unit to where it costs least.
    fn shift(&mut self, state: &mut State<'a>, unit: usize) {
        if self.map.seats_of(unit).is_empty() {
            return;
        }
        let Some((home, price)) = state.take(unit) else { return };
        self.spend(self.map.sites());
        let fits = (0..self.map.sites()).filter(|site| state.fits(unit, *site));
        let best = fits.map(|site| (state.price(unit, site), site)).min();
        match best.filter(|(best, _)| *best < price) {
            Some((price, site)) => state.put(unit, site, price),
            None => state.put(unit, home, price),
        }
    }

    /// Exchanges units with others on sites where they would cost less but have no room, as far as that helps.
    fn exchange_all(&mut self, state: &mut State<'a>) {
        let mut on_site = vec![Vec::new(); self.map.sites()];
        for (unit, at) in state.at.iter().enumerate() {
            if let Some(list) = at.and_then(|at| on_site.get_mut(at)) {
                list.push(unit);
            }
        }
        for unit in 0..self.map.units() {
            if self.map.seats_of(unit).is_empty() || self.work == 0 {
                continue;
            }
            let Some((home, price)) = state.take(unit) else { continue };
            self.spend(self.map.sites());
            let wanted: Vec<usize> = (0..self.map.sites())
                .filter(|site| *site != home && state.price(unit, *site) < price)
                .collect();
            state.put(unit, home, price);
            'sites: for site in wanted {
                for other in on_site.get(site).cloned().unwrap_or_default() {
                    if self.exchange(state, unit, other) {
                        for (list, out, back) in [(home, unit, other), (site, other, unit)] {
                            if let Some(list) = on_site.get_mut(list) {
                                list.retain(|it| *it != out);
                                list.push(back);
                            }
                        }
                        break 'sites;
                    }
                }
            }
        }
    }

    /// Exchanges two units if that costs less.
    fn exchange(&mut self, state: &mut State<'a>, unit: usize, other: usize) -> bool {
        let before = state.cost;
        let Some((home, price)) = state.take(unit) else { return false };
        let Some((there, other_price)) = state.take(other) else {
            state.put(unit, home, price);
            return false;
        };
        self.spend(2);
        if state.fits(unit, there) && state.fits(other, home) {
            let new = state.price(unit, there);
            state.put(unit, there, new);
            let other_new = state.price(other, home);
            if state.fits(other, home) && state.cost + other_new < before {
                state.put(other, home, other_new);
                return true;
            }
            state.take(unit);
        }
        state.put(other, there, other_price);
        state.put(unit, home, price);
        false
    }
}

/// The sites to grow from, the most promising first: those around which all demands find room within the shortest
/// distance. Equal ones in the order given.
fn starts(map: &Map) -> Vec<usize> {
    let sum = |amount: fn(&crate::model::Demand) -> u64| {
        map.demands.iter().map(amount).map(u128::from).sum::<u128>()
    };
    let (cpu, memory) = (sum(|demand| demand.cpu_milli), sum(|demand| demand.memory_bytes));
    let reach = |site: usize| -> u128 {
        let mut others: Vec<(u128, usize)> =
            map.round_trips_of(site).iter().enumerate().map(|(at, trip)| (*trip, at)).collect();
        others.sort_unstable();
        let (mut cpu, mut memory, mut sum) = (cpu, memory, 0_u128);
        for (trip, at) in others {
            if cpu == 0 && memory == 0 {
                break;
            }
            sum = sum.saturating_add(trip);
            let Some(room) = map.rooms.get(at) else { continue };
            let take =
                |left: u128, free: Option<u64>| free.map_or(0, |free| left.saturating_sub(free.into()));
            (cpu, memory) = (take(cpu, room.cpu_milli), take(memory, room.memory_bytes));
        }
        sum
    };
    let mut sites: Vec<(u128, usize)> = (0..map.sites()).map(|site| (reach(site), site)).collect();
    sites.sort_unstable();
    sites.into_iter().map(|(_, site)| site).collect()
}

/// Each unit after one that it has a link with, where there is one.
fn breadth_first(map: &Map) -> Vec<usize> {
    let mut order = Vec::with_capacity(map.units());
    let mut seen = vec![false; map.units()];
    let mut followed = vec![false; map.on.len()];
    let mut queue = VecDeque::new();
    let mut visit = |unit: usize, queue: &mut VecDeque<usize>| {
        if let Some(seen) = seen.get_mut(unit)
            && !std::mem::replace(seen, true)
        {
            queue.push_back(unit);
        }
    };
    for first in 0..map.units() {
        visit(first, &mut queue);
        while let Some(unit) = queue.pop_front() {
            order.push(unit);
            for seat in map.seats_of(unit) {
                if followed.get_mut(seat.link).is_some_and(|done| !std::mem::replace(done, true)) {
                    map.units_on(seat.link).iter().for_each(|(other, _)| visit(*other, &mut queue));
                }
            }
        }
    }
    order
}
