//! The driver against the real kernel, in namespaces made for the tests, looked at with other tools.
//!
//! Without root, or without the tools, the tests are skipped with a message; with
//! `LLCM_REQUIRE_SYSTEM_TESTS=1` that is a failure.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod bed;
mod captures;
mod chains;
mod frame_types;
mod frames;
mod instances;
mod isolation;
mod jumbo;
mod links;
mod ports;
mod scale;
mod segments;
mod several;
mod six;
mod sniff;
mod traffic;
mod trees;
