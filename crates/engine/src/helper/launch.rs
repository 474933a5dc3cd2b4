//! What the helper has to know, decided by the engine and written into the container's directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::capability::Capability;
use crate::program::Helper;
use crate::spec::{Bind, Device};

/// The file's name in the container's directory.
pub(crate) const LAUNCH_FILE: &str = "launch.json";

/// A container about to start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Launch {
    /// How the first stage starts the second.
    pub(crate) helper: Helper,
    /// Directories of cgroups to join.
    pub(crate) cgroups: Vec<PathBuf>,
    /// File of the network namespace to join.
    pub(crate) network: PathBuf,
    /// Its root.
    pub(crate) root: Root,
    /// Name in the UTS namespace.
    pub(crate) hostname: String,
    /// What runs in it.
    pub(crate) run: Run,
    /// A FIFO that becomes standard input; open for writing, too, so that it never ends.
    pub(crate) stdin: PathBuf,
}

/// The file system of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Root {
    /// The directory in which `lower` is meant.
    pub(crate) layers_dir: PathBuf,
    /// Layers, lowest first.
    pub(crate) lower: Vec<String>,
    /// Where the container's own changes go.
    pub(crate) upper: PathBuf,
    /// The overlay's scratch directory, on the same file system.
    pub(crate) work: PathBuf,
    /// Where it is mounted, in the container's mount namespace only.
    pub(crate) merged: PathBuf,
    /// What it is called among the mounts: tells whose container it is ([`crate::Lost`]).
    pub(crate) mark: String,
    /// Directories and files of the host.
    pub(crate) binds: Vec<Bind>,
    /// Devices of the host.
    pub(crate) devices: Vec<Device>,
    /// Whether device nodes are the host's, bound, for none can be made.
    #[serde(default)]
    pub(crate) binds_devices: bool,
    /// Text files that are put under `/etc`.
    pub(crate) files: BTreeMap<PathBuf, String>,
    /// Whether `/proc/sys/net` may be written: with `NET_ADMIN`, for a router has to switch forwarding on, and
    /// all of it belongs to the container's own network namespace.
    pub(crate) network_settings: bool,
}

/// A process in a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) command: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) working_dir: PathBuf,
    /// `user[:group]`, names or numbers; empty: root.
    pub(crate) user: String,
    pub(crate) capabilities: BTreeSet<Capability>,
}

/// A process to be run in a container that is there: sent to the helper as one line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Enter {
    /// The container's first process.
    pub(crate) pid: i32,
    /// Its start time, so that nothing but it is entered.
    pub(crate) start_time: u64,
    pub(crate) cgroups: Vec<PathBuf>,
    pub(crate) run: Run,
    /// Where standard output is a terminal, which becomes the process's own: how the helper starts a further one, which
    /// becomes the process.
    pub(crate) helper: Option<Helper>,
}
