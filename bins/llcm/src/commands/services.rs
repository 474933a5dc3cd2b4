//! `llcm services`.

use std::process::ExitCode;

use crate::cli::{Connection, Output};
use crate::client::model::Service;
use crate::client::{Client, typed};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let services = client.get("/services").await?;
    if args.output.is_json() {
        output::json(&services)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = typed::<Vec<Service>>(services)?.into_iter().map(|service| {
        vec![
            service.id,
            service.package.id.to_string(),
            service.nsd.to_string(),
            service.instances.len().to_string(),
            output::size(service.size),
            service.created_at,
        ]
    });
    let header = ["SERVICE", "PACKAGE", "NSD", "INSTANCES", "SIZE", "CREATED"];
    output::print_table(&output::table(&header, rows))?;
    Ok(ExitCode::SUCCESS)
}
