//! The server's log, on standard error.

use anyhow::Context as _;
use env_logger::{Builder, Env};

/// Starts the log. `filter` is as in `RUST_LOG`: a level (`info`), or levels by module (`llcm_api=debug`).
pub(crate) fn start(filter: &str) -> anyhow::Result<()> {
    Builder::from_env(Env::default().default_filter_or(filter))
        .format_target(false)
        .try_init()
        .context("the log is already started")
}
