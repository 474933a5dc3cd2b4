//! Looking at a process through the kernel's files, and programs to be made one of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use llcm_runtime::CpuLimit;
use llcm_runtime::contract::SeenLimits;

/// The environment that a process was started with.
///
/// # Panics
/// When there is no such process, or its environment is not text.
#[must_use]
pub fn environment(pid: u32) -> BTreeMap<String, String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).expect("there is such a process");
    let text = String::from_utf8(bytes).expect("the environment is text");
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The limits in a process's control groups, of either version.
///
/// # Panics
/// When there is no such process, or its groups do not tell.
#[must_use]
pub fn limits(pid: u32) -> SeenLimits {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("there is such a process");
    let directory = |controller: &str| -> Option<PathBuf> {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (names, path) = (parts.next()?, parts.next()?);
            let here = names.split(',').any(|name| name == controller);
            here.then(|| Path::new("/sys/fs/cgroup").join(names).join(path.trim_start_matches('/')))
        })
    };
    let read = |directory: &Path, file: &str| {
        let path = directory.join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    };
    if let (Some(cpu), Some(set), Some(memory)) = (directory("cpu"), directory("cpuset"), directory("memory"))
    {
        let bytes: u64 = read(&memory, "memory.limit_in_bytes").parse().expect("a limit is a number");
        return SeenLimits {
            cpu: CpuLimit {
                period_us: read(&cpu, "cpu.cfs_period_us").parse().ok(),
                quota_us: read(&cpu, "cpu.cfs_quota_us").parse().ok(),
                cpuset: Some(read(&set, "cpuset.cpus")),
            },
            // The kernel's way of saying "no limit" is the largest number of whole pages.
            memory_bytes: (bytes < 1 << 60).then_some(bytes),
        };
    }
    let unified = directory("").expect("there are control groups");
    let max = read(&unified, "cpu.max");
    let (quota, period) = max.split_once(' ').expect("a quota and a period");
    SeenLimits {
        cpu: CpuLimit {
            period_us: period.parse().ok(),
            quota_us: quota.parse().ok(),
            cpuset: Some(read(&unified, "cpuset.cpus")),
        },
        memory_bytes: read(&unified, "memory.max").parse().ok(),
    }
}

/// Copies a program, for others than its owner as well, by another process: what this one has open for writing is
/// inherited by whatever another of its threads is just starting, and a program that anybody has open for writing cannot
/// be executed (execve(2), `ETXTBSY`).
///
/// # Panics
/// When `install` (of coreutils) cannot copy it.
pub fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("install").arg("--mode=0755").args([from, to]).status();
    assert!(status.is_ok_and(|it| it.success()), "install {} {}", from.display(), to.display());
}
