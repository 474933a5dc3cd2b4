//! Limits by control groups, of version 1, 2, or both side by side: each controller is used where it is mounted.
//!
//! Only the controllers that a limit asks for are used: a group costs time to make, and most containers of an
//! emulation have none. Sources: kernel, `admin-guide/cgroup-v1` and `admin-guide/cgroup-v2.rst`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, accessat};

use crate::error::{Context as _, EngineError};
use crate::patience;
use crate::powers::Power;
use crate::spec::{DEFAULT_PERIOD_US, Limits};

/// How long processes may take to leave a group after the container's end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the controllers of this machine are, and the group that holds those of the containers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cgroups {
    /// Hierarchies of version 1 by controller.
    first: BTreeMap<String, PathBuf>,
    /// The hierarchy of version 2 and the controllers in it.
    second: Option<(PathBuf, Vec<String>)>,
    parent: String,
    /// Read while groups are made in the parent, written while it is removed: it is empty until the first is there.
    parent_in_use: Arc<RwLock<()>>,
}

/// One file to write: the controller, its name in each version, and the value.
struct Setting {
    controller: &'static str,
    first: Vec<(&'static str, String)>,
    second: Vec<(&'static str, String)>,
}

impl Cgroups {
    /// Looks at what is mounted. `parent` names the group for all containers of an engine.
    pub(crate) fn detect(parent: &str) -> Result<Self, EngineError> {
        let path = Path::new("/proc/self/mountinfo");
        let mut found = Self::from_mountinfo(&fs::read_to_string(path).context("read", path)?);
        parent.clone_into(&mut found.parent);
        if let Some((root, controllers)) = &mut found.second {
            if let Some(delegated) = delegated(root)? {
                *root = delegated;
            }
            let path = root.join("cgroup.controllers");
            let text = fs::read_to_string(&path).context("read", &path)?;
            controllers.extend(text.split_whitespace().map(str::to_owned));
        }
        Ok(found)
    }

    /// Whether each controller that a limit can ask for may be used by this process, and why not.
    pub(crate) fn powers(&self) -> BTreeMap<String, Power> {
        let power = |controller: &str| {
            let hierarchy = self.first.get(controller).or_else(|| self.with_second(controller));
            let Some(hierarchy) = hierarchy else {
                return Err(format!("there is no cgroup controller `{controller}` for this program"));
            };
            let is_first = self.first.contains_key(controller);
            // Started by hand, a program of a user is in a group of root's.
            let advice = if is_first { "" } else { "; started with `systemd-run --user --scope` it may be" };
            self.may_use(hierarchy).map_err(|reason| reason + advice)
        };
        ["cpu", "cpuset", "memory", "pids"].map(|it| (it.to_owned(), power(it))).into()
    }

    /// Whether this process may make groups of containers in a hierarchy.
    fn may_use(&self, hierarchy: &Path) -> Power {
        // The group that holds them is what has to be writable, once it is there.
        let parent = hierarchy.join(&self.parent);
        let directory = if parent.is_dir() { &parent } else { hierarchy };
        may_make_groups(directory)
            .map_err(|error| format!("the cgroup {} cannot be written: {error}", directory.display()))
    }

    /// The hierarchies in which there can be groups of this process's making. In others, groups of the same names
    /// are somebody else's.
    fn usable(&self) -> impl Iterator<Item = &PathBuf> {
        let second = self.second.iter().map(|(root, _)| root);
        self.first.values().chain(second).filter(|hierarchy| self.may_use(hierarchy).is_ok())
    }

    /// The hierarchy of version 2, if it has a controller.
    fn with_second(&self, controller: &str) -> Option<&PathBuf> {
        self.second.as_ref().filter(|(_, has)| has.iter().any(|it| it == controller)).map(|(root, _)| root)
    }

    /// proc_pid_mountinfo(5): number, parent, device, root, mount point, options, tags, `-`, type, source, options.
    fn from_mountinfo(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let Some((mount, system)) = line.split_once(" - ") else { continue };
            let Some(point) = mount.split(' ').nth(4) else { continue };
            let mut system = system.split(' ');
            match (system.next(), system.nth(1)) {
                (Some("cgroup"), Some(options)) => {
                    for controller in options.split(',') {
                        found.first.insert(controller.to_owned(), PathBuf::from(point));
                    }
                }
                (Some("cgroup2"), _) => found.second = Some((PathBuf::from(point), Vec::new())),
                _ => {}
            }
        }
        found
    }

    /// Makes the groups of a container and sets its limits; gives the directories to join.
    ///
    /// # Errors
    /// `Invalid` when a controller is not there, `System` when the kernel refuses a value.
    pub(crate) fn make(&self, name: &str, limits: &Limits) -> Result<Vec<PathBuf>, EngineError> {
        let _in_use = self.parent_in_use.read().unwrap_or_else(PoisonError::into_inner);
        let mut groups = Vec::new();
        for setting in settings(limits) {
            let controller = setting.controller;
            let group = if let Some(hierarchy) = self.first.get(controller) {
                let group = self.make_first(hierarchy, controller, name)?;
                write_all(&group, &setting.first)?;
                group
            } else if let Some(root) = self.with_second(controller) {
                let group = self.make_second(root, controller, name)?;
                write_all(&group, &setting.second)?;
                group
            } else {
                let text =
                    format!("this machine has no cgroup controller `{controller}`: leave its limit out");
                return Err(EngineError::Invalid(text));
            };
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        Ok(groups)
    }

    fn make_first(&self, hierarchy: &Path, controller: &str, name: &str) -> Result<PathBuf, EngineError> {
        let parent = hierarchy.join(&self.parent);
        let group = parent.join(name);
        for directory in [&parent, &group] {
            make_dir(directory)?;
            if controller == "cpuset" {
                // A new group of version 1 has no CPUs and no memory nodes, and nothing can join it.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    inherit(directory, file)?;
                }
            }
        }
        Ok(group)
    }

    fn make_second(&self, root: &Path, controller: &str, name: &str) -> Result<PathBuf, EngineError> {
        let parent = root.join(&self.parent);
        make_dir(&parent)?;
        for directory in [root, &parent] {
            let path = directory.join("cgroup.subtree_control");
            fs::write(&path, format!("+{controller}")).context("switch a controller on in", &path)?;
        }
        let group = parent.join(name);
        make_dir(&group)?;
        Ok(group)
    }

    /// Removes the groups of a container whose processes have ended.
    pub(crate) fn remove(&self, name: &str) -> Result<(), EngineError> {
        for hierarchy in self.usable() {
            let group = hierarchy.join(&self.parent).join(name);
            // The last process may not have left it yet when its end is known: the container's, or a helper of a
            // command in it, which has to learn of the end first. Groups of version 1 cannot be waited for.
            let busy = |removed: &io::Result<()>| {
                removed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ResourceBusy)
            };
            match patience::until(PATIENCE, busy, || fs::remove_dir(&group)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).context("remove cgroup", &group);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The groups of containers that there are, by name, with the processes in each.
    pub(crate) fn groups(&self) -> Result<BTreeMap<String, BTreeSet<i32>>, EngineError> {
        let mut found: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for hierarchy in self.usable() {
            let parent = hierarchy.join(&self.parent);
            let entries = match fs::read_dir(&parent) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.context("list", &parent)?,
            };
            for entry in entries {
                let group = entry.context("list", &parent)?.path();
                // The other entries are files: settings of the group that holds them all.
                let Ok(processes) = fs::read_to_string(group.join("cgroup.procs")) else { continue };
                let name = group.file_name().unwrap_or_default().to_string_lossy().into_owned();
                found
                    .entry(name)
                    .or_default()
                    .extend(processes.lines().filter_map(|it| it.parse::<i32>().ok()));
            }
        }
        Ok(found)
    }

    /// Removes the group that held those of the containers; it stays when somebody still uses it.
    pub(crate) fn remove_parent(&self) {
        let _unused = self.parent_in_use.write().unwrap_or_else(PoisonError::into_inner);
        for hierarchy in self.usable() {
            // Busy or gone: either is fine.
            let _ = fs::remove_dir(hierarchy.join(&self.parent));
        }
    }

    /// How many processes of a container were killed for want of memory; 0 without a memory limit.
    pub(crate) fn memory_kills(&self, name: &str) -> u64 {
        let first = self.first.get("memory").map(|it| (it, "memory.oom_control"));
        let second = self.second.as_ref().map(|(root, _)| (root, "memory.events"));
        let files = [first, second].into_iter().flatten().filter(|(root, _)| self.may_use(root).is_ok());
        let texts = files.filter_map(|(root, file)| {
            fs::read_to_string(root.join(&self.parent).join(name).join(file)).ok()
        });
        texts
            .filter_map(|text| {
                text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok())
            })
            .sum()
    }
}

/// The controllers that limits ask for.
pub(crate) fn controllers(limits: &Limits) -> impl Iterator<Item = &'static str> {
    settings(limits).into_iter().map(|setting| setting.controller)
}

/// Where this process may make groups of version 2 when it may not at the root: the closest group above its own
/// that was given to its user and has no process in itself, for the kernel gives controllers to groups below
/// such only (`admin-guide/cgroup-v2.rst`, "No Internal Process Constraint").
fn delegated(root: &Path) -> Result<Option<PathBuf>, EngineError> {
    if is_writable(root) {
        return Ok(None);
    }
    let path = Path::new("/proc/self/cgroup");
    let text = fs::read_to_string(path).context("read", path)?;
    let own = text.lines().find_map(|line| line.strip_prefix("0::/"));
    Ok(own.and_then(|own| closest(root, Path::new(own))))
}

fn closest(root: &Path, own: &Path) -> Option<PathBuf> {
    let groups = own.ancestors().filter(|group| !group.as_os_str().is_empty());
    let groups = groups.map(|group| root.join(group)).take_while(|group| is_writable(group));
    let is_empty = |group: &PathBuf| {
        fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|text| text.trim().is_empty())
    };
    groups.into_iter().find(is_empty)
}

/// Whether groups can be made in a group, and processes be moved into them from elsewhere in it.
fn is_writable(group: &Path) -> bool {
    let files = ["cgroup.procs", "cgroup.subtree_control"];
    let may_write = |file: &&str| accessat(CWD, group.join(file), Access::WRITE_OK, AtFlags::EACCESS).is_ok();
    may_make_groups(group).is_ok() && files.iter().all(may_write)
}

/// The effective user is who makes them.
fn may_make_groups(group: &Path) -> rustix::io::Result<()> {
    accessat(CWD, group, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
}

fn settings(limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    if let Some(quota) = limits.cpu_quota_us {
        let period = limits.cpu_period_us.unwrap_or(DEFAULT_PERIOD_US);
        settings.push(Setting {
            controller: "cpu",
            first: vec![("cpu.cfs_period_us", period.to_string()), ("cpu.cfs_quota_us", quota.to_string())],
            second: vec![("cpu.max", format!("{quota} {period}"))],
        });
    }
    if let Some(cpus) = &limits.cpuset {
        let file = vec![("cpuset.cpus", cpus.clone())];
        settings.push(Setting { controller: "cpuset", first: file.clone(), second: file });
    }
    if let Some(bytes) = limits.memory_bytes {
        settings.push(Setting {
            controller: "memory",
            // A group may be there from an earlier start: -1 first lets both limits be set in either direction.
            first: vec![
                ("?memory.memsw.limit_in_bytes", "-1".to_owned()),
                ("memory.limit_in_bytes", bytes.to_string()),
                ("?memory.memsw.limit_in_bytes", bytes.to_string()),
            ],
            second: vec![("memory.max", bytes.to_string()), ("?memory.swap.max", "0".to_owned())],
        });
    }
    if let Some(count) = limits.pids {
        let file = vec![("pids.max", count.to_string())];
        settings.push(Setting { controller: "pids", first: file.clone(), second: file });
    }
    settings
}

/// Writes files of a group; one whose name begins with `?` exists only where the kernel counts swap.
fn write_all(group: &Path, files: &[(&str, String)]) -> Result<(), EngineError> {
    for (name, value) in files {
        let path = group.join(name.trim_start_matches('?'));
        if name.starts_with('?') && !path.exists() {
            continue;
        }
        fs::write(&path, value).context("set limit", &path)?;
    }
    Ok(())
}

/// Copies a setting of version 1 from the group above, unless it has been set.
fn inherit(group: &Path, file: &str) -> Result<(), EngineError> {
    let path = group.join(file);
    let own = fs::read_to_string(&path).context("read", &path)?;
    if own.trim().is_empty() {
        let above = group.parent().unwrap_or(group).join(file);
        let value = fs::read_to_string(&above).context("read", &above)?;
        fs::write(&path, value.trim()).context("set", &path)?;
    }
    Ok(())
}

fn make_dir(path: &Path) -> Result<(), EngineError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).context("make cgroup", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_found_side_by_side() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                    32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw\n";
        let found = Cgroups::from_mountinfo(text);
        assert_eq!(found.first["cpu"], Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(found.second.as_ref().unwrap().0, Path::new("/sys/fs/cgroup/unified"));
        let limits = Limits { memory_bytes: Some(1 << 20), ..Limits::default() };
        let error = found.make("c", &limits).unwrap_err().to_string();
        assert!(error.contains("no cgroup controller `memory`"), "{error}");
        assert_eq!(found.make("c", &Limits::default()).unwrap(), Vec::<PathBuf>::new());
        let why = found.powers()["memory"].clone().unwrap_err();
        assert_eq!(why, "there is no cgroup controller `memory` for this program");
    }

    #[test]
    fn the_closest_group_without_processes_is_used() {
        let root = tempfile::tempdir().unwrap();
        let group = |name: &str, processes: &str| {
            let group = root.path().join(name);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join("cgroup.procs"), processes).unwrap();
            fs::write(group.join("cgroup.subtree_control"), "").unwrap();
            group
        };
        group("user", "");
        let slice = group("user/slice", "");
        group("user/slice/scope", "17\n");
        assert_eq!(closest(root.path(), Path::new("user/slice/scope")), Some(slice.clone()));
        // What is above a group of others is not ours either.
        fs::remove_file(slice.join("cgroup.subtree_control")).unwrap();
        assert_eq!(closest(root.path(), Path::new("user/slice/scope")), None);
    }
}
