//! Taking units out and putting them back otherwise: the way out of placements that no single move improves.

use super::heuristic::Search;
use super::state::State;

/// Rounds in vain after which it is given up.
const ROUNDS: u32 = 300;
/// Units taken out at a time.
const MOST: u64 = 24;
/// Services up to which everything is settled again after each round; beyond, that would take too long.
const SMALL: usize = 128;

impl<'a> Search<'a> {
    /// Makes the best placement better: takes out units that belong together, or share sites, or none of it, puts each
    /// back where it costs least then, in another order, and goes on from there when that is no worse.
    pub(super) fn stir(&mut self) {
        let Some(best) = &self.best else { return };
        let Some(mut state) = restored(State::new(self.map), &best.at) else { return };
        let mut lots = Lots(1);
        let mut in_vain = 0;
        while in_vain < ROUNDS && !self.is_done() {
            let (before, small) = (state.cost, self.map.units() <= SMALL);
            let out = self.choose(&state, &mut lots);
            self.spend(self.map.units() + if small { state.size() } else { 0 }, &state);
            let kept = small.then(|| state.clone());
            let homes: Vec<(usize, usize)> =
                out.iter().filter_map(|&unit| Some((unit, state.take(unit)?.0))).collect();
            let whole = self.put_back(&mut state, &homes, &mut lots);
            if whole && small {
                self.settle(&mut state);
            }
            if whole && state.cost <= before {
                in_vain = if state.cost < before { 0 } else { in_vain + 1 };
                self.keep(&state);
                continue;
            }
            in_vain += 1;
            match kept {
                Some(kept) => state = kept,
                None => {
                    for &(unit, _) in &homes {
                        state.take(unit);
                    }
                    for &(unit, home) in &homes {
                        let price = state.price(unit, home);
                        state.put(unit, home, price);
                    }
                }
            }
        }
        // Without it, a large one has been changed and not settled.
        if !self.is_done() {
            self.settle(&mut state);
        }
        self.keep(&state);
    }

    /// The units to take out.
    fn choose(&self, state: &State<'a>, lots: &mut Lots) -> Vec<usize> {
        let units = self.map.units();
        let most = lots.below(MOST.min(u64::try_from(units).unwrap_or(MOST))) + 1;
        let most = usize::try_from(most).unwrap_or(1);
        let first = lots.pick(units);
        let mut out = vec![first];
        match lots.below(3) {
            // Neighbours of neighbours.
            0 => {
                let mut next = 0;
                while out.len() < most
                    && let Some(&unit) = out.get(next)
                {
                    next += 1;
                    for seat in self.map.seats_of(unit) {
                        let on = self.map.units_on(seat.link);
                        let from = lots.pick(on.len());
                        for (other, _) in on.iter().cycle().skip(from).take(on.len().min(MOST_ON_LINK)) {
                            if out.len() < most && !out.contains(other) {
                                out.push(*other);
                            }
                        }
                    }
                }
            }
            // Those of two sites.
            1 => {
                let sites = [state.at.get(first).copied().flatten(), Some(lots.pick(self.map.sites()))];
                let from = lots.pick(units);
                let both = (0..units).map(|unit| (unit + from) % units);
                let both = both
                    .filter(|unit| *unit != first && sites.contains(&state.at.get(*unit).copied().flatten()));
                out.extend(both.take(most));
            }
            _ => {
                for _ in 1..most {
                    let unit = lots.pick(units);
                    if !out.contains(&unit) {
                        out.push(unit);
                    }
                }
            }
        }
        out
    }

    /// Puts units back, each about where it costs least; false when one of them finds no room.
    fn put_back(&mut self, state: &mut State<'a>, homes: &[(usize, usize)], lots: &mut Lots) -> bool {
        let by_size = lots.below(2) == 0;
        let key = |unit: usize, lot: u64| if by_size { (self.map.size(unit), lot) } else { (0, lot) };
        let mut order: Vec<_> =
            homes.iter().map(|&(unit, _)| (key(unit, lots.below(1 << 32)), unit)).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        for (_, unit) in order {
            let lot = lots.below(1 << 32);
            // Of equal sites, any.
            let turned = |site: usize| site ^ usize::try_from(lot & 0xff).unwrap_or(0);
            // Now and then a site is overlooked: the cheapest one for each unit by itself may leave no good one for
            // another.
            let mut priced: Vec<_> = (0..self.map.sites())
                .filter(|site| state.fits(unit, *site))
                .map(|site| (lots.below(8) == 0, state.price(unit, site), turned(site), site))
                .collect();
            priced.sort_unstable();
            self.spend(self.map.sites(), state);
            let Some(&(_, price, _, site)) = priced.first() else { return false };
            state.put(unit, site, price);
        }
        true
    }
}

/// Ends of one link that are looked at for neighbours.
const MOST_ON_LINK: usize = 8;

fn restored<'a>(mut state: State<'a>, at: &[usize]) -> Option<State<'a>> {
    for (unit, &site) in at.iter().enumerate() {
        let price = state.price(unit, site);
        state.put(unit, site, price);
    }
    state.all().map(|_| state)
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Lots(u64);

impl Lots {
    /// A number below a limit that is not 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(limit).unwrap_or(0)
    }

    fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.below(u64::try_from(count).unwrap_or(u64::MAX))).unwrap_or(0)
    }
}
