//! Instantiating a service: on the embedded engine, as root and as an ordinary user, on Docker, and against
//! creating and starting the same containers by Docker's API alone.

use anyhow::Result;
use bollard::Docker;

use crate::bare::{self, Bare};
use crate::server::{Serve, Server};
use crate::services;
use crate::stats::{Clock, spread};

/// As many containers at a time as the server starts.
const AT_ONCE: usize = 8;
const ROUNDS: usize = 5;

/// VNFs, and whether the ordinary user has a turn.
const SIZES: [(usize, bool); 4] = [(4, false), (16, true), (64, true), (256, false)];
/// From so many on Docker takes a minute and more: one round without a warm-up is enough to tell.
const LARGE: usize = 256;

/// Who instantiates.
const NAMES: [&str; 4] = ["embedded", "embedded, ordinary user", "docker", "bare containers"];

/// Milliseconds up and down by [`NAMES`]; who had no turn has none.
type Round = [Option<(f64, f64)>; 4];

/// 4, 16, 64 and 256 VNFs, all of [`NAMES`] in turn.
pub(crate) async fn run() -> Result<()> {
    let (docker, version) = bare::connect().await?;
    let (dir, users) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let embedded = Serve::new("embedded", &dir.path().join("embedded")).with_image()?;
    let user = Serve::new("embedded", &users.path().join("data")).for_user()?.with_image()?;
    let servers = [
        Server::start(embedded).await?,
        Server::start(user.on(5056)).await?,
        Server::start(Serve::new("docker", &dir.path().join("docker")).on(5057)).await?,
    ];
    println!(
        "`llcm serve --engine embedded`, the same as an ordinary user, `--engine docker`, and create + start by the API \
         of Docker {version}; {AT_ONCE} at a time; {ROUNDS} rounds in turn, one warm-up, with {LARGE} VNFs one round alone; \
         min / median / max\n"
    );
    println!(
        "| VNFs | | {} (ms) | embedded times faster than docker | docker : bare (goal 1.15) |",
        NAMES.join(" (ms) | ")
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (count, with_user) in SIZES {
        let mut services = Vec::new();
        for server in &servers {
            services.push(server.upload(services::package(count)).await?);
        }
        let (warm_up, rounds) = if count >= LARGE { (0, 1) } else { (1, ROUNDS) };
        let mut measured: Vec<Round> = Vec::new();
        for round in 0..warm_up + rounds {
            let mut times: Round = [None; 4];
            for (index, (server, service)) in servers.iter().zip(&services).enumerate() {
                if let Some(time) = times.get_mut(index).filter(|_| index != 1 || with_user) {
                    *time = Some(instance(server, service).await?);
                }
            }
            times[3] = Some(containers(&docker, count).await?);
            if round >= warm_up {
                measured.push(times);
            }
        }
        print(count, "up", &measured, |(up, _)| up);
        print(count, "down", &measured, |(_, down)| down);
    }
    Ok(())
}

/// A row of the table.
fn print(count: usize, phase: &str, rounds: &[Round], of: fn((f64, f64)) -> f64) {
    let column = |index: usize| -> Vec<f64> {
        rounds.iter().filter_map(|round| round.get(index).copied().flatten().map(of)).collect()
    };
    let ratios = |over: usize, under: usize| -> String {
        let ratios: Vec<_> =
            column(over).iter().zip(column(under)).map(|(over, under)| over / under).collect();
        spread(&ratios)
    };
    let figures: Vec<_> = (0..NAMES.len()).map(column).collect();
    let shown: Vec<_> =
        figures.iter().map(|it| if it.is_empty() { String::new() } else { spread(it) }).collect();
    println!("| {count} | {phase} | {} | {} | {} |", shown.join(" | "), ratios(2, 0), ratios(2, 3));
}

/// An instance, up and down.
async fn instance(server: &Server, service: &str) -> Result<(f64, f64)> {
    let clock = Clock::start();
    let instance = server.instantiate(service).await?;
    let up = clock.ms();
    let clock = Clock::start();
    server.terminate(&instance).await?;
    Ok((up, clock.ms()))
}

/// As many bare containers, up and down.
async fn containers(docker: &Docker, count: usize) -> Result<(f64, f64)> {
    let bare = Bare { command: None, network: None, cpu_quota: Some(1_000_000), memory: None };
    let (names, up) = bare::up(docker, &bare, count, AT_ONCE).await?;
    Ok((up, bare::down(docker, names, AT_ONCE).await?))
}
