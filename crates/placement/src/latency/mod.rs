//! Near to one another.

mod exact;
mod heuristic;
mod map;
mod state;
mod stir;
#[cfg(test)]
mod tests;

use map::Map;

use crate::algorithm::Placement;
use crate::capacity::Room;
use crate::error::PlacementError;
use crate::model::{Assignment, Choice, Delays, Placed, Quality, ServiceLink, ServiceView, Site, Unit, View};

/// `latency`: the placement within the data centers' capacity that has the shortest round trips along the service's
/// links.
///
/// What is made small is the sum, over all links, of the round trips between the data centers of the ends that speak
/// with one another, times [`ServiceLink::weight`]: an E-Line counts its round trip, an E-LAN of n ends as much as
/// n - 1 E-Lines of the mean round trip between its ends.
///
/// First a heuristic looks for a good placement: it grows the service from several data centers, then moves and
/// exchanges units as long as that helps, then takes some out and puts them back otherwise, many times. Then, for services
/// of up to [`Latency::EXACT_UNITS`] units, branch and bound looks for a better one until there is none, or until
/// [`Latency::steps`] are used up. All of it is bounded and the lots it draws are always the same: the same input has the
/// same answer on every machine.
///
/// - **Exact** for every service of at most 32 units for which (data centers) to the power of (units) is at most
///   250,000: 17 units on 2 data centers, 11 on 3, 8 on 4, 5 on 10, 2 on 500. Larger ones of up to 32 units often are, too,
///   because most branches are cut; [`Quality`] says so.
/// - **Beyond**, the heuristic's answer stands. No bound can be proven for it: to find any placement within capacity
///   at all is bin packing. What it misses was measured on random services: see `docs/placement.md`.
///
/// A placement in which ends of a link do not reach one another is none. Round trips of 2^40 us (12 days) and longer are
/// not told apart: where there are such, no placement is called the best.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Elementary steps (one site looked at for one unit, or for a pair of units that have links) that the exact search may
    /// take; 0: heuristic only.
    pub steps: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { steps: Self::STEPS }
    }
}

impl Latency {
    /// The default of [`Latency::steps`]. Where u units are left to place, a node of the search costs at most u x D steps to
    /// look at them, D x log2 D to sort the sites (none for the last unit), and 2 u x D to tell those units what the one
    /// before costs them. There are D^(U - u) such nodes. In all that is at most 3 D^U / (1 - 1/D)^2, and the sorting: with
    /// at most 250,000 leaves less than 4,000,000 steps.
    pub const STEPS: u64 = 10_000_000;
    /// Units up to which the exact search is tried.
    pub const EXACT_UNITS: usize = 32;

    /// The heuristic alone.
    #[must_use]
    pub const fn heuristic() -> Self {
        Self { steps: 0 }
    }
}

impl Placement for Latency {
    /// One unit by itself has no links: it goes to the first data center that has room.
    fn place(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        let mut rooms: Vec<Room> = view.sites.iter().map(Room::of).collect();
        for Placed { unit, datacenter, .. } in view.placed {
            let at = view.sites.iter().position(|site| site.datacenter.name == *datacenter);
            if let Some(room) = at.and_then(|at| rooms.get_mut(at)) {
                room.take(unit.demand);
            }
        }
        let found = view.sites.iter().zip(&rooms).find(|(_, room)| room.fits(unit.demand));
        found.map(|(site, _)| Choice::new(site)).ok_or_else(|| match view.sites {
            [] => PlacementError::NoDataCenter,
            _ => PlacementError::NoRoom { unit: unit.name.clone() },
        })
    }

    fn place_service(&self, service: &ServiceView<'_>) -> Result<Assignment, PlacementError> {
        if service.sites.is_empty() {
            return Err(PlacementError::NoDataCenter);
        }
        service.check_links()?;
        let map = Map::new(service);
        let found = heuristic::search(&map);
        let (found, quality) = match found {
            Some(found) if found.cost == 0 => (Some(found), Quality::Optimal),
            found if map.units() <= Self::EXACT_UNITS && self.steps > 0 => {
                exact::search(&map, found, self.steps)
            }
            found => (found, Quality::Heuristic),
        };
        let found = found.ok_or_else(|| no_room(service))?;
        if found.cost >= state::APART {
            return Err(PlacementError::Apart);
        }
        let choice = |at: &usize| service.sites.get(*at).map(Choice::new);
        let choices = found.at.iter().map(choice).collect::<Option<Vec<_>>>();
        // What cannot be told apart may be better.
        let quality = if map.clamped() { Quality::Heuristic } else { quality };
        Ok(Assignment { choices: choices.ok_or(PlacementError::NoDataCenter)?, quality: Some(quality) })
    }
}

/// Why a service has no room: a unit that none of the sites could take if it were alone, or all of them together.
fn no_room(service: &ServiceView<'_>) -> PlacementError {
    let rooms: Vec<Room> = service.sites.iter().map(Room::of).collect();
    let alone = service.units.iter().find(|unit| !rooms.iter().any(|room| room.fits(unit.demand)));
    match alone {
        Some(unit) => PlacementError::NoRoom { unit: unit.name.clone() },
        None => PlacementError::NoRoomTogether,
    }
}

/// A placement, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// In [`ServiceLink::LINE`]ths of a microsecond; see [`state::APART`].
    cost: u128,
    /// The positions of the units' sites.
    at: Vec<usize>,
}

/// The round trips along a service's links in microseconds, as `latency` adds them up, when its units are where
/// `placed` says; `None` when ends of a link do not reach one another, or a data center is not among the sites. Looks
/// only at pairs of data centers that links join.
#[must_use]
pub fn round_trips_us(
    sites: &[Site],
    placed: &[Placed],
    links: &[ServiceLink],
    delays: &dyn Delays,
) -> Option<u64> {
    let names: std::collections::BTreeMap<_, _> =
        sites.iter().enumerate().map(|(at, site)| (&site.datacenter.name, at)).collect();
    let at: Vec<usize> =
        placed.iter().map(|placed| names.get(&placed.datacenter).copied()).collect::<Option<_>>()?;
    let mut sum = 0_u128;
    for link in links {
        sum = sum.saturating_add(state::cost_of(link, &at, delays)?);
    }
    u64::try_from(sum / u128::from(ServiceLink::LINE)).ok()
}
