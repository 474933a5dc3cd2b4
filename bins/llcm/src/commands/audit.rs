//! `llcm audit`: who changed what.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use llcm_access::{AuditLog, AuditOptions, Event, Filter};
use llcm_api::Moment;
use llcm_lifecycle::{Clock as _, SystemClock, Timestamp};

use crate::cli::{Connection, Output};
use crate::client::typed;
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Only what is about this instance (its id, or the first eight digits or more); a service's or request's id does, too.
    #[arg(long, value_name = "ID")]
    instance: Option<String>,
    /// Only what was asked for then or later: a point in time (2026-01-31T12:00:00Z), or how long ago (`30m`, `2h`, `7d`).
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// The newest so many.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Read the log of this data directory, without asking a server.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let since = args.since.map(|at| Moment(at).to_string());
    match &args.data_dir {
        Some(dir) => {
            let filter = Filter { about: args.instance.clone(), since, limit: Some(args.limit) };
            show(&AuditLog::in_dir(dir, AuditOptions::default()).read(&filter)?, args.output)?;
            Ok(ExitCode::SUCCESS)
        }
        None => super::with_client(&args.connection, async |client| {
            let mut query = vec![format!("limit={}", args.limit)];
            query.extend(since.map(|since| format!("since={since}")));
            // Ids have nothing that means something in a query.
            query.extend(args.instance.as_ref().map(|id| {
                let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                format!("about={plain}")
            }));
            let events = client.get(&format!("/audit?{}", query.join("&"))).await?;
            show(&typed::<Vec<Event>>(events)?, args.output)?;
            Ok(ExitCode::SUCCESS)
        }),
    }
}

fn show(events: &[Event], output: Output) -> anyhow::Result<()> {
    if output.is_json() {
        return output::json(&events);
    }
    let rows = events.iter().map(|event| {
        let asked = &event.beginning;
        let outcome = match (event.status, &event.code) {
            (Some(status), Some(code)) => format!("{status} {code}"),
            (Some(status), None) => status.to_string(),
            (None, Some(code)) => code.clone(),
            (None, None) => "?".to_owned(),
        };
        let objects: Vec<_> = event
            .objects
            .iter()
            .flat_map(|(kind, ids)| ids.iter().map(move |id| format!("{kind} {id}")))
            .collect();
        vec![
            asked.at.clone(),
            asked.by.clone(),
            asked.peer.clone().unwrap_or_default(),
            format!("{} {}", asked.method, if asked.method == "CLI" { &asked.route } else { &asked.path }),
            outcome,
            objects.join("\n"),
        ]
    });
    output::print_table(&output::table(&["TIME", "BY", "FROM", "WHAT", "OUTCOME", "ABOUT"], rows))
}

/// A point in time, or how long ago.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Some((count, unit)) = text.split_at_checked(text.len().saturating_sub(1))
        && let Ok(count) = count.parse::<u64>()
    {
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err("units are s, m, h and d".to_owned()),
        };
        let ago = Duration::from_secs(count.saturating_mul(seconds));
        let millis = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
        return Ok(Timestamp(SystemClock.now().0.saturating_sub(millis)));
    }
    Moment::parse(text)
        .map(|moment| moment.0)
        .map_err(|_| anyhow!("write 2026-01-31T12:00:00Z, 30m, 2h or 7d").to_string())
}
