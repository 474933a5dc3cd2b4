//! `llcm rm`.

use std::process::ExitCode;

use crate::cli::Connection;
use crate::client::{Client, select};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The services (id, beginning of an id, or package name: the newest with that name).
    #[arg(required = true)]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    for given in &args.services {
        let service = select::service(&client.services().await?, given)?;
        client.remove_service(&service.id).await?;
        output::line(format_args!("service {} removed", service.id))?;
    }
    Ok(ExitCode::SUCCESS)
}
