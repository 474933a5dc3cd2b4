//! The file system of a container, put together in a mount namespace of its own.
//!
//! The order keeps paths of the image from leading to the host: what comes from the host is opened first, as
//! mounts without a place; then the overlay becomes the root and the old root is gone; only then are targets
//! looked up, by which time every path, link or not, ends in the container.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsmount, fsopen, mount, mount_change, mount_remount,
    move_mount, open_tree, unmount,
};

use super::launch::Root;
use crate::error::{Context as _, EngineError};
use crate::spec::{Bind, Device};

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

/// Devices every container has: name, major, minor (kernel, `admin-guide/devices.txt`).
const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Makes the container's root the root of this process. The process must be the only one in its mount
/// namespace.
pub(super) fn enter_root(root: &Root) -> Result<(), EngineError> {
    let slash = Path::new("/");
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change(slash, private).context("make private", slash)?;
    let from_host = root.binds.iter().map(open_bind).collect::<Result<Vec<_>, _>>()?;
    let devices = root.devices.iter().map(open_device).collect::<Result<Vec<_>, _>>()?;
    mount_overlay(root)?;
    pivot(&root.merged)?;
    special("proc", "proc", "/proc", QUIET, c"")?;
    special("sysfs", "sysfs", "/sys", QUIET | MountFlags::RDONLY, c"")?;
    fill_dev(&devices)?;
    for (bind, (tree, is_dir)) in root.binds.iter().zip(from_host) {
        place(&tree, &bind.container, is_dir, bind.read_only)?;
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

/// The mount of a host's path, without a place; and whether it is a directory.
fn open_bind(bind: &Bind) -> Result<(OwnedFd, bool), EngineError> {
    let found = fs::metadata(&bind.host).context("bind", &bind.host)?;
    Ok((clone_tree(&bind.host, !bind.read_only)?, found.is_dir()))
}

fn clone_tree(path: &Path, with_what_is_below: bool) -> Result<OwnedFd, EngineError> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if with_what_is_below {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(CWD, path, flags).context("bind", path)
}

fn open_device(device: &Device) -> Result<(PathBuf, FileType, u64), EngineError> {
    let found = fs::metadata(&device.host).context("look at device", &device.host)?;
    match FileType::from_raw_mode(found.mode()) {
        kind @ (FileType::CharacterDevice | FileType::BlockDevice) => {
            Ok((device.container.clone(), kind, found.rdev()))
        }
        _ => Err(EngineError::Invalid(format!("{} is no device", device.host.display()))),
    }
}

/// Mounts the layers with the container's own directory on top. Relative names keep the options short: the
/// kernel takes one page.
fn mount_overlay(root: &Root) -> Result<(), EngineError> {
    std::env::set_current_dir(&root.layers_dir).context("enter", &root.layers_dir)?;
    let lower: Vec<_> = root.lower.iter().rev().map(String::as_str).collect();
    let mut options = format!("userxattr,lowerdir={}", lower.join(":")).into_bytes();
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
    mount("overlay", &root.merged, "overlay", MountFlags::NODEV, options.as_c_str())
        .context("mount the layers on", &root.merged)
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

fn fill_dev(devices: &[(PathBuf, FileType, u64)]) -> Result<(), EngineError> {
    special("tmpfs", "tmpfs", "/dev", MountFlags::NOSUID | MountFlags::NOEXEC, c"mode=755,size=65536k")?;
    let char = FileType::CharacterDevice;
    let usual = DEVICES.iter().map(|(name, major, minor)| {
        (Path::new("/dev").join(name), char, rustix::fs::makedev(*major, *minor))
    });
    for (path, kind, number) in usual.chain(devices.iter().cloned()) {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("make directory", parent)?;
        }
        rustix::fs::mknodat(CWD, &path, kind, Mode::empty(), number).context("make device", &path)?;
        rustix::fs::chmod(&path, Mode::from_raw_mode(0o666)).context("set the mode of", &path)?;
    }
    special(
        "devpts",
        "devpts",
        "/dev/pts",
        MountFlags::NOSUID | MountFlags::NOEXEC,
        c"newinstance,ptmxmode=0666,mode=620,gid=5",
    )?;
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

/// Puts an opened mount on `path`, which is made when it is missing.
fn place(tree: &OwnedFd, path: &Path, is_dir: bool, read_only: bool) -> Result<(), EngineError> {
    if is_dir {
        fs::create_dir_all(path).context("make directory", path)?;
    } else if !path.exists() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("make directory", parent)?;
        }
        fs::write(path, "").context("create", path)?;
    }
    move_to(tree, path)?;
    if read_only {
        mount_remount(path, MountFlags::BIND | MountFlags::RDONLY, "").context("make read-only", path)?;
    }
    Ok(())
}

fn move_to(tree: &OwnedFd, path: &Path) -> Result<(), EngineError> {
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
        let tree = if is_dir { empty_directory()? } else { clone_tree(Path::new("/dev/null"), false)? };
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

fn empty_directory() -> Result<OwnedFd, EngineError> {
    let shown = Path::new("an empty directory");
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).context("make", shown)?;
    fsconfig_create(&context).context("make", shown)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).context("make", shown)
}
