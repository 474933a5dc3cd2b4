//! `llcm push`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::progress::Progress;
use crate::cli::{Connection, Output};
use crate::client::model::Service;
use crate::client::{Client, typed};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The package file (.tgo or .son).
    #[arg(value_name = "PACKAGE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let progress = Progress::new(client);
    let pushed = progress.push(client, &args.file).await;
    progress.clear();
    let answer = pushed?;
    if args.output.is_json() {
        output::json(&answer)?;
    } else {
        let service: Service = typed(answer)?;
        tell(&service)?;
        output::note(format_args!("instantiate it with `llcm up {}`", service.package.id.name))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Tells of an uploaded service, warnings first.
pub(crate) fn tell(service: &Service) -> anyhow::Result<()> {
    for warning in &service.warnings {
        output::note(warning)?;
    }
    let functions: usize = service.functions.iter().map(|function| function.vnf_ids.len()).sum();
    output::line(format_args!(
        "service {} on-boarded: {}, {functions} VNFs, {}",
        service.id,
        service.package.id,
        output::size(service.size)
    ))
}
