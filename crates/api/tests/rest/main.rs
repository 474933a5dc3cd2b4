//! Every route and every error of the REST interfaces, against the real orchestrator on simulated drivers.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and one that is left out says so"
)]

mod access;
mod audit;
mod auto;
mod chains;
mod clients;
mod common;
mod conform;
mod corpus;
mod events;
mod failures;
mod limits;
mod native;
mod openapi;
mod refusals;
mod sockets;
mod sonata;
mod tango;
mod tls;
mod topology;
mod traffic;
mod transcript;
mod uploads;
mod wire;
