//! What flows in the world: the echo requests and answers of [`World::ping`], nothing else.

use std::net::IpAddr;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{InstallationId, MacAddr, Owner, PortId};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::faults::Operation;
use super::networks::SimulatedNetwork;
use super::state::{Refusal, State, held_by, refuse};
use super::world::World;
use crate::{
    Capture, CaptureEnd, CapturePoint, CaptureSpec, Counters, Counts, Direction, DriverResult, ErrorKind,
    Frame, FrameSink, LinkCounts, PortCounts,
};

/// Somebody who looks at the frames of a port.
#[derive(Debug)]
pub(super) struct Looker {
    port: (InstallationId, PortId),
    /// Frames with the moment when they passed.
    frames: mpsc::Sender<(Instant, Frame)>,
    dropped: watch::Sender<u64>,
}

impl Looker {
    /// Shows a frame, without waiting for whoever looks. `false`: nobody does any more.
    fn show(&self, frame: &Frame) -> bool {
        let frame = Frame { dropped: *self.dropped.borrow(), ..frame.clone() };
        match self.frames.try_send((Instant::now(), frame)) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.dropped.send_modify(|count| *count += 1);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

/// When a world begins, by the time stamps of its frames: the world has no calendar.
const BEGINNING: Duration = Duration::from_secs(1_700_000_000);

/// Frames that may wait for a slow reader before it misses some.
const WAITING: usize = 256;

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
                let frame = Frame { at, direction, length, bytes: bytes.clone(), dropped: 0 };
                self.lookers().retain(|looker| looker.port != party.key || looker.show(&frame));
            }
        }
    }

    fn lookers(&self) -> MutexGuard<'_, Vec<Looker>> {
        self.lookers.lock().unwrap_or_else(PoisonError::into_inner)
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

impl SimulatedNetwork {
    /// The port that a point is; `None`: it is the end of a link.
    fn point(&self, state: &State, point: &CapturePoint) -> Result<Option<PortId>, Refusal> {
        match point {
            CapturePoint::Port { owner, datacenter, port } => {
                match state.ports.get(&(self.installation().clone(), *port)) {
                    Some(known) if known.spec.owner != *owner => {
                        refuse(ErrorKind::Conflict, held_by(Some(&known.spec.owner)))
                    }
                    // With its container the data center's side goes, too.
                    Some(known) if known.spec.datacenter == *datacenter && state.is_alive(known) => {
                        Ok(Some(*port))
                    }
                    _ => refuse(ErrorKind::NotFound, "there is no such port"),
                }
            }
            CapturePoint::Link { name, end } => {
                let topology = state.topologies.get(self.installation());
                let links = topology.map_or(&[][..], |topology| &topology.links);
                let found = links.iter().any(|l| l.name == *name && (l.a.dc == *end || l.b.dc == *end));
                if found { Ok(None) } else { refuse(ErrorKind::NotFound, "there is no such link end") }
            }
        }
    }
}

#[async_trait]
impl Capture for SimulatedNetwork {
    async fn capture(&self, spec: &CaptureSpec, sink: &mut dyn FrameSink) -> DriverResult<CaptureEnd> {
        let target = match &spec.point {
            CapturePoint::Port { port, .. } => port.to_string(),
            CapturePoint::Link { name, .. } => name.clone(),
        };
        let (frames, mut passing) = mpsc::channel(WAITING);
        let dropped = watch::Sender::new(0);
        let begin = |state: &mut State| {
            if let Some(port) = self.point(state, &spec.point)? {
                let (port, frames) = ((self.installation().clone(), port), frames.clone());
                self.world().lookers().push(Looker { port, frames, dropped: dropped.clone() });
            }
            Ok(())
        };
        self.perform(Operation::Capture, &target, begin).await?;
        let mut changes = self.world().watch();
        // One that is further away than time goes never comes.
        let until = spec.duration.and_then(|limit| Instant::now().checked_add(limit));
        let mut gone = false;
        let mut more = sink.began().await;
        while more {
            let there = self.point(&self.world().lock(), &spec.point).is_ok();
            // What has passed comes before the end.
            let passed = tokio::select! {
                biased;
                passed = passing.recv() => passed,
                () = over(until) => None,
                _ = changes.changed(), if there => continue,
                () = std::future::ready(()), if !there => {
                    gone = true;
                    None
                }
            };
            more = match passed {
                Some((at, _)) if until.is_some_and(|until| at > until) => false,
                Some((_, mut frame)) => {
                    frame.bytes.truncate(usize::try_from(spec.snap_length).unwrap_or(usize::MAX));
                    sink.frame(frame).await
                }
                None => false,
            };
        }
        Ok(CaptureEnd { dropped: *dropped.borrow(), gone })
    }
}

async fn over(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_counted_and_told_with_the_next_frame() {
        let (frames, mut passing) = mpsc::channel(2);
        let dropped = watch::Sender::new(0);
        let port = (InstallationId::from_bits(1), PortId::new(1));
        let looker = Looker { port, frames, dropped: dropped.clone() };
        let (at, direction, length, bytes) = (Duration::ZERO, Direction::Sent, 1, vec![1]);
        let frame = Frame { at, direction, length, bytes, dropped: 0 };
        for _ in 0..5 {
            assert!(looker.show(&frame));
        }
        let mut told = || passing.try_recv().map(|(_, frame)| frame.dropped).ok();
        assert_eq!([told(), told(), told()], [Some(0), Some(0), None]);
        assert!(looker.show(&frame));
        assert_eq!((told(), *dropped.borrow()), (Some(3), 3));
        drop(passing);
        assert!(!looker.show(&frame));
    }

    #[test]
    fn checksums_are_those_of_the_rfc() {
        // The example of RFC 1071, section 3.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }
}
