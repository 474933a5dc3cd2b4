//! Running commands in containers.

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use llcm_names::{EngineName, Owner};
use llcm_runtime::{
    DriverResult, ErrorKind, Exec, ExecOutcome, ExecSpec, OutputChunk, OutputSink, OutputStream,
};

use crate::driver::DockerContainers;
use crate::map_error::Attempt;

#[async_trait]
impl Exec for DockerContainers {
    async fn exec(
        &self,
        owner: &Owner,
        name: &EngineName,
        spec: &ExecSpec,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<ExecOutcome> {
        let attempt = Attempt::new("execute command in container", name.as_str());
        if spec.argv.first().is_none_or(String::is_empty) {
            return Err(attempt.error(ErrorKind::Invalid, "there is no command: name a program"));
        }
        let absent = || attempt.error(ErrorKind::NotFound, "there is no container of that name");
        let create = |id: String| async move {
            self.client.call(attempt, |docker| docker.create_exec(&id, config(spec))).await
        };
        let owned = self.owned(attempt, owner, name).await?.ok_or_else(absent)?;
        let exec = match create(owned.id).await {
            Err(error) if error.kind == ErrorKind::NotFound && owned.remembered => {
                let found = self.look_owned(attempt, owner, name).await?.ok_or_else(absent)?;
                create(found.id).await?
            }
            result => result?,
        };
        let options = StartExecOptions { detach: false, tty: spec.terminal, output_capacity: None };
        let started = self.client.call(attempt, |docker| docker.start_exec(&exec.id, Some(options))).await?;
        // The input's end must stay open: a command with a terminal would be hung up.
        let StartExecResults::Attached { mut output, input: _input } = started else {
            return Err(attempt.error(ErrorKind::Failed, "the engine did not attach to the command"));
        };
        let mut last = Vec::new();
        while let Some(piece) = output.next().await {
            let chunk = chunk(piece.map_err(|error| attempt.failed(&error))?);
            last.clear();
            last.extend_from_slice(&chunk.bytes[..chunk.bytes.len().min(512)]);
            if !sink.write(chunk).await {
                // The command goes on; the engine has no way to end it.
                return Ok(ExecOutcome { exit_code: None });
            }
        }
        let seen = self.client.call(attempt, |docker| docker.inspect_exec(&exec.id)).await?;
        let refusal = String::from_utf8_lossy(&last);
        if matches!(seen.exit_code, Some(126 | 127)) && refusal.starts_with("OCI runtime exec failed") {
            // The engine tells on the command's own output that there was no command.
            return Err(attempt.error(ErrorKind::Invalid, refusal.trim()));
        }
        Ok(ExecOutcome { exit_code: seen.exit_code })
    }
}

fn config(spec: &ExecSpec) -> ExecConfig {
    ExecConfig {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        attach_stdin: Some(false),
        tty: Some(spec.terminal),
        env: Some(spec.environment.iter().map(|(key, value)| format!("{key}={value}")).collect()),
        cmd: Some(spec.argv.clone()),
        ..ExecConfig::default()
    }
}

/// One piece of output as the contract has it.
pub(crate) fn chunk(output: LogOutput) -> OutputChunk {
    let stream = match output {
        LogOutput::StdErr { .. } => OutputStream::Stderr,
        LogOutput::StdOut { .. } | LogOutput::StdIn { .. } | LogOutput::Console { .. } => {
            OutputStream::Stdout
        }
    };
    OutputChunk { stream, bytes: output.into_bytes().to_vec() }
}
