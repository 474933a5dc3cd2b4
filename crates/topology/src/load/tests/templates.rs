//! Templates: what they stand for, and what they may not ask for.

use super::{findings, topology};
use crate::load::load;
use crate::model::Topology;

fn shown(topology: &Topology) -> String {
    let names: Vec<_> = topology.datacenters.iter().map(|dc| dc.name.as_str()).collect();
    let links: Vec<_> =
        topology.links.iter().map(|link| format!("{}={}+{}", link.name, link.a.dc, link.b.dc)).collect();
    format!("{}\n{}", names.join(" "), links.join(" "))
}

#[test]
fn templates_stand_for_data_centers_and_links() {
    for (template, expected) in [
        ("shape: ring, prefix: r, count: 3", "r1 r2 r3\nr1-r2=r1+r2 r2-r3=r2+r3 r3-r1=r3+r1"),
        ("shape: star, prefix: s, count: 3", "s1 s2 s3\ns1-s2=s1+s2 s1-s3=s1+s3"),
        ("shape: mesh, prefix: m, count: 3", "m1 m2 m3\nm1-m2=m1+m2 m1-m3=m1+m3 m2-m3=m2+m3"),
        ("shape: tree, prefix: t, fanout: 2, depth: 1", "t1 t2 t3\nt1-t2=t1+t2 t1-t3=t1+t3"),
        ("shape: grid, prefix: g, rows: 1, columns: 2", "g1.1 g1.2\ng1.1-g1.2=g1.1+g1.2"),
    ] {
        assert_eq!(shown(&topology(&format!("templates: [{{{template}}}]"))), expected);
    }
}

#[test]
fn what_is_given_once_holds_for_each() {
    let made = topology(
        "templates: [{shape: star, prefix: s, count: 3, metadata: {role: edge}, capacity: {cpu: 2}, engine: docker,
           links: {bandwidth: 1Gbps, delay: 2ms, forward: {loss: 1%}, backward: {delay: 4ms}}}]",
    );
    let written = topology(
        "datacenters:
- &x {name: s1, metadata: {role: edge}, capacity: {cpu: 2}, engine: docker}
- {name: s2, metadata: {role: edge}, capacity: {cpu: 2}, engine: docker}
- {name: s3, metadata: {role: edge}, capacity: {cpu: 2}, engine: docker}
links:
- {ends: [s1, s2], bandwidth: 1Gbps, delay: 2ms, forward: {loss: 1%}, backward: {delay: 4ms}}
- {ends: [s1, s3], bandwidth: 1Gbps, delay: 2ms, forward: {loss: 1%}, backward: {delay: 4ms}}",
    );
    assert_eq!(made, written);
}

/// What is written out comes first, data centers and links, and may name what templates make.
#[test]
fn templates_go_together_with_what_is_written_out() {
    let both = topology(
        "templates: [{shape: ring, prefix: r, count: 3}, {shape: star, prefix: s, count: 2}]
links: [[core, r1], [s1, r3], [r1, r2], {ends: [s1, core], name: s1-s2}]
datacenters: [core]",
    );
    assert_eq!(
        shown(&both),
        "core r1 r2 r3 s1 s2\ncore-r1=core+r1 s1-r3=s1+r3 r1-r2=r1+r2 s1-s2=s1+core \
         r1-r2.2=r1+r2 r2-r3=r2+r3 r3-r1=r3+r1 s1-s2.2=s1+s2"
    );
}

#[test]
fn what_is_wrong_with_templates_is_told_with_its_place() {
    let file = "datacenters: [r2]
templates:
  - {shape: ring, prefix: a, count: 2}
  - {shape: cube, prefix: b, count: 8}
  - {prefix: c, count: 8}
  - {shape: star, count: 8}
  - {shape: tree, prefix: e, count: 8}
  - {shape: ring, prefix: r, count: 3}
  - {shape: ring, prefix: '-', count: 3}
  - {shape: mesh, prefix: f, count: many}
  - {shape: mesh, prefix: g, count: 2, links: {delay: 1, ends: [a, b]}}
  - {shape: mesh, prefix: h, count: 2, capacity: {cpu: x}}
  - mesh
";
    insta::assert_snapshot!(findings(file).join("\n"));
}

/// The bounds hold before anything is made, and for all templates together.
#[test]
fn templates_cannot_ask_for_millions() {
    for template in [
        "shape: ring, prefix: a, count: 4097",
        "shape: ring, prefix: a, count: 99999999999999999999",
        "shape: mesh, prefix: a, count: 4096",
        "shape: tree, prefix: a, fanout: 4096, depth: 4096",
        "shape: tree, prefix: a, fanout: 2, depth: 12",
        "shape: tree, prefix: a, fanout: 1, depth: 4096",
        "shape: grid, prefix: a, rows: 4096, columns: 4096",
    ] {
        let found = findings(&format!("templates: [{{{template}}}]"));
        assert_eq!(found.len(), 1, "{template}: {found:?}");
        assert!(found[0].contains("at most") || found[0].contains("from 1 to 4096"), "{template}: {found:?}");
    }
    let twice =
        "templates: [{shape: grid, prefix: a, rows: 64, columns: 63}, {shape: ring, prefix: b, count: 65}]";
    assert_eq!(findings(twice), ["error: 1:62: templates[1]: there can be at most 4096 data centers"]);
    let most = "templates: [{shape: grid, prefix: a, rows: 64, columns: 64}]";
    assert_eq!(topology(most).datacenters.len(), 4096);
    let meshes = "templates: [{shape: mesh, prefix: a, count: 362}, {shape: mesh, prefix: b, count: 362}]";
    assert_eq!(findings(meshes), ["error: 1:51: templates[1]: there can be at most 65536 links"]);
    // Aliases make a small file ask very often.
    let asked = "{shape: ring, prefix: '!', count: 4000}";
    let file = format!("templates: [&t {asked}, {}]", "*t, ".repeat(200_000));
    let started = std::time::Instant::now();
    assert!(load(file.as_bytes()).0.is_none());
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

/// What is given once is held by each: it is bounded, and told of once.
#[test]
fn templates_cannot_multiply_large_values() {
    let long = "x".repeat(5000);
    let keys: String = ["a", "b", "c", "d", "e"].map(|key| format!("{}: v, ", key.repeat(1000))).concat();
    let many: String = (0..65).map(|number| format!("k{number}: 1, ")).collect();
    for (traits, expected) in [
        (
            format!("metadata: {{k: {long}}}"),
            "metadata: the metadata of a data center has at most 4096 bytes",
        ),
        (format!("metadata: {{{keys}}}"), "metadata: the metadata of a data center has at most 4096 bytes"),
        (format!("metadata: {{{many}}}"), "metadata: the metadata of a data center has at most 64 keys"),
        (format!("engine: {long}"), "engine: expected the name of an engine, of 1 to 255 characters"),
    ] {
        let found = findings(&format!("templates: [{{shape: ring, prefix: a, count: 3, {traits}}}]"));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
        let found = findings(&format!("datacenters: [{{name: a, {traits}}}]"));
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}
