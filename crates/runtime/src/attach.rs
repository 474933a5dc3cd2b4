//! How a network driver reaches a container.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A container engine ("docker", "sim"): containers and networks of the same engine belong together. The name is
/// written down with what was made in the engine, so it is the same at every start of a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EngineId(pub String);

impl EngineId {
    /// The engine of the given name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl std::fmt::Display for EngineId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a network driver reaches one started container. Valid until the container stops.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachPoint {
    /// The container's network namespace (`/proc/<pid>/ns/net`, `/run/netns/<name>`), on engines of this host.
    pub netns: Option<PathBuf>,
    /// The container in its engine: the engine and the container's name there.
    pub engine: Option<(EngineId, String)>,
    /// A word of the engine's that no other run of the container has: what was plugged into another run is gone. `None`
    /// before the start.
    #[serde(default)]
    pub run: Option<String>,
}

impl AttachPoint {
    /// That of a port of the host ([`crate::PortSpec::host`]): there is no container.
    #[must_use]
    pub const fn host() -> Self {
        Self { netns: None, engine: None, run: None }
    }
}

/// What a container driver offers to network drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// Containers have a network namespace on this host.
    pub netns: bool,
    /// Whether the namespace exists from `create` on (else from `start` on).
    pub netns_before_start: bool,
    /// Whether the engine puts an interface of its own into each container, on a network of its own over which the
    /// containers reach one another: the management interface.
    pub management: bool,
    /// The engine, for network drivers of the same engine.
    pub engine: EngineId,
}

/// What a network driver needs from container drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needs {
    /// A network namespace on this host.
    NetNs,
    /// Containers of this engine.
    Engine(EngineId),
    /// Containers of any of these engines.
    AnyOf(BTreeSet<EngineId>),
}
