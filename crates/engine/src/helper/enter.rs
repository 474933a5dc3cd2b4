//! Running one more process in a container: join its namespaces, start it as a child, tell how it ended.
//!
//! ```text
//! engine ── request ──> joins, starts the process
//!   │ <── {"pid": …} ──── keeps it, ended or not, until
//!   │ ──── go ──────────> the engine holds it by descriptor
//!   │ <── {"ended": …} ── reaped
//! ```
//! What goes on writing when nobody reads any more - the caller has hung up, the engine was killed, the process
//! has left something in the background - would be killed by that. So this process reads in their place then,
//! until the last of them has ended.
//!
//! With a terminal the command is started in another way: see `terminal`.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Child;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, PidfdFlags, pidfd_open, set_dumpable_behavior};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};
use rustix::time::Timespec;

use super::launch::Enter;
use super::second::Prepared;
use super::{Report, first, privileges, read_line, report, terminal};
use crate::error::{Context as _, EngineError};
use crate::ids::Ids;
use crate::process::start_time;

/// A request has the environment in it, which may be long; the kernel's own bound for it is 2 MiB.
pub(super) const LONGEST: u64 = 4 << 20;

pub(super) fn play(control: &mut File) -> Result<(), EngineError> {
    let engine = Path::new("the engine");
    let mut hears = BufReader::new(control.try_clone().context("hear from", engine)?);
    let enter = ask(&mut hears)?;
    // Before the container's own files are seen.
    let mut output = if enter.helper.is_some() { Vec::new() } else { own_output()? };
    let nowhere = OpenOptions::new().write(true).open("/dev/null").context("open", Path::new("/dev/null"))?;
    first::join_cgroups(&enter.cgroups)?;
    let shown = format!("process {}", enter.pid);
    let shown = Path::new(&shown);
    let pid = Pid::from_raw(enter.pid).ok_or_else(gone)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    // The number cannot be given to another process while the old one is held by the descriptor and alive.
    if start_time(enter.pid) != Some(enter.start_time) {
        return Err(gone());
    }
    let mut child = match &enter.helper {
        Some(helper) => terminal::start(&enter, helper, &process)?,
        None => start(&enter, &process)?,
    };
    // This process must not be one of those that can still write.
    rustix::stdio::dup2_stdout(&nowhere).context("leave the output of", shown)?;
    rustix::stdio::dup2_stderr(&nowhere).context("leave the output of", shown)?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    // From here on the engine may be gone at any time, and the process is looked after all the same.
    let _ = report(control, &Report::Pid(pid));
    let _ = read_line(&mut hears, 16);
    let code = until_end(&mut child, control, &mut output).context("wait for", shown)?;
    let _ = report(control, &Report::Ended(code));
    stand_in(control, output).context("read the output of", shown)
}

/// The request.
pub(super) fn ask(hears: &mut impl BufRead) -> Result<Enter, EngineError> {
    let engine = Path::new("the engine");
    let line = read_line(hears, LONGEST).context("hear from", engine)?;
    serde_json::from_slice(&line).map_err(io::Error::from).context("understand", engine)
}

pub(super) fn gone() -> EngineError {
    EngineError::Invalid("the container has ended".to_owned())
}

/// Keeps others from looking into this process: it has files and privileges that containers must not have.
pub(super) fn protect() -> Result<(), EngineError> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("protect", Path::new("the helper"))
}

/// Joins the namespaces of a container's process, and `further` ones.
pub(super) fn join(
    process: &OwnedFd,
    enter: &Enter,
    further: ThreadNameSpaceType,
) -> Result<(), EngineError> {
    // From here on processes of the container could look at this one.
    protect()?;
    let namespaces = ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::CONTROL_GROUP
        | ThreadNameSpaceType::MOUNT;
    let shown = format!("process {}", enter.pid);
    move_into_thread_name_spaces(process.as_fd(), namespaces | further)
        .context("join the namespaces of", Path::new(&shown))
}

/// Starts the command, in the container of the process of a descriptor, with this process's output.
fn start(enter: &Enter, process: &OwnedFd) -> Result<Child, EngineError> {
    // The container's /proc does not have this process.
    let ids = Ids::read().context("read the users of", Path::new("the engine"))?;
    join(process, enter, ThreadNameSpaceType::PROCESS_ID)?;
    let prepared = Prepared::new(&enter.run, &ids)?;
    privileges::drop_to(&enter.run.capabilities, &prepared.identity, &ids)?;
    prepared.target(&enter.run).start().map_err(|source| EngineError::System {
        operation: "execute",
        target: enter.run.command.first().map_or("", String::as_str).into(),
        source,
    })
}

/// The other ends of this process's standard output and error, which are pipes.
fn own_output() -> Result<Vec<File>, EngineError> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let open = |path: &str| {
        OpenOptions::new().read(true).custom_flags(flags).open(path).context("open", Path::new(path))
    };
    Ok(vec![open("/proc/self/fd/1")?, open("/proc/self/fd/2")?])
}

/// Waits for the end; reads the output meanwhile if the engine does not.
fn until_end(child: &mut Child, control: &File, output: &mut Vec<File>) -> io::Result<i32> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    let held = pidfd_open(pid, PidfdFlags::empty())?;
    if !first_of(held.as_fd(), PollFlags::IN, &[control.as_fd()], PollFlags::RDHUP)? {
        while !first_of(held.as_fd(), PollFlags::IN, &fds(output), PollFlags::IN)? {
            drain(output)?;
        }
    }
    let status = child.wait()?;
    Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1))
}

/// When the engine has read what it wants, reads what others go on writing, until there is nobody left.
fn stand_in(control: &File, mut output: Vec<File>) -> io::Result<()> {
    loop {
        // What has ended may have something in it for the engine still, but nobody writes more.
        output = still_written(output)?;
        if output.is_empty() {
            return Ok(());
        }
        // Likewise all of them at once, when the container ends while the engine has not read to the end.
        if first_of(control.as_fd(), PollFlags::RDHUP, &fds(&output), PollFlags::empty())? {
            break;
        }
    }
    while let [first, others @ ..] = output.as_slice() {
        first_of(first.as_fd(), PollFlags::IN, &fds(others), PollFlags::IN)?;
        drain(&mut output)?;
    }
    Ok(())
}

/// Those that somebody has open for writing.
fn still_written(output: Vec<File>) -> io::Result<Vec<File>> {
    let mut open = Vec::new();
    for pipe in output {
        let mut polled = [PollFd::new(&pipe, PollFlags::empty())];
        poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
        if !polled.iter().any(|pipe| pipe.revents().contains(PollFlags::HUP)) {
            open.push(pipe);
        }
    }
    Ok(open)
}

fn fds(files: &[File]) -> Vec<BorrowedFd<'_>> {
    files.iter().map(File::as_fd).collect()
}

/// Waits until something happens; whether it happened to the first one.
fn first_of(
    first: BorrowedFd<'_>,
    flags: PollFlags,
    others: &[BorrowedFd<'_>],
    others_flags: PollFlags,
) -> io::Result<bool> {
    let mut polled = vec![PollFd::from_borrowed_fd(first, flags)];
    polled.extend(others.iter().map(|fd| PollFd::from_borrowed_fd(*fd, others_flags)));
    loop {
        match poll(&mut polled, None) {
            Ok(_) => return Ok(polled.first().is_some_and(|first| !first.revents().is_empty())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads what is there and throws it away; forgets outputs that have ended.
fn drain(output: &mut Vec<File>) -> io::Result<()> {
    let mut buffer = [0_u8; 64 << 10];
    let mut error = None;
    output.retain_mut(|pipe| match pipe.read(&mut buffer) {
        Ok(read) => read > 0,
        Err(cause) => {
            let is_empty = cause.kind() == io::ErrorKind::WouldBlock;
            error = error.take().or((!is_empty).then_some(cause));
            is_empty
        }
    });
    error.map_or(Ok(()), Err)
}
