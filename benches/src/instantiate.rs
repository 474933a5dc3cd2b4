//! Instantiating a service against creating and starting the same containers by the engine's API alone.

use std::time::Instant;

use anyhow::Result;
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::server::Server;
use crate::services::{self, IMAGE};
use crate::stats;

/// As many containers at a time as the server starts.
const CONCURRENCY: usize = 8;
const ROUNDS: usize = 5;

/// 4, 16 and 64 VNFs, in turn with the same number of bare containers.
pub(crate) async fn run() -> Result<()> {
    let docker = Docker::connect_with_defaults()?.negotiate_version().await?;
    let version = docker.version().await?.version.unwrap_or_default();
    println!(
        "against create + start by the API of Docker {version}, {CONCURRENCY} at a time, {ROUNDS} rounds in turn, one warm-up"
    );
    let dir = tempfile::tempdir()?;
    let server = Server::start("docker", dir.path()).await?;
    for count in [4, 16, 64] {
        let service = server.upload(services::package(count)).await?;
        let (mut ours, mut theirs, mut down, mut removed, mut ratios) =
            (vec![], vec![], vec![], vec![], vec![]);
        for round in 0..=ROUNDS {
            let begin = Instant::now();
            let instance = server.instantiate(&service).await?;
            let up = begin.elapsed().as_secs_f64() * 1e3;
            let begin = Instant::now();
            server.terminate(&instance).await?;
            let gone = begin.elapsed().as_secs_f64() * 1e3;
            let (bare_up, bare_gone) = bare(&docker, count).await?;
            if round > 0 {
                ours.push(up);
                down.push(gone);
                theirs.push(bare_up);
                removed.push(bare_gone);
                ratios.push(up / bare_up);
            }
        }
        println!(
            "{count:>3} VNFs up:   llcm {} ms, bare containers {} ms, ratio {:.2} (goal: at most 1.15)",
            stats::spread(&ours),
            stats::spread(&theirs),
            stats::median(&ratios)
        );
        println!(
            "{count:>3} VNFs down: llcm {} ms, bare containers {} ms, ratio {:.2}",
            stats::spread(&down),
            stats::spread(&removed),
            stats::median(&down) / stats::median(&removed)
        );
    }
    Ok(())
}

/// Creates and starts, then removes containers; both in milliseconds.
async fn bare(docker: &Docker, count: usize) -> Result<(f64, f64)> {
    let begin = Instant::now();
    let names: Vec<String> = stream::iter(0..count)
        .map(|number| async move {
            let name = format!("bare{number}");
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            let body = ContainerCreateBody {
                image: Some(IMAGE.to_owned()),
                tty: Some(true),
                open_stdin: Some(true),
                labels: Some([("bench".to_owned(), "bare".to_owned())].into()),
                host_config: Some(HostConfig {
                    cpu_period: Some(1_000_000),
                    cpu_quota: Some(1_000_000),
                    ..HostConfig::default()
                }),
                ..ContainerCreateBody::default()
            };
            docker.create_container(Some(options), body).await?;
            docker.start_container(&name, None).await?;
            anyhow::Ok(name)
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await?;
    let up = begin.elapsed().as_secs_f64() * 1e3;
    let begin = Instant::now();
    stream::iter(names)
        .map(|name| async move {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            docker.remove_container(&name, Some(options)).await
        })
        .buffer_unordered(CONCURRENCY)
        .try_collect::<Vec<()>>()
        .await?;
    Ok((up, begin.elapsed().as_secs_f64() * 1e3))
}
