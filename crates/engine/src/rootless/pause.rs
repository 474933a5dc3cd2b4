//! The pause process: it does nothing, in the namespaces, so that they live on when the program does not.
//!
//! ```text
//! program ── starts ──> pause, which waits for a word and ends without it
//!    │ ── writes it down, not yet held
//!    │ ── go ─────────────> it stays whatever happens to the program
//!    │ <── {"pid": …} ───── it has understood
//!    │ ── writes it down, held
//! ```
//! Killed at any instant, the program leaves a pause process that ends by itself, or one that is in the file. One
//! that is not marked as held is killed by the next program: nothing was made in its namespaces.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};

use super::Kept;
use crate::error::{Context as _, EngineError};
use crate::helper::{PATIENCE, PAUSE, PAUSED, Report, read_line, report};
use crate::process::{Process, ProcessId};
use crate::program::{Helper, become_helper, start_helper};

/// Starts the pause process of this process's namespaces; `write` writes it down, twice.
pub(super) fn start(
    helper: &Helper,
    write: impl Fn(&ProcessId, bool) -> Result<Kept, EngineError>,
) -> Result<(Process, Kept), EngineError> {
    let shown = Path::new("the pause process");
    let (mut ours, theirs) = UnixStream::pair().context("make a socket for", shown)?;
    ours.set_read_timeout(Some(PATIENCE)).context("set up", shown)?;
    let stdin = Stdio::from(OwnedFd::from(theirs));
    let word = helper.word();
    let child = start_helper(helper, &[OsStr::new(PAUSE), &word], stdin, Stdio::null(), Stdio::null())
        .context("start", &helper.program)?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    let process = Process::hold(pid).context("hold", shown)?;
    let mut told = || {
        write(&process.id, false)?;
        ours.write_all(b"go\n").context("speak to", shown)?;
        let line = read_line(&mut BufReader::new(&ours), 4096).context("hear from", shown)?;
        match serde_json::from_slice(&line) {
            Ok(Report::Pid(_)) => write(&process.id, true),
            Ok(Report::Error(text)) => Err(EngineError::Invalid(format!("the pause process failed: {text}"))),
            _ => {
                let program = helper.program.display();
                let text = format!("the pause process said nothing: `{program}` must call helper::main");
                Err(EngineError::Invalid(text))
            }
        }
    };
    let told = told();
    if told.is_err() {
        process.end().context("end", shown)?;
    }
    Ok((process, told?))
}

/// The helper's part: leaves what the program's caller gave it and its terminal behind, by executing itself again
/// in a session of its own. Otherwise it would keep pipes open that somebody reads to the end.
pub(crate) fn play(word: &Path) -> Result<(), EngineError> {
    let shown = Path::new("the pause process");
    rustix::process::setsid().context("make a session for", shown)?;
    let helper = Helper::from_word(word)?;
    Err(become_helper(&helper, PAUSED)).context("execute", &helper.program)
}

/// The helper's part, executed again: waits for the word, then for nothing.
pub(crate) fn play_held(control: &mut File) -> Result<(), EngineError> {
    let engine = Path::new("the engine");
    let word = read_line(&mut BufReader::new(&*control), 16).context("hear from", engine)?;
    if word != b"go" {
        // The program died: nobody knows of this process.
        return Ok(());
    }
    let pid = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    report(control, &Report::Pid(pid)).context("report to", engine)?;
    let null = Path::new("/dev/null");
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let nothing = rustix::fs::open(null, flags, Mode::empty()).context("open", null)?;
    rustix::stdio::dup2_stdin(&nothing).context("read from", null)?;
    // The socket to the program, too: what is left open would be held for as long as this process lives.
    *control = File::from(nothing);
    loop {
        rustix::event::pause();
    }
}
