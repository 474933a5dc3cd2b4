//! `llcm exec`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::json;

use crate::cli::Connection;
use crate::client::{Client, select, stream};

#[derive(Debug, Clone, clap::Args)]
#[command(
    override_usage = "llcm exec [OPTIONS] [[INSTANCE] CONTAINER] -- COMMAND [ARGUMENTS]...",
    after_help = "The exit code is the command's own; 1 when it could not be run."
)]
pub(crate) struct Args {
    /// The instance (id, beginning of an id, or name; may be left out when there is only one) and the
    /// container (its name, or its VNF's id where that has only one container).
    #[arg(value_name = "[INSTANCE] CONTAINER", num_args = 0..=2)]
    pub(crate) target: Vec<String>,
    /// Program and arguments; write `sh -c '...'` for what needs a shell.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
    /// Set a variable for the command; repeatable.
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Give the command a terminal; its output is then one stream.
    #[arg(short, long)]
    pub(crate) terminal: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let environment = variables(&args.env)?;
    let (instance, container) = split(&args.target);
    let instance = client.find_instance(instance).await?;
    let container = select::container(&instance, container)?;
    in_container(client, (&instance.id, &container.name), &args.command, &environment, args.terminal).await
}

/// `NAME=VALUE`, each.
///
/// # Errors
/// When one is not.
pub(crate) fn variables(pairs: &[String]) -> anyhow::Result<BTreeMap<&str, &str>> {
    let pairs = pairs
        .iter()
        .map(|pair| pair.split_once('=').ok_or_else(|| anyhow!("--env takes NAME=VALUE, not `{pair}`")));
    pairs.collect()
}

/// Runs a command in a container of an instance, both by name; the exit code is the command's own.
pub(crate) async fn in_container(
    client: &Client,
    (instance, container): (&str, &str),
    command: &[String],
    environment: &BTreeMap<&str, &str>,
    terminal: bool,
) -> anyhow::Result<ExitCode> {
    let path = format!("/instances/{instance}/containers/{container}/exec");
    let body = json!({ "argv": command, "environment": environment, "terminal": terminal });
    let code = stream::copy_output(client.post_stream(&path, &body, "the command").await?).await?;
    let code = code.ok_or_else(|| anyhow!("the engine does not tell how the command ended"))?;
    // The kernel's exit codes have 8 bits; what does not fit cannot have been one.
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The instance, where two words were given, and the container.
pub(crate) fn split(target: &[String]) -> (Option<&str>, Option<&str>) {
    match target {
        [] => (None, None),
        [container] => (None, Some(container)),
        [instance, container, ..] => (Some(instance), Some(container)),
    }
}
