//! Which frames go where in a data center: decided from specs alone, no kernel asked.
//!
//! A port on one E-LAN or E-Tree is a port of the segment's bridge and needs no filters. All else is
//! patches: a port's frames go to the far end of its E-Line (and an E-LAN of two ends is one), and a port on several segments sends each frame
//! to the segment its receiver is on, and what has no known receiver to all of them.
//!
//! Chains stand before all that: a port's frames that match one of its chains go to that chain's other end.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::{DcName, PortId, SegmentId};
use llcm_netlink::tc::{Hook, Match};
use llcm_runtime::{ChainSpec, PortSpec, SegmentEnd, SegmentKind, SegmentSpec, TreeRole};

use crate::keys;
use crate::names::{branch, branch_bridge_side, leaf_vxlan, port_device, sink, vxlan};

/// Segments, chains and attached ports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    /// All segments.
    pub(crate) segments: &'a BTreeMap<SegmentId, SegmentSpec>,
    /// All chains.
    pub(crate) chains: &'a BTreeMap<SegmentId, ChainSpec>,
    /// All ports that are attached.
    pub(crate) ports: &'a BTreeMap<PortId, PortSpec>,
}

/// One rule for the frames of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Which frames.
    pub(crate) matches: Match,
    /// The device that they leave by.
    pub(crate) target: String,
    /// Whether the rules behind see the frames, too.
    pub(crate) copy: bool,
    /// Whether the frames are lost when there is no such device; else the rule is left out then.
    pub(crate) or_lose: bool,
}

/// All rules of one device at one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    /// The data center.
    pub(crate) datacenter: DcName,
    /// The device.
    pub(crate) device: String,
    /// The hook.
    pub(crate) hook: Hook,
    /// The rules of its chains, in order; they come first.
    pub(crate) chains: Vec<Rule>,
    /// The other rules, in order.
    pub(crate) rules: Vec<Rule>,
}

/// Whether a segment is made of bridges. An E-LAN of two ends is not: a patch between them carries the same
/// frames, and is made and removed many times faster.
pub(crate) fn is_bridged(segment: &SegmentSpec) -> bool {
    match segment.kind {
        SegmentKind::ELine { .. } => false,
        SegmentKind::ELan => segment.ends.len() > 2,
        SegmentKind::ETree => true,
    }
}

/// Whether frames go from the second end of a patched segment to the first.
fn goes_back(segment: &SegmentSpec) -> bool {
    !matches!(segment.kind, SegmentKind::ELine { bidirectional: false })
}

/// The data centers a segment has ends in, sorted.
pub(crate) fn sites(segment: &SegmentSpec) -> Vec<&DcName> {
    let mut sites: Vec<&DcName> = segment.ends.iter().map(|end| &end.datacenter).collect();
    sites.sort();
    sites.dedup();
    sites
}

/// Whether a segment has ends in more than one data center.
pub(crate) fn is_remote(segment: &SegmentSpec) -> bool {
    segment.ends.iter().any(|end| end.datacenter != segment.ends[0].datacenter)
}

/// Whether a segment keeps ends from one another.
pub(crate) fn has_leaves(segment: &SegmentSpec) -> bool {
    segment.kind == SegmentKind::ETree && segment.ends.iter().any(|end| end.role == TreeRole::Leaf)
}

/// Whether the end of a segment may reach roots only.
pub(crate) fn is_leaf(segment: &SegmentSpec, port: PortId) -> bool {
    segment.kind == SegmentKind::ETree
        && segment.ends.iter().any(|end| end.port == port && end.role == TreeRole::Leaf)
}

/// How a port is on a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Joint {
    /// By the device of this name, which is a port of the segment's bridge.
    Bridge(String),
    /// By a pair of this near and this bridge side: the port is on further segments.
    Branch(String, String),
    /// By patches.
    Patch,
}

/// How a port is on the segment at a position of its list.
pub(crate) fn joint(port: &PortSpec, index: usize, segment: &SegmentSpec) -> Joint {
    match (is_bridged(segment), port.segments.len()) {
        (false, _) => Joint::Patch,
        (true, 1) => Joint::Bridge(port_device(port.id)),
        (true, _) => Joint::Branch(branch(port.id, index), branch_bridge_side(port.id, index)),
    }
}

impl<'v> View<'v> {
    /// The rules of all devices that a port's frames enter by.
    pub(crate) fn port_wires(self, port: &PortSpec) -> Vec<Wire> {
        let mut wires = Vec::new();
        let mut bridged = false;
        for (index, segment) in self.segments_of(port) {
            match joint(port, index, segment) {
                Joint::Bridge(_) => bridged = true,
                Joint::Branch(near, _) => {
                    let rules = vec![redirect(Match::All, port_device(port.id))];
                    wires.push(wire(&port.datacenter, near, Hook::Ingress, rules));
                }
                Joint::Patch => {}
            }
        }
        let patched = !bridged && !port.segments.is_empty();
        let chains = self.chained(port);
        if patched || !chains.is_empty() {
            let rules = if patched { self.outward(port) } else { Vec::new() };
            let own = wire(&port.datacenter, port_device(port.id), Hook::Ingress, rules);
            wires.push(Wire { chains, ..own });
        }
        wires
    }

    /// What `work` makes of everything but one chain.
    pub(crate) fn without_chain<T>(self, chain: SegmentId, work: impl FnOnce(View<'_>) -> T) -> T {
        let mut chains = self.chains.clone();
        chains.remove(&chain);
        work(View { chains: &chains, ..self })
    }

    /// All wires of a chain: those of the ports at its ends, also when they have no chain any more, and of its tunnel.
    pub(crate) fn wires_of_chain(self, chain: &ChainSpec) -> Vec<Wire> {
        // The tunnel's far ends are open before anything is sent into it.
        let mut wires = self.segment_wires(&chain.segment());
        for port in [&chain.source, &chain.destination].iter().filter_map(|end| self.ports.get(&end.port)) {
            let device = port_device(port.id);
            let own = self.port_wires(port);
            if !own.iter().any(|wire| wire.device == device) {
                wires.push(wire(&port.datacenter, device, Hook::Ingress, Vec::new()));
            }
            wires.extend(own);
        }
        wires
    }

    /// Where the frames go that a port's chains take, the chain that decides first.
    fn chained(self, port: &PortSpec) -> Vec<Rule> {
        let ways =
            self.chains.values().flat_map(|chain| chain.ways().into_iter().map(move |way| (chain, way)));
        let mut own: Vec<_> = ways.filter(|(_, (from, _))| from.port == port.id).collect();
        own.sort_by_key(|(chain, _)| (std::cmp::Reverse(chain.priority), chain.id));
        let rules = own.into_iter().flat_map(|(chain, (from, to))| {
            let near = from.datacenter == to.datacenter;
            let target = if near { port_device(to.port) } else { vxlan(chain.id) };
            let matches = keys::of(&chain.matches).into_iter();
            matches.map(move |matches| Rule { or_lose: true, ..redirect(matches, target.clone()) })
        });
        rules.collect()
    }

    /// The rules of the devices that a segment itself has.
    pub(crate) fn segment_wires(self, segment: &SegmentSpec) -> Vec<Wire> {
        if !is_remote(segment) {
            Vec::new()
        } else if !is_bridged(segment) {
            segment.ends.iter().map(|end| self.inward(segment, end)).collect()
        } else if has_leaves(segment) {
            sites(segment).into_iter().map(|site| self.tree(segment, site)).collect()
        } else {
            Vec::new()
        }
    }

    /// All wires that may change when a port comes or goes: its own, and those of the ports it shares
    /// segments and chains with.
    pub(crate) fn wires_around(self, port: &PortSpec) -> Vec<Wire> {
        let mut wires = if self.ports.contains_key(&port.id) { self.port_wires(port) } else { Vec::new() };
        for (_, segment) in self.segments_of(port) {
            wires.extend(self.segment_wires(segment));
            let others = segment.ends.iter().filter(|end| end.port != port.id);
            let others = others.filter_map(|end| self.ports.get(&end.port));
            wires.extend(others.flat_map(|other| self.port_wires(other)));
        }
        let mut peers = BTreeSet::new();
        for chain in self.chains.values() {
            let ends = [chain.source.port, chain.destination.port];
            if ends.contains(&port.id) {
                peers.extend(ends.into_iter().filter(|peer| *peer != port.id));
                wires.extend(self.segment_wires(&chain.segment()));
            }
        }
        let peers = peers.into_iter().filter_map(|peer| self.ports.get(&peer));
        wires.extend(peers.flat_map(|peer| self.port_wires(peer)));
        wires
    }

    /// All wires of a segment and of the ports on it.
    pub(crate) fn wires_of(self, segment: &SegmentSpec) -> Vec<Wire> {
        let ports = segment.ends.iter().filter_map(|end| self.ports.get(&end.port));
        let mut wires: Vec<Wire> = ports.flat_map(|port| self.port_wires(port)).collect();
        wires.extend(self.segment_wires(segment));
        wires
    }

    /// The segments that a port is on, with their position in its list.
    pub(crate) fn segments_of<'p>(
        self,
        port: &'p PortSpec,
    ) -> impl Iterator<Item = (usize, &'v SegmentSpec)> + use<'v, 'p> {
        let segments = self.segments;
        port.segments.iter().enumerate().filter_map(move |(index, id)| Some((index, segments.get(id)?)))
    }

    /// Where the frames that a port's container sends go.
    fn outward(self, port: &PortSpec) -> Vec<Rule> {
        let ways: Vec<(String, Vec<[u8; 6]>)> = self
            .segments_of(port)
            .filter_map(|(index, segment)| {
                let target = match joint(port, index, segment) {
                    Joint::Branch(near, _) => near,
                    Joint::Bridge(_) | Joint::Patch => self.far_end(port, segment)?,
                };
                let others = segment.ends.iter().filter(|end| end.port != port.id);
                let known = others.filter_map(|end| Some(self.ports.get(&end.port)?.mac.octets()));
                Some((target, known.collect()))
            })
            .collect();
        let Some(((last, _), first)) = ways.split_last() else { return Vec::new() };
        let mut rules = Vec::new();
        if !first.is_empty() {
            for (target, macs) in &ways {
                rules.extend(macs.iter().map(|mac| redirect(Match::To(*mac), target.clone())));
            }
            let copies = first.iter().map(|(target, _)| target.clone());
            rules.extend(copies.map(|target| Rule { copy: true, ..redirect(Match::All, target) }));
        }
        rules.push(redirect(Match::All, last.clone()));
        rules
    }

    /// The device towards the far end of a patched segment, if frames go that way and somebody is there.
    fn far_end(self, port: &PortSpec, segment: &SegmentSpec) -> Option<String> {
        let [first, second] = segment.ends.as_slice() else { return None };
        let (far, open) = if first.port == port.id { (second, true) } else { (first, goes_back(segment)) };
        if !open {
            None
        } else if far.datacenter == port.datacenter {
            self.ports.contains_key(&far.port).then(|| port_device(far.port))
        } else {
            Some(vxlan(segment.id))
        }
    }

    /// What comes over the tunnel of a patched segment goes to the end in that data center.
    fn inward(self, segment: &SegmentSpec, end: &SegmentEnd) -> Wire {
        let open = goes_back(segment) || segment.ends[0].port != end.port;
        let rules =
            (open && self.ports.contains_key(&end.port)).then(|| redirect(Match::All, port_device(end.port)));
        wire(&end.datacenter, vxlan(segment.id), Hook::Ingress, rules.into_iter().collect())
    }

    /// What an E-Tree's leaves sent leaves a data center by a tunnel of its own, whose frames reach roots
    /// only; what came in by that tunnel never leaves again.
    fn tree(self, segment: &SegmentSpec, site: &DcName) -> Wire {
        let mut rules = vec![redirect(Match::From(leaf_vxlan(segment.id)), sink(segment.id))];
        let leaves = segment.ends.iter().filter(|end| end.role == TreeRole::Leaf && end.datacenter == *site);
        for leaf in leaves.filter_map(|end| self.ports.get(&end.port)) {
            let index = leaf.segments.iter().position(|id| *id == segment.id);
            let device = match index.map(|index| joint(leaf, index, segment)) {
                Some(Joint::Bridge(device) | Joint::Branch(_, device)) => device,
                Some(Joint::Patch) | None => continue,
            };
            rules.push(redirect(Match::From(device), leaf_vxlan(segment.id)));
        }
        wire(site, vxlan(segment.id), Hook::Egress, rules)
    }
}

fn redirect(matches: Match, target: String) -> Rule {
    Rule { matches, target, copy: false, or_lose: false }
}

fn wire(datacenter: &DcName, device: String, hook: Hook, rules: Vec<Rule>) -> Wire {
    Wire { datacenter: datacenter.clone(), device, hook, chains: Vec::new(), rules }
}

#[cfg(test)]
mod tests;
