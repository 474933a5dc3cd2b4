//! A pull from the registry that everybody runs, as `scripts/setup-dev --tests` brings it. It listens on
//! loopback and is filled by requests, so that no container engine is needed.
//!
//! Without the program the test says so and passes; with `LLCM_REQUIRE_SYSTEM_TESTS=1` that is a failure.

#[cfg(test)]
mod pull;
