//! `llcm up`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use clap::builder::PossibleValuesParser;
use llcm_placement::ALGORITHMS;
use serde_json::Value;

use super::progress::Progress;
use super::{ps, push};
use crate::cli::{Connection, Output};
use crate::client::model::{Instance, Service};
use crate::client::{Client, select, typed};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The package file (.tgo or .son), or an uploaded service: its id, package name, or `latest`.
    #[arg(value_name = "PACKAGE|SERVICE")]
    pub(crate) package: String,
    /// How many instances to start, one after the other.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) instances: u16,
    /// How to place the units, in place of what the server's settings say.
    #[arg(long, value_name = "ALGORITHM", value_parser = PossibleValuesParser::new(ALGORITHMS))]
    pub(crate) placement: Option<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let progress = Progress::new(client);
    let outcome = bring_up(client, args, &progress).await;
    progress.clear();
    let instances = outcome?;
    if args.output.is_json() {
        output::json(&instances)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (index, instance) in instances.into_iter().enumerate() {
        if index > 0 {
            output::line("")?;
        }
        ps::show(&typed::<Instance>(instance)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Uploads when a file is meant, instantiates, and returns the running instances as the server tells them.
async fn bring_up(client: &Client, args: &Args, progress: &Progress) -> anyhow::Result<Vec<Value>> {
    // Those that the server has started by itself, with `auto_deploy`.
    let mut started = Vec::new();
    let service = match file_meant(&args.package)? {
        Some(file) => {
            let service: Service = typed(progress.push(client, &file).await?)?;
            if !args.output.is_json() {
                progress.aside(|| push::tell(&service))?;
            }
            started = service.instances;
            service.id
        }
        None if args.package == "latest" => "latest".to_owned(),
        None => select::service(&client.services().await?, &args.package)?.id,
    };
    let mut instances = Vec::new();
    for _ in 0..args.instances {
        let began = Instant::now();
        let id = match started.pop() {
            Some(id) => id,
            None => {
                let request = client.instantiate(&service, args.placement.as_deref()).await?;
                if let Err(error) = progress.wait(client, &request).await {
                    return Err(error.context(what_is_left(client, &request.instance_id).await));
                }
                request.instance_id
            }
        };
        let instance = client.get(&format!("/instances/{id}")).await?;
        if !args.output.is_json() {
            let view: Instance = typed(instance.clone())?;
            let seconds = began.elapsed().as_secs_f64();
            progress.aside(|| {
                view.warnings.iter().try_for_each(output::note)?;
                output::line(format_args!("instance {} {} after {seconds:.2} s", view.name, view.state))
            })?;
        }
        instances.push(instance);
    }
    Ok(instances)
}

/// Whether a failed instance was taken back wholly, in words.
async fn what_is_left(client: &Client, id: &str) -> String {
    let view = client.typed::<Instance>(&format!("/instances/{id}")).await;
    match view {
        Ok(instance) if instance.state == "stuck" => {
            format!("the instance failed, and not all of it could be removed: `llcm down {id}` tries again")
        }
        Ok(instance) if instance.state != "failed" => format!("the instance is {}", instance.state),
        // The server forgets failed instances after a while.
        Ok(_) | Err(_) => "the instance failed, and nothing of it is left".to_owned(),
    }
}

/// The file, when the argument looks like one.
fn file_meant(argument: &str) -> anyhow::Result<Option<PathBuf>> {
    let path = Path::new(argument);
    if path.exists() {
        return Ok(Some(path.to_owned()));
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    if argument.contains('/') || matches!(extension, Some("tgo" | "son" | "zip")) {
        bail!("there is no file {argument}");
    }
    Ok(None)
}
