//! `llcm dc`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use llcm_api::native::topology_view::Datacenter;
use llcm_topology::units::show_cpu;
use serde_json::{Map, Value, json};

use crate::cli::{Connection, Output};
use crate::client::{Client, segment, typed, without_places};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// List the data centers, in the order of placement.
    Ls(Ls),
    /// Add a data center, with the server's default engine; `llcm link add` joins it to others.
    Add(Add),
    /// Remove data centers in which nothing runs, with the links that end there.
    Rm(Rm),
}

#[derive(Debug, Clone, clap::Args)]
struct Ls {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct Add {
    /// What it is called.
    name: String,
    /// CPUs that it offers: 4 or 0.5. [default: no limit]
    #[arg(long, value_name = "CPUS")]
    cpu: Option<String>,
    /// Memory that it offers: 8GiB. [default: no limit]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// A key and value of your own; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, clap::Args)]
struct Rm {
    /// The data centers.
    #[arg(required = true, value_name = "DC")]
    datacenters: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    pub(crate) fn connection(&self) -> &Connection {
        match &self.verb {
            Verb::Ls(args) => &args.connection,
            Verb::Add(args) => &args.connection,
            Verb::Rm(args) => &args.connection,
        }
    }
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Ls(args) => list(client, args).await?,
        Verb::Add(args) => {
            let mut body = Map::from_iter([("name".to_owned(), json!(args.name))]);
            let capacity = [("cpu", &args.cpu), ("memory", &args.memory)];
            let capacity: Map<_, _> = capacity
                .into_iter()
                .filter_map(|(key, it)| Some((key.to_owned(), json!(it.as_ref()?))))
                .collect();
            body.insert("capacity".to_owned(), Value::Object(capacity));
            body.insert("metadata".to_owned(), Value::Object(metadata(&args.metadata)?));
            client.post("/datacenters", Value::Object(body).to_string()).await.map_err(without_places)?;
            output::line(format_args!("data center {} added", args.name))?;
        }
        Verb::Rm(args) => {
            for name in &args.datacenters {
                client.delete(&format!("/datacenters/{}", segment(name))).await?;
                output::line(format_args!("data center {name} removed"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn metadata(pairs: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut metadata = Map::new();
    for pair in pairs {
        let (key, value) = pair.split_once('=').context("--metadata takes KEY=VALUE")?;
        if metadata.insert(key.to_owned(), json!(value)).is_some() {
            bail!("--metadata gives {key} twice");
        }
    }
    Ok(metadata)
}

async fn list(client: &Client, args: &Ls) -> anyhow::Result<()> {
    let all = client.get("/datacenters").await?;
    if args.output.is_json() {
        return output::json(&all);
    }
    let all: Vec<Datacenter> = typed(all)?;
    let rows = all.iter().map(|it| {
        let dash = || "-".to_owned();
        let cpus = it.cpu_milli.map_or_else(dash, show_cpu);
        let memory = it.memory_bytes.map_or_else(dash, output::size);
        vec![it.name.to_string(), it.engine.clone(), cpus, memory, it.instances.len().to_string()]
    });
    output::print_table(&output::table(&["DC", "ENGINE", "CPUS", "MEMORY", "INSTANCES"], rows))
}
