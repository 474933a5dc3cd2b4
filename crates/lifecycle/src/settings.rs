//! Everything that can be set, with the originals' behaviour as the default.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use llcm_descriptors::Vnfd;
use llcm_names::ServiceId;
use llcm_netplan::PoolConfig;
use serde::{Deserialize, Serialize};

use crate::deadlines::{Backoff, Deadlines};

mod dialect;

pub use dialect::DialectSettings;

/// Which gatekeeper's conventions a service follows: those of the listener it was uploaded through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// 5GTANGO's LLCM.
    #[default]
    Tango,
    /// SONATA's dummy gatekeeper.
    Sonata,
}

/// What happens when a file's SHA-256 differs from its manifest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    /// The package is refused.
    #[default]
    Enforce,
    /// The package is accepted with a warning.
    Warn,
    /// Nothing is compared.
    Off,
}

/// When a service's links are deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkRule {
    /// When the NSD has a `forwarding_graphs` key (the originals' rule).
    #[default]
    ForwardingGraphs,
    /// Always.
    Declared,
}

/// What an integer `vcpus` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VcpuRule {
    /// The number of a CPU to be pinned to (the originals' reading).
    #[default]
    Pin,
    /// A number of CPUs, as a quota.
    Count,
}

/// How units are placed on data centers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementSettings {
    /// The algorithm's name ("round-robin").
    pub algorithm: String,
    /// Container name -> data center, for algorithm `static`.
    pub fixed: BTreeMap<String, String>,
    /// For algorithms that draw lots.
    pub seed: u64,
}

impl Default for PlacementSettings {
    fn default() -> Self {
        Self { algorithm: "round-robin".to_owned(), fixed: BTreeMap::new(), seed: 0 }
    }
}

/// What packages may ask of the host. What is refused is named together with the setting that would allow it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPolicy {
    /// Capabilities that `cap_add` may name, upper case, without `CAP_`.
    pub capabilities: BTreeSet<String>,
    /// Host paths that `devices` may name.
    pub devices: BTreeSet<PathBuf>,
    /// Values that `ipc_mode` may have.
    pub ipc_modes: BTreeSet<String>,
}

impl Default for HostPolicy {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect();
        Self {
            capabilities: words(&["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_NICE", "IPC_LOCK"]),
            devices: ["/dev/net/tun", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"]
                .into_iter()
                .map(PathBuf::from)
                .collect(),
            ipc_modes: words(&["private", "shareable", "none"]),
        }
    }
}

/// What a service access point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SapKind {
    /// An interface of the host.
    External,
    /// A container.
    Internal,
    /// A container, at a connection point for management.
    Management,
}

impl SapKind {
    /// As descriptors write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Internal => "internal",
            Self::Management => "management",
        }
    }
}

/// Service access points: what a service's own connection points become.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SapSettings {
    /// Whether there are any (the originals' `deploy_sap`). Without them, links end at nothing there.
    pub deploy: bool,
    /// The image of those that are containers; `None`: the descriptor's.
    pub image: Option<String>,
    /// The descriptor of those that are containers, of which the first unit counts; `None`: the built-in one.
    pub vnfd: Option<Vnfd>,
    /// What connection points become whatever their descriptor says, by their ids with or without `ns:`.
    pub kinds: BTreeMap<String, SapKind>,
    /// Whether what comes out of the service at an external one may leave the host, with the host's address.
    pub nat: bool,
}

/// Where subnets come from. `None`: the pool that the dialect has by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PoolSettings {
    /// For E-Lines; `tango`: 20.0.N.0/24, `sonata`: 10.30.N.0/30.
    pub eline: Option<PoolConfig>,
    /// For E-LANs and E-Trees; `tango`: 30.0.N.0/24, `sonata`: 10.20.N.0/24.
    pub elan: Option<PoolConfig>,
    /// For external service access points: 10.10.N.0/30.
    pub sap: Option<PoolConfig>,
}

/// Everything that can be set for the life-cycle. Code that acts for a service asks [`Settings::of`] its dialect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// See [`Integrity`].
    pub integrity: Integrity,
    /// See [`LinkRule`].
    pub links: LinkRule,
    /// See [`VcpuRule`].
    pub vcpus: VcpuRule,
    /// Added to published host ports, times the SSIID.
    pub port_offset: u32,
    /// The host's address that published ports listen on; `None`: all.
    pub publish_address: Option<IpAddr>,
    /// See [`PlacementSettings`].
    pub placement: PlacementSettings,
    /// Where `<container name>.env.yml` files are looked up.
    pub env_dir: Option<PathBuf>,
    /// Where containers of dialect `sonata` leave what they want to keep; `None`: `results` below the data
    /// directory. See [`Settings::results_of`].
    pub results_dir: Option<PathBuf>,
    /// See [`HostPolicy`].
    pub policy: HostPolicy,
    /// Whether Dockerfiles inside packages are built.
    pub build_images: bool,
    /// Whether images are pulled even when present.
    pub force_pull: bool,
    /// Containers of one instance that are started at the same time.
    pub start_concurrency: usize,
    /// How long stop scripts and containers may take before they are killed.
    pub stop_grace: Duration,
    /// MTU of VNF interfaces in bytes.
    pub mtu: u32,
    /// Instances that are made at a time; further ones wait. At least 1.
    pub instantiations: usize,
    /// How many may wait to be made.
    pub instantiation_queue: usize,
    /// How long one may wait to be made.
    pub instantiation_wait: Duration,
    /// How many instances there may be.
    pub max_instances: usize,
    /// Bytes that uploads leave free on the data directory's disk.
    pub min_free_disk: u64,
    /// How much an upload may cost.
    pub limits: llcm_packaging::Limits,
    /// See [`PoolSettings`].
    pub pools: PoolSettings,
    /// See [`SapSettings`].
    pub saps: SapSettings,
    /// Whether to go on where the host cannot emulate links as the topology says. What is left out is then a warning;
    /// otherwise it is an error.
    pub best_effort: bool,
    /// Whether a container that has ended, or was removed by somebody else, is started again.
    pub heal: bool,
    /// How long calls to drivers may take.
    pub deadlines: Deadlines,
    /// How long it is waited before a take-down that did not finish, or a start that failed, is tried again.
    pub retry: Backoff,
    /// How long shutting down waits for what is going on.
    pub drain: Duration,
    /// Whether E-Lines carry frames both ways; `None`: in dialect `tango` they do, in `sonata` they do not.
    pub bidirectional_chain: Option<bool>,
    /// Whether links that join management connection points only are left to the engine: its own interface in each
    /// container takes the connection point's name, and keeps the engine's address.
    pub docker_management: bool,
    /// Whether an uploaded package is instantiated at once.
    pub auto_deploy: bool,
    /// Whether all instances of all services are terminated when a package was uploaded, before it is instantiated.
    pub auto_delete: bool,
    /// What is different for services of dialect `tango`.
    pub tango: DialectSettings,
    /// What is different for services of dialect `sonata`.
    pub sonata: DialectSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            integrity: Integrity::default(),
            links: LinkRule::default(),
            vcpus: VcpuRule::default(),
            port_offset: 1000,
            publish_address: None,
            placement: PlacementSettings::default(),
            env_dir: None,
            results_dir: None,
            policy: HostPolicy::default(),
            build_images: false,
            force_pull: false,
            start_concurrency: 8,
            stop_grace: Duration::from_secs(5),
            mtu: 1500,
            instantiations: 16,
            instantiation_queue: 256,
            instantiation_wait: Duration::from_secs(30),
            max_instances: 1000,
            min_free_disk: 256 * 1024 * 1024,
            limits: llcm_packaging::Limits::default(),
            pools: PoolSettings::default(),
            saps: SapSettings::default(),
            best_effort: false,
            heal: false,
            deadlines: Deadlines::default(),
            retry: Backoff::default(),
            drain: Duration::from_secs(60),
            bidirectional_chain: None,
            docker_management: false,
            auto_deploy: false,
            auto_delete: false,
            tango: DialectSettings::default(),
            sonata: DialectSettings::default(),
        }
    }
}

impl Settings {
    /// A service's directory for results, absolute where the working directory can be told. Below it there is
    /// one directory per function, which all instances of the service share; it outlives them and the service,
    /// because what is in it belongs to the user.
    #[must_use]
    pub fn results_of(&self, data_dir: &Path, service: ServiceId) -> PathBuf {
        let base = self.results_dir.clone().unwrap_or_else(|| data_dir.join("results"));
        std::path::absolute(&base).unwrap_or(base).join(service.to_string())
    }
}
