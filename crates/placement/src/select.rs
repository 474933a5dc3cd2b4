//! Name -> algorithm.

use std::collections::BTreeMap;

use crate::algorithm::Placement;
use crate::error::PlacementError;
use crate::first::First;
use crate::fixed::Fixed;
use crate::round_robin::RoundRobin;

/// The names that [`select`] knows.
pub const ALGORITHMS: [&str; 3] = ["first", "round-robin", "static"];

/// The name of the algorithm that also places service access points; reserved until there are any.
const WITH_SAPS: &str = "round-robin-with-saps";

/// The algorithm of a name; `fixed` is the table of `static`.
///
/// # Errors
/// When there is none of that name; the error lists those there are.
pub fn select(name: &str, fixed: &BTreeMap<String, String>) -> Result<Box<dyn Placement>, PlacementError> {
    match name {
        "first" => Ok(Box::new(First)),
        "round-robin" => Ok(Box::new(RoundRobin)),
        "static" => Ok(Box::new(Fixed::new(fixed.clone()))),
        WITH_SAPS => Err(PlacementError::NeedsSaps { name: name.to_owned() }),
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
            let algorithm = select(name, &BTreeMap::new()).unwrap();
            let placed = place_all(algorithm.as_ref(), &sites, &[Unit::named("a")], 0).unwrap();
            assert_eq!(placed[0].datacenter.as_str(), "dc1", "{name}");
        }
    }

    #[test]
    fn other_names_are_refused_with_what_to_do() {
        let message = |name| match select(name, &BTreeMap::new()) {
            Ok(_) => panic!("{name} selected"),
            Err(error) => error.to_string(),
        };
        assert_eq!(
            message("random"),
            "placement algorithm \"random\" is not known: expected one of first, round-robin, static"
        );
        assert!(message("round-robin-with-saps").contains("use round-robin"));
    }
}
