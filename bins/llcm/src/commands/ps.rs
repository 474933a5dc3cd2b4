//! `llcm ps`.

use std::process::ExitCode;

use crate::cli::{Connection, Output};
use crate::client::model::{Container, ContainerState, Instance, Script};
use crate::client::{Client, instances_path, select, typed};
use crate::output;

/// How much of an id is shown; enough to be unique among some thousand instances.
const SHORT_ID: usize = 8;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Show the containers and links of this instance (id, beginning of an id, or name).
    pub(crate) instance: Option<String>,
    /// Also list instances that failed lately.
    #[arg(short, long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let list = client.get(instances_path(args.all)).await?;
    if let Some(given) = &args.instance {
        let id = select::instance(typed(list)?, Some(given))?.id;
        let instance = client.get(&format!("/instances/{id}")).await?;
        if args.output.is_json() {
            output::json(&instance)?;
        } else {
            show(&typed(instance)?)?;
        }
    } else if args.output.is_json() {
        output::json(&list)?;
    } else {
        let rows = typed::<Vec<Instance>>(list)?.into_iter().map(|instance| {
            vec![
                instance.id.chars().take(SHORT_ID).collect(),
                instance.name.clone(),
                state_of(&instance),
                instance.containers.len().to_string(),
                instance.created_at,
            ]
        });
        output::print_table(&output::table(&["ID", "INSTANCE", "STATE", "CONTAINERS", "CREATED"], rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The state, with how far it is while something goes on.
fn state_of(instance: &Instance) -> String {
    match (instance.state.as_str(), instance.progress) {
        (state @ ("creating" | "terminating" | "unwinding"), (done, all)) if all > 0 => {
            format!("{state} {done}/{all}: {}", instance.activity)
        }
        (state, _) => state.to_owned(),
    }
}

/// Shows an instance: its containers with addresses and ports, its links, what went wrong.
pub(crate) fn show(instance: &Instance) -> anyhow::Result<()> {
    output::line(format_args!("{}  {}  {}", instance.name, instance.id, state_of(instance)))?;
    output::line("")?;
    let rows = instance.containers.iter().map(|container| {
        vec![
            container.name.clone(),
            container.datacenter.clone(),
            container.image.clone(),
            engine_state(container.state.as_ref()),
            addresses(container),
            container.ports.join(" "),
        ]
    });
    let header = ["CONTAINER", "DC", "IMAGE", "STATE", "ADDRESSES", "PORTS"];
    output::print_table(&output::table(&header, rows))?;
    if !instance.links.is_empty() {
        output::line("")?;
        let rows = instance
            .links
            .iter()
            .map(|link| vec![link.id.clone(), link.kind.clone(), link.subnet.clone(), link.ends.join(" ")]);
        output::print_table(&output::table(&["LINK", "KIND", "SUBNET", "ENDS"], rows))?;
    }
    if !instance.saps.is_empty() {
        output::line("")?;
        output::print_table(&super::sap::listed(instance))?;
    }
    for container in &instance.containers {
        for script in container.scripts.iter().filter(|script| failed(script)) {
            tell_script(&container.name, script)?;
        }
    }
    for reason in &instance.reasons {
        output::line(format_args!("degraded: {reason}"))?;
    }
    if let Some(retry) = &instance.retry {
        output::line(format_args!(
            "stuck: taking it down was tried {} times, and is tried again at {}, or at once with `llcm down`",
            retry.tries, retry.next_at
        ))?;
    }
    for error in &instance.errors {
        output::line(format_args!("error: {error}"))?;
    }
    Ok(())
}

fn engine_state(state: Option<&ContainerState>) -> String {
    match state {
        None => "missing".to_owned(),
        Some(ContainerState { state, code: Some(code) }) => format!("{state} ({code})"),
        Some(ContainerState { state, code: None }) => state.clone(),
    }
}

/// `input=20.0.0.1/24,30.0.0.1/24 mgmt=30.0.0.1/24`; interfaces without addresses are named too. The engine's own
/// comes first, with the engine's address.
fn addresses(container: &Container) -> String {
    let wired = container.interfaces.iter().map(|(name, addresses)| match addresses.as_slice() {
        [] => name.clone(),
        addresses => format!("{name}={}", addresses.join(",")),
    });
    let engines = container.management.iter().map(|management| match &management.address {
        None => management.interface.clone(),
        Some(address) => format!("{}={address}", management.interface),
    });
    engines.chain(wired).collect::<Vec<_>>().join(" ")
}

fn failed(script: &Script) -> bool {
    script.error.is_some() || (script.ended_at.is_some() && script.exit_code != Some(0))
}

fn tell_script(container: &str, script: &Script) -> anyhow::Result<()> {
    let end = match (&script.error, script.exit_code) {
        (Some(error), _) => error.clone(),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "no exit code".to_owned(),
    };
    let (phase, command) = (&script.phase, &script.command);
    output::line(format_args!("warning: {phase} script of {container} failed: {command}: {end}"))?;
    for line in script.output.lines() {
        output::line(format_args!("  {line}"))?;
    }
    Ok(())
}
