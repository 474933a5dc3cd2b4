//! A process as the engine holds it: by descriptor, so that its number may be given to another one meanwhile.

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use rustix::time::Timespec;
use serde::{Deserialize, Serialize};

use crate::helper::PATIENCE;

/// What identifies a process on disk: a number is used again, but not with the same start time within one boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pub(crate) pid: i32,
    /// Ticks since boot, field 22 of proc_pid_stat(5).
    pub(crate) start_time: u64,
    /// The kernel's random name for this boot.
    pub(crate) boot: String,
}

/// A process, alive or not yet reaped.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    descriptor: OwnedFd,
}

/// When a process started, in ticks since boot; `None` when there is none of that number.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; the fields behind it are numbered from 3.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// Whether a process has ended and waits for its parent to take that in.
pub(crate) fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with(['Z', 'X']))
}

/// The name of this boot.
pub(crate) fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

impl Process {
    /// Holds a child, or a descendant that cannot be reaped meanwhile.
    pub(crate) fn hold(pid: i32) -> rustix::io::Result<Self> {
        let raw = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        let descriptor = pidfd_open(raw, PidfdFlags::empty())?;
        let start_time = start_time(pid).ok_or(Errno::SRCH)?;
        Ok(Self { id: ProcessId { pid, start_time, boot: boot() }, descriptor })
    }

    /// Finds a process of an earlier run of the program; `None` when it has ended.
    pub(crate) fn find(id: &ProcessId) -> Option<Self> {
        let process = Self::hold(id.pid).ok()?;
        (process.id == *id).then_some(process)
    }

    /// The descriptor.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// Kills it, waits for its end and reaps it if it is a child. `TIMEDOUT` when it does not end: the kernel does
    /// something for it that cannot be interrupted.
    pub(crate) fn end(&self) -> rustix::io::Result<()> {
        self.signal(Signal::KILL)?;
        if !self.ended(Some(PATIENCE))? {
            return Err(Errno::TIMEDOUT);
        }
        self.reap().map(drop)
    }

    /// Waits until it ends, at most `timeout`; true when it has.
    pub(crate) fn ended(&self, timeout: Option<Duration>) -> rustix::io::Result<bool> {
        let deadline = timeout.map(|timeout| std::time::Instant::now() + timeout);
        loop {
            let left = deadline.map(|it| it.saturating_duration_since(std::time::Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            let mut polled = [PollFd::new(&self.descriptor, PollFlags::IN)];
            match poll(&mut polled, left.as_ref()) {
                Ok(count) => return Ok(count > 0),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reaps it and gives its exit code, 128 and the signal when it was killed by one; `None` when it is not a
    /// child of this program and its end was told to somebody else.
    pub(crate) fn reap(&self) -> rustix::io::Result<Option<i32>> {
        match waitid(WaitId::PidFd(self.descriptor.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                Ok(status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)))
            }
            Ok(None) | Err(Errno::CHILD) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal; one that has ended is fine.
    pub(crate) fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        match pidfd_send_signal(&self.descriptor, signal) {
            Err(Errno::SRCH) => Ok(()),
            result => result,
        }
    }

    /// Whether it has a handler for a signal. The first process of a PID namespace is sent no signal it does
    /// not handle, but KILL (pid_namespaces(7)); waiting for it to stop would be in vain.
    pub(crate) fn handles(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id.pid)).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(u64::MAX);
        let bit = u32::try_from(signal.as_raw() - 1).unwrap_or(0);
        mask.checked_shr(bit).is_some_and(|mask| mask & 1 == 1)
    }
}
