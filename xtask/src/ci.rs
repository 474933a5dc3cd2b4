//! The steps that `cargo xtask ci` adds to the checks: all that cargo itself can tell without running tests.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::metadata::cargo;

/// A step: its name, cargo's arguments, and an environment variable with its value.
type Step = (&'static str, &'static [&'static str], Option<(&'static str, &'static str)>);

/// What is run, in this order.
pub const STEPS: &[Step] = &[
    ("format", &["fmt", "--all", "--check"], None),
    (
        "clippy",
        &["clippy", "--locked", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
        None,
    ),
    (
        "documentation",
        &["doc", "--locked", "--workspace", "--no-deps", "--all-features"],
        Some(("RUSTDOCFLAGS", "-D warnings")),
    ),
];

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The step.
    pub name: &'static str,
    /// Whether it succeeded.
    pub ok: bool,
    /// How long it took.
    pub time: Duration,
}

/// Runs one step of [`STEPS`]; its output goes where ours goes.
///
/// # Errors
/// When cargo cannot be run at all.
pub fn run(root: &Path, step: &Step) -> anyhow::Result<Done> {
    let (name, arguments, environment) = *step;
    let began = Instant::now();
    let mut command = Command::new(cargo());
    command.current_dir(root).args(arguments).envs(environment);
    let status = command.status().with_context(|| format!("cannot run cargo {}", arguments.join(" ")))?;
    Ok(Done { name, ok: status.success(), time: began.elapsed() })
}
