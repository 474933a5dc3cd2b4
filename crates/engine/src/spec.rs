//! What a container is to be: given by the caller, kept on disk, read by the helper process.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::error::EngineError;

/// A container to be. `Spec::new` gives one without limits and with the default capabilities; set the rest by
/// assigning fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Its name in this engine: 1 to 128 of `A-Z a-z 0-9 _ . -`, a letter or digit first.
    pub name: String,
    /// Image reference, or [`crate::image::HOST_IMAGE`].
    pub image: String,
    /// Replaces the image's entry point and command when not empty.
    #[serde(default)]
    pub command: Vec<String>,
    /// Environment, on top of the image's.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Directory to start in; `None`: the image's.
    #[serde(default)]
    pub working_dir: Option<PathBuf>,
    /// `user[:group]`; `None`: the image's. Without root of the machine, only root is there, see [`crate::Powers`].
    #[serde(default)]
    pub user: Option<String>,
    /// Host name; `None`: the container's name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// File of the network namespace to run in; `None`: one is made for the container.
    #[serde(default)]
    pub network: Option<PathBuf>,
    /// Limits; refused where they cannot be set, see [`crate::Powers::limits`].
    #[serde(default)]
    pub limits: Limits,
    /// Capabilities beyond [`crate::capability::DEFAULT`].
    #[serde(default)]
    pub cap_add: Vec<Capability>,
    /// Capabilities of [`crate::capability::DEFAULT`] to leave out.
    #[serde(default)]
    pub cap_drop: Vec<Capability>,
    /// Directories and files of the host.
    #[serde(default)]
    pub binds: Vec<Bind>,
    /// Devices of the host.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Words of the caller, kept and given back: marks of ownership, say.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Limits of a container; `None`: not limited.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// CPU time in microseconds within each period.
    pub cpu_quota_us: Option<u64>,
    /// The period in microseconds, 1000 to 1000000; `None`: 100000.
    pub cpu_period_us: Option<u64>,
    /// CPUs to run on, as the kernel's list (`0,2-3`).
    pub cpuset: Option<String>,
    /// Bytes of memory, swap included.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// A directory or file of the host seen in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host; it must exist.
    pub host: PathBuf,
    /// Absolute path in the container; made where it is missing.
    pub container: PathBuf,
    /// Whether the container may not write. What is mounted below the host's path is left out then, for it
    /// would stay writable.
    pub read_only: bool,
}

/// A device of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub host: PathBuf,
    /// Path in the container, below `/dev`.
    pub container: PathBuf,
}

impl Spec {
    /// A container of an image, run as the image says.
    #[must_use]
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            command: Vec::new(),
            environment: BTreeMap::new(),
            working_dir: None,
            user: None,
            hostname: None,
            network: None,
            limits: Limits::default(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            binds: Vec::new(),
            devices: Vec::new(),
            labels: BTreeMap::new(),
        }
    }

    /// Checks what can be checked without looking at the host.
    ///
    /// # Errors
    /// `Invalid` with what to change.
    pub fn check(&self) -> Result<(), EngineError> {
        let invalid = |text: String| Err(EngineError::Invalid(text));
        check_name(&self.name)?;
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return invalid(format!("environment variable `{name}` cannot be set: choose another name"));
            }
        }
        if self
            .hostname
            .as_ref()
            .is_some_and(|it| it.is_empty() || it.len() > 64 || it.contains(['\0', '\n']))
        {
            return invalid("the host name must have 1 to 64 characters on one line".to_owned());
        }
        for bind in &self.binds {
            if !bind.host.is_absolute() || !is_plain(&bind.container) {
                let (host, container) = (bind.host.display(), bind.container.display());
                return invalid(format!("bind {host}:{container}: give absolute paths without `..`"));
            }
        }
        for device in &self.devices {
            if !is_plain(&device.container) || !device.container.starts_with("/dev") {
                return invalid(format!("device {}: it must be below /dev", device.container.display()));
            }
        }
        let period = self.limits.cpu_period_us.unwrap_or(DEFAULT_PERIOD_US);
        if !(1_000..=1_000_000).contains(&period) {
            return invalid(format!("a CPU period of {period} us: the kernel takes 1000 to 1000000"));
        }
        if self.limits.cpu_quota_us.is_some_and(|quota| quota < 1_000) {
            return invalid("a CPU quota below 1000 us: the kernel takes no less".to_owned());
        }
        let is_list =
            |list: &str| !list.is_empty() && list.bytes().all(|it| matches!(it, b'0'..=b'9' | b',' | b'-'));
        if self.limits.cpuset.as_deref().is_some_and(|list| !is_list(list)) {
            return invalid("the CPU set must be a list as 0,2-3".to_owned());
        }
        Ok(())
    }

    /// The capabilities the container's processes may have.
    #[must_use]
    pub fn capabilities(&self) -> std::collections::BTreeSet<Capability> {
        let mut set: std::collections::BTreeSet<_> = crate::capability::DEFAULT.iter().copied().collect();
        set.extend(&self.cap_add);
        set.retain(|it| !self.cap_drop.contains(it) || self.cap_add.contains(it));
        set
    }
}

/// The kernel's own default.
pub(crate) const DEFAULT_PERIOD_US: u64 = 100_000;

/// Absolute, without `..`, and not the root.
fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().count() > 1
        && path.components().all(|it| matches!(it, Component::RootDir | Component::Normal(_)))
}

/// A container's name becomes the name of directories, of a cgroup and of a namespace.
pub(crate) fn check_name(name: &str) -> Result<(), EngineError> {
    let first = name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric());
    let rest = name.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.' | b'-'));
    if first && rest && name.len() <= 128 {
        return Ok(());
    }
    Err(EngineError::Invalid(format!(
        "`{name}` cannot name a container: use letters, digits, `_`, `.` and `-`"
    )))
}

/// Paths of the engine's own end up in the kernel's mount options, where some characters separate.
pub(crate) fn check_state_path(path: &Path) -> Result<(), EngineError> {
    let text = path.to_string_lossy();
    if text.contains([':', ',', '\\']) || text.len() > 512 {
        let text = format!("{text}: choose a shorter path without `:`, `,` and `\\`");
        return Err(EngineError::Invalid(text));
    }
    Ok(())
}
