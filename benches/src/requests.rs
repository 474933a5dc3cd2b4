//! `GET /instantiations` with 64 VNFs running.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::server::{Serve, Server};
use crate::services;

const CLIENTS: usize = 8;

/// Asks over kept connections for five seconds; against `/api/llcm/v1/health` of the same server, which does
/// nothing.
pub(crate) async fn run() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(Serve::new("simulated", dir.path())).await?;
    let service = server.upload(services::package(64)).await?;
    server.instantiate(&service).await?;
    let mut rates = Vec::new();
    for path in ["/instantiations", "/api/llcm/v1/health"] {
        let end = Instant::now() + Duration::from_secs(5);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (client, url) = (server.client.clone(), server.url(path));
            tasks.spawn(async move {
                let mut count = 0_u32;
                while Instant::now() < end {
                    client.get(&url).send().await?.error_for_status()?.bytes().await?;
                    count += 1;
                }
                Ok::<_, reqwest::Error>(count)
            });
        }
        let mut sum = 0_u32;
        while let Some(count) = tasks.join_next().await {
            sum += count??;
        }
        let rate = f64::from(sum) / 5.0;
        println!("GET {path} with 64 VNFs running, {CLIENTS} clients: {rate:.0} a second");
        rates.push(rate);
    }
    println!("against the empty request: {:.2} times", rates[0] / rates[1]);
    Ok(())
}
