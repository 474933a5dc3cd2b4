//! Helpers of commands in containers, and commands that have lost theirs: reaped as they end.
//!
//! A command is a child of its helper, which reaps it. When the helper is killed, for want of memory perhaps, since the
//! container's limits are its own, too, the command becomes a child of this program, the subreaper. Somebody has to reap it
//! then: the kernel does not let the first process of a PID namespace end before all others are gone, so a command that
//! nobody reaps would keep its container from ending for ever.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::ends::{Ends, Shared, key};
use crate::process::Process;

/// A child of this program.
#[derive(Debug)]
pub(super) struct ToReap {
    process: Process,
    /// Of a helper: where its command is.
    helps_in: Option<Inside>,
}

/// The kernel's name for the PID namespace of a process; `None` where it is not told, as that of a process that others must
/// not look into.
type Inside = Option<PathBuf>;

impl Ends {
    /// Reaps a helper when it has ended, and its command when that has ended, if it is left to this program. Where that is
    /// not possible the helper is killed.
    pub(super) fn look_after(&self, mut helper: Child, container: &Process) -> io::Result<()> {
        let held = Process::hold(i32::try_from(helper.id()).unwrap_or(i32::MAX));
        let helps_in = Some(inside(container.id.pid));
        let watched = held.map_err(io::Error::from);
        let watched = watched.and_then(|process| self.shared.reap_later(ToReap { process, helps_in }));
        if watched.is_err() {
            helper.kill()?;
            helper.wait()?;
        }
        watched
    }

    /// Looks for commands in the containers of these processes that have lost their helpers earlier.
    pub(super) fn find_lost_commands<'a>(&self, containers: impl Iterator<Item = &'a Process>) {
        let all: Vec<_> = containers.map(|process| inside(process.id.pid)).collect();
        if !all.is_empty() {
            self.shared.find_lost_commands(&all);
        }
    }
}

impl Shared {
    fn reap_later(&self, child: ToReap) -> io::Result<()> {
        let key = key(&child.process);
        let mut children = self.children();
        epoll::add(
            &self.epoll,
            child.process.descriptor(),
            EventData::new_u64(key),
            EventFlags::IN | EventFlags::ONESHOT,
        )?;
        children.insert(key, child);
        Ok(())
    }

    /// Reaps a child that has ended; false when that is none of it.
    pub(super) fn reap(&self, key: u64) -> bool {
        let child = {
            let mut children = self.children();
            let has_ended =
                |child: &ToReap| child.process.ended(Some(Duration::ZERO)).is_ok_and(|has_ended| has_ended);
            if !children.get(&key).is_some_and(has_ended) {
                return false;
            }
            children.remove(&key)
        };
        let Some(ToReap { process, helps_in }) = child else { return false };
        let code = process.reap();
        // One that has ended by itself has reaped its command.
        if let Some(helps_in) = helps_in
            && !matches!(code, Ok(Some(0)))
        {
            self.find_lost_commands(&[helps_in]);
        }
        true
    }

    fn find_lost_commands(&self, containers: &[Inside]) {
        for pid in strange_children(containers) {
            if self.children().values().any(|known| known.process.id.pid == pid) {
                continue;
            }
            // Nothing can be done for one that cannot be held; the next one that is looked for is found all the same.
            let _ = Process::hold(pid)
                .map_err(io::Error::from)
                .and_then(|process| self.reap_later(ToReap { process, helps_in: None }));
        }
    }

    /// Changed by single calls only, so a panic elsewhere leaves it whole.
    fn children(&self) -> MutexGuard<'_, BTreeMap<u64, ToReap>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn inside(pid: i32) -> Inside {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// Children of this program that are in one of these PID namespaces, as far as those are known, and not as its first
/// process: proc_pid_status(5), which tells of everybody that they are in one below this program's.
fn strange_children(containers: &[Inside]) -> Vec<i32> {
    let parent = format!("\nPPid:\t{}\n", std::process::id());
    let is_strange = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
        let innermost = numbers.split_whitespace().skip(1).last();
        status.contains(&parent) && innermost.is_some_and(|number| number != "1") && {
            let inside = inside(*pid);
            containers.iter().any(|it| it.is_none() || inside.is_none() || *it == inside)
        }
    };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(is_strange).collect()
}
