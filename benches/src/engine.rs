//! One container's start, exec and end: the embedded engine against Docker's API.

use anyhow::Result;
use llcm_engine::Limits;

use crate::bare::{self, Bare};
use crate::embedded::Embedded;
use crate::server::binary;
use crate::stats::{self, spread};

const ROUNDS: usize = 5;
/// How much faster than Docker the engine is to be with as many containers at a time as the server starts.
const GOAL: f64 = 20.0;
const MEMORY: u32 = 64 << 20;
const PERIOD_US: u32 = 1_000_000;

/// Milliseconds per container.
#[derive(Debug, Clone, Copy)]
struct Phases([f64; 3]);

impl Phases {
    const NAMES: [&str; 4] = ["create + start", "exec `true`", "stop + remove", "all three"];

    /// Those of [`Self::NAMES`].
    fn get(self, index: usize) -> f64 {
        self.0.get(index).copied().unwrap_or_else(|| self.0.iter().sum())
    }
}

/// What every container runs.
pub(crate) fn sleep() -> Vec<String> {
    ["sleep", "100000"].map(str::to_owned).to_vec()
}

/// With and without limits, one by one and 8 at a time; each round both engines in turn.
pub(crate) async fn run() -> Result<()> {
    let (docker, version) = bare::connect().await?;
    // The helper is this program, which is small, and once more the one that people have.
    let (own, shipped) = (Embedded::open(None)?, Embedded::open(Some(&binary()?))?);
    println!(
        "llcm-engine against the API of Docker {version}, network `none`; ms per container; {ROUNDS} rounds in turn, one warm-up; \
         min / median / max; goal 8 at a time: {GOAL} times\n"
    );
    println!(
        "| limits | at a time | | llcm-engine | with `llcm` as its helper | Docker | times faster | with `llcm` |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for limited in [false, true] {
        let limits = if limited {
            Limits {
                cpu_quota_us: Some(PERIOD_US.into()),
                cpu_period_us: Some(PERIOD_US.into()),
                memory_bytes: Some(MEMORY.into()),
                ..Limits::default()
            }
        } else {
            Limits::default()
        };
        let theirs = Bare {
            command: Some(sleep()),
            network: Some("none".to_owned()),
            cpu_quota: limited.then(|| PERIOD_US.into()),
            memory: limited.then(|| MEMORY.into()),
        };
        for (at_once, count) in [(1, 8), (8, 32)] {
            let mut rounds = Vec::new();
            for round in 0..=ROUNDS {
                let ours = on_engine(&own, &limits, count, at_once)?;
                let with_llcm = on_engine(&shipped, &limits, count, at_once)?;
                let (names, up) = bare::up(&docker, &theirs, count, at_once).await?;
                let exec = bare::exec(&docker, &names, at_once).await?;
                let down = bare::down(&docker, names, at_once).await?;
                if round > 0 {
                    rounds.push([ours, with_llcm, per_container([up, exec, down], count)]);
                }
            }
            print(if limited { "CPU, memory" } else { "none" }, at_once, &rounds);
        }
    }
    Ok(())
}

fn on_engine(engine: &Embedded, limits: &Limits, count: usize, at_once: usize) -> Result<Phases> {
    let up = engine.up(&sleep(), limits, count, at_once)?;
    let exec = engine.exec(count, at_once)?;
    let down = engine.down(count, at_once)?;
    Ok(per_container([up, exec, down], count))
}

fn per_container(all: [f64; 3], count: usize) -> Phases {
    Phases(all.map(|ms| ms / stats::float(count)))
}

/// Rows of the table.
fn print(limits: &str, at_once: usize, rounds: &[[Phases; 3]]) {
    for (index, name) in Phases::NAMES.iter().enumerate() {
        let all = |of: fn(&[Phases; 3], usize) -> f64| -> Vec<f64> {
            rounds.iter().map(|round| of(round, index)).collect()
        };
        println!(
            "| {limits} | {at_once} | {name} | {} | {} | {} | {} | {} |",
            spread(&all(|[ours, ..], index| ours.get(index))),
            spread(&all(|[_, with_llcm, _], index| with_llcm.get(index))),
            spread(&all(|[.., docker], index| docker.get(index))),
            spread(&all(|[ours, _, docker], index| docker.get(index) / ours.get(index))),
            spread(&all(|[_, with_llcm, docker], index| docker.get(index) / with_llcm.get(index))),
        );
    }
}
