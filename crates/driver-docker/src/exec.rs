//! Running commands in containers.

use async_trait::async_trait;
use bollard::models::ExecConfig;
use llcm_names::{EngineName, Owner};
use llcm_runtime::{DriverResult, ErrorKind, Exec, ExecOutcome, ExecSpec, OutputSink};

use crate::driver::DockerContainers;
use crate::map_error::Attempt;
use crate::streams::Streams;

/// How the engine begins when there is no such program, sometimes as an answer, sometimes as output.
const REFUSAL: &str = "OCI runtime exec failed";
/// How much of the last output is looked at for the engine's refusal.
const REFUSAL_BYTES: usize = 512;

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
        let path = format!("/exec/{}/start", exec.id);
        let body = format!("{{\"Detach\":false,\"Tty\":{}}}", spec.terminal);
        let upgrade = |_| self.client.upgrade(&path, body);
        let mut output = self.client.call(attempt, upgrade).await.map_err(|mut error| {
            if error.message.contains(REFUSAL) {
                error.kind = ErrorKind::Invalid;
            }
            error
        })?;
        let mut streams = Streams::new(spec.terminal);
        let mut last = Vec::new();
        while let Some(bytes) = output.next().await.map_err(|error| attempt.failed(&error))? {
            for chunk in streams.push(&bytes) {
                last.clear();
                last.extend_from_slice(&chunk.bytes[..chunk.bytes.len().min(REFUSAL_BYTES)]);
                if !sink.write(chunk).await {
                    // The command goes on; the engine has no way to end it.
                    return Ok(ExecOutcome { exit_code: None });
                }
            }
        }
        let seen = self.client.call(attempt, |docker| docker.inspect_exec(&exec.id)).await?;
        let refusal = String::from_utf8_lossy(&last);
        if matches!(seen.exit_code, Some(126 | 127)) && refusal.starts_with(REFUSAL) {
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
