//! `llcm capture`.

mod pcap;
mod summary;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llcm_api::CaptureLine;
use serde_json::json;

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
    #[arg(value_name = "[INSTANCE] CONTAINER:INTERFACE", num_args = 0..=2)]
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
    let lines = client.post_stream("/captures", &wanted).await?;
    let mut shown = Shown::open(args)?;
    let outcome = copy(lines, &mut shown).await;
    let closed = shown.close();
    let (frames, dropped) = outcome?;
    closed?;
    let dropped = match dropped {
        Some(0) => String::new(),
        Some(dropped) => format!(", {dropped} more passed too fast to be taken"),
        None => ", ended early".to_owned(),
    };
    output::note(format_args!("{frames} frames{dropped}"))?;
    Ok(ExitCode::SUCCESS)
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

/// Shows frames until the capture ends or somebody interrupts it; how many, and how many were dropped.
async fn copy(mut lines: stream::Lines, shown: &mut Shown) -> anyhow::Result<(u64, Option<u64>)> {
    let mut frames = 0;
    // One for all turns: a signal that comes while a frame is shown must not be missed.
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let line = tokio::select! {
            line = lines.next::<CaptureLine>() => line?,
            _ = &mut interrupted => return Ok((frames, None)),
        };
        match line {
            Some(CaptureLine::Began { .. }) => output::note("capturing; interrupt to end")?,
            Some(CaptureLine::Frame { at_ns, direction, length, data }) => {
                let bytes = STANDARD.decode(data).context("the server's answer is garbled")?;
                shown.frame(&pcap::Frame { at_ns, direction, length, bytes })?;
                frames += 1;
            }
            Some(CaptureLine::Failed { error, .. }) => return Err(anyhow!(error)),
            Some(CaptureLine::Ended { dropped, .. }) => return Ok((frames, Some(dropped))),
            None => bail!("the server's answer broke off"),
        }
    }
}

/// Where frames go.
enum Shown {
    /// To a file or a pipe, as pcap.
    Pcap(Box<dyn Write>),
    /// To tcpdump, which shows them.
    Tcpdump(Box<Child>),
    /// To standard output, a line each.
    Lines,
}

impl Shown {
    fn open(args: &Args) -> anyhow::Result<Self> {
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
                let Ok(mut child) = started else { return Ok(Self::Lines) };
                if let Some(input) = &mut child.stdin {
                    input.write_all(&pcap::header())?;
                }
                return Ok(Self::Tcpdump(Box::new(child)));
            }
        };
        out.write_all(&pcap::header())?;
        out.flush()?;
        Ok(Self::Pcap(out))
    }

    /// Shown at once: whoever reads a pipe is to see it now.
    fn frame(&mut self, frame: &pcap::Frame) -> anyhow::Result<()> {
        match self {
            Self::Pcap(out) => {
                out.write_all(&pcap::record(frame))?;
                Ok(out.flush()?)
            }
            Self::Tcpdump(child) => match &mut child.stdin {
                Some(input) => Ok(input.write_all(&pcap::record(frame))?),
                None => bail!("tcpdump takes no frames"),
            },
            Self::Lines => output::line(summary::line(frame)),
        }
    }

    /// Waits until all is shown.
    fn close(self) -> anyhow::Result<()> {
        if let Self::Tcpdump(mut child) = self {
            drop(child.stdin.take());
            child.wait().context("tcpdump")?;
        }
        Ok(())
    }
}
