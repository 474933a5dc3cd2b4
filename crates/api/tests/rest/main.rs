//! Every route and every error of the REST interfaces, against the real orchestrator on simulated drivers.

mod common;
mod failures;
mod native;
mod refusals;
mod sockets;
mod tango;
mod transcript;
mod uploads;
mod wire;
