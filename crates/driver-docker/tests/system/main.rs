//! Tests against a real engine, whose socket's path stands in `LLCM_TEST_ENGINE`:
//!
//! ```text
//! scripts/private-engine run t -- cargo test -p llcm-driver-docker
//! ```
//! Without that variable they say so and pass; with `LLCM_REQUIRE_SYSTEM_TESTS=1` that is a failure. Effects
//! are looked at with the `docker` command and in the kernel's files, not with the driver.

#[cfg(test)]
mod bed;
#[cfg(test)]
mod build;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod export;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod refusals;
