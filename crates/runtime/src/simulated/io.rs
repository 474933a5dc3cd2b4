//! Commands in simulated containers, and the output of their own processes.

use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{EngineName, Owner};

use super::containers::SimulatedContainers;
use super::faults::Operation;
use super::script::ScriptedCommand;
use super::state::{OutputLine, State, refuse};
use super::world::ExecRecord;
use crate::{
    DriverResult, ErrorKind, Exec, ExecOutcome, ExecSpec, LogOptions, Logs, OutputChunk, OutputSink,
    OutputStream,
};

/// 128 + SIGKILL: how a command ends whose container is stopped.
const KILLED: i64 = 137;

#[async_trait]
impl Exec for SimulatedContainers {
    async fn exec(
        &self,
        owner: &Owner,
        name: &EngineName,
        spec: &ExecSpec,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<ExecOutcome> {
        let begin = |state: &mut State| {
            let Some(container) = state.owned(&self.engine, owner, name)? else {
                return refuse(ErrorKind::NotFound, "there is no container of that name");
            };
            if !container.is_live() {
                return refuse(ErrorKind::NotFound, "the container does not run");
            }
            let id = container.id;
            match spec.argv.first().map_or("", String::as_str) {
                "" => return refuse(ErrorKind::Invalid, "there is no program to run"),
                program if state.script.missing_programs.iter().any(|missing| missing == program) => {
                    return refuse(ErrorKind::Invalid, format!("the image has no program {program}"));
                }
                _ => {}
            }
            let command = state.script.find_command(name.as_str(), &spec.argv).cloned();
            state.execs.push(ExecRecord {
                container: name.clone(),
                argv: spec.argv.clone(),
                environment: spec.environment.clone(),
                exit_code: None,
            });
            let time = command.as_ref().map_or(Duration::ZERO, |command| {
                command.takes.of_call(state.script.seed, "exec", name.as_str(), 0)
            });
            Ok((state.execs.len() - 1, id, command, time))
        };
        let (record, id, command, time) = self.perform(Operation::Exec, name.as_str(), begin).await?;
        let command = command.unwrap_or_else(|| ScriptedCommand::new(&[], "", 0));
        let error_stream = if spec.terminal { OutputStream::Stdout } else { OutputStream::Stderr };
        for (stream, text) in [(OutputStream::Stdout, &command.stdout), (error_stream, &command.stderr)] {
            if !text.is_empty() {
                let bytes = text.clone().into_bytes();
                // The command runs on, whether anybody listens or not.
                sink.write(OutputChunk { stream, bytes }).await;
            }
        }
        let code = tokio::select! {
            biased;
            () = self.ended(name, id) => KILLED,
            () = tokio::time::sleep(time), if !time.is_zero() => command.exit_code,
            () = std::future::ready(()), if time.is_zero() => command.exit_code,
        };
        if let Some(record) = self.world.lock().execs.get_mut(record) {
            record.exit_code = Some(code);
        }
        Ok(ExecOutcome { exit_code: Some(code) })
    }
}

impl SimulatedContainers {
    /// Returns when the container of that engine id does not run any more.
    async fn ended(&self, name: &EngineName, id: u64) {
        let mut changes = self.world.watch();
        let runs = |state: &State| state.containers.get(name).is_some_and(|it| it.id == id && it.is_live());
        while runs(&self.world.lock()) {
            // The sender lives in the world, which `self` holds.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

#[async_trait]
impl Logs for SimulatedContainers {
    async fn logs(
        &self,
        owner: &Owner,
        name: &EngineName,
        options: LogOptions,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<()> {
        let mut changes = self.world.watch();
        let find = |state: &mut State| match state.owned(&self.engine, owner, name)? {
            Some(container) => Ok((container.id, container.output.len(), state.script.epoch_seconds)),
            None => refuse(ErrorKind::NotFound, "there is no container of that name"),
        };
        let (id, lines, epoch) = self.perform(Operation::Logs, name.as_str(), find).await?;
        let tail = options.tail.map_or(usize::MAX, |tail| usize::try_from(tail).unwrap_or(usize::MAX));
        let mut next = lines.saturating_sub(tail);
        loop {
            let (fresh, live) = {
                let state = self.world.lock();
                match state.containers.get(name).filter(|container| container.id == id) {
                    Some(it) => (it.output.get(next..).unwrap_or(&[]).to_vec(), it.is_live()),
                    None => (Vec::new(), false),
                }
            };
            next += fresh.len();
            for line in fresh {
                if !sink.write(chunk(line, options.timestamps, epoch)).await {
                    return Ok(());
                }
            }
            if !options.follow || !live || changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

fn chunk(line: OutputLine, timestamps: bool, epoch: u64) -> OutputChunk {
    let mut bytes = Vec::new();
    if timestamps {
        bytes.extend_from_slice(timestamp(epoch, line.at).as_bytes());
        bytes.push(b' ');
    }
    bytes.extend_from_slice(&line.bytes);
    OutputChunk { stream: line.stream, bytes }
}

/// A moment `since` the epoch of the script, as RFC 3339 with nanoseconds, the form of real engines' logs.
fn timestamp(epoch: u64, since: Duration) -> String {
    let total = Duration::from_secs(epoch).saturating_add(since);
    let (mut days, seconds) = (total.as_secs() / 86_400, total.as_secs() % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= if leap(year) { 366 } else { 365 } {
        days -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let nanos = total.subsec_nanos();
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_calendar_dates() {
        for (epoch, expected) in [
            (0, "1970-01-01T00:00:00.500000000Z"),
            (951_782_399, "2000-02-28T23:59:59.500000000Z"),
            (951_868_799, "2000-02-29T23:59:59.500000000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.500000000Z"),
        ] {
            assert_eq!(timestamp(epoch, Duration::from_millis(500)), expected);
        }
    }
}
