//! `llcm logs`.

use std::process::ExitCode;

use super::exec::split;
use crate::cli::Connection;
use crate::client::{Client, select, stream};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
#[command(override_usage = "llcm logs [OPTIONS] [[INSTANCE] CONTAINER]")]
pub(crate) struct Args {
    /// The instance (id, beginning of an id, or name; may be left out when there is only one) and the
    /// container (its name, or its VNF's id where that has only one container).
    #[arg(value_name = "[INSTANCE] CONTAINER", num_args = 0..=2)]
    pub(crate) target: Vec<String>,
    /// Go on while the container runs.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last lines.
    #[arg(short = 'n', long, value_name = "LINES")]
    pub(crate) tail: Option<u32>,
    /// A timestamp before each line.
    #[arg(short, long)]
    pub(crate) timestamps: bool,
    /// The output of the start and stop scripts instead of that of the container's own process.
    #[arg(short, long, conflicts_with_all = ["follow", "tail", "timestamps"])]
    pub(crate) scripts: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let (instance, container) = split(&args.target);
    let instance = client.find_instance(instance).await?;
    let container = select::container(&instance, container)?;
    if args.scripts {
        for script in &container.scripts {
            let end = match (&script.error, &script.ended_at, script.exit_code) {
                (Some(error), _, _) => error.clone(),
                (None, None, _) => "still running".to_owned(),
                (None, Some(_), Some(code)) => format!("exit code {code}"),
                (None, Some(_), None) => "ended".to_owned(),
            };
            output::note(format_args!("{} script: {}: {end}", script.phase, script.command))?;
            output::bytes(script.output.as_bytes())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let path = format!(
        "/instances/{}/containers/{}/logs?follow={}&timestamps={}{}",
        instance.id,
        container.name,
        args.follow,
        args.timestamps,
        args.tail.map(|lines| format!("&tail={lines}")).unwrap_or_default()
    );
    stream::copy_output(client.stream(&path, "the output").await?).await?;
    Ok(ExitCode::SUCCESS)
}
