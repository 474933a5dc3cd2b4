//! What links do to packets in time, on the real kernel: one test after the other, and in a program of their own, so that
//! they have the machine for themselves where nothing else runs.
//!
//! Without root, or without the tools, the tests are skipped with a message; with
//! `LLCM_REQUIRE_SYSTEM_TESTS=1` that is a failure.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

#[path = "../root/bed.rs"]
#[expect(dead_code, reason = "it serves other tests as well")]
mod bed;
mod shaping;
#[path = "../root/traffic.rs"]
mod traffic;
