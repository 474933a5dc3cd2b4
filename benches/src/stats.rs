//! Clocks, medians, and the machine they were measured on.

use std::time::Instant;

use anyhow::{Context, Result};

/// Milliseconds since a beginning.
pub(crate) struct Clock(Instant);

impl Clock {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Milliseconds since then.
    pub(crate) fn ms(&self) -> f64 {
        self.0.elapsed().as_secs_f64() * 1e3
    }
}

/// The median of some figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// `min / median / max` of some figures: with one decimal, large ones without, small ones with two. A single one
/// is shown alone.
pub(crate) fn spread(figures: &[f64]) -> String {
    let min = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let max = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let decimals = match max {
        1000.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    match figures {
        [only] => format!("{only:.decimals$}"),
        _ => [min, median(figures), max].map(|figure| format!("{figure:.decimals$}")).join(" / "),
    }
}

/// A number of things as a divisor.
pub(crate) fn float(count: usize) -> f64 {
    float_of(u64::try_from(count).unwrap_or(u64::MAX))
}

/// A number of KiB; none that is measured here is beyond 52 bits.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn float_of(kib: u64) -> f64 {
    kib as f64
}

/// CPUs, memory, kernel and present load of this machine.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let memory =
        read("/proc/meminfo").lines().next().unwrap_or_default().replace("MemTotal:", "").trim().to_owned();
    let load = read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ");
    format!("{cpus} CPUs, {memory}, Linux {}, load {load}", read("/proc/sys/kernel/osrelease").trim())
}

/// A number of `/proc/<pid>/status`, sizes in KiB (`VmRSS`, `VmHWM`).
pub(crate) fn memory_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A process's share of the memory that it uses, in KiB.
pub(crate) fn pss_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("{path} has no Pss"))
}
