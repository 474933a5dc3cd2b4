//! Placement: which deployment unit goes to which data center.
//!
//! Starts nothing and knows no descriptor: units, the links between them and data centers are plain data, and how far
//! data centers are from one another is a function. An algorithm is anything that implements [`Placement`]; it is asked
//! unit by unit and sees the data centers with their resources and load, the unit, and the units placed so far - or,
//! if it wants to, the service as a whole. Whether data centers are asked for more than they have, [`overloads`] tells
//! of any placement. Algorithms are pure, what goes on from one instance to the
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
//! Suggested reading order: [`model`], [`algorithm`], [`capacity`], [`first`], [`round_robin`], [`fixed`], [`with_saps`],
//! [`least_loaded`], [`latency`], [`mod@select`], [`error`].

pub mod algorithm;
pub mod capacity;
pub mod error;
pub mod first;
pub mod fixed;
pub mod latency;
pub mod least_loaded;
pub mod model;
pub mod round_robin;
pub mod select;
pub mod with_saps;

pub use algorithm::{Placement, place_all, place_all_outside, place_service};
pub use capacity::{Overload, Room, overloads};
pub use error::PlacementError;
pub use first::First;
pub use fixed::Fixed;
pub use latency::{Latency, round_trips_us};
pub use least_loaded::LeastLoaded;
pub use model::{
    AccessPoint, Assignment, Choice, DataCenter, Delays, Demand, Placed, Quality, ServiceLink, ServiceView,
    Site, Unit, View,
};
pub use round_robin::RoundRobin;
pub use select::{ALGORITHMS, select};
pub use with_saps::RoundRobinWithSaps;
