//! The file system of a container, put together in a mount namespace of its own.
//!
//! The order keeps paths of the image from leading to the host: what comes from the host is opened first, as
//! mounts without a place; then the overlay becomes the root and the old root is gone; only then are targets
//! looked up, by which time every path, link or not, ends in the container.

use std::ffi::{CString, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, StatVfsMountFlags, statvfs};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsmount, fsopen, mount, mount_change, mount_remount,
    move_mount, open_tree, unmount,
};

use super::devices::Opened;
use super::launch::Root;
use crate::error::{Context as _, EngineError};
use crate::files::remove_tree;
use crate::ids::Ids;
use crate::spec::Bind;

/// Files and directories that tell about the machine: an empty one is seen instead.
const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Settings of the machine: to be read only.
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Makes the container's root the root of this process. The process must be the only one in its mount
/// namespace.
pub(super) fn enter_root(root: &Root, ids: &Ids) -> Result<(), EngineError> {
    let slash = Path::new("/");
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change(slash, private).context("make private", slash)?;
    let from_host = root.binds.iter().map(open_bind).collect::<Result<Vec<_>, _>>()?;
    let devices = super::devices::open(root)?;
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    // Without root of the machine, the kernel makes these only for those who still see others of them.
    let proc = new_mount("proc", quiet)?;
    let sys = new_mount("sysfs", quiet | MountAttrFlags::MOUNT_ATTR_RDONLY)?;
    mount_overlay(root)?;
    pivot(&root.merged)?;
    for (tree, path) in [(proc, "/proc"), (sys, "/sys")] {
        let path = Path::new(path);
        fs::create_dir_all(path).context("make directory", path)?;
        move_to(&tree, path)?;
    }
    fill_dev(&devices, ids)?;
    for (bind, tree) in root.binds.iter().zip(from_host) {
        place(&tree, bind)?;
    }
    write_files(root)?;
    if root.network_settings {
        // Opened before its parent becomes read-only, and put back over it.
        let path = Path::new("/proc/sys/net");
        let tree = clone_tree(path, false)?;
        protect()?;
        move_to(&tree, path)?;
    } else {
        protect()?;
    }
    Ok(())
}

/// What comes from the host: a mount without a place.
struct Tree {
    mount: OwnedFd,
    is_dir: bool,
    /// Whether what is mounted below it came along.
    with_what_is_below: bool,
}

fn open_bind(bind: &Bind) -> Result<Tree, EngineError> {
    let is_dir = fs::metadata(&bind.host).context("bind", &bind.host)?.is_dir();
    let tree = |mount, with_what_is_below| Tree { mount, is_dir, with_what_is_below };
    if bind.read_only {
        match open_tree(CWD, &bind.host, CLONE) {
            // Without root of the machine, what it has mounted must not be taken off to see what is beneath.
            Err(Errno::INVAL) => {}
            cloned => return Ok(tree(cloned.context("bind", &bind.host)?, false)),
        }
    }
    Ok(tree(clone_tree(&bind.host, true)?, true))
}

const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

pub(super) fn clone_tree(path: &Path, with_what_is_below: bool) -> Result<OwnedFd, EngineError> {
    let mut flags = CLONE;
    if with_what_is_below {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags).context("bind", path)
}

/// Mounts the layers with the container's own directory on top. Relative names keep the options short: the
/// kernel takes one page.
///
/// `volatile`: otherwise each container's end waits until everything that anybody has written to the file system
/// below is on the disk. After a power failure a container's files may be those of before, even where it had asked
/// for them to be on the disk.
fn mount_overlay(root: &Root) -> Result<(), EngineError> {
    allow_again(&root.work)?;
    std::env::set_current_dir(&root.layers_dir).context("enter", &root.layers_dir)?;
    let lower: Vec<_> = root.lower.iter().rev().map(String::as_str).collect();
    let mut options = format!("volatile,userxattr,lowerdir={}", lower.join(":")).into_bytes();
    for (name, path) in [(",upperdir=", &root.upper), (",workdir=", &root.work)] {
        options.extend(name.as_bytes());
        options.extend(path.as_os_str().as_bytes());
    }
    if options.len() >= 4096 {
        let text = format!("{} layers are more than the kernel takes: use an image with fewer", lower.len());
        return Err(EngineError::Invalid(text));
    }
    let options =
        CString::new(options).map_err(|_| EngineError::Invalid("a path holds a zero byte".into()))?;
    // Devices in an image's files are only files.
    mount(root.mark.as_str(), &root.merged, "overlay", MountFlags::NODEV, options.as_c_str())
        .context("mount the layers on", &root.merged)
}

/// Takes away the mark by which the kernel refuses to mount a `volatile` overlay once more (overlayfs.rst, "Volatile
/// mount").
fn allow_again(work: &Path) -> Result<(), EngineError> {
    remove_tree(&work.join("work/incompat"))
}

fn pivot(new_root: &Path) -> Result<(), EngineError> {
    std::env::set_current_dir(new_root).context("enter", new_root)?;
    // The old root lands on top of the new one and is taken off it: no directory for it is needed.
    rustix::process::pivot_root(".", ".").context("make the root of", new_root)?;
    unmount(".", UnmountFlags::DETACH).context("leave the host behind from", new_root)?;
    std::env::set_current_dir("/").context("enter", Path::new("/"))
}

fn special(
    source: &str,
    kind: &str,
    target: &str,
    flags: MountFlags,
    options: &std::ffi::CStr,
) -> Result<(), EngineError> {
    let path = Path::new(target);
    fs::create_dir_all(path).context("make directory", path)?;
    mount(source, path, kind, flags, options).context("mount", path)
}

fn fill_dev(devices: &[Opened], ids: &Ids) -> Result<(), EngineError> {
    special("tmpfs", "tmpfs", "/dev", MountFlags::NOSUID | MountFlags::NOEXEC, c"mode=755,size=65536k")?;
    for device in devices {
        device.make()?;
    }
    let terminals =
        |options| special("devpts", "devpts", "/dev/pts", MountFlags::NOSUID | MountFlags::NOEXEC, options);
    if ids.has_group(5) {
        terminals(c"newinstance,ptmxmode=0666,mode=620,gid=5")?;
    } else {
        terminals(c"newinstance,ptmxmode=0666,mode=620")?;
    }
    special("tmpfs", "tmpfs", "/dev/shm", QUIET, c"mode=1777,size=65536k")?;
    special("mqueue", "mqueue", "/dev/mqueue", QUIET, c"")?;
    let links = [
        ("/proc/self/fd", "/dev/fd"),
        ("/proc/self/fd/0", "/dev/stdin"),
        ("/proc/self/fd/1", "/dev/stdout"),
        ("/proc/self/fd/2", "/dev/stderr"),
        ("pts/ptmx", "/dev/ptmx"),
    ];
    for (target, link) in links {
        symlink(target, link).context("make link", Path::new(link))?;
    }
    Ok(())
}

/// Puts what comes from the host in its place, which is made when it is missing.
fn place(tree: &Tree, bind: &Bind) -> Result<(), EngineError> {
    let path = &bind.container;
    if tree.is_dir {
        fs::create_dir_all(path).context("make directory", path)?;
    } else if !path.exists() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("make directory", parent)?;
        }
        fs::write(path, "").context("create", path)?;
    }
    move_to(&tree.mount, path)?;
    if bind.read_only {
        make_read_only(path)?;
        if tree.with_what_is_below {
            for point in mounted_below(path)? {
                make_read_only(&point)?;
            }
        }
    }
    Ok(())
}

/// Makes a mount read-only. What else it has been forbidden stays so: without root of the machine, the kernel
/// refuses to take that back.
fn make_read_only(point: &Path) -> Result<(), EngineError> {
    let has = statvfs(point).context("look at", point)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (found, flag) in [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
    ] {
        flags.set(flag, has.contains(found));
    }
    mount_remount(point, flags, "").context("make read-only", point)
}

/// Where something is mounted below `path`, links in it resolved.
fn mounted_below(path: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let path = path.canonicalize().context("resolve", path)?;
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).context("read", table)?;
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    Ok(points.filter(|point| point.starts_with(&path) && *point != path).collect())
}

/// A path as proc_pid_mountinfo(5) writes it: blanks, line ends and backslashes are `\` and three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let code = behind.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

pub(super) fn move_to(tree: &OwnedFd, path: &Path) -> Result<(), EngineError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    move_mount(tree, "", CWD, path, flags).context("bind on", path)
}

/// `/etc/hosts` and its like, unless the image or a bind has put something else there on purpose.
fn write_files(root: &Root) -> Result<(), EngineError> {
    for (path, text) in &root.files {
        if root.binds.iter().any(|bind| path.starts_with(&bind.container)) {
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("make directory", parent)?;
        }
        fs::write(path, text).context("write", path)?;
    }
    Ok(())
}

/// Hides what tells about the machine, and makes its settings read-only.
fn protect() -> Result<(), EngineError> {
    for path in MASKED.iter().map(Path::new).filter(|path| path.exists()) {
        let is_dir = path.is_dir();
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let tree =
            if is_dir { new_mount("tmpfs", attributes)? } else { clone_tree(Path::new("/dev/null"), false)? };
        move_to(&tree, path)?;
    }
    for path in READ_ONLY.iter().map(Path::new).filter(|path| path.exists()) {
        let tree = clone_tree(path, false)?;
        move_to(&tree, path)?;
        mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | QUIET, "")
            .context("make read-only", path)?;
    }
    Ok(())
}

/// A new file system, as a mount without a place.
fn new_mount(kind: &str, attributes: MountAttrFlags) -> Result<OwnedFd, EngineError> {
    let shown = Path::new(kind);
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).context("mount", shown)?;
    fsconfig_create(&context).context("mount", shown)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).context("mount", shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_mount_table_are_read() {
        assert_eq!(unescaped("/a"), Path::new("/a"));
        assert_eq!(unescaped("/a\\040b\\134c\\"), Path::new("/a b\\c\\"));
    }
}
