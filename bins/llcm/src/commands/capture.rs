//! `llcm capture`.

mod pcap;
mod summary;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llcm_api::CaptureLine;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use crate::cli::Connection;
use crate::client::{Client, stream};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
#[command(
    override_usage = "llcm capture [OPTIONS] [INSTANCE] CONTAINER:INTERFACE\n       \
                      llcm capture [OPTIONS] --link LINK [--end DC]",
    after_help = "Frames are taken by the server; this program may be on another machine.\n\
                  Into Wireshark: llcm capture vnf0:eth0 -w - | wireshark -k -i -"
)]
pub(crate) struct Args {
    /// The instance (id, beginning of an id, or name; may be left out when there is only one) and the interface: the
    /// container's name or its function's id, a colon, and the interface's name or its connection point's id.
    #[arg(value_name = "[INSTANCE] CONTAINER:INTERFACE", num_args = 0..=2, conflicts_with = "end")]
    pub(crate) target: Vec<String>,
    /// A link between data centers, by its name in the topology: frames as they are on it, VXLAN included.
    #[arg(long, value_name = "LINK", conflicts_with = "target", required_unless_present = "target")]
    pub(crate) link: Option<String>,
    /// The data center at the end of the link where frames are taken. [default: the link's first end]
    #[arg(long, value_name = "DC", requires = "link")]
    pub(crate) end: Option<String>,
    /// Write the frames to a file (pcap, nanoseconds), `-` for standard output, instead of showing them.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// End after so many frames.
    #[arg(short, long, value_name = "FRAMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) duration: Option<u64>,
    /// Take only so many bytes of each frame.
    #[arg(short, long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(14..=262_144))]
    pub(crate) snap_length: Option<u32>,
    /// Show a short line of this program's own for each frame, even when there is tcpdump to show them.
    #[arg(long, conflicts_with = "write")]
    pub(crate) plain: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

pub(crate) async fn run(client: &Client, args: &Args) -> anyhow::Result<ExitCode> {
    let mut wanted = match &args.link {
        Some(link) => json!({ "link": link, "end": args.end }),
        None => interface(client, args).await?,
    };
    for (key, value) in
        [("count", args.count), ("seconds", args.duration), ("snap_length", args.snap_length.map(u64::from))]
    {
        if let Some(value) = value {
            wanted[key] = value.into();
        }
    }
    let lines = client.post_stream("/captures", &wanted, "the capture").await?;
    let mut shown = Shown::open(args).await?;
    let mut taken = Taken::default();
    let outcome = copy(lines, &mut shown, &mut taken).await;
    // Interrupted, tcpdump is as well.
    let closed = shown.close(matches!(outcome, Ok(End::Interrupted))).await;
    let end = outcome?;
    // What the server says is the reason, when both have failed.
    if !matches!(end, End::Failed(_)) {
        closed?;
    }
    output::note(taken.told(&end))?;
    match end {
        End::Failed(error) => Err(anyhow!(error)),
        End::Told | End::Interrupted | End::Untaken => Ok(ExitCode::SUCCESS),
    }
}

async fn interface(client: &Client, args: &Args) -> anyhow::Result<serde_json::Value> {
    let (instance, point) = match args.target.as_slice() {
        [point] => (None, point),
        [instance, point] => (Some(instance.as_str()), point),
        _ => bail!("name an interface, CONTAINER:INTERFACE, or a link with --link"),
    };
    let (container, interface) = point.split_once(':').ok_or_else(|| {
        anyhow!("{point} is no interface: write CONTAINER:INTERFACE, for example vnf0:eth0")
    })?;
    let instance = client.find_instance(instance).await?;
    Ok(json!({ "instance": instance.id, "container": container, "interface": interface }))
}

/// What came of a capture so far.
#[derive(Debug, Clone, Copy, Default)]
struct Taken {
    frames: u64,
    /// As the server told last.
    dropped: u64,
}

/// Why a capture has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// The server says so.
    Told,
    /// Somebody interrupted it.
    Interrupted,
    /// tcpdump takes no more frames.
    Untaken,
    /// The server cannot go on, for this reason.
    Failed(String),
}

impl Taken {
    fn told(self, end: &End) -> String {
        let Self { frames, dropped } = self;
        let dropped = match dropped {
            0 => String::new(),
            _ => format!(", {dropped} more passed too fast to be taken"),
        };
        let early = if *end == End::Told { "" } else { ", ended early" };
        format!("{frames} frames{dropped}{early}")
    }
}

/// Shows frames until the capture ends or somebody interrupts it.
async fn copy(mut lines: stream::Lines, shown: &mut Shown, taken: &mut Taken) -> anyhow::Result<End> {
    // One for all turns: a signal that comes while a frame is shown must not be missed.
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let line = tokio::select! {
            biased;
            _ = &mut interrupted => return Ok(End::Interrupted),
            () = shown.gone() => return Ok(End::Untaken),
            line = lines.next::<CaptureLine>() => line?,
        };
        match line {
            Some(CaptureLine::Began { .. }) => output::note("capturing; interrupt to end")?,
            Some(CaptureLine::Frame { at_ns, direction, length, data, dropped }) => {
                taken.dropped = dropped.unwrap_or(taken.dropped);
                let bytes = STANDARD.decode(data).context("the server's answer is garbled")?;
                let frame = pcap::Frame { at_ns, direction, length, bytes };
                let is_shown = tokio::select! {
                    biased;
                    _ = &mut interrupted => return Ok(End::Interrupted),
                    is_shown = shown.frame(&frame) => is_shown?,
                };
                if !is_shown {
                    return Ok(End::Untaken);
                }
                taken.frames += 1;
            }
            Some(CaptureLine::Failed { error, dropped, .. }) => {
                taken.dropped = dropped.unwrap_or(taken.dropped);
                return Ok(End::Failed(error));
            }
            Some(CaptureLine::Ended { dropped, .. }) => {
                taken.dropped = dropped;
                return Ok(End::Told);
            }
            None => bail!("the server's answer broke off"),
        }
    }
}

/// Where frames go.
enum Shown {
    /// To a file or a pipe, as pcap.
    Pcap(Box<dyn Write>),
    /// To tcpdump, which shows them.
    Tcpdump(Box<Child>, ChildStdin),
    /// To standard output, a line each.
    Lines,
}

impl Shown {
    async fn open(args: &Args) -> anyhow::Result<Self> {
        let mut out: Box<dyn Write> = match &args.write {
            Some(path) if path.as_os_str() == "-" => Box::new(io::stdout()),
            Some(path) => {
                let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
                Box::new(file)
            }
            None if args.plain => return Ok(Self::Lines),
            None => {
                // Unbuffered, without names to be looked up.
                let started =
                    Command::new("tcpdump").args(["-n", "-l", "-r", "-"]).stdin(Stdio::piped()).spawn();
                let mut child = match started {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Lines),
                    other => other.context("cannot start tcpdump; --plain shows frames without it")?,
                };
                let mut input = child.stdin.take().context("tcpdump takes no frames")?;
                // One that has ended already is noticed, with how, when it is waited for.
                is_taken(input.write_all(&pcap::header()).await)?;
                return Ok(Self::Tcpdump(Box::new(child), input));
            }
        };
        out.write_all(&pcap::header())?;
        out.flush()?;
        Ok(Self::Pcap(out))
    }

    /// Shown at once: whoever reads a pipe is to see it now. `false`: tcpdump takes no more.
    async fn frame(&mut self, frame: &pcap::Frame) -> anyhow::Result<bool> {
        match self {
            Self::Pcap(out) => {
                out.write_all(&pcap::record(frame))?;
                out.flush()?;
                Ok(true)
            }
            Self::Tcpdump(_, input) => is_taken(input.write_all(&pcap::record(frame)).await),
            Self::Lines => output::line(summary::line(frame)).map(|()| true),
        }
    }

    /// Resolves when tcpdump has ended by itself.
    async fn gone(&mut self) {
        match self {
            // How, is told when it is waited for again.
            Self::Tcpdump(child, _) => drop(child.wait().await),
            Self::Pcap(_) | Self::Lines => std::future::pending().await,
        }
    }

    /// Waits until all is shown.
    async fn close(self, interrupted: bool) -> anyhow::Result<()> {
        if let Self::Tcpdump(mut child, input) = self {
            drop(input);
            let status = child.wait().await.context("tcpdump")?;
            // What it writes to is what this program writes to: whoever read that may have gone away.
            if !status.success() && !interrupted && !output::is_unread() {
                bail!(
                    "tcpdump failed ({status}): --plain shows frames without it, --write keeps them in a file"
                );
            }
        }
        Ok(())
    }
}

/// Whether what was written to a pipe is taken by somebody.
fn is_taken(written: io::Result<()>) -> anyhow::Result<bool> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_told_whatever_ended_the_capture() {
        for (frames, dropped, end, expected) in [
            (3, 0, End::Told, "3 frames"),
            (3, 7, End::Told, "3 frames, 7 more passed too fast to be taken"),
            (3, 0, End::Interrupted, "3 frames, ended early"),
            (3, 7, End::Interrupted, "3 frames, 7 more passed too fast to be taken, ended early"),
            (2, 0, End::Failed("it broke".to_owned()), "2 frames, ended early"),
            (0, 7, End::Untaken, "0 frames, 7 more passed too fast to be taken, ended early"),
        ] {
            assert_eq!(Taken { frames, dropped }.told(&end), expected);
        }
    }
}
