//! The emulated network at scale, and what it carries: in namespaces of its own, no container needed.

pub(crate) mod accuracy;
mod bed;
mod plot;
mod ports;
mod probe;
pub(crate) mod scale;
mod stall;
pub(crate) mod throughput;
