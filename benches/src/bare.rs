//! Containers by a Docker engine's API alone: what everything else is compared with.

use anyhow::{Result, ensure};
use bollard::Docker;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig};
use bollard::query_parameters::{CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::services::IMAGE;
use crate::stats::Clock;

/// Connects to the engine of the environment and gives its version.
pub(crate) async fn connect() -> Result<(Docker, String)> {
    let docker = Docker::connect_with_defaults()?.negotiate_version().await?;
    let version = docker.version().await?.version.unwrap_or_default();
    Ok((docker, version))
}

/// What is made of the benchmarks' image.
#[derive(Debug, Clone)]
pub(crate) struct Bare {
    pub(crate) command: Option<Vec<String>>,
    /// Docker's default network costs an interface and rules; `none` is a network namespace with loopback.
    pub(crate) network: Option<String>,
    pub(crate) cpu_quota: Option<i64>,
    pub(crate) memory: Option<i64>,
}

impl Bare {
    fn body(&self) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: self.command.clone(),
            tty: Some(self.command.is_none()),
            open_stdin: Some(true),
            labels: Some([("bench".to_owned(), "bare".to_owned())].into()),
            host_config: Some(HostConfig {
                cpu_period: self.cpu_quota,
                cpu_quota: self.cpu_quota,
                memory: self.memory,
                // As the embedded engine sets it: memory and swap together.
                memory_swap: self.memory,
                network_mode: self.network.clone(),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

/// Creates and starts `count` containers, `at_once` at a time: their names, and milliseconds for all.
pub(crate) async fn up(
    docker: &Docker,
    bare: &Bare,
    count: usize,
    at_once: usize,
) -> Result<(Vec<String>, f64)> {
    let clock = Clock::start();
    let names = stream::iter(0..count)
        .map(|number| async move {
            let name = format!("bare{number}");
            let options = CreateContainerOptionsBuilder::new().name(&name).build();
            docker.create_container(Some(options), bare.body()).await?;
            docker.start_container(&name, None).await?;
            anyhow::Ok(name)
        })
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    Ok((names, clock.ms()))
}

/// Runs `true` in each and waits for its end and exit code; milliseconds for all.
pub(crate) async fn exec(docker: &Docker, names: &[String], at_once: usize) -> Result<f64> {
    let clock = Clock::start();
    stream::iter(names.to_vec())
        .map(|name| async move {
            let config = ExecConfig {
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                cmd: Some(vec!["true".to_owned()]),
                ..ExecConfig::default()
            };
            let made = docker.create_exec(&name, config).await?;
            if let StartExecResults::Attached { output, .. } = docker.start_exec(&made.id, None).await? {
                output.try_collect::<Vec<_>>().await?;
            }
            let code = docker.inspect_exec(&made.id).await?.exit_code;
            ensure!(code == Some(0), "`true` in {name} ended with {code:?}");
            Ok(())
        })
        .buffer_unordered(at_once)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(clock.ms())
}

/// Kills and removes them; milliseconds for all.
pub(crate) async fn down(docker: &Docker, names: Vec<String>, at_once: usize) -> Result<f64> {
    let clock = Clock::start();
    stream::iter(names)
        .map(|name| async move {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            docker.remove_container(&name, Some(options)).await
        })
        .buffer_unordered(at_once)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(clock.ms())
}
