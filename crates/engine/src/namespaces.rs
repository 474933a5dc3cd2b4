//! Namespaces: taking new ones, and network namespaces that have a name before anything runs in them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rustix::mount::{UnmountFlags, mount_bind, unmount};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::UnshareFlags;

use crate::error::{Context as _, EngineError};

/// Gives the calling thread new namespaces.
#[expect(
    deprecated,
    reason = "the flag that would make it unsafe, FILES, is never passed: see the assertion"
)]
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptors stay shared");
    rustix::thread::unshare(flags)
}

/// Makes a network namespace that the file `path` stands for, with its loopback interface up.
///
/// A thread of its own takes the namespace and ends: the calling one and all others stay where they are.
pub(crate) fn make_network(path: &Path) -> Result<(), EngineError> {
    File::create_new(path).context("create", path)?;
    let made = std::thread::scope(|scope| {
        let made = scope.spawn(|| -> io::Result<()> {
            unshare(UnshareFlags::NEWNET)?;
            loopback_up()?;
            mount_bind("/proc/thread-self/ns/net", path)?;
            Ok(())
        });
        made.join().unwrap_or_else(|_| Err(io::Error::other("the thread for the namespace panicked")))
    });
    if made.is_err() {
        // The file alone stands for nothing.
        fs::remove_file(path).context("remove", path)?;
    }
    made.context("make network namespace", path)
}

/// Removes what [`make_network`] made; one that is not there is fine.
pub(crate) fn remove_network(path: &Path) -> Result<(), EngineError> {
    match unmount(path, UnmountFlags::DETACH) {
        // Not mounted, after a reboot, say; or not there at all.
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error).context("unmount", path),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("remove", path),
        _ => Ok(()),
    }
}

/// Whether the file stands for a namespace: after a reboot it is an empty file again.
pub(crate) fn is_network(path: &Path) -> bool {
    let here = rustix::fs::statfs(path).map(|it| it.f_type);
    let namespaces = rustix::fs::statfs("/proc/self/ns/net").map(|it| it.f_type);
    matches!((here, namespaces), (Ok(here), Ok(namespaces)) if here == namespaces)
}

/// Sets interface 1, loopback, up in the network namespace of this thread: one message of rtnetlink(7).
pub(crate) fn loopback_up() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACK: u16 = 1 | 4;
    const UP: u32 = 1;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACK.to_ne_bytes());
    message.extend([0; 8]);
    // Family and type of the interface are not asked for; its index, the flags, and which of them to change.
    message.extend([0; 4]);
    message.extend(1_i32.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    // Protocol 0 of netlink is rtnetlink.
    let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0_u8; 128];
    let _length = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // An answer's header is followed by a number, 0 or a negative error.
    let error = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-error)) }
}
