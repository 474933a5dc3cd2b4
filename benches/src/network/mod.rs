//! The emulated network at scale, and what it carries: in namespaces of its own, no container needed.

mod bed;
mod plot;
mod ports;
pub(crate) mod scale;
mod stall;
