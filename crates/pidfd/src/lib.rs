//! How a process ended that is not this program's child, and that somebody else has reaped: one call.
//!
//! waitid(2) tells a parent only. From Linux 6.15 on, the kernel keeps the exit status for whoever holds a descriptor
//! of the process (`pidfd_open(2)`) from before its end, and tells it by the ioctl `PIDFD_GET_INFO`.
//!
//! ```
//! use rustix::process::{Pid, PidfdFlags, pidfd_open};
//!
//! # fn main() -> std::io::Result<()> {
//! let mut child = std::process::Command::new("true").spawn()?;
//! let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
//! child.wait()?;
//! // Somebody has waited for it, and a descriptor tells it to others as well. `None`: an older kernel.
//! if let Some(status) = llcm_pidfd::exit_status(&pidfd)? {
//!     assert!(status.success());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! This is the one crate with `unsafe` code: an ioctl has no other form. It goes when rustix or another maintained
//! crate has a safe function for this one (`docs/adr/015`).

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::fs::{FsWord, fstatfs};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

/// `PID_FS_MAGIC` of linux/magic.h: the file system of such descriptors, from Linux 6.9 on.
const PID_FS: FsWord = 0x5049_4446;
/// `ANON_INODE_FS_MAGIC` of linux/magic.h: where they were before.
const ANONYMOUS: FsWord = 0x0904_1934;

/// `struct pidfd_info` of linux/pidfd.h as it was first, `PIDFD_INFO_SIZE_VER0`: 64 bytes. Kernels fill as much as
/// the number of the ioctl says, which contains the size.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    /// Bits `PIDFD_INFO_*`: what is asked for, then what is told.
    mask: u64,
    cgroup_id: u64,
    /// pid, tgid, ppid, then real, effective, saved and file system ids of user and group.
    ids: [u32; 11],
    /// A status as of wait(2), with [`INFO_EXIT`].
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`.
const INFO_EXIT: u64 = 1 << 3;
/// `PIDFD_GET_INFO`: `_IOWR(PIDFS_IOCTL_MAGIC, 11, struct pidfd_info)`.
const GET_INFO: Opcode = opcode::read_write::<PidfdInfo>(0xFF, 11);

/// How the process of a descriptor ended: known when it has been reaped, by whomever. `None` before that, on a kernel
/// that does not keep it (before Linux 6.15), and when the descriptor was opened after the process had been reaped.
///
/// It never blocks, and needs no permission but the descriptor.
///
/// # Errors
/// `EBADF` for what is no descriptor of a process; what the kernel says otherwise.
pub fn exit_status(pidfd: impl AsFd) -> io::Result<Option<ExitStatus>> {
    // What the ioctl means is certain for such descriptors only: a driver of a device may use its number otherwise.
    match fstatfs(&pidfd)?.f_type {
        PID_FS => {}
        ANONYMOUS => return Ok(None),
        _ => return Err(Errno::BADF.into()),
    }
    let mut info = PidfdInfo { mask: INFO_EXIT, ..PidfdInfo::default() };
    match get_info(&pidfd, &mut info) {
        Ok(()) if info.mask & INFO_EXIT != 0 => Ok(Some(ExitStatus::from_raw(info.exit_code))),
        // It still runs, or waits to be reaped; or the kernel does not know the question.
        Ok(()) | Err(Errno::NOTTY | Errno::INVAL | Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[expect(unsafe_code, reason = "ioctl(2) has no safe form")]
fn get_info(pidfd: impl AsFd, info: &mut PidfdInfo) -> rustix::io::Result<()> {
    // SAFETY: `pidfd` is of the kernel's file system for processes. For its descriptors the number means
    // `PIDFD_GET_INFO` or nothing; the kernel then reads and writes as many bytes as the number says, which is the
    // size of `PidfdInfo`, laid out as in its header, where every value of every field is valid.
    unsafe { ioctl(pidfd, Updater::<GET_INFO, PidfdInfo>::new(info)) }
}

#[cfg(test)]
mod tests;
