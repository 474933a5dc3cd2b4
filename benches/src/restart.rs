//! A server that is killed with a service running: until the next one answers and has all of it.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::server::{Serve, Server};
use crate::services;
use crate::stats::{Clock, median, spread};

const ROUNDS: usize = 5;
const VNFS: usize = 64;

/// `kill -9` with 64 VNFs running, on both engines in turn, and of a server that has nothing.
pub(crate) async fn run() -> Result<()> {
    println!(
        "`kill -9` of the server with {VNFS} VNFs running; until the next one answers, and until it says that all \
         {VNFS} run, asked from the engine; {ROUNDS} rounds in turn; min / median / max\n"
    );
    let (mine, theirs) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let embedded = Serve::new("embedded", mine.path()).with_image()?;
    let docker = Serve::new("docker", theirs.path()).on(5057);
    // In turn, so that both meet the same load.
    let (mut embedded, mut docker) = (Restarts::begin(embedded).await?, Restarts::begin(docker).await?);
    for _ in 0..ROUNDS {
        embedded = embedded.again().await?;
        docker = docker.again().await?;
    }
    println!("| | embedded (ms) | docker (ms) | times faster |");
    println!("|---|---|---|---|");
    let rows = [
        ("first answer, nothing running", &embedded.idle, &docker.idle),
        ("first answer", &embedded.answer, &docker.answer),
        ("all adopted", &embedded.adopted, &docker.adopted),
    ];
    for (name, ours, theirs) in rows {
        let ratios: Vec<_> = ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours).collect();
        println!("| {name} | {} | {} | {:.1} |", spread(ours), spread(theirs), median(&ratios));
    }
    embedded.end().await?;
    docker.end().await
}

/// A server and what its restarts took, in milliseconds.
struct Restarts {
    server: Server,
    instance: String,
    idle: Vec<f64>,
    answer: Vec<f64>,
    adopted: Vec<f64>,
}

impl Restarts {
    async fn begin(serve: Serve) -> Result<Self> {
        let mut server = Server::start(serve).await?;
        let mut idle = Vec::new();
        for _ in 0..ROUNDS {
            server = server.restart().await?;
            idle.push(server.started_in.as_secs_f64() * 1e3);
        }
        let service = server.upload(services::package(VNFS)).await?;
        let instance = server.instantiate(&service).await?;
        Ok(Self { server, instance, idle, answer: Vec::new(), adopted: Vec::new() })
    }

    async fn again(self) -> Result<Self> {
        let Self { server, instance, idle, mut answer, mut adopted } = self;
        let server = server.restart().await?;
        let started = server.started_in.as_secs_f64() * 1e3;
        let clock = Clock::start();
        // An instance that is not known yet is not found.
        while server.running(&instance).await.ok() != Some(VNFS) {
            ensure!(
                clock.ms() < 60e3,
                "not all of {VNFS} VNFs run again: {:?}",
                server.running(&instance).await
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        answer.push(started);
        adopted.push(started + clock.ms());
        Ok(Self { server, instance, idle, answer, adopted })
    }

    async fn end(self) -> Result<()> {
        self.server.terminate(&self.instance).await
    }
}
