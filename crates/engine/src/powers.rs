//! What the engine can do here, found by trying it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::Path;

use rustix::fs::{FileType, Mode};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroups;
use crate::error::{Context as _, EngineError};
use crate::ids::Ids;
use crate::spec::Spec;

/// Whether something can be done; the error is why not, in words.
pub type Power = Result<(), String>;

/// What an engine can do where it runs. Without root, see [`crate::rootless`], some of it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Powers {
    /// Whether the program is root of the machine, and not of a user namespace only.
    pub root: bool,
    /// Device nodes can be made. Otherwise containers get the host's own nodes, bound.
    pub device_nodes: Power,
    /// Containers may run as other users and groups than root.
    pub other_users: Power,
    /// The controllers of [`crate::Limits`]: `cpu`, `cpuset`, `memory`, `pids`.
    pub limits: BTreeMap<String, Power>,
    /// `/dev/net/tun` can be opened: a program can be one end of an interface.
    pub tun: Power,
}

impl Powers {
    /// Finds out what this process can do; `cgroup` names the group of the containers, see
    /// [`crate::Options::cgroup`]. Nothing is left of the trials.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn find(cgroup: &str) -> Result<Self, EngineError> {
        let ids = Ids::read().context("read", Path::new("/proc/self/uid_map"))?;
        Ok(Self::with(&Cgroups::detect(cgroup)?, &ids))
    }

    pub(crate) fn with(cgroups: &Cgroups, ids: &Ids) -> Self {
        let other_users = if ids.has_others() {
            Ok(())
        } else {
            Err("only user and group 0 are there, which are the user outside".to_owned())
        };
        Self {
            root: rustix::process::geteuid().is_root() && ids.are_whole(),
            device_nodes: try_node().map_err(|error| format!("the kernel refuses to make one: {error}")),
            other_users,
            limits: cgroups.powers(),
            tun: try_tun(),
        }
    }

    /// Refuses what a specification asks for and is not possible here.
    ///
    /// # Errors
    /// `Invalid` with what to do.
    pub(crate) fn check(&self, spec: &Spec) -> Result<(), EngineError> {
        for controller in crate::cgroup::controllers(&spec.limits) {
            if let Some(Err(reason)) = self.limits.get(controller) {
                let text = format!("the limit of `{controller}` cannot be set: {reason}; leave it out");
                return Err(EngineError::Invalid(text));
            }
        }
        Ok(())
    }
}

/// Makes a device node on a file system that is mounted nowhere and goes with its descriptor.
fn try_node() -> rustix::io::Result<()> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let root = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(&root, "null", FileType::CharacterDevice, Mode::empty(), null)
}

/// The open device alone makes no interface.
fn try_tun() -> Power {
    let opened = OpenOptions::new().read(true).write(true).open("/dev/net/tun");
    opened.map(drop).map_err(|error| format!("cannot open /dev/net/tun: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Limits;

    #[test]
    fn what_is_missing_is_refused_by_name() {
        let powers = Powers {
            root: false,
            device_nodes: Err(String::new()),
            other_users: Err(String::new()),
            limits: BTreeMap::from([
                ("memory".to_owned(), Err("no way".to_owned())),
                ("pids".to_owned(), Ok(())),
            ]),
            tun: Ok(()),
        };
        let with = |limits| Spec { limits, ..Spec::new("a", "host") };
        let error = powers.check(&with(Limits { memory_bytes: Some(1), ..Limits::default() })).unwrap_err();
        assert_eq!(error.to_string(), "the limit of `memory` cannot be set: no way; leave it out");
        powers.check(&with(Limits { pids: Some(1), ..Limits::default() })).unwrap();
        powers.check(&with(Limits::default())).unwrap();
    }

    #[test]
    fn they_can_be_handed_on_as_text() {
        let powers = Powers::find("llcm-test").unwrap();
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
        let is_whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
        assert_eq!(powers.root, rustix::process::geteuid().is_root() && is_whole);
        let text = serde_json::to_string(&powers).unwrap();
        assert_eq!(serde_json::from_str::<Powers>(&text).unwrap(), powers);
        let named: Vec<_> = powers.limits.keys().map(String::as_str).collect();
        assert_eq!(named, ["cpu", "cpuset", "memory", "pids"]);
    }
}
