//! The native routes' JSON: twins of the life-cycle's values, with points in time as RFC 3339.
//!
//! Each conversion takes its value apart without `..`: a new field of the life-cycle does not compile until it
//! is decided here how it is shown. Clients written in Rust read the same types back.

use std::collections::BTreeMap;

use llcm_descriptors::{Diagnostic, PackageInfo, Triple};
use llcm_lifecycle::Dialect;
use llcm_lifecycle::plan::document::SapDocument;
use llcm_lifecycle::request::{
    ContainerStatus, FunctionView, InstanceState, InstanceView, InterfaceTraffic, LinkStatus,
    ManagementStatus, RequestStatus, RequestType, RequestView, RetryView, ScriptRun, ServiceView,
};
use llcm_names::{
    ContainerName, DcName, EngineName, FunctionId, InstanceId, PackageHash, RequestId, ServiceId, Ssiid,
};
use llcm_runtime::{ContainerState, Counts, LinkCounts};
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

mod chain;

pub use chain::Chain;

/// `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The program's version.
    pub version: String,
    /// The container engine.
    pub engine: String,
    /// The installation's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<String>,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or `closing` once the server was asked to stop.
    pub status: String,
}

/// See [`ServiceView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
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
    pub functions: Vec<Function>,
    /// When it was on-boarded.
    pub created_at: Moment,
    /// Warnings of onboarding.
    pub warnings: Vec<Diagnostic>,
    /// Its live instances, in the order of their SSIIDs.
    pub instances: Vec<InstanceId>,
}

impl From<ServiceView> for Service {
    fn from(view: ServiceView) -> Self {
        let ServiceView { id, dialect, package, sha1, size, nsd, functions, created_at, warnings, instances } =
            view;
        let functions = functions.into_iter().map(Function::from).collect();
        let created_at = created_at.into();
        Self { id, dialect, package, sha1, size, nsd, functions, created_at, warnings, instances }
    }
}

/// See [`FunctionView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    /// Its id.
    pub id: FunctionId,
    /// The VNFD's identity.
    pub vnfd: Triple,
    /// Where the service uses it.
    pub vnf_ids: Vec<String>,
    /// When it was on-boarded.
    pub created_at: Moment,
}

impl From<FunctionView> for Function {
    fn from(view: FunctionView) -> Self {
        let FunctionView { id, vnfd, vnf_ids, created_at } = view;
        Self { id, vnfd, vnf_ids, created_at: created_at.into() }
    }
}

/// See [`InstanceView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
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
    pub created_at: Moment,
    /// Steps done and in all, of what goes on now.
    pub progress: (usize, usize),
    /// The latest step that was begun, in words.
    pub activity: String,
    /// Errors, oldest first; of very many the latest.
    pub errors: Vec<String>,
    /// Why it is degraded now, each in words.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// When taking it down is tried again; only while it is stuck.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Warnings of the plan.
    pub warnings: Vec<Diagnostic>,
    /// Its containers, in starting order.
    pub containers: Vec<Container>,
    /// Its links, in the NSD's order.
    pub links: Vec<LinkStatus>,
    /// Its service access points, in the order of the NSD's connection points.
    #[serde(default)]
    pub saps: Vec<SapDocument>,
    /// How links between data centers that had properties were emulated when it was made, by link and end, in words;
    /// left out where none had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub emulated_by: BTreeMap<String, [String; 2]>,
}

impl From<InstanceView> for Instance {
    fn from(view: InstanceView) -> Self {
        let InstanceView {
            id,
            service_id,
            name,
            ssiid,
            state,
            created_at,
            progress,
            activity,
            errors,
            reasons,
            retry,
            warnings,
            containers,
            links,
            saps,
            emulated_by,
        } = view;
        let containers = containers.into_iter().map(Container::from).collect();
        let (created_at, retry) = (created_at.into(), retry.map(Retry::from));
        Self {
            id,
            service_id,
            name,
            ssiid,
            state,
            created_at,
            progress,
            activity,
            errors,
            reasons,
            retry,
            warnings,
            containers,
            links,
            saps,
            emulated_by,
        }
    }
}

/// See [`RetryView`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// How often it was tried in vain.
    pub tries: u32,
    /// When it is tried again, unless somebody terminates the instance before.
    pub next_at: Moment,
}

impl From<RetryView> for Retry {
    fn from(view: RetryView) -> Self {
        let RetryView { tries, next_at } = view;
        Self { tries, next_at: next_at.into() }
    }
}

/// See [`ContainerStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
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
    /// What the engine says it does; `null` when the engine has no such container.
    pub state: Option<ContainerState>,
    /// Published ports as `host:container/protocol`.
    pub ports: Vec<String>,
    /// Interface name -> addresses (CIDR).
    pub interfaces: BTreeMap<String, Vec<String>>,
    /// The engine's own interface, where it is a connection point of the container; not there otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<ManagementStatus>,
    /// Its start and stop scripts, as far as they ran.
    pub scripts: Vec<Script>,
}

impl From<ContainerStatus> for Container {
    fn from(status: ContainerStatus) -> Self {
        let ContainerStatus {
            name,
            engine_name,
            vnf_id,
            du_id,
            datacenter,
            image,
            state,
            ports,
            interfaces,
            management,
            scripts,
        } = status;
        let scripts = scripts.into_iter().map(Script::from).collect();
        Self {
            name,
            engine_name,
            vnf_id,
            du_id,
            datacenter,
            image,
            state,
            ports,
            interfaces,
            management,
            scripts,
        }
    }
}

/// See [`ScriptRun`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// `start` or `stop`.
    pub phase: String,
    /// The command as given.
    pub command: String,
    /// When it began.
    pub started_at: Moment,
    /// When it ended; `null` while it runs.
    pub ended_at: Option<Moment>,
    /// Its exit code; `null` while it runs, or when it could not be run.
    pub exit_code: Option<i64>,
    /// Its output, both streams, at most the last 64 KiB, invalid UTF-8 replaced.
    pub output: String,
    /// Why it could not be run or was given up.
    pub error: Option<String>,
}

impl From<ScriptRun> for Script {
    fn from(run: ScriptRun) -> Self {
        let ScriptRun { phase, command, started_at, ended_at, exit_code, output, error } = run;
        let (started_at, ended_at) = (started_at.into(), ended_at.map(Moment::from));
        Self { phase, command, started_at, ended_at, exit_code, output, error }
    }
}

/// See [`RequestView`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// What it asked for.
    pub request_type: RequestType,
    /// How it stands.
    pub status: RequestStatus,
    /// When it came.
    pub created_at: Moment,
    /// The instance it is about.
    pub instance_id: InstanceId,
    /// The service it is about.
    pub service_id: ServiceId,
    /// Why it failed.
    pub error: Option<String>,
}

impl From<RequestView> for Request {
    fn from(view: RequestView) -> Self {
        let RequestView { id, request_type, status, created_at, instance_id, service_id, error } = view;
        Self { id, request_type, status, created_at: created_at.into(), instance_id, service_id, error }
    }
}

/// What flowed at an interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InterfaceStats {
    /// Its container's logical name; of one of the host, the access point's.
    pub container: String,
    /// Its function; of one of the host, the connection point's id.
    pub vnf_id: String,
    /// The interface's name in the container, or on the host.
    pub interface: String,
    /// The data center that it is joined to.
    pub datacenter: String,
    /// What was sent by it; `null`: it is not there now.
    pub sent: Option<Counts>,
    /// What was received by it.
    pub received: Option<Counts>,
}

impl From<InterfaceTraffic> for InterfaceStats {
    fn from(traffic: InterfaceTraffic) -> Self {
        let InterfaceTraffic { container, vnf_id, interface, datacenter, sent, received } = traffic;
        let (interface, datacenter) = (interface.to_string(), datacenter.to_string());
        Self { container, vnf_id, interface, datacenter, sent, received }
    }
}

/// What flowed over a link in one direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkStats {
    /// The link's name in the topology.
    pub link: String,
    /// Where it comes from.
    pub from: String,
    /// Where it goes to.
    pub to: String,
    /// What went there.
    #[serde(flatten)]
    pub sent: Counts,
}

impl From<LinkCounts> for LinkStats {
    fn from(LinkCounts { name, from, to, sent }: LinkCounts) -> Self {
        Self { link: name, from: from.to_string(), to: to.to_string(), sent }
    }
}
