//! Emulated data centers, the links between them, the links' properties and the paths over them.
//!
//! Knows no VNF. See [`Topology`].

pub mod model;

pub use model::{Capacity, DataCenter, Link, LinkEnd, LinkProperties, Topology};
