//! From start to the first answer.

use anyhow::Result;

use crate::server::{Serve, Server};
use crate::stats;

/// Starts servers one after the other, each on an empty data directory.
pub(crate) async fn run() -> Result<()> {
    for engine in ["simulated", "embedded", "docker"] {
        let mut times = Vec::new();
        for _ in 0..20 {
            let dir = tempfile::tempdir()?;
            let server = Server::start(Serve::new(engine, dir.path())).await?;
            times.push(server.started_in.as_secs_f64() * 1e3);
        }
        println!(
            "start to first answer, engine {engine}: {} ms (min / median / max of 20; goal: under 50)",
            stats::spread(&times)
        );
    }
    Ok(())
}
