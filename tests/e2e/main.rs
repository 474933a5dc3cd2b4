//! End-to-end tests: the real program, a real container engine, the real kernel.
//!
//! Each test has a lab of its own (see [`lab`]): a network namespace without uplink and, where it is about Docker, a
//! private engine in it. Many run on each engine, the embedded one as root and as an ordinary user ([`engine`]).
//! Effects are looked at with tools that are not ours: `docker`, `ip -j`, `tc`, `ping`,
//! `tcpdump`, `iperf3`, `curl`.
//!
//! They need root. Where it is missing they say so and pass; with `LLCM_REQUIRE_SYSTEM_TESTS=1`, as
//! `scripts/test` and CI set it, its absence is a failure.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the whole program is a test"
)]

mod engine;
mod lab;
mod look;
mod native;
mod packages;

mod chains;
mod clean;
mod concurrency;
mod damaged;
mod docker_images;
mod engine_trouble;
mod failures;
mod inner_links;
mod killed;
mod kills;
mod links;
mod management;
mod mapped;
mod peers_demo;
mod published_ports;
mod registry;
mod registry_embedded;
mod saps;
mod settings;
mod shutdown;
mod slow_links;
mod sonata;
mod spanning;
mod traffic;
mod uploads;
mod watched;
