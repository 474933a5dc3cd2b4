//! `llcm down`.

use std::process::ExitCode;

use anyhow::{anyhow, bail};

use super::progress::Progress;
use crate::cli::{Connection, Output};
use crate::client::model::Instance;
use crate::client::{Client, select};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The instances (id, beginning of an id, or name); without any: the only one there is.
    pub(crate) instances: Vec<String>,
    /// Terminate all instances.
    #[arg(short, long, conflicts_with = "instances")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let targets = targets(client.instances(false).await?, args)?;
    let progress = Progress::new(client);
    let mut done = Vec::new();
    let mut errors = Vec::new();
    // All are asked first, so that they go down at the same time.
    let mut requests = Vec::new();
    for target in &targets {
        match client.terminate(&target.id).await {
            Ok(request) => requests.push((target, request)),
            Err(error) => errors.push(error.context(target.name.clone())),
        }
    }
    for (target, request) in requests {
        match progress.wait(client, &request).await {
            Ok(_) => done.push(target),
            Err(error) => errors.push(error.context(target.name.clone())),
        }
    }
    progress.clear();
    if args.output.is_json() {
        let ids: Vec<&str> = done.iter().map(|instance| instance.id.as_str()).collect();
        output::json(&serde_json::json!({ "terminated": ids }))?;
    } else {
        for instance in done {
            output::line(format_args!("instance {} terminated", instance.name))?;
        }
    }
    let texts: Vec<String> = errors.iter().map(|error| format!("{error:#}")).collect();
    match texts.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        [only] => Err(anyhow!(only.clone())),
        several => bail!("{} instances were not terminated:\n  {}", several.len(), several.join("\n  ")),
    }
}

fn targets(all: Vec<Instance>, args: &Args) -> anyhow::Result<Vec<Instance>> {
    if args.all {
        return Ok(all);
    }
    if args.instances.is_empty() {
        let several = all.len() > 1;
        let only = match select::instance(all, None) {
            Err(error) if several => return Err(error.context("say --all to terminate all")),
            other => other?,
        };
        return Ok(vec![only]);
    }
    let mut targets: Vec<Instance> = Vec::new();
    for given in &args.instances {
        let target = select::instance(all.clone(), Some(given))?;
        if targets.iter().all(|known| known.id != target.id) {
            targets.push(target);
        }
    }
    Ok(targets)
}
