//! Running one more process in a container: join its namespaces, start it as a child, tell how it ended.

use std::fs::File;
use std::io::BufReader;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use rustix::process::{DumpableBehavior, Pid, PidfdFlags, pidfd_open, set_dumpable_behavior};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::launch::Enter;
use super::second::Prepared;
use super::{Report, first, privileges, read_line, report};
use crate::error::{Context as _, EngineError};
use crate::ids::Ids;
use crate::process::start_time;

/// A request has the environment in it, which may be long; the kernel's own bound for it is 2 MiB.
const LONGEST: u64 = 4 << 20;

pub(super) fn play(control: &mut File) -> Result<(), EngineError> {
    let engine = Path::new("the engine");
    let line = read_line(&mut BufReader::new(&*control), LONGEST).context("hear from", engine)?;
    let enter: Enter = serde_json::from_slice(&line).context("understand", engine)?;
    first::join_cgroups(&enter.cgroups)?;
    // The container's /proc does not have this process.
    let ids = Ids::read().context("read the users of", engine)?;
    let shown = format!("process {}", enter.pid);
    let shown = Path::new(&shown);
    let gone = || EngineError::Invalid("the container has ended".to_owned());
    let pid = Pid::from_raw(enter.pid).ok_or_else(gone)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| gone())?;
    // The number cannot be given to another process while the old one is held by the descriptor and alive.
    if start_time(enter.pid) != Some(enter.start_time) {
        return Err(gone());
    }
    // From here on processes of the container could look at this one.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("protect", Path::new("the helper"))?;
    let namespaces = ThreadNameSpaceType::NETWORK
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::CONTROL_GROUP
        | ThreadNameSpaceType::PROCESS_ID
        | ThreadNameSpaceType::MOUNT;
    move_into_thread_name_spaces(process.as_fd(), namespaces).context("join the namespaces of", shown)?;
    let prepared = Prepared::new(&enter.run, &ids)?;
    privileges::drop_to(&enter.run.capabilities, &prepared.identity, &ids)?;
    let mut child = prepared.target(&enter.run).start().map_err(|source| EngineError::System {
        operation: "execute",
        target: enter.run.command.first().map_or("", String::as_str).into(),
        source,
    })?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    report(control, &Report::Pid(pid)).context("report to", engine)?;
    let status = child.wait().context("wait for", shown)?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
    report(control, &Report::Ended(code)).context("report to", engine)
}
