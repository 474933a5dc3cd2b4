//! The network driver trait and what it reports.

use async_trait::async_trait;
use ipnetwork::Ipv4Network;
use llcm_names::{DcName, InstallationId, Owner, PortId, SegmentId};
use llcm_topology::Topology;
use serde::{Deserialize, Serialize};

use crate::{
    AttachPoint, Capture, Chains, Counters, DriverError, DriverResult, Management, Needs, PortSpec,
    SegmentSpec,
};

/// Emulates data centers, the links between them, and the segments that join containers. See the crate's
/// page for the rules that all methods follow.
#[async_trait]
pub trait NetworkDriver: Send + Sync {
    /// What this driver needs from container drivers.
    fn needs(&self) -> Needs;

    /// Whether ports of the host ([`PortSpec::host`]) can be made, and which networks the host knows already.
    /// The default: they cannot.
    ///
    /// # Errors
    /// `Failed`.
    async fn host_side(&self) -> DriverResult<HostSide> {
        Ok(HostSide {
            obstacle: Some("this network driver makes no interfaces of the host".to_owned()),
            networks: Vec::new(),
            filters: Vec::new(),
        })
    }

    /// Makes the data centers and links of a topology exist, and forgets those of this installation that it
    /// does not name. Called before anything else, and again whenever the topology changes.
    ///
    /// # Errors
    /// `Denied` without the privileges; `Unsupported` for what this host cannot do at all.
    async fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport>;

    /// Makes a segment exist in all data centers it has ends in. Ports are joined to it by `attach`.
    ///
    /// # Errors
    /// `Conflict` when the id is another owner's or the spec differs.
    async fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()>;

    /// Creates the interface in the container, with name, MAC, addresses and MTU, plugs it into its segments
    /// (known from `ensure_segment`), and sets it up last: an interface that is up is complete. One of the host
    /// is made likewise, with `point` [`AttachPoint::host`].
    ///
    /// # Errors
    /// `NotFound` when the container's namespace is gone or a segment is not known; `Conflict`, also when the
    /// host has an interface of that name; `Unsupported` for an interface of the host where there can be none.
    async fn attach(&self, spec: &PortSpec, point: &AttachPoint) -> DriverResult<PortView>;

    /// Unplugs and removes a port with its interface. Works when the container is gone.
    ///
    /// # Errors
    /// `Failed`.
    async fn detach(&self, owner: &Owner, datacenter: &DcName, port: PortId) -> DriverResult<()>;

    /// Sets the data center's side of a port up or down: a port that is down carries nothing either way, and keeps
    /// everything else. [`NetworkDriver::attach`] sets it up. A port that is not there is down.
    ///
    /// # Errors
    /// `NotFound` when a port that is not there is to be set up; `Conflict` for another owner's.
    async fn set_port(&self, owner: &Owner, datacenter: &DcName, port: PortId, up: bool) -> DriverResult<()>;

    /// Removes a segment everywhere. Its ports stay, unplugged.
    ///
    /// # Errors
    /// `Failed`.
    async fn remove_segment(&self, owner: &Owner, segment: SegmentId) -> DriverResult<()>;

    /// Removes all ports and segments of an instance in as few requests as the driver can: what take-down
    /// uses. Goes on after errors and returns them all. The default removes them one by one.
    async fn remove_instance(&self, owner: &Owner) -> Result<(), Vec<DriverError>> {
        let objects = self.list_owned(&owner.installation).await.map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        for object in objects.iter().filter(|object| object.owner() == owner) {
            if let NetworkObject::Port { owner, datacenter, id } = object
                && let Err(error) = self.detach(owner, datacenter, *id).await
            {
                errors.push(error);
            }
        }
        for object in objects.iter().filter(|object| object.owner() == owner) {
            if let NetworkObject::Segment { owner, id } = object
                && let Err(error) = self.remove_segment(owner, *id).await
            {
                errors.push(error);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// All ports and segments of this installation, chains among the segments, found by their marks, not from
    /// memory.
    ///
    /// # Errors
    /// `Failed`.
    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>>;

    /// The links as they are now.
    ///
    /// # Errors
    /// `Failed`.
    async fn links(&self) -> DriverResult<Vec<LinkView>>;

    /// Removes the data centers and links of this installation and all that is in them.
    ///
    /// # Errors
    /// `Failed`.
    async fn teardown(&self) -> DriverResult<()>;

    /// Naming the engine's own interfaces, where the driver can.
    fn management(&self) -> Option<&dyn Management> {
        None
    }

    /// Steering frames between ports, where the driver can.
    fn chains(&self) -> Option<&dyn Chains> {
        None
    }

    /// Counting what flows, where the driver can.
    fn counters(&self) -> Option<&dyn Counters> {
        None
    }

    /// Looking at frames, where the driver can.
    fn capture(&self) -> Option<&dyn Capture> {
        None
    }
}

/// The host as the other end of emulated segments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSide {
    /// Why the host can have no interface on a segment, if so, in words.
    pub obstacle: Option<String>,
    /// The networks that the host has routes to, but for the default one: addresses that an interface of the
    /// host had better not be given.
    pub networks: Vec<Ipv4Network>,
    /// Packet filters of others that let nothing pass from an interface of the host to elsewhere, in words: with
    /// them, [`HostPort::nat`](crate::HostPort::nat) is of no use.
    pub filters: Vec<String>,
}

/// What `prepare` found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrepareReport {
    /// Link properties that this host cannot emulate. Never silent: callers refuse to go on, or show them.
    pub not_emulated: Vec<NotEmulated>,
}

/// A property of a link that the host cannot emulate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotEmulated {
    /// The link's name in the topology.
    pub link: String,
    /// What is not emulated, in words that name the link.
    pub what: String,
}

impl std::fmt::Display for NotEmulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

/// A network object that carries an owner's mark.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum NetworkObject {
    /// A port.
    Port {
        /// Whose it is.
        owner: Owner,
        /// The data center it is in.
        datacenter: DcName,
        /// Its id.
        id: PortId,
    },
    /// A segment, or a chain.
    Segment {
        /// Whose it is.
        owner: Owner,
        /// Its id.
        id: SegmentId,
    },
}

impl NetworkObject {
    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        match self {
            Self::Port { owner, .. } | Self::Segment { owner, .. } => owner,
        }
    }
}

/// A port as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortView {
    /// Its id.
    pub id: PortId,
    /// The name of the data center's side of the pair on the host, for captures; empty where there is none.
    pub host_device: String,
}

/// A link between data centers as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// Its name in the topology.
    pub name: String,
    /// The two data centers.
    pub ends: [DcName; 2],
    /// Whether it carries traffic.
    pub up: bool,
    /// How its properties are emulated, in words ("tbf", "netem"), per direction.
    pub emulated_by: [String; 2],
}
