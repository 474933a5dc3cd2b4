//! First stage: into the cgroup and the network, then a child that is process 1 of new namespaces.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::launch::{LAUNCH_FILE, Launch};
use super::{Report, SECOND, report};
use crate::error::{Context as _, EngineError};
use crate::files::read_json;
use crate::program::start_helper;
use std::os::fd::AsFd as _;

pub(super) fn play(directory: &Path, control: &mut File) -> Result<(), EngineError> {
    let launch = read(directory)?;
    join_cgroups(&launch.cgroups)?;
    let network = File::open(&launch.network).context("open", &launch.network)?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .context("join network namespace", &launch.network)?;
    let namespaces =
        UnshareFlags::NEWPID | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC | UnshareFlags::NEWCGROUP;
    crate::namespaces::unshare(namespaces).context("make namespaces for", directory)?;
    let arguments = [OsStr::new(SECOND), directory.as_os_str()];
    let child =
        start_helper(&launch.helper, &arguments, Stdio::inherit(), Stdio::inherit(), Stdio::inherit())
            .context("start", &launch.helper.program)?;
    let pid = i32::try_from(child.id()).unwrap_or(i32::MAX);
    report(control, &Report::Pid(pid)).context("report to", Path::new("the engine"))
}

pub(super) fn read(directory: &Path) -> Result<Launch, EngineError> {
    let path = directory.join(LAUNCH_FILE);
    let kind = "file";
    read_json(&path)?.ok_or_else(|| EngineError::NotFound { kind, name: path.display().to_string() })
}

/// Moves this process and what it starts into cgroups.
pub(super) fn join_cgroups(cgroups: &[std::path::PathBuf]) -> Result<(), EngineError> {
    for cgroup in cgroups {
        let path = cgroup.join("cgroup.procs");
        fs::write(&path, "0").context("join", cgroup)?;
    }
    Ok(())
}
