//! Placement: which deployment unit goes to which data center.
//!
//! Starts nothing and knows no descriptor: units and data centers are plain data. An algorithm is anything
//! that implements [`Placement`]; it is asked unit by unit and sees the data centers with their resources and
//! load, the unit, and the units placed so far. Algorithms are pure, what goes on from one instance to the
//! next (round-robin's counter) is handed in, so that the same history gives the same answer.
//!
//! ```
//! use llcm_placement::{Site, Unit, place_all, select};
//! use std::collections::BTreeMap;
//!
//! let sites = [Site::named("dc1").unwrap(), Site::named("dc2").unwrap()];
//! let algorithm = select("round-robin", &BTreeMap::new(), 0).unwrap();
//! let units = ["vnf0.vdu01.0", "vnf1.vdu01.0", "vnf2.vdu01.0"].map(Unit::named);
//! let placed = place_all(algorithm.as_ref(), &sites, &units, 0).unwrap();
//! let names: Vec<_> = placed.iter().map(|p| p.datacenter.as_str()).collect();
//! assert_eq!(names, ["dc1", "dc2", "dc1"]);
//! ```
//!
//! Suggested reading order: [`model`], [`algorithm`], [`first`], [`round_robin`], [`fixed`], [`with_saps`], [`mod@select`],
//! [`error`].

pub mod algorithm;
pub mod error;
pub mod first;
pub mod fixed;
pub mod model;
pub mod round_robin;
pub mod select;
pub mod with_saps;

pub use algorithm::{Placement, place_all, place_all_outside};
pub use error::PlacementError;
pub use first::First;
pub use fixed::Fixed;
pub use model::{AccessPoint, Choice, DataCenter, Demand, Placed, Site, Unit, View};
pub use round_robin::RoundRobin;
pub use select::{ALGORITHMS, select};
pub use with_saps::RoundRobinWithSaps;
