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
/// exchanges units as long as that helps, then takes some out and puts them back otherwise, many times. Then, for services of up to [`Latency::EXACT_UNITS`] units, branch and bound
/// looks for a better one until there is none, or until [`Latency::steps`] are used up. All of it is bounded and
/// the lots it draws are always the same: the same input has the same answer on every machine.
///
/// - **Exact** for every service of at most 32 units for which (data centers) to the power of (units) is at most
///   250,000: 17 units on 2 data centers, 11 on 3, 8 on 4, 5 on 10, 2 on 500. Larger ones of up to 32 units often are, too,
///   because most branches are cut; [`Quality`] says so.
/// - **Beyond**, the heuristic's answer stands. No bound can be proven for it: to find any placement within capacity
///   at all is bin packing. What it misses was measured on random services: see `docs/placement.md`.
///
/// A placement in which ends of a link do not reach one another is none.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Elementary steps (one site looked at for one unit) that the exact search may take; 0: heuristic only.
    pub steps: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { steps: Self::STEPS }
    }
}

impl Latency {
    /// The default of [`Latency::steps`]. A tree with D^U leaves has fewer than D^U / (D - 1) inner nodes, each of which
    /// costs at most U x D steps: with at most 250,000 leaves less than 9,000,000 steps in all.
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
        found.map(|(site, _)| Choice::new(site)).ok_or_else(|| no_place(view.sites, &unit.name))
    }

    fn place_service(&self, service: &ServiceView<'_>) -> Result<Assignment, PlacementError> {
        let map = Map::new(service);
        let nowhere = || {
            let name = service.units.first().map_or("the service", |unit| &unit.name);
            no_place(service.sites, name)
        };
        if service.sites.is_empty() {
            return Err(PlacementError::NoDataCenter);
        }
        let found = heuristic::search(&map);
        let (found, quality) = match found {
            Some(found) if found.cost == 0 => (Some(found), Quality::Optimal),
            found if map.units() <= Self::EXACT_UNITS && self.steps > 0 => {
                exact::search(&map, found, self.steps)
            }
            found => (found, Quality::Heuristic),
        };
        let found = found.filter(|found| found.cost < state::APART).ok_or_else(nowhere)?;
        let choice = |at: &usize| service.sites.get(*at).map(Choice::new);
        let choices = found.at.iter().map(choice).collect::<Option<Vec<_>>>().ok_or_else(nowhere)?;
        Ok(Assignment { choices, quality: Some(quality) })
    }
}

fn no_place(sites: &[Site], unit: &str) -> PlacementError {
    if sites.is_empty() {
        return PlacementError::NoDataCenter;
    }
    PlacementError::NoPlace {
        unit: unit.to_owned(),
        reason: "no placement of all units was found with the CPU and the memory that they demand free, and with paths \
                 between the ends of all links"
            .to_owned(),
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
