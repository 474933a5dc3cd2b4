//! Name -> algorithm.

use std::collections::BTreeMap;

use crate::algorithm::Placement;
use crate::error::PlacementError;
use crate::first::First;
use crate::fixed::Fixed;
use crate::latency::Latency;
use crate::least_loaded::LeastLoaded;
use crate::round_robin::RoundRobin;
use crate::with_saps::RoundRobinWithSaps;

/// The names that [`select`] knows.
pub const ALGORITHMS: [&str; 6] =
    ["first", "round-robin", "round-robin-with-saps", "static", "least-loaded", "latency"];

/// The algorithm of a name; `fixed` is the table of `static`, `seed` is for those that draw lots.
///
/// # Errors
/// When there is none of that name; the error lists those there are.
pub fn select(
    name: &str,
    fixed: &BTreeMap<String, String>,
    seed: u64,
) -> Result<Box<dyn Placement>, PlacementError> {
    match name {
        "first" => Ok(Box::new(First)),
        "round-robin" => Ok(Box::new(RoundRobin)),
        "static" => Ok(Box::new(Fixed::new(fixed.clone()))),
        "round-robin-with-saps" => Ok(Box::new(RoundRobinWithSaps::new(seed))),
        "least-loaded" => Ok(Box::new(LeastLoaded)),
        "latency" => Ok(Box::new(Latency::default())),
        _ => Err(PlacementError::UnknownAlgorithm { name: name.to_owned(), known: ALGORITHMS.join(", ") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::place_all;
    use crate::model::{Site, Unit};

    #[test]
    fn every_listed_name_can_be_selected_and_places() {
        let sites = [Site::named("dc1").unwrap()];
        for name in ALGORITHMS {
            let algorithm = select(name, &BTreeMap::new(), 0).unwrap();
            let placed = place_all(algorithm.as_ref(), &sites, &[Unit::named("a")], 0).unwrap();
            assert_eq!(placed[0].datacenter.as_str(), "dc1", "{name}");
        }
    }

    #[test]
    fn other_names_are_refused_with_what_to_do() {
        let message = |name| match select(name, &BTreeMap::new(), 0) {
            Ok(_) => panic!("{name} selected"),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            message("random"),
            "placement algorithm \"random\" is not known: expected one of first, round-robin, round-robin-with-saps, static, least-loaded, latency"
        );
    }
}
