//! What flows in the world: the echo requests and answers of [`World::ping`], nothing else.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{InstallationId, MacAddr, Owner, PortId};
use tokio::sync::broadcast::error::RecvError;

use super::faults::Operation;
use super::networks::SimulatedNetwork;
use super::state::{State, held_by, refuse};
use super::world::World;
use crate::{
    Capture, CaptureEnd, CapturePoint, CaptureSpec, Counters, Counts, Direction, DriverResult, ErrorKind,
    Frame, FrameSink, LinkCounts, PortCounts,
};

/// A frame at a port.
#[derive(Debug, Clone)]
pub(super) struct Passed {
    installation: InstallationId,
    port: PortId,
    frame: Frame,
}

/// When a world begins, by the time stamps of its frames: the world has no calendar.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);

/// Frames that may wait for a slow reader before it misses some.
pub(super) const WAITING: usize = 256;

/// One of two ports, with the address that it has towards the other.
pub(super) struct Party {
    pub(super) key: (InstallationId, PortId),
    pub(super) mac: MacAddr,
    pub(super) address: IpAddr,
}

impl World {
    /// Counts an echo request and its answer at both ports, and shows them to whoever looks.
    pub(super) fn echo(&self, state: &mut State, from: &Party, to: &Party) {
        for (from, to, kind) in [(from, to, 8), (to, from, 0)] {
            let bytes = echo_frame(from, to, kind);
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let at = BEGINNING + self.time();
            for (party, direction) in [(from, Direction::Sent), (to, Direction::Received)] {
                let Some(port) = state.ports.get_mut(&party.key) else { continue };
                let counts = if direction == Direction::Sent { &mut port.sent } else { &mut port.received };
                counts.packets += 1;
                counts.bytes += u64::from(length);
                let (installation, port) = party.key.clone();
                let frame = Frame { at, direction, length, bytes: bytes.clone() };
                // Nobody may be looking.
                let _ = self.frames.send(Passed { installation, port, frame });
            }
        }
    }
}

/// An echo request (8) or answer (0) with 56 bytes, as `ping` sends them. Between addresses that are not IPv4 it has
/// an Ethernet header only.
fn echo_frame(from: &Party, to: &Party, kind: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(98);
    bytes.extend(to.mac.octets());
    bytes.extend(from.mac.octets());
    let (IpAddr::V4(source), IpAddr::V4(target)) = (from.address, to.address) else {
        bytes.extend([0x86, 0xdd]);
        return bytes;
    };
    bytes.extend([0x08, 0x00]);
    let mut ip = vec![0x45, 0, 0, 84, 0, 0, 0x40, 0, 64, 1, 0, 0];
    ip.extend(source.octets());
    ip.extend(target.octets());
    let sum = checksum(&ip).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    let mut icmp = vec![kind, 0, 0, 0, 0, 1, 0, 1];
    icmp.extend(0..56_u8);
    let sum = checksum(&icmp).to_be_bytes();
    icmp[2..4].copy_from_slice(&sum);
    bytes.extend(ip);
    bytes.extend(icmp);
    bytes
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[async_trait]
impl Counters for SimulatedNetwork {
    async fn ports(&self, owner: &Owner) -> DriverResult<Vec<PortCounts>> {
        let count = |state: &mut State| {
            let ports = state.ports.values().filter(|port| port.spec.owner == *owner);
            let counts =
                ports.map(|port| PortCounts { port: port.spec.id, sent: port.sent, received: port.received });
            Ok(counts.collect())
        };
        self.perform(Operation::Counters, &owner.instance.to_string(), count).await
    }

    /// Nothing flows over links: what is simulated goes from port to port.
    async fn links(&self) -> DriverResult<Vec<LinkCounts>> {
        let count = |state: &mut State| {
            let links = state.topologies.get(self.installation()).map_or(&[][..], |topology| &topology.links);
            let both = links.iter().flat_map(|link| {
                [(&link.a, &link.b), (&link.b, &link.a)].map(|(from, to)| LinkCounts {
                    name: link.name.clone(),
                    from: from.dc.clone(),
                    to: to.dc.clone(),
                    sent: Counts::default(),
                })
            });
            Ok(both.collect())
        };
        self.perform(Operation::Counters, "links", count).await
    }
}

#[async_trait]
impl Capture for SimulatedNetwork {
    async fn capture(&self, spec: &CaptureSpec, sink: &mut dyn FrameSink) -> DriverResult<CaptureEnd> {
        let mut passing = self.world().frames.subscribe();
        let target = match &spec.point {
            CapturePoint::Port { port, .. } => port.to_string(),
            CapturePoint::Link { name, .. } => name.clone(),
        };
        let find = |state: &mut State| match &spec.point {
            CapturePoint::Port { owner, datacenter, port } => {
                match state.ports.get(&(self.installation().clone(), *port)) {
                    Some(known) if known.spec.owner != *owner => {
                        refuse(ErrorKind::Conflict, held_by(Some(&known.spec.owner)))
                    }
                    Some(known) if known.spec.datacenter == *datacenter => Ok(Some(*port)),
                    _ => refuse(ErrorKind::NotFound, "there is no such port"),
                }
            }
            CapturePoint::Link { name, end } => {
                let topology = state.topologies.get(self.installation());
                let links = topology.map_or(&[][..], |topology| &topology.links);
                let found = links.iter().any(|l| l.name == *name && (l.a.dc == *end || l.b.dc == *end));
                if found { Ok(None) } else { refuse(ErrorKind::NotFound, "there is no such link end") }
            }
        };
        let wanted = self.perform(Operation::Capture, &target, find).await?;
        let mut dropped = 0;
        let looking = async {
            if !sink.began().await {
                return;
            }
            loop {
                match passing.recv().await {
                    Ok(Passed { installation, port, mut frame }) => {
                        if installation == *self.installation() && Some(port) == wanted {
                            frame.bytes.truncate(usize::try_from(spec.snap_length).unwrap_or(usize::MAX));
                            if !sink.frame(frame).await {
                                return;
                            }
                        }
                    }
                    Err(RecvError::Lagged(missed)) => dropped += missed,
                    Err(RecvError::Closed) => return,
                }
            }
        };
        match spec.duration {
            // Its end is an end like others.
            Some(limit) => drop(tokio::time::timeout(limit, looking).await),
            None => looking.await,
        }
        Ok(CaptureEnd { dropped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_rfc() {
        // The example of RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }
}
