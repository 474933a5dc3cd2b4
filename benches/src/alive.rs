//! Hundreds of containers at once: until all are up, what each takes of the memory, until all are gone.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bollard::Docker;
use llcm_engine::Limits;

use crate::bare::{self, Bare};
use crate::embedded::Embedded;
use crate::engine::sleep;
use crate::stats::{self, float, memory_kib, pss_kib, spread};

const ROUNDS: usize = 3;
const AT_ONCE: usize = 8;
const OURS: usize = 300;
/// Docker's take minutes otherwise; what is compared is the time and memory of each.
const THEIRS: usize = 50;

/// A round of one engine.
struct Round {
    up_ms: f64,
    down_ms: f64,
    /// KiB of a container: its processes, and those that exist for it alone.
    processes: f64,
    /// KiB by which the engine's own processes have grown, by container.
    engine: f64,
}

impl Round {
    fn memory(&self) -> f64 {
        self.processes + self.engine
    }
}

/// 300 containers of the embedded engine, and 50 of Docker's, in turn.
pub(crate) async fn run() -> Result<()> {
    let (docker, version) = bare::connect().await?;
    let embedded = Embedded::open(None)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(on_engine(&embedded)?);
        theirs.push(on_docker(&docker).await?);
    }
    let all = |rounds: &[Round], of: fn(&Round) -> f64| rounds.iter().map(of).collect::<Vec<_>>();
    println!(
        "{OURS} containers of llcm-engine, {THEIRS} of Docker {version} (network `none`), {AT_ONCE} at a time, no limits; \
         {ROUNDS} rounds in turn; min / median / max\n"
    );
    println!("| | llcm-engine, {OURS} | Docker, {THEIRS} | times less, by container | goal |");
    println!("|---|---|---|---|---|");
    let row = |name: &str, of: fn(&Round) -> f64, by_container: bool, goal: &str| {
        let (ours, theirs) = (all(&ours, of), all(&theirs, of));
        let scale = if by_container { 1.0 } else { float(OURS) / float(THEIRS) };
        let ratios: Vec<_> = ours.iter().zip(&theirs).map(|(ours, theirs)| theirs / ours * scale).collect();
        println!("| {name} | {} | {} | {} | {goal} |", spread(&ours), spread(&theirs), spread(&ratios));
    };
    row("until all are up (ms)", |it| it.up_ms, false, "under 1500 ms");
    row("until all are gone (ms)", |it| it.down_ms, false, "");
    row("memory of a container (KiB)", Round::memory, true, "under 1024 KiB");
    row("of that, its processes and its shim (PSS)", |it| it.processes, true, "");
    row("of that, growth of the engine itself (RSS)", |it| it.engine, true, "");
    Ok(())
}

fn on_engine(engine: &Embedded) -> Result<Round> {
    let own = || memory_kib(std::process::id(), "VmRSS").context("no VmRSS");
    let before = own()?;
    let up_ms = engine.up(&sleep(), &Limits::default(), OURS, AT_ONCE)?;
    let grown = own()?.saturating_sub(before);
    let processes = engine.pids()?.iter().map(|pid| pss_kib(*pid)).sum::<Result<u64>>()?;
    let down_ms = engine.down(OURS, AT_ONCE)?;
    let each = |kib: u64| stats::float_of(kib) / float(OURS);
    Ok(Round { up_ms, down_ms, processes: each(processes), engine: each(grown) })
}

async fn on_docker(docker: &Docker) -> Result<Round> {
    let engine = || -> Result<u64> {
        let kib = engine_pids()?.into_iter().map(|pid| memory_kib(pid, "VmRSS").context("no VmRSS"));
        kib.sum()
    };
    let bare =
        Bare { command: Some(sleep()), network: Some("none".to_owned()), cpu_quota: None, memory: None };
    let before = engine()?;
    let (names, up_ms) = bare::up(docker, &bare, THEIRS, AT_ONCE).await?;
    let grown = engine()?.saturating_sub(before);
    let mut processes = 0;
    for name in &names {
        let found = docker.inspect_container(name, None).await?;
        let pid = found.state.and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok());
        let pid = pid.context("a container without a process")?;
        // Its parent is its shim.
        let shim = memory_kib(pid, "PPid").and_then(|pid| u32::try_from(pid).ok()).context("no parent")?;
        processes += pss_kib(pid)? + pss_kib(shim)?;
    }
    let down_ms = bare::down(docker, names, AT_ONCE).await?;
    let each = |kib: u64| stats::float_of(kib) / float(THEIRS);
    Ok(Round { up_ms, down_ms, processes: each(processes), engine: each(grown) })
}

/// The private engine's own processes, which has their numbers beside its socket.
fn engine_pids() -> Result<Vec<u32>> {
    let socket =
        PathBuf::from(std::env::var("LLCM_TEST_ENGINE").context("LLCM_TEST_ENGINE: use scripts/bench")?);
    let directory = socket.parent().unwrap_or(Path::new("/"));
    let read = |file: &str| -> Result<u32> {
        Ok(std::fs::read_to_string(directory.join(file)).with_context(|| file.to_owned())?.trim().parse()?)
    };
    Ok(vec![read("dockerd.pid")?, read("containerd.pid")?])
}
