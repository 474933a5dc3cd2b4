//! The program as its own helper: a process without threads that becomes, or enters, a container.
//!
//! ```text
//! engine ── starts ──> first stage: cgroup, network namespace, new PID/UTS/IPC/cgroup namespaces
//!   │ <── {"pid": …} ──── and starts ──> second stage, process 1 of the container: mounts, root
//!   │ ──── go ─────────────────────────────> once the engine has written the pid down
//!   │ <── {"error": …} or the end ────────── privileges dropped, the container's program executed
//! ```
//! Both stages have one end of a socket as standard input and the container's log as output. When the engine
//! dies before `go`, the socket ends and so does the second stage: no container lives that nobody knows of.
//!
//! Further parts belong to [`crate::rootless`].

mod devices;
mod enter;
mod first;
pub(crate) mod launch;
mod mounts;
mod privileges;
mod seccomp;
mod second;
mod terminal;
pub(crate) mod user;

pub(crate) use second::DEFAULT_PATH;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, chain};
use crate::rootless;

/// What the helper tells the engine, one JSON text a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The process is there: its number as the engine sees it.
    Pid(i32),
    /// The process ended: its exit code, 128 and the signal when it was killed by one.
    Ended(i32),
    /// It could not be started.
    Error(String),
}

/// The helper's first argument: which part is to be played.
pub(crate) const FIRST: &str = "first";
pub(crate) const SECOND: &str = "second";
pub(crate) const ENTER: &str = "enter";
const LEAD: &str = "lead";
pub(crate) const PAUSE: &str = "pause";
pub(crate) const PAUSED: &str = "paused";
pub(crate) const TRIAL: &str = "trial";
pub(crate) const TRIAL_INSIDE: &str = "trial-inside";

/// What helpers do takes milliseconds; one that says nothing for so long hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Plays the helper. A program that uses the engine calls this first thing in `main`, before it has threads,
/// when its arguments begin with those of [`crate::Helper`], and gives the arguments behind them.
///
/// Not for calling by hand: it returns with an error at once when it was not started by an engine.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let part = arguments.next().unwrap_or_default();
    let directory = PathBuf::from(arguments.next().unwrap_or_default());
    // What the engine's program was given by its own caller is none of the container's.
    close_fds::set_fds_cloexec(3, &[]);
    let Ok(mut control) = control() else { return ExitCode::from(125) };
    let played = match part.to_str() {
        Some(FIRST) => first::play(&directory, &mut control),
        Some(SECOND) => second::play(&directory, &mut control),
        Some(ENTER) => enter::play(&mut control),
        Some(LEAD) => terminal::lead(&mut control),
        Some(PAUSE) => rootless::play_pause(&directory),
        Some(PAUSED) => rootless::play_paused(&mut control),
        Some(TRIAL) => rootless::play_trial(&directory),
        Some(TRIAL_INSIDE) => rootless::play_trial_inside(&mut control),
        _ => Err(EngineError::Invalid("this command is for the program's own use".to_owned())),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody listens any more when this fails, too.
        Err(error) => match report(&mut control, &Report::Error(chain(&error))) {
            Ok(()) => ExitCode::from(126),
            Err(_) => ExitCode::from(125),
        },
    }
}

/// The socket to the engine: standard input, moved to where the container's program does not inherit it.
fn control() -> io::Result<File> {
    let moved = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    Ok(File::from(moved))
}

/// Sends a report.
pub(crate) fn report<T: Serialize>(control: &mut File, report: &T) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    control.write_all(&line)
}

/// Reads one line of at most `limit` bytes; empty at the end.
pub(crate) fn read_line(control: &mut impl BufRead, limit: u64) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    control.take(limit).read_until(b'\n', &mut line)?;
    match line.pop() {
        None | Some(b'\n') => Ok(line),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line is cut off or too long")),
    }
}
