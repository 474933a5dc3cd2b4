//! `llcm link`.

use std::process::ExitCode;

use anyhow::bail;
use llcm_api::native::topology_view::{Direction, Link};
use llcm_topology::units::{show_bandwidth, show_duration, show_loss};
use serde_json::{Map, Value, json};

use crate::cli::{Connection, Output};
use crate::client::{Client, segment, typed, without_places};
use crate::output;

mod play;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// List the links between data centers, as they are now.
    Ls(Ls),
    /// Change properties of a link; what is not named stays.
    Set(Set),
    /// Cut links: paths move to others, and what has none carries nothing.
    Down(Names),
    /// Bring links back.
    Up(Names),
    /// Add a link.
    Add(Add),
    /// Remove links.
    Rm(Names),
    /// Change links over time, as a schedule file says; the server does it.
    Play(play::Play),
    /// List schedules that run or ran lately, or show one with the times of its changes.
    Schedules(play::Schedules),
    /// Stop a schedule that runs, or forget one that has ended; links stay as they are.
    Stop(play::Stop),
}

#[derive(Debug, Clone, clap::Args)]
struct Ls {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct Names {
    /// The links.
    #[arg(required = true, value_name = "LINK")]
    links: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

/// As in topology files.
#[derive(Debug, Clone, clap::Args)]
struct Properties {
    /// Bandwidth: 100Mbps; `none` for no limit.
    #[arg(long, value_name = "RATE")]
    bandwidth: Option<String>,
    /// One-way delay: 10ms.
    #[arg(long, value_name = "TIME")]
    delay: Option<String>,
    /// Largest deviation from the delay: 1ms.
    #[arg(long, value_name = "TIME")]
    jitter: Option<String>,
    /// Lost packets: 0.1%.
    #[arg(long, value_name = "SHARE")]
    loss: Option<String>,
    /// Largest IP packet of VNFs in bytes, 1280 to 9000; `none` for what is usual.
    #[arg(long, value_name = "BYTES")]
    mtu: Option<String>,
    /// Packets that may wait; `none` for what the rate needs.
    #[arg(long, value_name = "PACKETS")]
    queue: Option<String>,
}

impl Properties {
    fn into_body(self) -> Map<String, Value> {
        let Self { bandwidth, delay, jitter, loss, mtu, queue } = self;
        let all = [
            ("bandwidth", bandwidth),
            ("delay", delay),
            ("jitter", jitter),
            ("loss", loss),
            ("mtu", mtu),
            ("queue", queue),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::String(value?)))).collect()
    }
}

#[derive(Debug, Clone, clap::Args)]
struct Set {
    /// The link.
    link: String,
    #[command(flatten)]
    properties: Properties,
    /// Only the direction that leaves this data center.
    #[arg(long, value_name = "DC")]
    from: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Clone, clap::Args)]
struct Add {
    /// The data center at one end.
    a: String,
    /// The data center at the other end.
    b: String,
    /// What it is called. [default: A-B]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    properties: Properties,
    /// It begins as one that is cut.
    #[arg(long)]
    down: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Args {
    pub(crate) fn connection(&self) -> &Connection {
        match &self.verb {
            Verb::Ls(args) => &args.connection,
            Verb::Set(args) => &args.connection,
            Verb::Down(args) | Verb::Up(args) | Verb::Rm(args) => &args.connection,
            Verb::Add(args) => &args.connection,
            Verb::Play(args) => &args.connection,
            Verb::Schedules(args) => &args.connection,
            Verb::Stop(args) => &args.connection,
        }
    }
}

pub(crate) async fn run(client: &Client, args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Ls(args) => list(client, &args).await,
        Verb::Set(args) => set(client, args).await,
        Verb::Down(args) => each(client, &args, false).await,
        Verb::Up(args) => each(client, &args, true).await,
        Verb::Add(args) => add(client, args).await,
        Verb::Rm(args) => {
            for link in &args.links {
                client.delete(&path(link)).await?;
                output::line(format_args!("link {link} removed"))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Play(args) => play::play(client, &args).await,
        Verb::Schedules(args) => play::list(client, &args).await,
        Verb::Stop(args) => play::stop(client, &args).await,
    }
}

fn path(link: &str) -> String {
    format!("/links/{}", segment(link))
}

async fn list(client: &Client, args: &Ls) -> anyhow::Result<ExitCode> {
    let links = client.get("/links").await?;
    if args.output.is_json() {
        output::json(&links)?;
        return Ok(ExitCode::SUCCESS);
    }
    let links: Vec<Link> = typed(links)?;
    output::print_table(&output::table(&HEADER, links.iter().flat_map(rows)))?;
    for missing in links.iter().flat_map(|link| &link.not_emulated) {
        output::note(format_args!("not emulated on the server's host: {missing}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

const HEADER: [&str; 9] =
    ["LINK", "ENDS", "STATE", "BANDWIDTH", "DELAY", "LOSS", "MTU", "QUEUE", "EMULATED BY"];

/// A row for both directions, or one for each where they differ.
fn rows(link: &Link) -> Vec<Vec<String>> {
    let [there, back] = &link.directions;
    let mut state = if link.up { "up" } else { "down" }.to_owned();
    match link.carries {
        Some(carries) if carries != link.up => {
            state.push_str(if carries { " (still up)" } else { " (carries nothing)" })
        }
        _ => {}
    }
    if link.schedule.is_some() {
        state.push_str(", scheduled");
    }
    let same = Direction { from: there.from.clone(), to: there.to.clone(), ..back.clone() } == *there;
    let row = |direction: &Direction, ends: String| {
        let mut row = vec![link.name.clone(), ends, state.clone()];
        row.extend(properties(direction));
        row
    };
    match same {
        true => vec![row(there, format!("{} <> {}", there.from, there.to))],
        false => [there, back].map(|it| row(it, format!("{} > {}", it.from, it.to))).to_vec(),
    }
}

fn properties(direction: &Direction) -> [String; 6] {
    let dash = || "-".to_owned();
    let mut delay = if direction.delay_us == 0 { dash() } else { show_duration(direction.delay_us) };
    if direction.jitter_us > 0 {
        delay.push_str(&format!("±{}", show_duration(direction.jitter_us)));
    }
    [
        direction.bandwidth_bps.map_or_else(dash, show_bandwidth),
        delay,
        if direction.loss_ppm == 0 { dash() } else { show_loss(direction.loss_ppm) },
        direction.mtu.map_or_else(dash, |mtu| mtu.to_string()),
        direction.queue_packets.map_or_else(dash, |packets| packets.to_string()),
        direction.emulated_by.clone().unwrap_or_else(dash),
    ]
}

async fn set(client: &Client, args: Set) -> anyhow::Result<ExitCode> {
    let mut body = args.properties.into_body();
    if body.is_empty() {
        bail!("say what to change: --delay, --jitter, --loss, --bandwidth, --mtu, --queue");
    }
    body.extend(args.from.map(|from| ("from".to_owned(), Value::String(from))));
    let changed = client.patch(&path(&args.link), &Value::Object(body)).await.map_err(without_places)?;
    let link: Link = typed(changed)?;
    output::print_table(&output::table(&HEADER, rows(&link)))?;
    Ok(ExitCode::SUCCESS)
}

async fn each(client: &Client, args: &Names, up: bool) -> anyhow::Result<ExitCode> {
    for link in &args.links {
        client.patch(&path(link), &json!({ "up": up })).await?;
        output::line(format_args!("link {link} is {}", if up { "up" } else { "down" }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The properties of which `none` is a value.
const LIMITS: [&str; 3] = ["bandwidth", "mtu", "queue"];

async fn add(client: &Client, args: Add) -> anyhow::Result<ExitCode> {
    let mut body = args.properties.into_body();
    // A new link has no limit that could be taken away: what is not said is none.
    body.retain(|key, value| !(LIMITS.contains(&key.as_str()) && *value == "none"));
    body.insert("ends".to_owned(), json!([args.a, args.b]));
    body.insert("up".to_owned(), json!(!args.down));
    body.extend(args.name.map(|name| ("name".to_owned(), Value::String(name))));
    let added = client.post("/links", Value::Object(body).to_string()).await.map_err(without_places)?;
    let link: Link = typed(added)?;
    output::line(format_args!("link {} added", link.name))?;
    Ok(ExitCode::SUCCESS)
}
