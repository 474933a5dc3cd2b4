//! One after the other.

use crate::algorithm::Placement;
use crate::error::PlacementError;
use crate::model::{Choice, Unit, View};

/// `round-robin`: the data centers in their order, one unit each; goes on from instance to instance.
#[derive(Debug, Clone, Copy, Default)]
pub struct RoundRobin;

impl Placement for RoundRobin {
    fn place(&self, view: &View<'_>, _unit: &Unit) -> Result<Choice, PlacementError> {
        let count = u64::try_from(view.sites.len()).unwrap_or(u64::MAX);
        view.turn
            .checked_rem(count)
            .and_then(|turn| view.sites.get(usize::try_from(turn).ok()?))
            .map(Choice::new)
            .ok_or(PlacementError::NoDataCenter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::place_all;
    use crate::model::Site;

    #[test]
    fn the_counter_goes_on_over_instances() {
        let sites = ["dc1", "dc2"].map(|name| Site::named(name).unwrap());
        let units = ["a", "b", "c"].map(Unit::named);
        let names = |turn| -> Vec<String> {
            let placed = place_all(&RoundRobin, &sites, &units, turn).unwrap();
            placed.iter().map(|p| p.datacenter.to_string()).collect()
        };
        assert_eq!(names(0), ["dc1", "dc2", "dc1"]);
        assert_eq!(names(3), ["dc2", "dc1", "dc2"]);
        assert_eq!(names(u64::MAX - 2), ["dc2", "dc1", "dc2"]);
    }
}
