//! For Graphviz (<https://graphviz.org/doc/info/lang.html>).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Graph, SegmentEnd, Unit};
use crate::sites::{Site, sites};
use crate::words::{both_ways, chain_words};

/// The graph in Graphviz's language: `llcm graph --format dot | dot -Tsvg`. A data center is a cluster with a node for
/// itself, which links join (bold), and one for each unit; segments join units (dashed), those of more than two ends by a
/// point of their own; chains are arrows (red). Links that are down are dotted.
#[must_use]
pub fn dot(graph: &Graph) -> String {
    let mut shown = String::from(
        "graph llcm {\n  graph [fontname=\"sans-serif\" style=\"rounded\"];\n  node [fontname=\"sans-serif\" shape=box];\n  \
         edge [fontname=\"sans-serif\" fontsize=10];\n",
    );
    // Names are numbers: those of data centers, links and units may hold anything.
    let mut units: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (number, Site { name, words, units: inside }) in sites(graph).into_iter().enumerate() {
        let site = format!("d{number}");
        let _ = writeln!(shown, "  subgraph cluster_{site} {{");
        let mut lines = vec![name.to_string()];
        lines.extend(words);
        let _ = writeln!(shown, "    {site} [shape=ellipse style=bold label={}];", label(&lines));
        for (instance, unit) in inside {
            let id = format!("u{}", units.len());
            let shape = shape(unit);
            let text = label(&[unit.name.clone(), instance.name.clone()]);
            let _ = writeln!(shown, "    {id} [shape={shape} label={text}];");
            units.insert((&instance.id, &unit.name), id);
        }
        shown.push_str("  }\n");
        names.insert(name, site);
    }
    for link in &graph.topology.links {
        let (Some(a), Some(b)) = (names.get(&link.a.dc), names.get(&link.b.dc)) else { continue };
        let mut lines = vec![link.name.clone()];
        lines.extend(both_ways(link));
        let style = if link.up { "bold" } else { "dotted" };
        let _ = writeln!(shown, "  {a} -- {b} [style={style} label={}];", label(&lines));
    }
    let mut points = 0;
    for (instance, segment) in graph.instances.iter().flat_map(|it| it.segments.iter().map(move |s| (it, s)))
    {
        let unit = |name: &str| units.get(&(instance.id.as_str(), name)).cloned();
        let ends: Vec<_> =
            segment.ends.iter().filter_map(|end| Some((unit(&end.unit)?, &end.interface))).collect();
        let style = "style=dashed color=blue fontcolor=blue constraint=false";
        let name = label(&[format!("{} {}", segment.kind, segment.id)]);
        if let [(a, from), (b, to)] = ends.as_slice() {
            let (tail, head) = (label(std::slice::from_ref(*from)), label(std::slice::from_ref(*to)));
            let _ = writeln!(shown, "  {a} -- {b} [{style} label={name} taillabel={tail} headlabel={head}];");
            continue;
        }
        let _ = writeln!(shown, "  s{points} [shape=point color=blue xlabel={name} fontcolor=blue];");
        for (end, interface) in ends {
            let _ = writeln!(
                shown,
                "  s{points} -- {end} [{style} headlabel={}];",
                label(std::slice::from_ref(interface))
            );
        }
        points += 1;
    }
    for (instance, chain) in graph.instances.iter().flat_map(|it| it.chains.iter().map(move |c| (it, c))) {
        let unit = |end: &SegmentEnd| units.get(&(instance.id.as_str(), end.unit.as_str())).cloned();
        let (Some(a), Some(b)) = (unit(&chain.source), unit(&chain.destination)) else { continue };
        let dir = if chain.bidirectional { "both" } else { "forward" };
        let text = label(&chain_words(chain));
        let port = |end: &SegmentEnd| label(std::slice::from_ref(&end.interface));
        let (tail, head) = (port(&chain.source), port(&chain.destination));
        let _ = writeln!(
            shown,
            "  {a} -- {b} [dir={dir} color=red fontcolor=red constraint=false label={text} taillabel={tail} headlabel={head}];"
        );
    }
    shown.push_str("}\n");
    shown
}

fn shape(unit: &Unit) -> &'static str {
    match (&unit.vnf_id, unit.on_host) {
        (Some(_), _) => "box",
        (None, false) => "cds",
        (None, true) => "house",
    }
}

/// Lines as a quoted string. Within one a quote and a backslash are escaped, the backslash also because labels know
/// `\N`, `\G` and the like; `&` begins an entity.
fn label(lines: &[String]) -> String {
    let mut quoted = String::from("\"");
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            quoted.push_str("\\n");
        }
        for c in line.chars() {
            match c {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '&' => quoted.push_str("&amp;"),
                // As texts show them; the backslash is one of those above.
                c if c.is_control() => {
                    let _ = write!(quoted, "\\\\u{{{:x}}}", u32::from(c));
                }
                c => quoted.push(c),
            }
        }
    }
    quoted.push('"');
    quoted
}
