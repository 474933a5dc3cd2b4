//! `llcm chain`.

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use serde_json::{Value, json};

use crate::cli::{Connection, Output};
use crate::client::model::Chain;
use crate::client::{Client, is_refused_as, select, typed};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// Send frames of one interface that match to another one.
    Add(Add),
    /// List chains.
    Ls(Ls),
    /// Remove chains.
    Rm(Rm),
}

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "An interface is CONTAINER:INTERFACE; the container may be its VNF's id where that has only one, and \
                  without an interface the first one is meant.\n\
                  A match has fields of OpenFlow: `dl_type=0x0800,nw_proto=6,tp_dst=80`; docs/chains.md has them all. \
                  What matches no chain goes where it went before."
)]
struct Add {
    /// The instance (id, beginning of an id, or name; may be left out when there is only one).
    instance: Option<String>,
    /// Where the frames come from.
    #[arg(long, visible_alias = "src", value_name = "VNF:INTERFACE")]
    source: String,
    /// Where they go.
    #[arg(long, visible_alias = "dst", value_name = "VNF:INTERFACE")]
    destination: String,
    /// Only frames with these fields. [default: all]
    #[arg(
        short,
        long = "match",
        value_name = "FIELD=VALUE,...",
        default_value = "",
        hide_default_value = true
    )]
    matches: String,
    /// Also the other way, frames with the same fields.
    #[arg(short, long)]
    bidirectional: bool,
    /// Of several chains that match the one with the highest priority decides.
    #[arg(short, long, value_name = "NUMBER", default_value_t = 1000)]
    priority: u16,
    /// What the chain is listed and removed by, with others.
    #[arg(short, long, value_name = "NUMBER", default_value_t = 10)]
    cookie: u64,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct Ls {
    /// Only those of this instance (id, beginning of an id, or name).
    instance: Option<String>,
    /// Only those of this cookie.
    #[arg(short, long, value_name = "NUMBER")]
    cookie: Option<u64>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct Rm {
    /// The chains' numbers, as `llcm chain ls` shows them.
    #[arg(required_unless_present = "cookie")]
    chains: Vec<u32>,
    /// All chains of this cookie instead.
    #[arg(short, long, value_name = "NUMBER", conflicts_with = "chains")]
    cookie: Option<u64>,
    /// Only of this instance (id, beginning of an id, or name); with a cookie it may be left out when there is only
    /// one.
    #[arg(short, long)]
    instance: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    pub(crate) fn connection(&self) -> &Connection {
        match &self.verb {
            Verb::Add(args) => &args.connection,
            Verb::Ls(args) => &args.connection,
            Verb::Rm(args) => &args.connection,
        }
    }
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Add(args) => add(client, args).await,
        Verb::Ls(args) => list(client, args).await,
        Verb::Rm(args) => remove(client, args).await,
    }
}

async fn add(client: &Client, args: &Add) -> anyhow::Result<ExitCode> {
    let instance = select::instance(client.instances(false).await?, args.instance.as_deref())?;
    let wanted = json!({
        "source": args.source,
        "destination": args.destination,
        "bidirectional": args.bidirectional,
        "match": args.matches,
        "priority": args.priority,
        "cookie": args.cookie,
    });
    let added = client.add_chain(&instance.id, &wanted).await?;
    if args.output.is_json() {
        output::json(&added)?;
    } else {
        let chain: Chain = typed(added)?;
        output::line(format_args!("chain {}: {}", chain.id, way(&chain)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `vnf0.du.0:output -> vnf1.du.0:input`.
fn way(chain: &Chain) -> String {
    let arrow = if chain.bidirectional { "<->" } else { "->" };
    format!("{} {arrow} {}", chain.source, chain.destination)
}

async fn list(client: &Client, args: &Ls) -> anyhow::Result<ExitCode> {
    let all = select::instances(client.instances(false).await?, args.instance.as_deref())?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for instance in all {
        let told = chains(client, &instance.id, args.cookie, args.instance.is_some()).await?;
        let chains: Vec<Chain> = typed(told.clone())?;
        rows.extend(chains.iter().map(|chain| {
            let matches = if chain.matches.is_empty() { "all".to_owned() } else { chain.matches.clone() };
            vec![
                chain.id.to_string(),
                instance.name.clone(),
                way(chain),
                matches,
                chain.priority.to_string(),
                chain.cookie.to_string(),
            ]
        }));
        values.extend(told.as_array().cloned().unwrap_or_default());
    }
    if args.output.is_json() {
        output::json(&Value::Array(values))?;
    } else {
        let header = ["CHAIN", "INSTANCE", "WAY", "MATCH", "PRIORITY", "COOKIE"];
        output::print_table(&output::table(&header, rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The chains of an instance. One that nobody named may have gone since the instances were listed: it has none then.
async fn chains(client: &Client, instance: &str, cookie: Option<u64>, named: bool) -> anyhow::Result<Value> {
    match client.chains(instance, cookie).await {
        Err(error) if !named && is_refused_as(&error, "instance-not-found") => Ok(Value::Array(Vec::new())),
        other => other,
    }
}

async fn remove(client: &Client, args: &Rm) -> anyhow::Result<ExitCode> {
    let all = client.instances(false).await?;
    if let Some(cookie) = args.cookie {
        let instance = select::instance(all, args.instance.as_deref())?;
        let removed: Vec<Chain> = typed(client.remove_chains(&instance.id, cookie).await?)?;
        if removed.is_empty() {
            bail!(
                "{} has no chain of the cookie {cookie}: `llcm chain ls` lists what there is",
                instance.name
            );
        }
        for chain in removed {
            output::line(format_args!("chain {} removed", chain.id))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut known = Vec::new();
    for instance in select::instances(all, args.instance.as_deref())? {
        let told = chains(client, &instance.id, None, args.instance.is_some()).await?;
        let chains: Vec<Chain> = typed(told)?;
        known.extend(chains.into_iter().map(|chain| (chain.id, instance.id.clone())));
    }
    let mut errors = Vec::new();
    for number in &args.chains {
        let removed = match known.iter().find(|(id, _)| id == number) {
            Some((_, instance)) => client.remove_chain(instance, *number).await,
            None => Err(anyhow!("there is no chain {number}: `llcm chain ls` lists what there is")),
        };
        match removed {
            Ok(()) => output::line(format_args!("chain {number} removed"))?,
            Err(error) => errors.push(format!("{error:#}")),
        }
    }
    match errors.as_slice() {
        [] => Ok(ExitCode::SUCCESS),
        [only] => Err(anyhow!(only.clone())),
        several => bail!("{} chains were not removed:\n  {}", several.len(), several.join("\n  ")),
    }
}
