//! One after the other, with service access points beside what they are for.

use crate::algorithm::Placement;
use crate::error::PlacementError;
use crate::model::{Choice, Unit, View};
use crate::round_robin::RoundRobin;

/// `round-robin-with-saps`: units of functions as [`RoundRobin`] places them; a service access point on an E-Line
/// where the unit at the other end is, one on an E-LAN anywhere, by lot. The same seed, name and turn draw the same
/// lot.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobinWithSaps {
    seed: u64,
}

impl RoundRobinWithSaps {
    /// With the seed of its lots.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn beside(self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        let near = unit.access_point.clone().unwrap_or_default();
        if let Some(datacenter) = view.place_of(&near.on_lines) {
            return Ok(Choice { datacenter: datacenter.clone(), warning: None });
        }
        let lot =
            unit.name.bytes().fold(mix(self.seed ^ mix(view.turn)), |lot, byte| mix(lot ^ u64::from(byte)));
        RoundRobin.place(&View { turn: lot, ..*view }, unit)
    }
}

impl Placement for RoundRobinWithSaps {
    fn place(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        match unit.access_point {
            None => RoundRobin.place(view, unit),
            Some(_) => self.beside(view, unit),
        }
    }

    fn place_outside(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        self.beside(view, unit)
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::algorithm::{place_all, place_all_outside};
    use crate::model::{AccessPoint, Placed, Site};

    fn sites() -> [Site; 3] {
        ["dc1", "dc2", "dc3"].map(|name| Site::named(name).unwrap())
    }

    fn sap(name: &str, on_lines: &[&str], on_lans: &[&str]) -> Unit {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
        let near = AccessPoint { on_lines: words(on_lines), on_lans: words(on_lans) };
        Unit { access_point: Some(near), ..Unit::named(name) }
    }

    fn names(placed: &[Placed]) -> Vec<&str> {
        placed.iter().map(|placed| placed.datacenter.as_str()).collect()
    }

    #[test]
    fn access_points_on_lines_are_where_the_other_end_is() {
        let units =
            [Unit::named("a"), Unit::named("b"), sap("input", &["b"], &[]), sap("output", &["a"], &["b"])];
        let placed = place_all(&RoundRobinWithSaps::new(0), &sites(), &units, 0).unwrap();
        assert_eq!(names(&placed), ["dc1", "dc2", "dc2", "dc1"]);
        let outside = [sap("x", &["nobody", "b"], &["a"])];
        let placed = place_all_outside(&RoundRobinWithSaps::new(0), &sites(), &placed, &outside, 4).unwrap();
        assert_eq!(names(&placed), ["dc2"]);
    }

    #[test]
    fn access_points_on_lans_are_placed_by_lot() {
        let place = |seed, turn| {
            let placed =
                place_all(&RoundRobinWithSaps::new(seed), &sites(), &[sap("m", &[], &["a"])], turn).unwrap();
            placed[0].datacenter.to_string()
        };
        assert_eq!(place(7, 3), place(7, 3), "the same lot");
        let drawn: BTreeSet<_> = (0..64).map(|seed| place(seed, 0)).collect();
        assert_eq!(drawn.len(), 3, "every data center is drawn by some seed");
        let drawn: BTreeSet<_> = (0..64).map(|turn| place(0, turn)).collect();
        assert_eq!(drawn.len(), 3, "and goes on from instance to instance");
    }

    #[test]
    fn other_algorithms_have_external_ones_beside_their_neighbours() {
        let units = [Unit::named("a"), Unit::named("b")];
        let placed = place_all(&RoundRobin, &sites(), &units, 1).unwrap();
        let outside = [sap("x", &["b"], &["a"]), sap("y", &[], &["a"]), sap("z", &[], &[])];
        let beside = place_all_outside(&RoundRobin, &sites(), &placed, &outside, 3).unwrap();
        assert_eq!(names(&beside), ["dc3", "dc2", "dc1"]);
        assert_eq!(place_all_outside(&RoundRobin, &[], &[], &outside, 0), Err(PlacementError::NoDataCenter));
    }
}
