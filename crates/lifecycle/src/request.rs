//! What goes into the orchestrator and what comes out of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use llcm_descriptors::{Diagnostic, PackageInfo, Triple};
use llcm_names::{
    ContainerName, DcName, EngineName, FunctionId, IfName, InstanceId, PackageHash, RequestId, ServiceId,
    Ssiid,
};
use llcm_runtime::{ContainerState, Counts, ProgressEvent};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::plan::document::SapDocument;
use crate::settings::{Dialect, Settings};

/// An upload, complete on disk in the staging directory; dropping it removes the file.
#[derive(Debug)]
pub struct Upload {
    /// The package file.
    pub file: tempfile::NamedTempFile,
    /// Its size in bytes, as counted.
    pub size: u64,
    /// The SHA-1 of its bytes.
    pub sha1: PackageHash,
}

/// Which service is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceRef {
    /// By id, or, when no service has that id, by package name.
    Given(String),
    /// The newest.
    Latest,
}

/// What is different for one instance from what the settings say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstantiateOptions {
    /// The placement algorithm's name; its table and seed stay those of the settings.
    pub placement: Option<String>,
}

impl InstantiateOptions {
    /// The settings with what is different.
    pub(crate) fn over<'a>(&self, settings: &'a Settings) -> Cow<'a, Settings> {
        let mut settings = Cow::Borrowed(settings);
        if let Some(algorithm) = &self.placement {
            settings.to_mut().placement.algorithm.clone_from(algorithm);
        }
        settings
    }
}

/// An on-boarded service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceView {
    /// Its id.
    pub id: ServiceId,
    /// The dialect of the listener it came through.
    pub dialect: Dialect,
    /// The package.
    pub package: PackageInfo,
    /// The package file's SHA-1.
    pub sha1: PackageHash,
    /// The package file's size in bytes.
    pub size: u64,
    /// The NSD's identity.
    pub nsd: Triple,
    /// Its functions, in the NSD's order.
    pub functions: Vec<FunctionView>,
    /// When it was on-boarded.
    pub created_at: Timestamp,
    /// Warnings of onboarding.
    pub warnings: Vec<Diagnostic>,
    /// Its live instances, in the order of their SSIIDs.
    pub instances: Vec<InstanceId>,
}

/// What became of an upload: a service and, if the settings say so, an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The service. Its warnings tell what went wrong after it was on-boarded, too.
    pub service: ServiceView,
    /// The request that made an instance of it at once (`auto_deploy`), ended; `None`: none was begun.
    pub request: Option<RequestView>,
}

/// A function of an on-boarded service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionView {
    /// Its id.
    pub id: FunctionId,
    /// The VNFD's identity.
    pub vnfd: Triple,
    /// Where the service uses it.
    pub vnf_ids: Vec<String>,
    /// When it was on-boarded.
    pub created_at: Timestamp,
}

/// The state of an instance. `Planned -> Creating -> Running -> Terminating -> (gone)`;
/// `Creating -> Unwinding -> Failed`; `Unwinding | Terminating -> Stuck`; `Running <-> Degraded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Recorded, nothing done yet.
    Planned,
    /// Containers and links are being made.
    Creating,
    /// All there.
    Running,
    /// Something of it is missing.
    Degraded,
    /// Being taken down by request.
    Terminating,
    /// Being taken down after a failure.
    Unwinding,
    /// Taking down did not finish.
    Stuck,
    /// Gone, by request.
    Terminated,
    /// Gone, after a failure.
    Failed,
}

/// A network service instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Its service.
    pub service_id: ServiceId,
    /// `<vendor>.<name>.<version>-inst.<SSIID>`.
    pub name: String,
    /// Its number within the service.
    pub ssiid: Ssiid,
    /// What it does.
    pub state: InstanceState,
    /// When it was requested.
    pub created_at: Timestamp,
    /// Steps done and in all, of what goes on now.
    pub progress: (usize, usize),
    /// The latest step that was begun, in words.
    pub activity: String,
    /// Errors, oldest first; of very many the latest.
    pub errors: Vec<String>,
    /// Why it is degraded now, each in words.
    pub reasons: Vec<String>,
    /// When taking it down is tried again; only while it is stuck.
    pub retry: Option<RetryView>,
    /// Warnings of the plan.
    pub warnings: Vec<Diagnostic>,
    /// Its containers, in starting order.
    pub containers: Vec<ContainerStatus>,
    /// Its links, in the NSD's order.
    pub links: Vec<LinkStatus>,
    /// Its service access points, in the order of the NSD's connection points.
    pub saps: Vec<SapDocument>,
    /// How links between data centers that had properties were emulated when it was made, by link and end, in words.
    pub emulated_by: BTreeMap<String, [String; 2]>,
}

/// How it is gone on with an instance that is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryView {
    /// How often it was tried in vain.
    pub tries: u32,
    /// When it is tried again, unless somebody terminates the instance before.
    pub next_at: Timestamp,
}

/// A container of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerStatus {
    /// Its logical name.
    pub name: ContainerName,
    /// Its name in the engine.
    pub engine_name: EngineName,
    /// Its function.
    pub vnf_id: String,
    /// Its unit.
    pub du_id: String,
    /// Where it runs.
    pub datacenter: DcName,
    /// Its image.
    pub image: String,
    /// What the engine says it does; `None` when the engine has no such container.
    pub state: Option<ContainerState>,
    /// Published ports as `host:container/protocol`.
    pub ports: Vec<String>,
    /// Interface name -> addresses (CIDR).
    pub interfaces: BTreeMap<String, Vec<String>>,
    /// The engine's own interface, where it is a connection point of the container (`docker_management`).
    pub management: Option<ManagementStatus>,
    /// Its start and stop scripts, as far as they ran.
    pub scripts: Vec<ScriptRun>,
}

/// The engine's own interface in a container, where it is one of the container's connection points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ManagementStatus {
    /// The interface's name in the container.
    pub interface: String,
    /// The address that the engine gave it, as last told; `None`: not known yet, or the container does not run.
    pub address: Option<String>,
}

/// A link of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The descriptor's id.
    pub id: String,
    /// "E-Line", "E-LAN", "E-Tree".
    pub kind: String,
    /// CIDR.
    pub subnet: String,
    /// `container:interface` of each end.
    pub ends: Vec<String>,
}

/// What flowed at an interface since it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterfaceTraffic {
    /// Its container's logical name; of one of the host, the access point's.
    pub container: String,
    /// Its function; of one of the host, the connection point's id.
    pub vnf_id: String,
    /// The interface's name in the container, or on the host.
    pub interface: IfName,
    /// The data center that it is joined to.
    pub datacenter: DcName,
    /// What was sent by it; `None`: it is not there now.
    pub sent: Option<Counts>,
    /// What was received by it.
    pub received: Option<Counts>,
}

/// Where frames are to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureTarget {
    /// An interface of an instance.
    Interface {
        /// The instance.
        instance: InstanceId,
        /// Its container's name, or the function's id if that leads to one interface only.
        container: String,
        /// The interface's name, or its connection point's id.
        interface: String,
    },
    /// A link between data centers.
    Link {
        /// Its name in the topology.
        name: String,
        /// The data center at the end where it is looked; `None`: the first.
        end: Option<DcName>,
    },
}

/// How frames are to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureOptions {
    /// Bytes of each frame that are wanted.
    pub snap_length: u32,
    /// How long; `None`: until the sink has enough.
    pub duration: Option<Duration>,
}

/// A run of a start or stop script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptRun {
    /// `start` or `stop`.
    pub phase: String,
    /// The command as given.
    pub command: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it runs.
    pub ended_at: Option<Timestamp>,
    /// Its exit code; `None` while it runs, or when it could not be run (see `error`).
    pub exit_code: Option<i64>,
    /// Its output, both streams, at most the last 64 KiB, invalid UTF-8 replaced.
    pub output: String,
    /// Why it could not be run or was given up.
    pub error: Option<String>,
}

/// What a request asked for, in 5GTANGO's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestType {
    /// Instantiate a service.
    #[serde(rename = "CREATE_SERVICE")]
    Create,
    /// Terminate an instance.
    #[serde(rename = "TERMINATE_SERVICE")]
    Terminate,
}

/// How a request stands, in 5GTANGO's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RequestStatus {
    /// Accepted.
    New,
    /// At work.
    Instantiating,
    /// At work.
    Terminating,
    /// Done.
    Ready,
    /// Failed; the instance says why.
    Error,
}

/// A request to change the life-cycle of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestView {
    /// Its id.
    pub id: RequestId,
    /// What it asked for.
    pub request_type: RequestType,
    /// How it stands.
    pub status: RequestStatus,
    /// When it came.
    pub created_at: Timestamp,
    /// The instance it is about.
    pub instance_id: InstanceId,
    /// The service it is about.
    pub service_id: ServiceId,
    /// Why it failed.
    pub error: Option<String>,
}

/// Something that happened, for whoever watches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A package is being on-boarded: an image moves on.
    Image {
        /// The image and how far it is.
        progress: ProgressEvent,
    },
    /// A step of an instance began or ended.
    Step {
        /// The instance.
        instance: InstanceId,
        /// The step, in words.
        step: String,
        /// Done so far and in all.
        progress: (usize, usize),
    },
    /// A container changed its state.
    Container {
        /// The instance.
        instance: InstanceId,
        /// The container's name in the engine.
        container: EngineName,
        /// What it does now; `None`: the engine has no such container any more.
        state: Option<ContainerState>,
    },
    /// Links or data centers were changed.
    Topology {
        /// What, in words.
        change: String,
    },
    /// An instance changed its state.
    State {
        /// The instance.
        instance: InstanceId,
        /// The new state.
        state: InstanceState,
    },
}
