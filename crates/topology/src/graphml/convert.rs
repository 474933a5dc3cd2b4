//! Nodes and edges -> data centers and links.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::DcName;

use super::distance::{Coordinates, delay_us};
use super::names::Names;
use super::read::{Edge, Graph, Node};
use crate::assemble::{Assembly, metadata_fits};
use crate::change::NewLink;
use crate::finding::{Findings, Place};
use crate::model::{Capacity, DataCenter, LinkEnd, LinkProperties, Topology};
use crate::units::bandwidth_bps;

/// What becomes of a node.
enum Role {
    Site(Site),
    /// A link of more than two ends, drawn as a node.
    Hyperedge,
    /// Of another network: left out.
    External,
}

struct Site {
    name: DcName,
    coordinates: Option<Coordinates>,
}

/// Makes a topology of a graph.
pub(super) fn convert(graph: &Graph, findings: &mut Findings) -> Option<Topology> {
    let Some(place) = graph.place else {
        findings.error("", Place::START, "there is no <graph> in the file");
        return None;
    };
    if graph.directed && !graph.edges.is_empty() || graph.edges.iter().any(|edge| edge.directed == Some(true))
    {
        findings.error(
            "",
            place,
            "the graph is directed, and a link goes both ways: write edgedefault=\"undirected\"",
        );
        return None;
    }
    let mut converter = Converter { graph, roles: BTreeMap::new(), assembly: Assembly::default(), findings };
    converter.sites();
    if converter.findings.failed() {
        return None;
    }
    if converter.assembly.is_empty() {
        converter.findings.error("", place, "there is no node that becomes a data center");
        return None;
    }
    let speeds = converter.edges();
    converter.hyperedges(&speeds);
    let topology = converter.assembly.finish();
    let parts = parts(&topology);
    // After an error there are links missing that are not missing in the file.
    if parts > 1 && !findings.failed() {
        let message = format!("the network falls into {parts} parts that no links join");
        findings.warning("", place, message);
    }
    Some(topology)
}

struct Converter<'g, 'f> {
    graph: &'g Graph,
    roles: BTreeMap<&'g str, Role>,
    assembly: Assembly,
    findings: &'f mut Findings,
}

impl<'g> Converter<'g, '_> {
    fn sites(&mut self) {
        let mut names = Names::default();
        let mut edges: BTreeMap<&str, usize> = BTreeMap::new();
        for edge in &self.graph.edges {
            for end in BTreeSet::from([&edge.source, &edge.target]) {
                *edges.entry(end).or_default() += 1;
            }
        }
        for node in &self.graph.nodes {
            let path = format!("node {}", node.id);
            let role = if is(self.graph.of_node(node, "Internal"), false) {
                let count = edges.get(node.id.as_str()).copied().unwrap_or_default();
                let message = format!("the node is external: it is left out, with its edges ({count})");
                self.findings.warning(&path, node.place, message);
                Role::External
            } else if is(self.graph.of_node(node, "hyperedge"), true) {
                Role::Hyperedge
            } else {
                match self.site(node, &path, &mut names) {
                    Some(site) => Role::Site(site),
                    None => return,
                }
            };
            if self.roles.insert(&node.id, role).is_some() {
                self.findings.error(&path, node.place, "there is another node of that id");
            }
        }
    }

    /// `None` when there is no room: there need not be an error for each further node.
    fn site(&mut self, node: &Node, path: &str, names: &mut Names) -> Option<Site> {
        let graph = self.graph;
        let text = |name: &str| graph.of_node(node, name).filter(|text| !text.is_empty());
        let (latitude, longitude) = (text("Latitude"), text("Longitude"));
        let coordinates = latitude.zip(longitude).and_then(|(north, east)| Coordinates::parse(north, east));
        if coordinates.is_none() {
            let what = if latitude.is_some() || longitude.is_some() {
                "no valid coordinates"
            } else {
                "no coordinates"
            };
            self.findings.warning(path, node.place, format!("the node has {what}: its links get no delay"));
        }
        let Some(name) = names.give(text("label"), &node.id) else {
            self.findings.error(path, node.place, "no name can be made of the node's label");
            return None;
        };
        let facts = [
            ("country", text("Country")),
            ("id", Some(node.id.as_str())),
            ("label", text("label")),
            ("latitude", latitude.filter(|_| coordinates.is_some())),
            ("longitude", longitude.filter(|_| coordinates.is_some())),
        ];
        let facts = facts.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let bytes = facts.clone().map(|(key, value)| key.len() + value.len()).sum();
        if let Err(full) = metadata_fits(facts.clone().count(), bytes) {
            self.findings.error(path, node.place, full);
            return None;
        }
        let metadata = facts.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let datacenter = DataCenter {
            name: name.clone(),
            metadata: metadata.collect(),
            capacity: Capacity::default(),
            engine: None,
        };
        if let Err(problem) = self.assembly.add_datacenter(datacenter) {
            self.findings.error(path, node.place, problem);
            return None;
        }
        Some(Site { name, coordinates })
    }

    /// Adds the links between two data centers. Gives the bandwidths of all edges, in their order.
    fn edges(&mut self) -> Vec<Option<u64>> {
        let mut speeds = Vec::new();
        for (position, edge) in self.graph.edges.iter().enumerate() {
            let path = format!("edge {position}");
            speeds.push(self.speed(edge, &path));
            let ends = [&edge.source, &edge.target].map(|end| self.roles.get(end.as_str()));
            if let Some(missing) =
                [&edge.source, &edge.target].into_iter().zip(&ends).find(|(_, role)| role.is_none())
            {
                self.findings.error(&path, edge.place, format!("there is no node {}", missing.0));
                continue;
            }
            let [Some(Role::Site(a)), Some(Role::Site(b))] = ends else { continue };
            if edge.source == edge.target {
                let message = format!("the edge joins {} to itself: it is left out", a.name);
                self.findings.warning(&path, edge.place, message);
                continue;
            }
            let link = link_between(a, b, speeds.last().copied().flatten());
            if let Err(problem) = self.assembly.add_link(link) {
                self.findings.error(&path, edge.place, problem);
                break;
            }
        }
        speeds
    }

    /// An edge's bandwidth in bits per second.
    fn speed(&mut self, edge: &Edge, path: &str) -> Option<u64> {
        let graph = self.graph;
        let text = |name: &str| graph.of_edge(edge, name).filter(|text| !text.is_empty());
        let raw = text("LinkSpeedRaw");
        let (number, unit) = (text("LinkSpeed"), text("LinkSpeedUnits"));
        // A floating point number, as programs write it: 1e+10, 10000000000.0.
        let exact = raw.and_then(|raw| raw.parse::<f64>().ok()).filter(|bps| bps.is_finite());
        let exact = exact.and_then(|bps| bandwidth_bps(&format!("{bps:.0}")).ok());
        let composed = number.zip(unit).and_then(|(number, unit)| {
            let unit = unit.trim_end_matches("bps").trim_end_matches("b/s");
            bandwidth_bps(&format!("{number}{unit}bps")).ok()
        });
        let speed = exact.or(composed);
        if speed.is_none() && (raw.is_some() || number.is_some()) {
            let told = [raw, number, unit].into_iter().flatten().collect::<Vec<_>>().join(" ");
            let message = format!("the speed {told:?} cannot be read: the link gets no bandwidth");
            self.findings.warning(path, edge.place, message);
        }
        speed
    }

    /// Joins, each with each, the data centers that a node drawn for a link joins. Such nodes that are joined to one
    /// another are one.
    fn hyperedges(&mut self, speeds: &[Option<u64>]) {
        let is_hyper = |id: &str| matches!(self.roles.get(id), Some(Role::Hyperedge));
        let mut groups = Groups::default();
        for edge in self.graph.edges.iter().filter(|edge| is_hyper(&edge.source) && is_hyper(&edge.target)) {
            groups.join(&edge.source, &edge.target);
        }
        // By group: who is in it, each with the bandwidth of the first edge that joins it.
        let mut members: BTreeMap<&str, Vec<(&str, Option<u64>)>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (edge, speed) in self.graph.edges.iter().zip(speeds) {
            for (hyper, site) in [(&edge.source, &edge.target), (&edge.target, &edge.source)] {
                if is_hyper(hyper) && matches!(self.roles.get(site.as_str()), Some(Role::Site(_))) {
                    let group = groups.of(hyper);
                    if seen.insert((group, site)) {
                        members.entry(group).or_default().push((site, *speed));
                    }
                }
            }
        }
        let hypers: Vec<&Node> = self.graph.nodes.iter().filter(|node| is_hyper(&node.id)).collect();
        for node in hypers {
            let path = format!("node {}", node.id);
            if groups.of(&node.id) != node.id {
                self.findings.warning(
                    &path,
                    node.place,
                    "the node is a hyperedge, one with another that it is joined to",
                );
                continue;
            }
            let joined = members.remove(node.id.as_str()).unwrap_or_default();
            let message = format!(
                "the node is a hyperedge: its data centers ({}) are joined each with each",
                joined.len()
            );
            self.findings.warning(&path, node.place, message);
            if let Err(problem) = self.join_all(&joined) {
                self.findings.error(&path, node.place, problem);
                return;
            }
        }
    }

    fn join_all(&mut self, members: &[(&str, Option<u64>)]) -> Result<(), String> {
        let count = u64::try_from(members.len()).unwrap_or(u64::MAX);
        self.assembly.room(0, count.saturating_mul(count.saturating_sub(1)) / 2)?;
        for (position, (from, speed)) in members.iter().enumerate() {
            for (to, other) in &members[position + 1..] {
                let (Some(Role::Site(a)), Some(Role::Site(b))) = (self.roles.get(from), self.roles.get(to))
                else {
                    continue;
                };
                let slowest = [*speed, *other].into_iter().flatten().min();
                self.assembly.add_link(link_between(a, b, slowest))?;
            }
        }
        Ok(())
    }
}

/// Whether an attribute says yes, or no: the Zoo writes 1 and 0.
fn is(value: Option<&str>, wanted: bool) -> bool {
    let value = match value.map(str::to_ascii_lowercase).as_deref() {
        Some("1" | "1.0" | "true") => Some(true),
        Some("0" | "0.0" | "false") => Some(false),
        _ => None,
    };
    value == Some(wanted)
}

fn link_between(a: &Site, b: &Site, bandwidth_bps: Option<u64>) -> NewLink {
    let delay_us = a.coordinates.zip(b.coordinates).map_or(0, |(a, b)| delay_us(a, b));
    let egress = LinkProperties { bandwidth_bps, delay_us, ..LinkProperties::default() };
    let end = |site: &Site| LinkEnd { dc: site.name.clone(), egress };
    NewLink { name: None, a: end(a), b: end(b), up: true }
}

/// How many parts a network falls into.
fn parts(topology: &Topology) -> usize {
    let mut groups = Groups::default();
    for link in &topology.links {
        groups.join(link.a.dc.as_str(), link.b.dc.as_str());
    }
    topology.datacenters.iter().filter(|dc| groups.of(dc.name.as_str()) == dc.name.as_str()).count()
}

/// Who belongs together (a union-find whose groups are named by one of them).
#[derive(Default)]
struct Groups<'a> {
    above: BTreeMap<&'a str, &'a str>,
    /// Of groups of more than one.
    sizes: BTreeMap<&'a str, usize>,
}

impl<'a> Groups<'a> {
    fn of(&self, member: &'a str) -> &'a str {
        let mut here = member;
        while let Some(above) = self.above.get(here) {
            here = above;
        }
        here
    }

    /// The smaller group goes below the larger one, so that nobody is far from the top.
    fn join(&mut self, a: &'a str, b: &'a str) {
        let (a, b) = (self.of(a), self.of(b));
        if a == b {
            return;
        }
        let size = |group: &str| self.sizes.get(group).copied().unwrap_or(1);
        let sum = size(a) + size(b);
        let (head, other) = if size(a) >= size(b) { (a, b) } else { (b, a) };
        self.above.insert(other, head);
        self.sizes.insert(head, sum);
    }
}
