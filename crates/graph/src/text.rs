//! For people, in a terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use llcm_topology::units::{show_bandwidth, show_duration, show_loss};
use llcm_topology::{Link, LinkProperties};

use crate::model::{Graph, Instance, Route, Unit};
use crate::sites::sites;
use crate::words::{both_ways, chain_words};

/// Lines for the ways of one segment: of more a summary is told.
const MOST_WAYS: usize = 12;

/// The graph as lines: data centers with what is in them, links, and each instance with the ways its segments take.
/// Control characters are shown, not written.
#[must_use]
pub fn text(graph: &Graph) -> String {
    let mut shown = String::new();
    for site in sites(graph) {
        let stated =
            if site.words.is_empty() { String::new() } else { format!("  ({})", site.words.join(", ")) };
        line(&mut shown, 0, &format!("{}{stated}", site.name));
        for (instance, unit) in site.units {
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
    let links = graph.topology.links.iter().map(|link| (link.name.as_str(), link)).collect();
    for instance in &graph.instances {
        shown.push('\n');
        of_instance(&mut shown, &links, instance);
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

/// All links by their names.
type Links<'a> = BTreeMap<&'a str, &'a Link>;

fn of_instance(shown: &mut String, links: &Links<'_>, instance: &Instance) {
    line(shown, 0, &format!("{}  {}  {}", instance.name, instance.id, instance.state));
    for segment in &instance.segments {
        let ends: Vec<_> = segment.ends.iter().map(|end| format!("{}:{}", end.unit, end.interface)).collect();
        line(shown, 1, &format!("{} {}: {}", segment.kind, segment.id, ends.join(" - ")));
        ways(shown, links, &segment.paths, segment.paths_left_out);
    }
    for chain in &instance.chains {
        let arrow = if chain.bidirectional { "<->" } else { "->" };
        let (from, to) = (&chain.source, &chain.destination);
        let ends = format!("{}:{} {arrow} {}:{}", from.unit, from.interface, to.unit, to.interface);
        line(shown, 1, &format!("{}: {ends}", chain_words(chain).join(", ")));
        ways(shown, links, &chain.paths, chain.paths_left_out);
    }
}

/// The ways of a segment, or what can be said of them in short.
fn ways(shown: &mut String, links: &Links<'_>, paths: &[Route], left_out: u64) {
    if left_out > 0 {
        line(shown, 2, &format!("{left_out} ways between data centers, which are too many to be told"));
        return;
    }
    let routes = routes(links, paths);
    if routes.len() > MOST_WAYS {
        line(shown, 2, &summary(paths));
        return;
    }
    for (route, both) in routes {
        let arrow = if both { "<->" } else { "->" };
        line(shown, 2, &format!("{} {arrow} {}: {}", route.from, route.to, way(links, route)));
    }
}

/// Ways, one for both directions where they are the same.
fn routes<'a>(links: &Links<'_>, paths: &'a [Route]) -> Vec<(&'a Route, bool)> {
    let mut shown: Vec<(&Route, bool)> = Vec::new();
    let mut known = BTreeMap::new();
    for route in paths {
        let back = known.get(&(&route.to, &route.from)).and_then(|number: &usize| shown.get_mut(*number));
        match back {
            Some((other, both)) if same_back(links, route, other) => *both = true,
            _ => {
                known.insert((&route.from, &route.to), shown.len());
                shown.push((route, false));
            }
        }
    }
    shown
}

/// Whether a way is another one backwards.
fn same_back(known: &Links<'_>, one: &Route, other: &Route) -> bool {
    let links = match (&one.links, &other.links) {
        (Some(one), Some(other)) => one.iter().eq(other.iter().rev()),
        (None, None) => true,
        _ => false,
    };
    let troubles = || troubles(known, one) == troubles(known, other);
    links
        && troubles()
        && (one.delay_us, one.bandwidth_bps, one.mtu) == (other.delay_us, other.bandwidth_bps, other.mtu)
}

fn summary(paths: &[Route]) -> String {
    let sites: BTreeSet<_> = paths.iter().map(|route| &route.from).collect();
    let there: Vec<&Route> = paths.iter().filter(|route| route.links.is_some()).collect();
    let range = |least: Option<String>, most: Option<String>| match (least, most) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
        (least, _) => least.unwrap_or_default(),
    };
    let delays = || there.iter().map(|route| route.delay_us);
    let mtus = || there.iter().map(|route| route.mtu);
    let mut words = Vec::new();
    if let Some(slowest) = there.iter().filter_map(|route| route.bandwidth_bps).min() {
        words.push(format!("at least {}", show_bandwidth(slowest)));
    }
    if !there.is_empty() {
        let delay = range(delays().min().map(show_duration), delays().max().map(show_duration));
        let mtu = range(mtus().min().map(|mtu| mtu.to_string()), mtus().max().map(|mtu| mtu.to_string()));
        words.extend([format!("delay {delay}"), format!("mtu {mtu}")]);
    }
    match paths.len() - there.len() {
        0 => {}
        none => words.push(format!("{none} pairs without a way")),
    }
    format!("{} ways between {} data centers ({})", there.len(), sites.len(), words.join(", "))
}

fn way(known: &Links<'_>, route: &Route) -> String {
    let Some(links) = &route.links else { return "no way".to_owned() };
    let (jitter_us, loss_ppm) = troubles(known, route);
    let words = [
        route.bandwidth_bps.map(show_bandwidth),
        Some(format!("delay {}", show_duration(route.delay_us))),
        (jitter_us > 0).then(|| format!("jitter {}", show_duration(jitter_us))),
        (loss_ppm > 0).then(|| format!("loss {}", show_loss(loss_ppm))),
        Some(format!("mtu {}", route.mtu)),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    format!("{} ({})", links.join(", "), words.join(", "))
}

/// The jitter of a way in microseconds, at its most, and the packets per million that are lost on it, as its links are
/// stated one after the other.
fn troubles(known: &Links<'_>, route: &Route) -> (u64, u32) {
    const ALL: u64 = 1_000_000;
    let mut at = &route.from;
    let (mut jitter_us, mut pass) = (0_u64, ALL * ALL);
    for link in route.links.iter().flatten().filter_map(|name| known.get(name.as_str())) {
        let (egress, next): (&LinkProperties, _) =
            if link.a.dc == *at { (&link.a.egress, &link.b.dc) } else { (&link.b.egress, &link.a.dc) };
        at = next;
        jitter_us = jitter_us.saturating_add(egress.jitter_us);
        pass = pass / ALL * ALL.saturating_sub(egress.loss_ppm.into());
    }
    let lost = (ALL * ALL - pass).div_ceil(ALL);
    (jitter_us, u32::try_from(lost).unwrap_or(u32::MAX))
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
