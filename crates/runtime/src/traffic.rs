//! Seeing what flows: counters of ports and links, and frames as they pass. Both are optional powers of network
//! drivers.

use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{DcName, Owner, PortId};
use serde::{Deserialize, Serialize};

use crate::DriverResult;

/// What went one way since the port or link was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Frames; one that the kernel holds together with others (GSO) counts as one.
    pub packets: u64,
    /// Bytes, Ethernet headers included.
    pub bytes: u64,
    /// Frames that were thrown away instead of sent on: by a full queue, or because nobody took them.
    pub dropped: u64,
}

/// The counters of a port, as its container sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortCounts {
    /// The port.
    pub port: PortId,
    /// What the container sent.
    pub sent: Counts,
    /// What it received.
    pub received: Counts,
}

/// The counters of one direction of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCounts {
    /// The link's name in the topology.
    pub name: String,
    /// Where it comes from.
    pub from: DcName,
    /// Where it goes to.
    pub to: DcName,
    /// What went there, with what tunnels add to the frames of VNFs.
    pub sent: Counts,
}

/// Counts what flows.
#[async_trait]
pub trait Counters: Send + Sync {
    /// The counters of all ports of an instance, by port.
    ///
    /// # Errors
    /// `Failed`.
    async fn ports(&self, owner: &Owner) -> DriverResult<Vec<PortCounts>>;

    /// The counters of all links, both directions, by name.
    ///
    /// # Errors
    /// `Failed`.
    async fn links(&self) -> DriverResult<Vec<LinkCounts>>;
}

/// Where frames are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapturePoint {
    /// A port: what its container sends and receives.
    Port {
        /// Whose it is.
        owner: Owner,
        /// The data center it is in.
        datacenter: DcName,
        /// Its id.
        port: PortId,
    },
    /// One end of a link: what leaves and enters the data center by it, as it is on the link, tunnels' headers included.
    Link {
        /// The link's name in the topology.
        name: String,
        /// The data center at that end.
        end: DcName,
    },
}

/// What is captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureSpec {
    /// Where.
    pub point: CapturePoint,
    /// Bytes of each frame that are wanted.
    pub snap_length: u32,
    /// How long, by the frames' time stamps; `None`: until the sink has enough or the point is gone.
    pub duration: Option<Duration>,
}

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The port's container sent it; on a link, it left the data center.
    Sent,
    /// The port's container is to receive it; on a link, it entered the data center.
    Received,
}

/// A frame that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// When, since the beginning of 1970.
    pub at: Duration,
    /// Which way.
    pub direction: Direction,
    /// How long it was; more than 1518 bytes where the kernel holds several together (GSO), which a wire would carry
    /// one by one.
    pub length: u32,
    /// Its beginning, from the Ethernet header on, VLAN tags included.
    pub bytes: Vec<u8>,
    /// How many frames of this capture were dropped before it, because they came faster than they were taken.
    pub dropped: u64,
}

/// Takes frames as they pass.
#[async_trait]
pub trait FrameSink: Send {
    /// Frames are looked at from now on. `false`: enough.
    async fn began(&mut self) -> bool;

    /// One frame. `false`: enough.
    async fn frame(&mut self, frame: Frame) -> bool;
}

/// How a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureEnd {
    /// Frames that passed and are not among those handed out, because they came faster than they were taken.
    pub dropped: u64,
    /// Whether it ended because the port or link has gone, before it was enough and before the time was over.
    pub gone: bool,
}

/// Looks at frames. Dropping the future ends the capture.
#[async_trait]
pub trait Capture: Send + Sync {
    /// Hands out frames in the order in which they passed until it is enough, the time is over, or the port or link is
    /// gone. What is not taken soon enough is dropped and counted: traffic never waits for whoever looks at it. What
    /// passed in time is handed out also when that takes longer.
    ///
    /// # Errors
    /// `NotFound` when there is no such port or link end, `Conflict` for another owner's.
    async fn capture(&self, spec: &CaptureSpec, sink: &mut dyn FrameSink) -> DriverResult<CaptureEnd>;
}
