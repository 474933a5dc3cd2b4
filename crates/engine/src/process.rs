//! A process as the engine holds it: by descriptor, so that its number may be given to another one meanwhile.

use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open, openat, readlinkat};
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
    Some(Stat::read(pid)?.start_time)
}

/// Whether a process has ended and waits for its parent to take that in.
pub(crate) fn is_zombie(pid: i32) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.is_zombie)
}

/// Of the file `stat` of a process, see proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    is_zombie: bool,
    start_time: u64,
    /// A status of wait(2), once it has ended; 0 for those who may not know it.
    exit_code: i32,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(stat: &[u8]) -> Option<Self> {
        // The name, in parentheses, may hold any bytes; the fields behind it are numbered from 3.
        let stat = String::from_utf8_lossy(stat);
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<_> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3).copied();
        Some(Self {
            is_zombie: field(3)?.starts_with(['Z', 'X']),
            start_time: field(22)?.parse().ok()?,
            exit_code: field(52)?.parse().ok()?,
        })
    }
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

    /// Takes in the end of one that has ended: reaps it if it is a child, and gives its exit code, 128 and the signal
    /// when it was killed by one; `None` when nobody can tell (`docs/adr/015`).
    pub(crate) fn reap(&self) -> rustix::io::Result<Option<i32>> {
        match waitid(WaitId::PidFd(self.descriptor.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                Ok(status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)))
            }
            Ok(None) | Err(Errno::CHILD) => {
                // In this order: what is reaped after the first question, the second one knows.
                let status = match self.unreaped_status() {
                    None => llcm_pidfd::exit_status(&self.descriptor)
                        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?,
                    status => status,
                };
                Ok(status.and_then(|it| it.code().or_else(|| it.signal().map(|signal| 128 + signal))))
            }
            Err(error) => Err(error),
        }
    }

    /// How somebody else's child ended, while its parent has not reaped it.
    fn unreaped_status(&self) -> Option<ExitStatus> {
        // Opened once, so that all is asked of one process, whoever gets its number.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(format!("/proc/{}", self.id.pid), flags, Mode::empty()).ok()?;
        // The status is shown to those who may also read these links: the kernel asks the same of both, ptrace(2)'s
        // PTRACE_MODE_READ_FSCREDS. To others it looks like success.
        readlinkat(&directory, "ns/user", Vec::new()).ok()?;
        let mut stat = Vec::new();
        let file = openat(&directory, "stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        fs::File::from(file).read_to_end(&mut stat).ok()?;
        let stat = Stat::parse(&stat)?;
        let is_it = stat.is_zombie && stat.start_time == self.id.start_time;
        is_it.then(|| ExitStatus::from_raw(stat.exit_code))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_processes_may_hold_anything() {
        let numbers: Vec<_> = (5..=52).map(|it| it.to_string()).collect();
        let stat = [b"77 (a) \xff( b) Z 4 ".as_slice(), numbers.join(" ").as_bytes(), b"\n"].concat();
        let expected = Stat { is_zombie: true, start_time: 22, exit_code: 52 };
        assert_eq!(Stat::parse(&stat), Some(expected));
        assert_eq!(Stat::parse(b"77 (a) R 4 5\n"), None);
    }

    #[test]
    fn what_somebody_else_has_reaped() {
        use std::io::BufRead as _;
        use std::process::{Command, Stdio};
        // The shell in between waits for the other one, as init would.
        let script = "sleep 1000 & echo $!; wait $!; echo reaped";
        let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufReader::new(shell.stdout.take().unwrap()).lines().map(Result::unwrap);
        let process = Process::hold(lines.next().unwrap().parse().unwrap()).unwrap();
        process.signal(Signal::KILL).unwrap();
        assert_eq!(lines.next().unwrap(), "reaped");
        assert!(shell.wait().unwrap().success());
        // That the kernel tells it where it can is tested in that crate.
        let is_told = llcm_pidfd::exit_status(process.descriptor()).unwrap().is_some();
        assert_eq!(process.reap().unwrap(), is_told.then_some(128 + 9));
    }
}
