//! `llcm stats`.

use std::process::ExitCode;
use std::time::Duration;

use llcm_api::native::view::{InterfaceStats, LinkStats};
use llcm_runtime::Counts;
use serde_json::Value;

use crate::cli::{Connection, Output};
use crate::client::{Client, typed};
use crate::output::{self, line, print_table, size, table};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The instance: its id, the beginning of it, or its name; may be left out when there is only one.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: Option<String>,
    /// The links between data centers instead, both directions of each.
    #[arg(long, conflicts_with = "instance")]
    pub(crate) links: bool,
    /// Show them again and again, every so many seconds, until interrupted.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) watch: Option<u64>,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let (path, what) = if args.links {
        ("/stats/links".to_owned(), "links".to_owned())
    } else {
        let instance = client.find_instance(args.instance.as_deref()).await?;
        (format!("/instances/{}/stats", instance.id), instance.name)
    };
    loop {
        let seen = client.get(&path).await?;
        if args.output.is_json() {
            output::json(&seen)?;
        } else if args.links {
            show_links(seen)?;
        } else {
            show_interfaces(&what, seen)?;
        }
        let Some(seconds) = args.watch else { return Ok(ExitCode::SUCCESS) };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        if !args.output.is_json() {
            line("")?;
        }
    }
}

fn show_interfaces(instance: &str, seen: Value) -> anyhow::Result<()> {
    let stats: Vec<InterfaceStats> = typed(seen)?;
    line(format_args!("instance {instance}"))?;
    let rows = stats.into_iter().map(|one| {
        let mut row = vec![format!("{}:{}", one.container, one.interface), one.datacenter];
        row.extend(columns(one.sent));
        row.extend(columns(one.received));
        row
    });
    let header = ["INTERFACE", "DC", "SENT", "BYTES", "DROPPED", "RECEIVED", "BYTES", "DROPPED"];
    print_table(&table(&header, rows))
}

fn show_links(seen: Value) -> anyhow::Result<()> {
    let stats: Vec<LinkStats> = typed(seen)?;
    let rows = stats.into_iter().map(|one| {
        let mut row = vec![one.link, one.from, one.to];
        row.extend(columns(Some(one.sent)));
        row
    });
    print_table(&table(&["LINK", "FROM", "TO", "SENT", "BYTES", "DROPPED"], rows))
}

/// Packets, bytes, dropped; dashes for what is not there.
fn columns(counts: Option<Counts>) -> [String; 3] {
    counts.map_or_else(
        || std::array::from_fn(|_| "-".to_owned()),
        |counts| [counts.packets.to_string(), size(counts.bytes), counts.dropped.to_string()],
    )
}
