//! `llcm sap`.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};

use super::exec;
use crate::cli::{Connection, Output};
use crate::client::model::{Instance, Sap};
use crate::client::{Client, select, typed};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// List service access points.
    Ls(Ls),
    /// Run a command at a service access point: in its container, or, for an external one, on this machine.
    Exec(Exec),
}

#[derive(Debug, Clone, clap::Args)]
struct Ls {
    /// Only those of this instance (id, beginning of an id, or name).
    instance: Option<String>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
#[command(
    override_usage = "llcm sap exec [OPTIONS] [[INSTANCE] NAME] -- COMMAND [ARGUMENTS]...",
    after_help = "The exit code is the command's own; 1 when it could not be run.\n\
                  At an external access point, which is an interface of the server's host, the command runs on this \
                  machine and has the variables SAP_INTERFACE and SAP_ADDRESS: \
                  `sh -c 'ping -I $SAP_INTERFACE 10.10.0.2'`."
)]
struct Exec {
    /// The instance (id, beginning of an id, or name; may be left out when there is only one) and the access
    /// point (its connection point's id, with or without `ns:`, or its name; may be left out likewise).
    #[arg(value_name = "[INSTANCE] NAME", num_args = 0..=2)]
    target: Vec<String>,
    /// Program and arguments; write `sh -c '...'` for what needs a shell.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// Set a variable for the command; repeatable.
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Give a command in a container a terminal; its output is then one stream.
    #[arg(short, long)]
    terminal: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    pub(crate) fn connection(&self) -> &Connection {
        match &self.verb {
            Verb::Ls(args) => &args.connection,
            Verb::Exec(args) => &args.connection,
        }
    }
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Ls(args) => list(client, args).await,
        Verb::Exec(args) => execute(client, args).await,
    }
}

async fn list(client: &Client, args: &Ls) -> anyhow::Result<ExitCode> {
    let all = select::instances(client.instances(false).await?, args.instance.as_deref())?;
    let mut rows = Vec::new();
    let mut values = Vec::new();
    for instance in all {
        let seen = client.get(&format!("/instances/{}", instance.id)).await?;
        let saps = seen.get("saps").and_then(|saps| saps.as_array()).cloned().unwrap_or_default();
        let seen: Instance = typed(seen)?;
        rows.extend(seen.saps.iter().map(|sap| {
            let mut row = row(sap);
            row.insert(0, seen.name.clone());
            row
        }));
        values.extend(saps.into_iter().map(|mut sap| {
            if let Some(sap) = sap.as_object_mut() {
                sap.insert("instance".to_owned(), seen.id.clone().into());
            }
            sap
        }));
    }
    if args.output.is_json() {
        output::json(&serde_json::Value::Array(values))?;
    } else {
        let mut header = vec!["INSTANCE"];
        header.extend(HEADER);
        output::print_table(&output::table(&header, rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

const HEADER: [&str; 6] = ["SAP", "KIND", "DC", "WHERE", "INTERFACE", "ADDRESS"];

/// The access points of an instance as a table.
pub(crate) fn listed(instance: &Instance) -> comfy_table::Table {
    output::table(&HEADER, instance.saps.iter().map(row))
}

fn row(sap: &Sap) -> Vec<String> {
    let place = match (&sap.container, sap.nat) {
        (Some(container), _) => format!("container {container}"),
        (None, true) => "this host, with NAT".to_owned(),
        (None, false) => "this host".to_owned(),
    };
    vec![
        sap.id.clone(),
        sap.kind.clone(),
        sap.datacenter.clone(),
        place,
        sap.interface.clone().unwrap_or_default(),
        sap.address.clone().unwrap_or_default(),
    ]
}

async fn execute(client: &Client, args: &Exec) -> anyhow::Result<ExitCode> {
    let environment = exec::variables(&args.env)?;
    let (instance, name) = exec::split(&args.target);
    let instance = client.find_instance(instance).await?;
    let sap = find(&instance, name)?;
    if let Some(container) = &sap.container {
        let target = (instance.id.as_str(), container.as_str());
        return exec::in_container(client, target, &args.command, &environment, args.terminal).await;
    }
    let interface = sap.interface.as_deref().unwrap_or_default();
    if !is_here(interface)? {
        bail!(
            "{} is the interface {interface} of the server's host, which this machine does not have",
            sap.id
        );
    }
    let (program, arguments) = args.command.split_first().ok_or_else(|| anyhow!("there is no command"))?;
    let mut command = std::process::Command::new(program);
    command.args(arguments).envs(environment).env("SAP_INTERFACE", interface);
    if let Some(address) = sap.address.as_deref().and_then(|address| address.split('/').next()) {
        command.env("SAP_ADDRESS", address);
    }
    // Standard input and output, signals and the exit code are the command's own.
    Err(command.exec()).with_context(|| format!("cannot run {program}"))
}

/// Whether this machine, as far as this program sees it, has an interface.
fn is_here(interface: &str) -> anyhow::Result<bool> {
    // Not below /sys, which tells of the network that it was mounted in.
    let list =
        std::fs::read_to_string("/proc/self/net/dev").context("cannot list this machine's interfaces")?;
    let mut names = list.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    Ok(names.any(|name| name == interface))
}

/// An access point by its connection point or name; without anything: the only one.
fn find<'a>(instance: &'a Instance, given: Option<&str>) -> anyhow::Result<&'a Sap> {
    let all = &instance.saps;
    let names = || all.iter().map(|sap| format!("\n  {}", sap.id)).collect::<String>();
    if all.is_empty() {
        bail!("{} has no access points: run the server with --deploy-saps", instance.name);
    }
    let Some(given) = given else {
        return match all.as_slice() {
            [only] => Ok(only),
            _ => bail!("name an access point of {}:{}", instance.name, names()),
        };
    };
    let is_it =
        |sap: &&Sap| sap.id == given || sap.name == given || sap.id.strip_prefix("ns:") == Some(given);
    all.iter()
        .find(is_it)
        .ok_or_else(|| anyhow!("no access point `{given}` in {}; there are:{}", instance.name, names()))
}
