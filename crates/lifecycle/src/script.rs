//! Start and stop scripts: run through `/bin/sh -c` in their containers, output and exit code kept.
//!
//! A start script runs in the background: the instance counts as running while it does. A stop script is
//! waited for, no longer than it takes and no longer than the grace time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::join_all;
use llcm_runtime::{DriverError, DriverResult, ErrorKind, ExecSpec, OutputChunk, OutputSink};

use crate::core::Core;
use crate::engines;
use crate::instance::Instance;
use crate::journal::Record;
use crate::plan::{ContainerPlan, Script};
use crate::request::ScriptRun;
use crate::step::{Step, script_command};

/// Bytes of a script's output that are kept: the last ones.
pub const OUTPUT_KEPT: usize = 64 * 1024;

/// What is said of a script that ran when its server ended.
pub(crate) const SERVER_STOPPED: &str =
    "the server was stopped while the script ran: how it ended is not known";

const START: &str = "start";
const STOP: &str = "stop";

/// Begins a container's start script and returns; the script's task belongs to the instance.
pub(crate) fn launch(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    container: &ContainerPlan,
) -> DriverResult<()> {
    let Some(command) = command(instance, container, &container.start) else { return Ok(()) };
    let engine = engines::of(core, instance, container)?;
    if engine.exec().is_none() {
        return Err(engine.told(cannot("launch the start script of container", container)));
    }
    let run = begin(core, instance, container, START, command);
    let (shared, owned, container) = (Arc::clone(core), Arc::clone(instance), container.clone());
    let task = async move {
        let given_up = async {
            let why = tokio::select! {
                biased;
                () = owned.scripts_over.cancelled() => "the container was taken down while the script ran",
                () = shared.let_go.cancelled() => SERVER_STOPPED,
            };
            why.to_owned()
        };
        execute(&shared, &owned, &container, run, given_up).await;
    };
    core.spawn_tracked(&instance.scripts, task);
    Ok(())
}

/// Runs the stop scripts of all started containers side by side, and returns when all have ended or the
/// grace time is over.
pub(crate) async fn run_stop_scripts(core: &Arc<Core>, instance: &Arc<Instance>) {
    let grace = core.parts.settings.stop_grace;
    let started = |container: &&ContainerPlan| {
        let step = Step::StartContainer { container: container.spec.name.clone() };
        instance.memory().record.is_done(&step)
    };
    let containers: Vec<_> = instance.plan.containers.iter().filter(started).collect();
    let runs = containers.into_iter().filter_map(|container| {
        let command = command(instance, container, &container.stop)?;
        let run = begin(core, instance, container, STOP, command);
        let given_up = async move {
            tokio::time::sleep(grace).await;
            format!("given up after {grace:?}, the time that stop scripts may take (setting stop_grace)")
        };
        Some(execute(core, instance, container, run, given_up))
    });
    join_all(runs).await;
}

fn command<'a>(instance: &'a Instance, container: &ContainerPlan, script: &'a Script) -> Option<&'a str> {
    script_command(script, instance.image(container))
}

fn begin(
    core: &Core,
    instance: &Instance,
    container: &ContainerPlan,
    phase: &str,
    command: &str,
) -> ScriptRun {
    let run = ScriptRun {
        phase: phase.to_owned(),
        command: command.to_owned(),
        started_at: core.stamp(),
        ended_at: None,
        exit_code: None,
        output: String::new(),
        error: None,
    };
    keep(core, instance, container, &run);
    run
}

fn keep(core: &Core, instance: &Instance, container: &ContainerPlan, run: &ScriptRun) {
    let record = Record::Script { container: container.name.clone(), run: run.clone() };
    core.record_later(instance, record);
}

/// Runs a script to its end, or until `given_up` says why it is not waited for any more.
async fn execute(
    core: &Core,
    instance: &Instance,
    container: &ContainerPlan,
    mut run: ScriptRun,
    given_up: impl Future<Output = String>,
) {
    let tail = Tail::default();
    let spec = ExecSpec {
        argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), run.command.clone()],
        ..ExecSpec::default()
    };
    let mut sink = tail.clone();
    let outcome = tokio::select! {
        biased;
        outcome = exec(core, instance, container, &spec, &mut sink) => outcome.map_err(|error| error.to_string()),
        why = given_up => Err(why),
    };
    run.ended_at = Some(core.parts.clock.now());
    run.output = tail.text();
    match outcome {
        Ok(code) => run.exit_code = code,
        Err(error) => run.error = Some(error),
    }
    keep(core, instance, container, &run);
}

/// Runs a script's command; its exit code.
async fn exec(
    core: &Core,
    instance: &Instance,
    container: &ContainerPlan,
    spec: &ExecSpec,
    sink: &mut Tail,
) -> DriverResult<Option<i64>> {
    let engine = engines::of(core, instance, container)?;
    let exec = engine.exec().ok_or_else(|| cannot("run a script in container", container))?;
    let outcome = exec.exec(instance.owner(), &container.spec.name, spec, sink).await;
    outcome.map(|outcome| outcome.exit_code).map_err(|error| engine.told(error))
}

fn cannot(operation: &'static str, container: &ContainerPlan) -> DriverError {
    let message = "this container engine cannot run commands in containers";
    DriverError::new(ErrorKind::Unsupported, operation, container.spec.name.as_str(), message)
}

/// Keeps the end of what is written to it; clones share it.
#[derive(Debug, Clone, Default)]
struct Tail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl Tail {
    fn push(&self, new: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = &new[new.len().saturating_sub(OUTPUT_KEPT)..];
        let excess = (bytes.len() + new.len()).saturating_sub(OUTPUT_KEPT);
        bytes.drain(..excess);
        bytes.extend(new);
    }

    fn text(&self) -> String {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.make_contiguous()).into_owned()
    }
}

#[async_trait]
impl OutputSink for Tail {
    async fn write(&mut self, chunk: OutputChunk) -> bool {
        self.push(&chunk.bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_64_kib_of_output_are_kept() {
        let tail = Tail::default();
        tail.push(&vec![b'a'; OUTPUT_KEPT - 1]);
        tail.push(b"bcd");
        let text = tail.text();
        assert_eq!(text.len(), OUTPUT_KEPT);
        assert!(text.starts_with("aaa") && text.ends_with("abcd"));
        tail.push(&vec![b'x'; 3 * OUTPUT_KEPT]);
        assert_eq!(tail.text(), "x".repeat(OUTPUT_KEPT));
        tail.push(&[0xff]);
        assert!(tail.text().ends_with("x\u{fffd}"));
    }
}
