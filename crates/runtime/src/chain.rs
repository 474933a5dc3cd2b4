//! Chains: frames of one port that match go to another port, whatever segments the two are on.

use async_trait::async_trait;
use llcm_names::{DcName, LinkGroup, Owner, PortId, SegmentId};
use serde::{Deserialize, Serialize};

use crate::{DriverResult, FrameMatch, SegmentEnd, SegmentKind, SegmentSpec, TreeRole};

/// A chain, decided down to the last number. `Eq` is the "same spec" of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSpec {
    /// Whose it is, and its ports.
    pub owner: Owner,
    /// Unique in the installation among segments and chains; the VXLAN network identifier where it crosses data
    /// centers.
    pub id: SegmentId,
    /// The kernel group of everything the chain's instance has.
    pub group: LinkGroup,
    /// Where the frames come from.
    pub source: ChainEnd,
    /// Where they go.
    pub destination: ChainEnd,
    /// Whether frames of the destination that match, the same text read again, go to the source.
    pub bidirectional: bool,
    /// Which frames.
    pub matches: FrameMatch,
    /// Of several chains that match a frame the one with the highest priority takes it; among equals the one with
    /// the lowest id.
    pub priority: u16,
}

/// One end of a chain: a port that may not be there yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// The port.
    pub port: PortId,
    /// The data center the port is in.
    pub datacenter: DcName,
}

impl ChainSpec {
    /// The ways that it steers frames: from whom, to whom.
    #[must_use]
    pub fn ways(&self) -> Vec<(&ChainEnd, &ChainEnd)> {
        let back = self.bidirectional.then_some((&self.destination, &self.source));
        std::iter::once((&self.source, &self.destination)).chain(back).collect()
    }

    /// The E-Line that carries its frames where it crosses data centers.
    #[must_use]
    pub fn segment(&self) -> SegmentSpec {
        let end = |end: &ChainEnd| SegmentEnd {
            port: end.port,
            datacenter: end.datacenter.clone(),
            role: TreeRole::Root,
        };
        SegmentSpec {
            owner: self.owner.clone(),
            id: self.id,
            group: self.group,
            kind: SegmentKind::ELine { bidirectional: self.bidirectional },
            ends: vec![end(&self.source), end(&self.destination)],
        }
    }
}

/// Steers frames between ports of an instance: an optional power of network drivers.
///
/// What matches no chain of its port goes where it went before. A frame that matches, and whose chain's other end is
/// not there or is down, is lost: it never takes the way that it was steered away from. A chain takes its id out of
/// the segments', [`list_owned`](crate::NetworkDriver::list_owned) tells it as a segment, and
/// [`remove_segment`](crate::NetworkDriver::remove_segment) and
/// [`remove_instance`](crate::NetworkDriver::remove_instance) remove it as one.
#[async_trait]
pub trait Chains: Send + Sync {
    /// Makes a chain exist; nothing that goes on already is lost meanwhile. Its ports may be attached before or
    /// after, and again.
    ///
    /// # Errors
    /// `Conflict` when the id is another owner's, a segment's, or the spec differs, or when a port is another
    /// owner's; `Invalid` when both ends are one port, or a port is in another data center; `NotFound` when there is
    /// no such data center.
    async fn ensure_chain(&self, spec: &ChainSpec) -> DriverResult<()>;

    /// Removes a chain. What matched goes where it went before.
    ///
    /// # Errors
    /// `Conflict` for another owner's; `Failed`.
    async fn remove_chain(&self, owner: &Owner, chain: SegmentId) -> DriverResult<()>;
}
