//! Working in another network namespace.
//!
//! A thread's namespace is a property of the thread. To work in another one, a thread is made, moved there
//! and ended; it never returns to a pool. A socket stays in the namespace it was made in, so one
//! visit per namespace is enough.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

/// Runs `work` on a thread of its own in a network namespace.
///
/// # Errors
/// When the thread cannot be made or the namespace not be entered (root is needed for that).
pub fn visit<T: Send>(netns: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    scratch_thread(move || {
        move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
        Ok(work())
    })
}

/// Runs `work` on a thread of its own in a new network namespace, which ends with it unless `work` keeps it (by a
/// socket in it, a descriptor or a mount of `/proc/thread-self/ns/net`).
///
/// # Errors
/// When the thread or the namespace cannot be made (root is needed for that).
pub fn throw_away<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    scratch_thread(|| {
        unshare_network()?;
        Ok(work())
    })
}

fn scratch_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, work)?
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

#[expect(
    deprecated,
    reason = "its successor is an unsafe function for the flag FILES only, which is not used"
)]
fn unshare_network() -> rustix::io::Result<()> {
    rustix::thread::unshare(UnshareFlags::NEWNET)
}
