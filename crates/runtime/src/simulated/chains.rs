//! Chains of the simulated network.

use std::net::IpAddr;

use async_trait::async_trait;
use llcm_names::{InstallationId, Owner, SegmentId};

use super::faults::Operation;
use super::networks::SimulatedNetwork;
use super::state::{PluggedPort, Refusal, State, held_by, refuse};
use crate::frame_match::{IPV4, IPV6};
use crate::{ChainSpec, Chains, DriverResult, ErrorKind};

#[async_trait]
impl Chains for SimulatedNetwork {
    async fn ensure_chain(&self, spec: &ChainSpec) -> DriverResult<()> {
        let ensure = |state: &mut State| {
            self.check_installation(&spec.owner)?;
            ensure_chain(state, self.installation(), spec)
        };
        self.perform(Operation::EnsureChain, &spec.id.to_string(), ensure).await
    }

    async fn remove_chain(&self, owner: &Owner, chain: SegmentId) -> DriverResult<()> {
        let key = (self.installation().clone(), chain);
        let remove = |state: &mut State| match state.chains.get(&key) {
            Some(known) if known.owner != *owner => refuse(ErrorKind::Conflict, held_by(Some(&known.owner))),
            _ => {
                state.chains.remove(&key);
                Ok(())
            }
        };
        self.perform(Operation::RemoveChain, &chain.to_string(), remove).await
    }
}

fn ensure_chain(state: &mut State, installation: &InstallationId, spec: &ChainSpec) -> Result<(), Refusal> {
    if spec.source.port == spec.destination.port {
        return refuse(ErrorKind::Invalid, "a chain joins two ports");
    }
    for end in [&spec.source, &spec.destination] {
        if !state.has_datacenter(installation, &end.datacenter) {
            return refuse(ErrorKind::NotFound, format!("there is no data center {}", end.datacenter));
        }
        match state.ports.get(&(installation.clone(), end.port)) {
            Some(port) if port.spec.owner != spec.owner => {
                return refuse(ErrorKind::Conflict, held_by(Some(&port.spec.owner)));
            }
            Some(port) if port.spec.datacenter != end.datacenter => {
                let message = format!("port {} is in data center {}", end.port, port.spec.datacenter);
                return refuse(ErrorKind::Invalid, message);
            }
            _ => {}
        }
    }
    let key = (installation.clone(), spec.id);
    if let Some(segment) = state.segments.get(&key) {
        return refuse(
            ErrorKind::Conflict,
            format!("a segment has its id, which {}", held_by(Some(&segment.owner))),
        );
    }
    match state.chains.get(&key) {
        Some(known) if known == spec => Ok(()),
        Some(known) if known.owner == spec.owner => {
            refuse(ErrorKind::Conflict, "exists already and was created with another specification")
        }
        Some(known) => refuse(ErrorKind::Conflict, held_by(Some(&known.owner))),
        None => {
            state.chains.insert(key, spec.clone());
            Ok(())
        }
    }
}

impl State {
    /// Whether a chain takes the echo packets, of these addresses, that a port sends to another, and where they come
    /// out then: at that other port or not; `None`: no chain takes them.
    pub(super) fn chained(
        &self,
        from: &PluggedPort,
        to: &PluggedPort,
        addresses: [IpAddr; 2],
    ) -> Option<bool> {
        let frame = echo(from, to, addresses);
        let ours =
            self.chains.values().filter(|chain| chain.owner.installation == from.spec.owner.installation);
        let ways = ours.flat_map(|chain| chain.ways().into_iter().map(move |way| (chain, way)));
        let takes =
            ways.filter(|(chain, (source, _))| source.port == from.spec.id && chain.matches.admits(&frame));
        let first = takes.min_by_key(|(chain, _)| (std::cmp::Reverse(chain.priority), chain.id));
        first.map(|(_, (_, destination))| destination.port == to.spec.id)
    }
}

/// The beginning of an echo packet: as much as a match looks at.
fn echo(from: &PluggedPort, to: &PluggedPort, [source, target]: [IpAddr; 2]) -> Vec<u8> {
    let mut frame = Vec::from(to.spec.mac.octets());
    frame.extend(from.spec.mac.octets());
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            frame.extend(IPV4.to_be_bytes());
            frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0]);
            frame.extend(source.octets());
            frame.extend(target.octets());
        }
        (source, target) => {
            frame.extend(IPV6.to_be_bytes());
            frame.extend([0x60, 0, 0, 0, 0, 8, 58, 64]);
            for address in [source, target] {
                frame.extend(match address {
                    IpAddr::V6(address) => address.octets(),
                    IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                });
            }
        }
    }
    frame.extend([0; 8]);
    frame
}
