//! A command with a terminal of its own: the helper starts a further one in the container, which becomes the command.
//!
//! The command leads the terminal's session, as a shell does that somebody has logged in to, and the helper is not in it.
//! So whoever hangs up hangs up on the command, and the helper lives to reap it and to tell how it ended.
//!
//! ```text
//! helper ── starts in the PID namespace ──> further one
//!    │ ── request ──> joins the other namespaces, takes the terminal, drops privileges
//!    │ <── {"error": …} or the end ───────── the command executed
//! ```

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::enter::{LONGEST, ask, gone, join, protect};
use super::launch::Enter;
use super::second::Prepared;
use super::{LEAD, PATIENCE, Report, privileges, read_line};
use crate::error::{Context as _, EngineError};
use crate::ids::Ids;
use crate::program::{Helper, start_helper};

/// Starts the command, in the container of the process of a descriptor. On return it is executed.
pub(super) fn start(enter: &Enter, helper: &Helper, process: &OwnedFd) -> Result<Child, EngineError> {
    let shown = Path::new("the helper in the container");
    move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::PROCESS_ID)
        .context("join the processes of", shown)?;
    let (mut ours, theirs) = UnixStream::pair().context("make a socket for", shown)?;
    ours.set_read_timeout(Some(PATIENCE)).context("set up", shown)?;
    let stdin = Stdio::from(OwnedFd::from(theirs));
    let mut child = start_helper(helper, &[OsStr::new(LEAD)], stdin, Stdio::inherit(), Stdio::inherit())
        .context("start", &helper.program)?;
    let mut request = serde_json::to_vec(enter).map_err(std::io::Error::from).context("encode", shown)?;
    request.push(b'\n');
    // One that has ended has said why, or says nothing.
    let _ = ours.write_all(&request);
    let line = read_line(&mut BufReader::new(&ours), LONGEST).unwrap_or_default();
    match serde_json::from_slice(&line) {
        Ok(Report::Error(text)) => {
            child.wait().context("wait for", shown)?;
            Err(EngineError::Invalid(text))
        }
        // The socket closes when the command is executed, and also when somebody has killed it: that is its end then.
        _ => Ok(child),
    }
}

/// The further helper's part.
pub(super) fn lead(control: &mut File) -> Result<(), EngineError> {
    // First of all: processes of the container see it already. Before, they lack the privileges that it has, without
    // which nobody may look into it (`ptrace(2)`, access mode checking).
    protect()?;
    let enter = ask(&mut BufReader::new(&*control))?;
    let null = Path::new("/dev/null");
    let nothing = OpenOptions::new().read(true).open(null).context("open", null)?;
    // The container's /proc need not show this process's.
    let ids = Ids::read().context("read the users of", Path::new("the engine"))?;
    // As it is called in the container.
    let first = pidfd_open(Pid::INIT, PidfdFlags::empty()).map_err(|_| gone())?;
    join(&first, &enter, ThreadNameSpaceType::empty())?;
    let prepared = Prepared::new(&enter.run, &ids)?;
    let shown = Path::new("the command");
    rustix::process::setsid().context("make a session for", shown)?;
    rustix::process::ioctl_tiocsctty(rustix::stdio::stdout()).context("give a terminal to", shown)?;
    privileges::drop_to(&enter.run.capabilities, &prepared.identity, &ids)?;
    rustix::stdio::dup2_stdin(&nothing).context("read from", null)?;
    Err(prepared.target(&enter.run).become_it()).context("execute", &prepared.program)
}
