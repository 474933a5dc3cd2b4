//! `llcm graph`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use llcm_graph::Graph;

use crate::cli::Connection;
use crate::client::Client;
use crate::config::read_topology;
use crate::output;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "llcm graph --format dot | dot -Tsvg > network.svg")]
pub(crate) struct Args {
    /// How to draw it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Draw a topology file (YAML or GraphML), without instances; needs no server.
    #[arg(long, value_name = "FILE")]
    pub(crate) topology: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For Graphviz.
    Dot,
    /// For Mermaid.
    Mermaid,
    /// For programs: what the server says.
    Json,
}

/// Without a server.
pub(crate) fn offline(args: &Args) -> anyhow::Result<ExitCode> {
    let (topology, notes) = read_topology(args.topology.as_deref())?;
    notes.iter().try_for_each(output::note)?;
    draw(&Graph::new(topology, Vec::new()), args.format)
}

/// What the server has.
pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    draw(&client.typed("/graph").await?, args.format)
}

fn draw(graph: &Graph, format: Format) -> anyhow::Result<ExitCode> {
    let drawn = match format {
        Format::Text => llcm_graph::text(graph),
        Format::Dot => llcm_graph::dot(graph),
        Format::Mermaid => llcm_graph::mermaid(graph),
        Format::Json => return output::json(graph).map(|()| ExitCode::SUCCESS),
    };
    output::bytes(drawn.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
