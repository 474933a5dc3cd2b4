//! A lock that all programs of a network namespace share, whatever else they do not: the name of a Unix socket that is no
//! file. The kernel keeps such names for each network namespace apart, gives each to one socket at a time, whoever asks,
//! and takes it back when the socket's program ends. A file would be another one in each mount namespace, and would take
//! a directory in which everybody may write.
//!
//! Whoever waits is connected to the socket, and the kernel ends the connection with it.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// The lock's name.
const NAME: &str = "llcm-forwarding";
/// A turn takes milliseconds; on a busy machine, as long as others hold the kernel's own locks.
const PATIENCE: Duration = Duration::from_secs(30);
/// How soon it is tried again where there is nothing to wait for.
const PAUSE: Duration = Duration::from_millis(2);

/// Held by who changes something. It ends with its socket.
#[derive(Debug)]
pub(super) struct Turn {
    _name: UnixListener,
}

impl Turn {
    /// Waits for one's turn in the network namespace of this thread.
    ///
    /// # Errors
    /// `TimedOut` after 30 seconds, with who is waited for; when the kernel gives no sockets.
    pub(super) fn take() -> io::Result<Self> {
        Self::take_within(PATIENCE)
    }

    fn take_within(patience: Duration) -> io::Result<Self> {
        let end = Instant::now() + patience;
        loop {
            match UnixListener::bind_addr(&SocketAddr::from_abstract_name(NAME)?) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                other => return other.map(|name| Self { _name: name }),
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, too_long(patience)));
            }
            match connected()? {
                Some(stream) => wait(Some(&stream), left)?,
                // It ended just now, or does not listen yet, or too many wait already.
                None => wait(None, left.min(PAUSE))?,
            }
        }
    }
}

/// A connection with whoever has the name, if they can be connected to.
fn connected() -> io::Result<Option<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match connect(&stream, &SocketAddrUnix::new_abstract_name(NAME.as_bytes())?) {
        Ok(()) => Ok(Some(stream)),
        Err(Errno::CONNREFUSED | Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Waits until a connection ends, or for a time; a signal makes it shorter.
fn wait(stream: Option<&OwnedFd>, time: Duration) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    let mut waited: Vec<PollFd<'_>> =
        stream.into_iter().map(|it| PollFd::from_borrowed_fd(it.as_fd(), PollFlags::IN)).collect();
    match poll(&mut waited, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn too_long(patience: Duration) -> String {
    let seconds = patience.as_secs_f32();
    let who = match holder() {
        Some(pid) if pid == std::process::id() => format!("another thread of this program (process {pid})"),
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", name.trim_end())
        }
        None => "a process that cannot be seen from here".to_owned(),
    };
    format!(
        "after {seconds} s {who} still keeps the socket @{NAME}, and with it everybody else from changing whether this \
         host passes packets on; end it if it hangs"
    )
}

/// The process that has the name: the kernel tells the socket's number, and each process the sockets that it has.
fn holder() -> Option<u32> {
    let sockets = fs::read_to_string("/proc/thread-self/net/unix").ok()?;
    let name = format!("@{NAME}");
    // Number 0: a connection that waits.
    let number = sockets.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = words.get(6).filter(|number| **number != "0")?;
        (words.get(7) == Some(&name.as_str())).then(|| (*number).to_owned())
    })?;
    let socket = format!("socket:[{number}]");
    let has = |pid: &u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut leads_to = open.filter_map(|it| fs::read_link(it.path()).ok());
        leads_to.any(|target| target.as_os_str() == socket.as_str())
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|it| it.file_name().to_str()?.parse().ok()).find(has)
}

#[cfg(test)]
mod tests;
