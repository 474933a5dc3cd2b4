//! The server's answers, as far as people are shown them. Keys that are not known are left alone, so that an
//! older client works with a newer server.

use std::collections::BTreeMap;

use llcm_descriptors::{Diagnostic, PackageInfo, Triple};
use serde::Deserialize;

/// An uploaded service.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Service {
    pub(crate) id: String,
    pub(crate) package: PackageInfo,
    pub(crate) size: u64,
    pub(crate) nsd: Triple,
    pub(crate) created_at: String,
    #[serde(default)]
    pub(crate) functions: Vec<Function>,
    #[serde(default)]
    pub(crate) warnings: Vec<Diagnostic>,
    #[serde(default)]
    pub(crate) instances: Vec<String>,
}

/// A function of an uploaded service.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Function {
    #[serde(default)]
    pub(crate) vnf_ids: Vec<String>,
}

/// A request to change a service's life-cycle.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) instance_id: String,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// A network service instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) created_at: String,
    #[serde(default)]
    pub(crate) progress: (u64, u64),
    #[serde(default)]
    pub(crate) activity: String,
    #[serde(default)]
    pub(crate) errors: Vec<String>,
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
    #[serde(default)]
    pub(crate) retry: Option<Retry>,
    #[serde(default)]
    pub(crate) warnings: Vec<Diagnostic>,
    #[serde(default)]
    pub(crate) containers: Vec<Container>,
    #[serde(default)]
    pub(crate) links: Vec<Link>,
    #[serde(default)]
    pub(crate) saps: Vec<Sap>,
}

/// When taking down a stuck instance is tried again.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Retry {
    pub(crate) tries: u64,
    pub(crate) next_at: String,
}

/// A container of an instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) engine_name: String,
    pub(crate) vnf_id: String,
    pub(crate) datacenter: String,
    pub(crate) image: String,
    #[serde(default)]
    pub(crate) state: Option<ContainerState>,
    #[serde(default)]
    pub(crate) ports: Vec<String>,
    #[serde(default)]
    pub(crate) interfaces: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub(crate) management: Option<Management>,
    #[serde(default)]
    pub(crate) scripts: Vec<Script>,
}

/// The engine's own interface, where it is one of the container's connection points.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Management {
    pub(crate) interface: String,
    #[serde(default)]
    pub(crate) address: Option<String>,
}

/// What the engine says of a container.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ContainerState {
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) code: Option<i64>,
}

/// A run of a start or stop script.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Script {
    pub(crate) phase: String,
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) ended_at: Option<String>,
    #[serde(default)]
    pub(crate) exit_code: Option<i64>,
    #[serde(default)]
    pub(crate) output: String,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// A link of an instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Link {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) subnet: String,
    #[serde(default)]
    pub(crate) ends: Vec<String>,
}

/// A service access point of an instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sap {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) datacenter: String,
    #[serde(default)]
    pub(crate) address: Option<String>,
    #[serde(default)]
    pub(crate) container: Option<String>,
    #[serde(default)]
    pub(crate) interface: Option<String>,
    #[serde(default)]
    pub(crate) nat: bool,
}

/// A chain of an instance.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Chain {
    pub(crate) id: u32,
    pub(crate) source: String,
    pub(crate) destination: String,
    #[serde(default)]
    pub(crate) bidirectional: bool,
    #[serde(default, rename = "match")]
    pub(crate) matches: String,
    pub(crate) priority: u16,
    pub(crate) cookie: u64,
}

/// Something that happened.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub(crate) enum Event {
    /// An image moves on.
    Image { progress: ImageProgress },
    /// A step of an instance began or ended.
    Step { instance: String, step: String, progress: (u64, u64) },
    /// Anything else.
    #[serde(other)]
    Other,
}

/// How far an image is.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ImageProgress {
    pub(crate) subject: String,
    pub(crate) status: String,
}
