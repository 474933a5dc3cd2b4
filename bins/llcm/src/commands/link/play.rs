//! Schedules: begun, followed, listed, stopped.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use llcm_api::native::topology_view::{Schedule, ScheduledChange};
use llcm_topology::units::show_duration;

use crate::cli::{Connection, Output};
use crate::client::{Client, typed};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "A schedule file:\n  \
                  changes:\n  \
                  - {at: 1.5s, link: dc1-dc2, delay: 20ms, loss: 1%, from: dc1}\n  \
                  - at: 5s\n    \
                  repeat: 10\n    \
                  every: 1s\n    \
                  changes:\n    \
                  - {at: 0, link: dc1-dc2, up: false}\n    \
                  - {at: 300ms, link: dc1-dc2, up: true}\n\
                  The server goes on when this command is interrupted: `llcm link stop` stops a schedule.")]
pub(super) struct Play {
    /// The schedule: YAML or JSON.
    file: PathBuf,
    /// Print the schedule's id and do not wait for its end.
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Schedules {
    /// Show this one (id, or beginning of an id).
    schedule: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Stop {
    /// The schedule (id, or beginning of an id; may be left out when there is only one).
    schedule: Option<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

pub(super) async fn play(client: &Client, args: &Play) -> anyhow::Result<ExitCode> {
    let name = args.file.display();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {name}"))?;
    let begun = client.post("/schedules", text).await.with_context(|| name.to_string())?;
    let mut schedule: Schedule = typed(begun.clone())?;
    if args.detach {
        return match args.output.is_json() {
            true => output::json(&begun).map(|()| ExitCode::SUCCESS),
            false => output::line(schedule.id).map(|()| ExitCode::SUCCESS),
        };
    }
    let mut told = 0;
    let answer = loop {
        let answer = client.get(&format!("/schedules/{}?wait=1", schedule.id)).await?;
        schedule = typed(answer.clone())?;
        let begun = schedule.changes.iter().take_while(|change| change.begun_us.is_some()).count();
        if !args.output.is_json() {
            for change in schedule.changes.iter().take(begun).skip(told) {
                output::line(in_words(change))?;
            }
        }
        told = begun;
        if schedule.state != "running" {
            break answer;
        }
    };
    if args.output.is_json() {
        output::json(&answer)?;
    } else {
        output::line(summary(&schedule))?;
    }
    match (schedule.state.as_str(), schedule.error) {
        ("done", _) => Ok(ExitCode::SUCCESS),
        (_, Some(error)) => Err(anyhow!(error)),
        (state, None) => Err(anyhow!("the schedule is {state}")),
    }
}

/// `    1.5s  dc1-dc2: down, 0.8ms after its time`.
fn in_words(change: &ScheduledChange) -> String {
    let at = show_duration(change.at_us);
    let what = format!("{at:>9}  {}: {}", change.link, change.change);
    match (change.begun_us, change.made_us) {
        (None, _) => what,
        (Some(_), None) => format!("{what}, could not be made"),
        (Some(_), Some(made)) => {
            format!("{what}, {} after its time", show_duration(made.saturating_sub(change.at_us)))
        }
    }
}

fn summary(schedule: &Schedule) -> String {
    let made = format!("schedule {}: {} of {} changes made", schedule.state, schedule.made, schedule.total);
    match (schedule.mean_delay_us, schedule.worst_delay_us) {
        (Some(mean), Some(worst)) => format!(
            "{made}, {} after their times on average, {} at worst",
            show_duration(mean),
            show_duration(worst)
        ),
        _ => made,
    }
}

pub(super) async fn list(client: &Client, args: &Schedules) -> anyhow::Result<ExitCode> {
    let Some(given) = &args.schedule else {
        let all = client.get("/schedules").await?;
        if args.output.is_json() {
            output::json(&all)?;
            return Ok(ExitCode::SUCCESS);
        }
        let all: Vec<Schedule> = typed(all)?;
        let rows = all.iter().map(|it| {
            let late = it.worst_delay_us.map(show_duration).unwrap_or_default();
            let made = format!("{}/{}", it.made, it.total);
            let name = it.name.clone().unwrap_or_default();
            let reason = it.error.clone().unwrap_or_default();
            vec![it.id.to_string(), name, it.state.clone(), made, late, it.links.join(", "), reason]
        });
        let header = ["SCHEDULE", "NAME", "STATE", "MADE", "LATEST BY", "LINKS", "REASON"];
        output::print_table(&output::table(&header, rows))?;
        return Ok(ExitCode::SUCCESS);
    };
    let id = find(client, Some(given)).await?.id;
    let answer = client.get(&format!("/schedules/{id}")).await?;
    if args.output.is_json() {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let schedule: Schedule = typed(answer)?;
    for change in &schedule.changes {
        output::line(in_words(change))?;
    }
    output::line(summary(&schedule))?;
    schedule.error.iter().try_for_each(|reason| output::line(format_args!("reason: {reason}")))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn stop(client: &Client, args: &Stop) -> anyhow::Result<ExitCode> {
    let found = find(client, args.schedule.as_deref()).await?;
    let ended: Schedule = typed(client.delete(&format!("/schedules/{}", found.id)).await?)?;
    match found.state.as_str() {
        "running" => output::line(summary(&ended))?,
        _ => output::line(format_args!("schedule {} forgotten", found.id))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The schedule that is meant: the only one, where nothing is said.
async fn find(client: &Client, given: Option<&str>) -> anyhow::Result<Schedule> {
    let mut all: Vec<Schedule> = client.typed("/schedules").await?;
    match given {
        Some(given) => all.retain(|schedule| schedule.id.to_string().starts_with(given)),
        None => {
            let running = all.iter().any(|schedule| schedule.state == "running");
            all.retain(|schedule| !running || schedule.state == "running");
        }
    }
    match (all.len(), given) {
        (1, _) => all.pop().context("there is one"),
        (0, None) => bail!("there is no schedule"),
        (0, Some(given)) => bail!("there is no schedule {given}"),
        (several, _) => bail!("{several} schedules could be meant: give more of the id"),
    }
}
