//! Taking namespaces, and joining those that a pause process holds.

use std::fs;
use std::path::Path;

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

use super::{reason, same_namespace};
use crate::error::{Context as _, EngineError};
use crate::process::{Process, is_zombie, start_time};

/// Gives this process, which has one thread, new namespaces, and makes it root in them.
///
/// # Errors
/// `Invalid` with the setting of the kernel that is in the way, as far as one is known.
pub(super) fn take() -> Result<(), EngineError> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    // Not the network: what runs in it is in namespaces of its own, and this program goes on answering its clients and
    // asking registries as any other of this user's.
    let namespaces =
        UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    crate::namespaces::unshare(namespaces)
        .map_err(|error| reason::refused("take namespaces", error.into()))?;
    // A group may be mapped only once groups cannot be given up any more: one could forbid something.
    for (name, text) in [
        ("setgroups", "deny".to_owned()),
        ("uid_map", format!("0 {user} 1")),
        ("gid_map", format!("0 {group} 1")),
    ] {
        let path = Path::new("/proc/self").join(name);
        fs::write(&path, text).map_err(|error| reason::refused("become root in a user namespace", error))?;
    }
    // Ubuntu lets everybody take namespaces, without powers in them: this is the first use of one.
    let slash = Path::new("/");
    let follows = MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM;
    // Mounts of the host come and go in here as well, which keeps the pause process from holding its disks.
    mount_change(slash, follows).map_err(|error| reason::refused("use the mount namespace", error.into()))
}

/// Moves this process, which has one thread, into the namespaces that `pause` holds.
pub(super) fn join(pause: &Process) -> Result<(), EngineError> {
    let namespaces = ThreadNameSpaceType::USER
        | ThreadNameSpaceType::MOUNT
        | ThreadNameSpaceType::INTER_PROCESS_COMMUNICATION
        | ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME;
    let shown = format!("process {}", pause.id.pid);
    move_into_thread_name_spaces(pause.descriptor(), namespaces)
        .context("join the namespaces of", Path::new(&shown))
}

/// Processes in this user namespace but this one and `known`, the oldest first.
pub(super) fn others(known: &[i32]) -> Result<Vec<i32>, EngineError> {
    let proc = Path::new("/proc");
    let own = Path::new("/proc/self/ns/user");
    let this = i32::try_from(std::process::id()).unwrap_or(0);
    let mut found = Vec::new();
    for entry in fs::read_dir(proc).context("list", proc)? {
        let entry = entry.context("list", proc)?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let is_known = pid == this || known.contains(&pid);
        // One that cannot be looked at is another user's, or has ended.
        if !is_known && same_namespace(&entry.path().join("ns/user"), own).unwrap_or(false) && !is_zombie(pid)
        {
            found.extend(start_time(pid).map(|start_time| (start_time, pid)));
        }
    }
    // Numbers are given again from the lowest on.
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, pid)| pid).collect())
}
