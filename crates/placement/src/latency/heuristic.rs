//! A good placement, soon: grown from several sites, improved unit by unit, then stirred.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Found;
use super::exact;
use super::map::{Map, trip};
use super::state::State;
use crate::capacity::Room;

/// Steps in all: sites looked at for a unit, and for each of its links. The first start is finished whatever it takes;
/// others are begun while some are left, and nothing is made better without.
pub(super) const WORK: u64 = 10_000_000;
/// Units up to which the order of growing looks at all units for each: beyond, it follows the links breadth first.
const ORDERED: usize = 2_000;
/// Round trips that are looked at to tell the most promising starts: beyond 1,000 sites, not all are looked at.
const COMPARED: usize = 1_000_000;

/// The best placement found; `None` when there was none within capacity.
pub(super) fn search(map: &Map<'_>) -> Option<Found> {
    Search::new(map, WORK).run()
}

/// Whether ordering the units by their links takes no longer than for as many units as are ordered by that.
fn is_soon_ordered(map: &Map<'_>) -> bool {
    let looked_at = map.on.iter().map(|on| on.len().saturating_mul(on.len()));
    map.units() <= ORDERED && looked_at.fold(0, usize::saturating_add) <= ORDERED * ORDERED
}

pub(super) struct Search<'a> {
    pub(super) map: &'a Map<'a>,
    pub(super) best: Option<Found>,
    pub(super) work: u64,
    /// All that was accounted for.
    #[cfg(test)]
    pub(super) spent: u64,
}

impl<'a> Search<'a> {
    pub(super) fn new(map: &'a Map<'a>, work: u64) -> Self {
        Self {
            map,
            best: None,
            work,
            #[cfg(test)]
            spent: 0,
        }
    }

    pub(super) fn run(&mut self) -> Option<Found> {
        let map = self.map;
        // Half of the work is for making the best of the starts better.
        let enough = self.work / 2;
        let by_links = if is_soon_ordered(map) { exact::order(map) } else { breadth_first(map) };
        let mut by_size: Vec<usize> = (0..map.units()).collect();
        by_size.sort_by_key(|&unit| Reverse(map.size(unit)));
        'starts: for start in starts(map) {
            for order in [&by_links, &by_size] {
                if self.is_done() || self.work < enough {
                    break 'starts;
                }
                if let Some(grown) = self.grow(order, start) {
                    self.improve(grown);
                }
            }
        }
        if self.best.is_none()
            && let Some(packed) = self.pack(&by_size)
        {
            self.improve(packed);
        }
        self.stir();
        self.best.take()
    }

    pub(super) fn is_done(&self) -> bool {
        self.work == 0 || self.best.as_ref().is_some_and(|best| best.cost == 0)
    }

    /// Accounts for sites looked at, and for what a placement took to look at and to change.
    pub(super) fn spend(&mut self, sites: usize, state: &State<'a>) {
        let steps = u64::try_from(sites).unwrap_or(u64::MAX).saturating_add(state.steps());
        self.work = self.work.saturating_sub(steps);
        #[cfg(test)]
        {
            self.spent += steps;
        }
    }

    /// Puts each unit where it costs least beside those before; of equal sites, on the nearest to the start, or the next
    /// one after it where no link asks for what is near.
    fn grow(&mut self, order: &[usize], start: usize) -> Option<State<'a>> {
        let (map, sites) = (self.map, self.map.sites());
        let mut state = State::new(map);
        self.spend(state.size(), &state);
        let far = if map.on.is_empty() { &[] } else { map.row(start) };
        let behind = |site: usize| if site < start { site + sites - start } else { site - start };
        for &unit in order {
            let fits = (0..sites).filter(|site| state.fits(unit, *site));
            let key = |site: usize| if map.on.is_empty() { behind(site) } else { site };
            let priced = fits.map(|site| (state.price(unit, site), far.get(site), key(site), site));
            let best = priced.min();
            self.spend(sites, &state);
            let (price, _, _, site) = best?;
            state.put(unit, site, price);
        }
        self.spend(0, &state);
        Some(state)
    }

    /// Puts each unit, the largest first, where it leaves least, whatever it costs: what finds room most easily.
    fn pack(&mut self, by_size: &[usize]) -> Option<State<'a>> {
        let mut state = State::new(self.map);
        for &unit in by_size {
            self.spend(self.map.sites(), &state);
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

    /// Moves and exchanges units until nothing helps, or no work is left.
    pub(super) fn settle(&mut self, state: &mut State<'a>) {
        while self.work > 0 {
            let before = state.cost;
            for unit in 0..self.map.units() {
                if self.work == 0 {
                    return;
                }
                self.shift(state, unit);
            }
            if state.cost == before {
                self.exchange_all(state);
            }
            if state.cost == before || state.cost == 0 {
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
        let fits = (0..self.map.sites()).filter(|site| state.fits(unit, *site));
        let best = fits.map(|site| (state.price(unit, site), site)).min();
        match best.filter(|(best, _)| *best < price) {
            Some((price, site)) => state.put(unit, site, price),
            None => state.put(unit, home, price),
        }
        self.spend(self.map.sites(), state);
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
            if self.work == 0 {
                return;
            }
            if self.map.seats_of(unit).is_empty() {
                continue;
            }
            let Some((home, price)) = state.take(unit) else { continue };
            let wanted: Vec<usize> = (0..self.map.sites())
                .filter(|site| *site != home && state.price(unit, *site) < price)
                .collect();
            state.put(unit, home, price);
            self.spend(self.map.sites(), state);
            'sites: for site in wanted {
                for other in on_site.get(site).cloned().unwrap_or_default() {
                    if self.work == 0 {
                        return;
                    }
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
        let exchanged = Self::try_exchange(state, unit, other);
        self.spend(2, state);
        exchanged
    }

    fn try_exchange(state: &mut State<'a>, unit: usize, other: usize) -> bool {
        let before = state.cost;
        let Some((home, price)) = state.take(unit) else { return false };
        let Some((there, other_price)) = state.take(other) else {
            state.put(unit, home, price);
            return false;
        };
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
/// distance. Equal ones in the order given, and so are all where no link asks for what is near.
fn starts(map: &Map<'_>) -> Vec<usize> {
    if map.on.is_empty() {
        return (0..map.sites()).collect();
    }
    let sum = |amount: fn(&crate::model::Demand) -> u64| {
        map.demands.iter().map(amount).map(u128::from).sum::<u128>()
    };
    let demanded = (sum(|demand| demand.cpu_milli), sum(|demand| demand.memory_bytes));
    // What a site leaves of a demand.
    let left = |(cpu, memory): (u128, u128), site: usize| {
        let take = |left: u128, free: Option<u64>| free.map_or(0, |free| left.saturating_sub(free.into()));
        let room = map.rooms.get(site);
        room.map_or((cpu, memory), |room| (take(cpu, room.cpu_milli), take(memory, room.memory_bytes)))
    };
    let reach = |site: usize| -> u128 {
        let mut left_over = left(demanded, site);
        if left_over == (0, 0) {
            return 0;
        }
        let others = map.row(site).iter().enumerate().filter(|(at, _)| *at != site);
        // Few of them are looked at: they need not be sorted for that.
        let mut others: BinaryHeap<_> = others.map(|(at, number)| Reverse((*number, at))).collect();
        let mut sum = 0_u128;
        while left_over != (0, 0)
            && let Some(Reverse((number, at))) = others.pop()
        {
            sum = sum.saturating_add(trip(number));
            left_over = left(left_over, at);
        }
        sum
    };
    let mut sites: Vec<(u128, usize)> =
        candidates(map, |site| left(demanded, site)).into_iter().map(|site| (reach(site), site)).collect();
    sites.sort_unstable();
    sites.into_iter().map(|(_, site)| site).collect()
}

/// The sites that are compared as starts: all, as long as that looks at few enough round trips. Of more, those that leave
/// least of what is demanded, and of equal ones some from all over the list.
fn candidates(map: &Map<'_>, left: impl Fn(usize) -> (u128, u128)) -> Vec<usize> {
    let sites = map.sites();
    let most = COMPARED.checked_div(sites).unwrap_or(0).max(1);
    if sites <= most {
        return (0..sites).collect();
    }
    let stride = sites.div_ceil(most);
    let demanded = left(usize::MAX);
    let share = |left: u128, of: u128| left.saturating_mul(1_000_000).checked_div(of).unwrap_or(0);
    let mut keys: Vec<_> = (0..sites)
        .map(|site| {
            let (cpu, memory) = left(site);
            let most_left = share(cpu, demanded.0).max(share(memory, demanded.1));
            (most_left, site.checked_rem(stride), site)
        })
        .collect();
    keys.sort_unstable();
    keys.truncate(most);
    keys.into_iter().map(|(_, _, site)| site).collect()
}

/// Each unit after one that it has a link with, where there is one.
fn breadth_first(map: &Map<'_>) -> Vec<usize> {
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
