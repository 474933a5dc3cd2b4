//! For people, in a terminal.

use std::fmt::Write as _;

use llcm_topology::units::{show_bandwidth, show_duration};

use crate::model::{Graph, Instance, Route, Segment, Unit};
use crate::words::{both_ways, traits};

/// The graph as lines: data centers with what is in them, links, and each instance with the ways its segments take.
/// Control characters are shown, not written.
#[must_use]
pub fn text(graph: &Graph) -> String {
    let mut shown = String::new();
    for datacenter in &graph.topology.datacenters {
        let stated = traits(datacenter);
        let stated = if stated.is_empty() { String::new() } else { format!("  ({})", stated.join(", ")) };
        line(&mut shown, 0, &format!("{}{stated}", datacenter.name));
        for (instance, unit) in graph.units_in(&datacenter.name) {
            line(&mut shown, 1, &format!("{}  {}", described(unit), instance.name));
        }
    }
    if !graph.topology.links.is_empty() {
        shown.push('\n');
    }
    for link in &graph.topology.links {
        let mut words = both_ways(link);
        if words.is_empty() {
            words.push("not limited".to_owned());
        }
        line(&mut shown, 0, &format!("{} -- {}  {}: {}", link.a.dc, link.b.dc, link.name, words.join("; ")));
    }
    for instance in &graph.instances {
        shown.push('\n');
        of_instance(&mut shown, instance);
    }
    shown
}

fn described(unit: &Unit) -> String {
    match (&unit.vnf_id, unit.on_host) {
        (Some(_), _) => unit.name.clone(),
        (None, false) => format!("{} (access point)", unit.name),
        (None, true) => format!("{} (access point on the host)", unit.name),
    }
}

fn of_instance(shown: &mut String, instance: &Instance) {
    line(shown, 0, &format!("{}  {}  {}", instance.name, instance.id, instance.state));
    for segment in &instance.segments {
        let ends: Vec<_> = segment.ends.iter().map(|end| format!("{}:{}", end.unit, end.interface)).collect();
        line(shown, 1, &format!("{} {}: {}", segment.kind, segment.id, ends.join(" - ")));
        for (route, both) in routes(segment) {
            let arrow = if both { "<->" } else { "->" };
            line(shown, 2, &format!("{} {arrow} {}: {}", route.from, route.to, way(route)));
        }
    }
}

/// The ways of a segment, one for both directions where they are the same.
fn routes(segment: &Segment) -> Vec<(&Route, bool)> {
    let mut shown: Vec<(&Route, bool)> = Vec::new();
    for route in &segment.paths {
        let same_back = |other: &Route| {
            let reversed = other.links.as_ref().map(|links| links.iter().rev().collect::<Vec<_>>());
            (&other.from, &other.to) == (&route.to, &route.from)
                && reversed == route.links.as_ref().map(|links| links.iter().collect())
                && (other.delay_us, other.bandwidth_bps, other.mtu)
                    == (route.delay_us, route.bandwidth_bps, route.mtu)
        };
        match shown.iter_mut().find(|(other, _)| same_back(other)) {
            Some((_, both)) => *both = true,
            None => shown.push((route, false)),
        }
    }
    shown
}

fn way(route: &Route) -> String {
    let Some(links) = &route.links else { return "no way".to_owned() };
    let bandwidth = route.bandwidth_bps.map(|bps| format!("{}, ", show_bandwidth(bps))).unwrap_or_default();
    format!("{} ({bandwidth}delay {}, mtu {})", links.join(", "), show_duration(route.delay_us), route.mtu)
}

/// A line; names cannot break it, nor tell a terminal what to do.
fn line(shown: &mut String, level: usize, text: &str) {
    for _ in 0..level {
        shown.push_str("  ");
    }
    for c in text.chars() {
        if c.is_control() {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown.push('\n');
}
