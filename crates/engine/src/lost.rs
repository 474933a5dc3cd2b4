//! Containers whose processes go on and whose directory is gone: somebody has deleted it, or the whole state directory. No
//! engine knows of them any more; what their processes have tells.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cgroup::Cgroups;
use crate::error::{Context as _, EngineError};
use crate::process::Process;

/// A container whose directory is gone. Nothing is known of it but its name.
#[derive(Debug)]
pub struct Lost {
    name: String,
    processes: Vec<Process>,
    cgroups: Cgroups,
}

impl Lost {
    /// Finds those of the engine of a directory, whether that is still there or not: by the root file systems and by the
    /// groups of limits that processes have. `cgroup` is that of [`crate::Options`]: it marks both, and has to be this
    /// engine's alone. Nothing is changed, and nobody disturbed: containers that have a directory anywhere are none of these.
    ///
    /// Without its state directory, a container that has no limits is found only where `state_dir` is the path that it had.
    ///
    /// # Errors
    /// `System` when the processes or groups cannot be listed.
    pub fn look(state_dir: &Path, cgroup: &str) -> Result<Vec<Self>, EngineError> {
        let cgroups = Cgroups::detect(cgroup)?;
        let containers = resolved(state_dir)?.join("containers");
        let mut found: BTreeMap<String, Vec<Process>> = BTreeMap::new();
        let own = mounts_of(std::process::id());
        for process in processes()? {
            let pid = process.id.pid;
            if mounts_of(pid.unsigned_abs()) == own {
                continue;
            }
            // The mark tells it from containers of the same path in another file system: of a program in a container.
            let overlays = overlays(pid).into_iter().filter(|overlay| overlay.mark == cgroup);
            let gone = overlays.filter(|overlay| !overlay.directory().exists());
            if let Some(name) = gone.filter_map(|overlay| name_in(&containers, overlay.directory())).next() {
                found.entry(name).or_default().push(process);
            }
        }
        for (name, pids) in cgroups.groups()? {
            if containers.join(&name).exists() {
                continue;
            }
            // In the group of an engine that shares its name with this one, and has its own directory.
            let is_known = |pid: &i32| overlays(*pid).iter().any(|overlay| overlay.directory().exists());
            if pids.iter().any(is_known) {
                continue;
            }
            let processes = found.entry(name).or_default();
            for pid in pids {
                if !processes.iter().any(|process| process.id.pid == pid) {
                    processes.extend(Process::hold(pid).ok());
                }
            }
        }
        let lost = |(name, processes)| Self { name, processes, cgroups: cgroups.clone() };
        Ok(found.into_iter().map(lost).collect())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Kills its processes and removes its groups.
    ///
    /// # Errors
    /// `System` when they do not go.
    pub fn end(self) -> Result<(), EngineError> {
        for process in &self.processes {
            process.end().context("end", Path::new(&self.name))?;
        }
        self.cgroups.remove(&self.name)?;
        self.cgroups.remove_parent();
        Ok(())
    }
}

/// The name of a container's directory.
fn name_in(containers: &Path, directory: &Path) -> Option<String> {
    (directory.parent()? == containers).then(|| directory.file_name()?.to_str().map(str::to_owned))?
}

/// A path without symbolic links, as engines have it, whose end may be missing.
fn resolved(path: &Path) -> Result<PathBuf, EngineError> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            match (parent, path.file_name()) {
                (Some(parent), Some(name)) => Ok(resolved(parent)?.join(name)),
                (None, Some(name)) => Ok(resolved(Path::new("."))?.join(name)),
                _ => Err(error).context("resolve", path),
            }
        }
        other => other.context("resolve", path),
    }
}

/// All processes that there are. Each is held before it is looked at, so that the one killed is the one that was looked at.
pub(crate) fn processes() -> Result<impl Iterator<Item = Process>, EngineError> {
    let all = Path::new("/proc");
    let entries = fs::read_dir(all).context("list", all)?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| Process::hold(pid).ok()))
}

/// The root file system of a container, as processes in it see it.
pub(crate) struct Overlay {
    /// Whose it is: [`crate::Options::cgroup`] of its engine.
    mark: String,
    /// Where changes go, whether that is still there or not.
    pub(crate) upper: PathBuf,
}

impl Overlay {
    /// The container's.
    fn directory(&self) -> &Path {
        self.upper.parent().unwrap_or(&self.upper)
    }
}

/// The overlays in the mount namespace of a process: proc_pid_mountinfo(5).
pub(crate) fn overlays(pid: i32) -> Vec<Overlay> {
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    mounts.lines().filter_map(overlay).collect()
}

fn overlay(mount: &str) -> Option<Overlay> {
    let (_, system) = mount.split_once(" - overlay ")?;
    let (mark, options) = system.split_once(' ')?;
    let upper = options.split(',').find_map(|option| option.strip_prefix("upperdir="))?;
    Some(Overlay { mark: mark.to_owned(), upper: upper.into() })
}

/// The mount namespace of a process, if it may be known.
fn mounts_of(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_resolved_as_far_as_they_are_there() {
        let base = tempfile::tempdir().unwrap();
        let real = base.path().canonicalize().unwrap();
        fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink("a", real.join("link")).unwrap();
        assert_eq!(resolved(&base.path().join("link")).unwrap(), real.join("a"));
        assert_eq!(resolved(&base.path().join("link/b/c")).unwrap(), real.join("a/b/c"));
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(resolved(Path::new("not-there/x")).unwrap(), here.join("not-there/x"));
    }

    #[test]
    fn overlays_are_read_with_their_marks() {
        let line = "600 500 0:60 / / rw,nodev - overlay llcm-1 rw,lowerdir=a:b,upperdir=/s/containers/c/upper,workdir=/w";
        let found = overlay(line).unwrap();
        assert_eq!((found.mark.as_str(), found.directory()), ("llcm-1", Path::new("/s/containers/c")));
        for other in
            ["600 500 0:60 / / rw - overlay llcm-1 rw,lowerdir=a:b", "1 2 0:3 / / rw - tmpfs upperdir=/x rw"]
        {
            assert!(overlay(other).is_none(), "{other}");
        }
    }

    #[test]
    fn containers_have_their_directory_right_below() {
        let containers = Path::new("/s/containers");
        assert_eq!(name_in(containers, Path::new("/s/containers/c")), Some("c".to_owned()));
        assert_eq!(name_in(containers, Path::new("/s/containers/c/d")), None);
        assert_eq!(name_in(containers, Path::new("/s/other/c")), None);
        assert_eq!(name_in(containers, Path::new("/")), None);
    }
}
