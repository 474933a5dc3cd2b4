//! One suite of tests for every driver: the contract of the crate's page, rule by rule.
//!
//! A driver's tests implement [`Factory`] (how to make the drivers, what the host has) and [`Probe`] (how to
//! look at the effects by other means than the driver's), call [`run_all`], print the [`Report`] and fail
//! unless [`Report::verdict`] is `Ok`:
//!
//! ```
//! use llcm_runtime::contract;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let report = contract::run_all(&contract::SimulatedFactory::default()).await;
//! println!("{report}");
//! // Cases that the probe cannot see must be named: a rule is never skipped unnoticed.
//! report.verdict(&[]).unwrap();
//! # }
//! ```
//!
//! Each case gets an installation of its own, removes what it made, and fails when anything is left. A case
//! that hangs fails after [`CASE_TIMEOUT`].

mod bed;
mod cases;
mod chains;
mod commands;
mod containers;
mod gate;
mod networks;
mod report;
mod segments;
mod simulated;
#[cfg(test)]
mod tests;
mod traffic;
mod watch;
mod world;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnetwork::IpNetwork;
use llcm_names::{DcName, EngineName, IfName, InstallationId, MacAddr, Port};
use llcm_topology::{DataCenter, Link, LinkEnd, LinkProperties, Topology};

pub use cases::{CASE_TIMEOUT, case_names, run_all, run_at_once, run_matching};
pub use report::{CaseResult, Outcome, Report};
pub use simulated::SimulatedFactory;

use crate::{ContainerDriver, CpuLimit, NetworkDriver};

/// Makes the drivers that are to be tested, and says what their host has.
#[async_trait]
pub trait Factory: Send + Sync {
    /// Drivers for an installation on the same host as all earlier ones. Called with a fresh id for each
    /// case, and in some cases again with the same id: then the program has been restarted. The suite drops
    /// the earlier drivers first.
    ///
    /// # Errors
    /// What is missing on the host, in words; the case fails with it.
    async fn drivers(&self, installation: &InstallationId) -> Result<Drivers, String>;

    /// What the host has.
    fn host(&self) -> &Host;

    /// How effects are looked at.
    fn probe(&self) -> &dyn Probe;

    /// Cases that make no sense for these drivers, with the reason. They are reported as not seen, and so
    /// must be named again in [`Report::verdict`].
    fn excluded(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

/// The drivers under test.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds trait objects")]
pub struct Drivers {
    /// The container driver; where only a network driver is tested, any that makes network namespaces.
    pub containers: Arc<dyn ContainerDriver>,
    /// The network driver; without one, only the cases on containers run.
    pub network: Option<Arc<dyn NetworkDriver>>,
}

/// What the host has for the cases.
#[derive(Debug, Clone)]
pub struct Host {
    /// An image that is there or can be fetched, whose own process goes on until it is stopped, and that has
    /// `sh` when the container driver can run commands.
    pub image: String,
    /// A reference that no one has.
    pub missing_image: String,
    /// A line that the image's own process writes when it starts; `None`: the cases on output are not seen.
    pub first_line: Option<String>,
    /// At least two data centers, connected; [`line_of_three`] is a good one.
    pub topology: Topology,
    /// Two TCP ports that nobody listens on.
    pub free_ports: [Port; 2],
    /// Limits that can be set here and that [`Probe::limits`] shall see.
    pub cpu: CpuLimit,
}

impl Host {
    /// A host with the image, three data centers in a line, two high ports of which the kernel gives none to those who
    /// connect, and half a CPU to give.
    #[must_use]
    pub fn with_image(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            missing_image: "llcm-contract-no-such-image:none".to_owned(),
            first_line: None,
            topology: line_of_three(),
            free_ports: [port(21_080), port(21_081)],
            cpu: CpuLimit { period_us: Some(100_000), quota_us: Some(50_000), cpuset: Some("0".to_owned()) },
        }
    }
}

/// An interface as a probe sees it in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenInterface {
    /// Its name.
    pub name: IfName,
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its addresses without link-local ones, in any order.
    pub addresses: Vec<IpNetwork>,
    /// Whether it is administratively up.
    pub up: bool,
}

/// Limits as a probe sees them on a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLimits {
    /// CPU limits.
    pub cpu: CpuLimit,
    /// Memory limit in bytes.
    pub memory_bytes: Option<u64>,
}

/// Looks at effects by other means than the driver under test: a second tool, the kernel's files, packets.
/// Each method answers `None` when it cannot see; the cases that need it are then reported as not seen.
/// A probe that meets an error it does not expect should panic with it.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Whether an echo request from one container to an address is answered within a second.
    async fn ping(&self, _from: &EngineName, _to: IpAddr) -> Option<bool> {
        None
    }

    /// The interfaces in a running container, without loopback and the engine's own.
    async fn interfaces(&self, _container: &EngineName) -> Option<Vec<SeenInterface>> {
        None
    }

    /// The environment of a running container's own process; more variables than the spec's do not matter.
    async fn environment(&self, _container: &EngineName) -> Option<BTreeMap<String, String>> {
        None
    }

    /// The limits set on a running container.
    async fn limits(&self, _container: &EngineName) -> Option<SeenLimits> {
        None
    }

    /// Makes a running container accept TCP connections on a port, until it is stopped.
    async fn listen(&self, _container: &EngineName, _port: Port) -> Option<()> {
        None
    }

    /// Whether a TCP connection to this port of the host is accepted by what listens in a container (not
    /// merely by a proxy in front of it), within a second.
    async fn connects(&self, _host_port: Port) -> Option<bool> {
        None
    }

    /// Starts a container of that name that carries no mark, as another user of the engine would.
    async fn make_foreign(&self, _name: &EngineName) -> Option<()> {
        None
    }

    /// Whether a container that `make_foreign` made still runs; and removes it.
    async fn remove_foreign(&self, _name: &EngineName) -> Option<bool> {
        None
    }

    /// Kills the first process of a running container, as somebody else would.
    async fn kill(&self, _container: &EngineName) -> Option<()> {
        None
    }

    /// Restarts a container, as another user of the engine would.
    async fn restart(&self, _container: &EngineName) -> Option<()> {
        None
    }

    /// Freezes the processes of a running container, or lets them go on, as another user of the engine would.
    async fn pause(&self, _container: &EngineName, _paused: bool) -> Option<()> {
        None
    }

    /// Removes a running container, as another user of the engine would.
    async fn remove(&self, _container: &EngineName) -> Option<()> {
        None
    }

    /// Everything on the host that carries the installation's mark or name, in words: containers, network
    /// namespaces, devices, helper files.
    async fn leftovers(&self, _installation: &InstallationId) -> Option<Vec<String>> {
        None
    }
}

/// Three data centers dc1, dc2 and dc3, with links dc1-dc2 and dc2-dc3.
#[must_use]
pub fn line_of_three() -> Topology {
    let datacenter = |name: &str| DataCenter {
        name: dc(name),
        metadata: BTreeMap::new(),
        capacity: llcm_topology::Capacity::default(),
        engine: None,
    };
    let end = |name: &str| LinkEnd { dc: dc(name), egress: LinkProperties::default() };
    let link = |a: &str, b: &str| Link { name: format!("{a}-{b}"), a: end(a), b: end(b), up: true };
    Topology {
        datacenters: ["dc1", "dc2", "dc3"].map(datacenter).to_vec(),
        links: vec![link("dc1", "dc2"), link("dc2", "dc3")],
    }
}

fn dc(name: &str) -> DcName {
    DcName::parse(name).expect("the suite's data centers have valid names")
}

fn port(number: u64) -> Port {
    Port::try_from(number).expect("the suite's ports are between 1 and 65535")
}

/// How long a case may take before it counts as hung.
const fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
