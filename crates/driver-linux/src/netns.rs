//! Network namespaces: making and removing named ones, and working in any. A netlink socket stays in the namespace
//! it was opened in, so one visit per namespace is enough.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use llcm_netlink::netns::{throw_away, visit};
use llcm_netlink::{NetlinkError, Socket};
use llcm_runtime::{DriverResult, ErrorKind};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, UnmountFlags, fsconfig_create, fsmount,
    fsopen, mount_bind, mount_bind_recursive, mount_change, unmount,
};

use crate::error::Context;
use crate::pause::pause;

/// How long others may take to share the directory of namespaces, which are a few calls of the kernel's, and how often it
/// is looked whether they have.
const LOCKED: Duration = Duration::from_secs(20);
const LOCK_PACE: Duration = Duration::from_millis(2);

/// An open network namespace with a netlink socket in it.
#[derive(Debug)]
pub(crate) struct Netns {
    name: String,
    file: File,
    socket: Mutex<Socket>,
}

impl Netns {
    /// Opens the namespace at a path; `name` is for messages.
    ///
    /// # Errors
    /// `NotFound` when nothing is there or what is there is no network namespace.
    pub(crate) fn open(path: &Path, name: &str) -> DriverResult<Self> {
        let gone = |error: llcm_runtime::DriverError, errno: Option<i32>| {
            let absent = [Errno::NOENT, Errno::SRCH, Errno::INVAL].map(|errno| Some(errno.raw_os_error()));
            let kind = if absent.contains(&errno) { ErrorKind::NotFound } else { error.kind };
            llcm_runtime::DriverError { kind, ..error }
        };
        let file = File::open(path).or_else(|error| {
            let errno = error.raw_os_error();
            Err(error).during("open network namespace", name).map_err(|error| gone(error, errno))
        })?;
        let socket = visit(file.as_fd(), Socket::open)
            .or_else(|error| {
                let errno = error.raw_os_error();
                Err(error).during("enter network namespace", name).map_err(|error| gone(error, errno))
            })?
            .during("open netlink socket in", name)?;
        Ok(Self { name: name.to_owned(), file, socket: Mutex::new(socket) })
    }

    /// The namespace's name, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The namespace as a file descriptor, for requests that name a second namespace.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Whether this is the namespace of the program itself.
    pub(crate) fn is_own(&self) -> DriverResult<bool> {
        let this = self.file.metadata().during("read network namespace", &self.name)?;
        let own = fs::metadata("/proc/self/ns/net").during("read", "own network namespace")?;
        Ok((this.dev(), this.ino()) == (own.dev(), own.ino()))
    }

    /// The socket, for as long as the guard lives.
    pub(crate) fn socket(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One or more netlink calls, with what they do and to what in case they fail.
    pub(crate) fn call<T>(
        &self,
        operation: &'static str,
        target: &str,
        calls: impl FnOnce(&mut Socket) -> Result<T, NetlinkError>,
    ) -> DriverResult<T> {
        calls(&mut self.socket()).during(operation, target)
    }

    /// Sets kernel parameters (paths under `/proc/sys/net`); those that this kernel does not have are left.
    pub(crate) fn set_parameters(&self, parameters: &[(String, &str)]) -> DriverResult<()> {
        visit(self.fd(), || write_parameters(parameters))
            .and_then(|result| result)
            .during("set kernel parameters in", &self.name)
    }
}

/// Sets kernel parameters in the network namespace of the calling thread.
///
/// By a proc file system of its own where one can be had: in the common one the directories of all namespaces lie
/// under the same names in one place, and each look-up goes through all of them, which makes a thousand namespaces
/// take a million steps.
fn write_parameters(parameters: &[(String, &str)]) -> io::Result<()> {
    let own = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).and_then(|context| {
        fsconfig_create(context.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    });
    let proc = match own {
        Ok(own) => own,
        // An ordinary user in the host's process namespace, or an old kernel.
        Err(_) => rustix::fs::open("/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?,
    };
    for (path, value) in parameters {
        let path = format!("sys/net/{path}");
        match rustix::fs::openat(&proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => io::Write::write_all(&mut File::from(file), value.as_bytes())?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// The directory of named network namespaces, as `ip netns` keeps it.
#[derive(Debug, Clone)]
pub(crate) struct NetnsDir(pub(crate) PathBuf);

impl NetnsDir {
    /// The path of a namespace.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Opens a namespace of this directory.
    pub(crate) fn open(&self, name: &str) -> DriverResult<Netns> {
        Netns::open(&self.path(name), name)
    }

    /// The names that begin with a prefix, sorted.
    pub(crate) fn names(&self, prefix: &str) -> DriverResult<Vec<String>> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.0)? {
                if let Ok(name) = entry?.file_name().into_string()
                    && name.starts_with(prefix)
                {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        match list() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.during("list network namespaces in", &self.0.display().to_string()),
        }
    }

    /// Whether a namespace is the one that has its name in this directory.
    pub(crate) fn holds(&self, netns: &Netns) -> bool {
        let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let named = fs::metadata(self.path(&netns.name)).map(inode);
        matches!((named, netns.file.metadata().map(inode)), (Ok(named), Ok(open)) if named == open)
    }

    /// Makes a namespace with kernel parameters as [`Netns::set_parameters`] takes them, and gives it its name; what is left
    /// of an unfinished attempt is replaced. The directory must be prepared.
    pub(crate) fn create(&self, name: &str, parameters: &[(String, &str)]) -> DriverResult<Netns> {
        self.remove(name)?;
        let path = self.path(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .during("make mount point of network namespace", name)?;
        throw_away(|| {
            let file = File::open("/proc/thread-self/ns/net").during("open network namespace", name)?;
            write_parameters(parameters).during("set kernel parameters in", name)?;
            let socket = Socket::open().during("open netlink socket in", name)?;
            mount_bind("/proc/thread-self/ns/net", &path).during("name network namespace", name)?;
            Ok(Netns { name: name.to_owned(), file, socket: Mutex::new(socket) })
        })
        .during("make network namespace", name)?
    }

    /// Takes a namespace's name away; the kernel ends it once nobody is in it. One that is not there is no
    /// error.
    pub(crate) fn remove(&self, name: &str) -> DriverResult<()> {
        let path = self.path(name);
        match unmount(&path, UnmountFlags::DETACH) {
            // Not there, or a plain file that was never mounted over.
            Ok(()) | Err(Errno::NOENT | Errno::INVAL) => {}
            Err(errno) => return Err(errno).during("unmount network namespace", name),
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).during("remove network namespace", name)
            }
            _ => Ok(()),
        }
    }

    /// Makes the directory and a shared mount of it, so that namespaces made here are seen, and can be
    /// removed, in the mount namespaces of other programs. Of several who do it at once each waits for the others, `ip netns`
    /// among them: a second mount over the first would hide what is in it.
    ///
    /// # Errors
    /// `Unavailable` when somebody else keeps the directory locked for 20 seconds.
    pub(crate) fn prepare(&self) -> DriverResult<()> {
        let share = || -> io::Result<()> {
            fs::create_dir_all(&self.0)?;
            let directory = File::open(&self.0)?;
            lock(&directory)?;
            let shared = self.share();
            // Closing would not do: a program that another thread is just starting has the descriptor, too, and with it
            // the lock.
            let unlocked = flock(&directory, FlockOperation::Unlock);
            shared?;
            Ok(unlocked?)
        };
        share().during("prepare directory", &self.0.display().to_string())
    }

    fn share(&self) -> io::Result<()> {
        let shared = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
        match mount_change(&self.0, shared) {
            Err(Errno::INVAL) => {
                mount_bind_recursive(&self.0, &self.0)?;
                Ok(mount_change(&self.0, shared)?)
            }
            other => Ok(other?),
        }
    }
}

/// Takes the lock of a directory of namespaces, as `ip netns` does.
fn lock(directory: &File) -> io::Result<()> {
    let end = Instant::now() + LOCKED;
    loop {
        match flock(directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if Instant::now() < end => pause(LOCK_PACE),
            Err(Errno::WOULDBLOCK) => {
                let message = format!("another program has kept it locked for {} s", LOCKED.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests;
