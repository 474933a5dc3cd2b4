//! For Mermaid, which pages of many forges draw (<https://mermaid.js.org/syntax/flowchart.html>).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::model::{Graph, SegmentEnd, Unit};
use crate::sites::{Site, sites};
use crate::words::{both_ways, chain_words};

/// The graph as a flowchart of Mermaid. A data center is a subgraph of its units, or a node where it has none; links join
/// data centers (solid, or dotted where they are down), segments join units (dotted), those of more than two ends
/// by a node of their own, and chains are thick arrows.
#[must_use]
pub fn mermaid(graph: &Graph) -> String {
    let mut shown = String::from("flowchart LR\n");
    // Names are numbers: those of data centers, links and units may hold anything.
    let mut units: BTreeMap<(&str, &str), String> = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (number, Site { name, words, units: inside }) in sites(graph).into_iter().enumerate() {
        let site = format!("d{number}");
        let mut lines = vec![name.to_string()];
        lines.extend(words);
        if inside.is_empty() {
            let _ = writeln!(shown, "  {site}([{}])", label(&lines));
        } else {
            let _ = writeln!(shown, "  subgraph {site}[{}]", label(&lines));
            for (instance, unit) in inside {
                let id = format!("u{}", units.len());
                let (open, close) = shape(unit);
                let text = label(&[unit.name.clone(), instance.name.clone()]);
                let _ = writeln!(shown, "    {id}{open}{text}{close}");
                units.insert((&instance.id, &unit.name), id);
            }
            shown.push_str("  end\n");
        }
        names.insert(name, site);
    }
    for link in &graph.topology.links {
        let (Some(a), Some(b)) = (names.get(&link.a.dc), names.get(&link.b.dc)) else { continue };
        let mut lines = vec![link.name.clone()];
        lines.extend(both_ways(link));
        let line = if link.up { "---" } else { "-.-" };
        let _ = writeln!(shown, "  {a} {line}|{}| {b}", label(&lines));
    }
    let mut points = 0;
    for (instance, segment) in graph.instances.iter().flat_map(|it| it.segments.iter().map(move |s| (it, s)))
    {
        let unit = |name: &str| units.get(&(instance.id.as_str(), name)).cloned();
        let ends: Vec<_> =
            segment.ends.iter().filter_map(|end| Some((unit(&end.unit)?, &end.interface))).collect();
        let name = format!("{} {}", segment.kind, segment.id);
        if let [(a, from), (b, to)] = ends.as_slice() {
            let text = label(&[name, format!("{from} - {to}")]);
            let _ = writeln!(shown, "  {a} -.-|{text}| {b}");
            continue;
        }
        let _ = writeln!(shown, "  s{points}(({}))", label(&[name]));
        for (end, interface) in ends {
            let _ = writeln!(shown, "  s{points} -.-|{}| {end}", label(std::slice::from_ref(interface)));
        }
        points += 1;
    }
    for (instance, chain) in graph.instances.iter().flat_map(|it| it.chains.iter().map(move |c| (it, c))) {
        let (from, to) = (&chain.source, &chain.destination);
        let unit = |end: &SegmentEnd| units.get(&(instance.id.as_str(), end.unit.as_str())).cloned();
        let (Some(a), Some(b)) = (unit(from), unit(to)) else { continue };
        let arrow = if chain.bidirectional { "<==>" } else { "==>" };
        let mut lines = chain_words(chain);
        lines.push(format!("{} - {}", from.interface, to.interface));
        let _ = writeln!(shown, "  {a} {arrow}|{}| {b}", label(&lines));
    }
    shown
}

fn shape(unit: &Unit) -> (&'static str, &'static str) {
    match (&unit.vnf_id, unit.on_host) {
        (Some(_), _) => ("[", "]"),
        (None, false) => (">", "]"),
        (None, true) => ("[/", "\\]"),
    }
}

/// Lines as a quoted text. All but letters, digits and a few signs are written as entities of Mermaid (`#34;`): a quote
/// would end the text, `#` begins an entity, `%%` a comment or a directive wherever it stands, a backquote Markdown, `<`
/// HTML, and `style` with a colon behind it is looked for in the whole line.
fn label(lines: &[String]) -> String {
    let mut quoted = String::from("\"");
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            quoted.push_str("<br/>");
        }
        for c in line.chars() {
            if c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ',' | '(' | ')') {
                quoted.push(c);
            } else if c.is_control() {
                // A control character as entity would be one again.
                let _ = write!(quoted, "#92;u#123;{:x}#125;", u32::from(c));
            } else {
                let _ = write!(quoted, "#{};", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}
