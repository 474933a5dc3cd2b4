//! The devices of a container: nodes of its own or, where none can be made, the host's, bound.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode};

use super::launch::Root;
use super::mounts::{clone_tree, move_to};
use crate::error::{Context as _, EngineError};
use crate::spec::Device;

/// Devices every container has: name, major, minor (kernel, `admin-guide/devices.txt`).
const DEVICES: &[(&str, u32, u32)] =
    &[("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// A device to be, taken from the host before the host is out of sight.
pub(super) struct Opened {
    /// Its path in the container.
    path: PathBuf,
    source: Source,
}

enum Source {
    /// The kind of node and the device's number.
    Node(FileType, u64),
    /// The host's node as a mount without a place.
    Mount(OwnedFd),
}

/// Looks at the host's devices. The container's root must not be the root yet.
pub(super) fn open(root: &Root) -> Result<Vec<Opened>, EngineError> {
    let mut opened = Vec::new();
    for (name, major, minor) in DEVICES {
        let path = Path::new("/dev").join(name);
        let source = if root.binds_devices {
            Source::Mount(clone_tree(&path, false)?)
        } else {
            Source::Node(FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
        };
        opened.push(Opened { path, source });
    }
    for device in &root.devices {
        opened.push(open_one(device, root.binds_devices)?);
    }
    Ok(opened)
}

fn open_one(device: &Device, binds: bool) -> Result<Opened, EngineError> {
    let found = fs::metadata(&device.host).context("look at device", &device.host)?;
    let kind = FileType::from_raw_mode(found.mode());
    if !matches!(kind, FileType::CharacterDevice | FileType::BlockDevice) {
        return Err(EngineError::Invalid(format!("{} is no device", device.host.display())));
    }
    let source = if binds {
        Source::Mount(clone_tree(&device.host, false)?)
    } else {
        Source::Node(kind, found.rdev())
    };
    Ok(Opened { path: device.container.clone(), source })
}

impl Opened {
    /// Makes it in the container's `/dev`.
    pub(super) fn make(&self) -> Result<(), EngineError> {
        let path = &self.path;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).context("make directory", parent)?;
        }
        match &self.source {
            Source::Node(kind, number) => {
                rustix::fs::mknodat(CWD, path, *kind, Mode::empty(), *number).context("make device", path)?;
                rustix::fs::chmod(path, Mode::from_raw_mode(0o666)).context("set the mode of", path)
            }
            Source::Mount(tree) => {
                fs::File::create_new(path).context("make device", path)?;
                move_to(tree, path)
            }
        }
    }
}
