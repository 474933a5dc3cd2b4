//! Topology files, good and bad.

use super::*;
use crate::finding::Severity;

fn findings(file: &str) -> Vec<String> {
    let (topology, findings) = load(file.as_bytes());
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(topology.is_none(), failed, "{file}");
    findings.iter().map(ToString::to_string).collect()
}

fn topology(file: &str) -> Topology {
    let (topology, findings) = load(file.as_bytes());
    assert!(findings.is_empty(), "{findings:?}");
    topology.unwrap()
}

#[test]
fn the_default_is_two_data_centers_and_a_link() {
    assert_eq!(crate::default_topology(), topology("datacenters: [dc1, dc2]\nlinks:\n- [dc1, dc2]\n"));
}

#[test]
fn every_key_is_read() {
    let file = "
datacenters:
  - name: edge
    metadata: {country: eu, rack: 7}
    capacity: {cpu: 0.5, memory: 2GiB}
    engine: docker
  - core
links:
  - ends: [edge, core]
    name: uplink
    bandwidth: 100Mbps
    delay: 10ms
    jitter: 1ms
    loss: 0.1%
    mtu: 1500
    queue: 1000
    forward: {bandwidth: 10Mbps, loss: 0}
    backward: {delay: 20ms, jitter: 0}
    up: false
";
    insta::assert_json_snapshot!(topology(file));
}

#[test]
fn links_are_named_by_their_ends() {
    let links = topology("datacenters: [a, b]\nlinks: [[a, b], [a, b], [b, a]]").links;
    assert_eq!(links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["a-b", "a-b.2", "b-a"]);
}

#[test]
fn names_are_what_is_written() {
    let names: Vec<_> = topology("datacenters: [y, no, 010, 1e3, 'true', x]")
        .datacenters
        .into_iter()
        .map(|dc| dc.name.to_string())
        .collect();
    assert_eq!(names, ["y", "no", "010", "1e3", "true", "x"]);
    let shared = topology("datacenters: [a, b, c]\nlinks:\n- &x {ends: [a, b], delay: 1ms}\n- *x\n").links;
    assert_eq!(shared[0].a, shared[1].a);
}

#[test]
fn all_findings_come_back_together_with_their_places() {
    let file = "datacenters:
  - dc1
  - name: dc2
    colour: red
    capacity: {cpu: many}
  - dc1
  - {metadata: 3}
links:
  - [dc1, dc9]
  - [dc1, dc1]
  - [dc1]
  - ends: [dc1, dc2]
    bandwidth: fast
    delay: 10
    jitter: 1ms
    mtu: 64
    forward: 7
  - delay: 1ms
  - dc1
";
    insta::assert_snapshot!(findings(file).join("\n"));
}

#[test]
fn what_is_no_topology_at_all_is_an_error() {
    for (file, expected) in [
        ("", "expected a map"),
        ("- dc1", "expected a map"),
        ("datacenters: []", "at least one data center"),
        ("{}", "at least one data center"),
        ("datacenters: dc1", "expected a list"),
        ("datacenters: [\"../x\"]", "data center name"),
        ("datacenters: [dc1, a: b: c]", "error: 1:"),
        ("datacenters: [dc1]\nlinks:\n- {ends: [dc1, dc1]}", "to itself"),
        ("datacenters: [dc1]\ndatacenters: [dc2]", "stands here twice"),
        ("datacenters: [dc1]\n---\na: b", "one document"),
        ("[a]: b", "a key must be a text"),
        ("a: &a [*a]", "error: 1:"),
        ("datacenters: [a, b]\nlinks: [{ends: [a, b], up: no}]", "2:28: links[0].up: expected true or false"),
        ("datacenters: [{name: a, metadata: {x: 1, x: 2}}]", "metadata.x: the key stands here twice"),
        ("datacenters: [{name: a, engine: ''}]", "expected the name of an engine"),
        ("datacenters: [a, b]\nlinks: [{ends: [a, b], name: ''}]", "a name of 1 to 200 bytes"),
        ("datacenters: [a, b]\nlinks: [{ends: [a, b], name: \"a\\x07\"}]", "a name of 1 to 200 bytes"),
    ] {
        let found = findings(file).join("\n");
        assert!(found.contains(expected), "{file:?}: {found}");
    }
    let latin = load(b"datacenters:\n  - K\xc3\xb6ln \xff").1;
    assert_eq!(
        latin[0].to_string(),
        "error: 2:10: the file is not UTF-8 text: save it in the encoding UTF-8"
    );
}

/// Whatever is wrong, a place is told, and it is the place.
#[test]
fn errors_of_the_whole_file_have_places_too() {
    for (file, expected) in [
        ("{}", "error: 1:1: datacenters: there must be"),
        ("links: []\ndatacenters: []", "error: 2:14: datacenters: there must be"),
        ("\u{feff}x: 1\ndatacenters: [a]", "warning: 1:1: x: the key is not known"),
        ("datacenters: [a]\n  : x", "error: 2:"),
    ] {
        assert!(findings(file)[0].starts_with(expected), "{file:?}: {:?}", findings(file));
    }
    let many: String = (0..4097).map(|number| format!("- d{number}\n")).collect();
    let found = findings(&format!("datacenters:\n{many}"));
    assert_eq!(found, ["error: 4098:3: datacenters[4096]: there can be at most 4096 data centers"]);
}

/// The budget of the reader: memory and time stay small whatever a file holds.
#[test]
fn hostile_files_are_refused_quickly() {
    let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in ["a", "b", "c", "d", "e", "f", "g", "h"].windows(2).map(|w| (w[0], w[1])) {
        bomb.push_str(&format!(
            "{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}]\n"
        ));
    }
    assert!(load(bomb.as_bytes()).0.is_none());
    assert!(load("[".repeat(100_000).as_bytes()).0.is_none());
    let large = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(3000));
    let (topology, findings) = load(large.as_bytes());
    assert!(topology.is_none());
    assert!(findings[0].message.contains("larger than 16 MiB"), "{findings:?}");
    assert!(load(&vec![b'x'; MAX_BYTES + 1]).1[0].message.contains("larger than 8 MiB"));
}

/// Names of parallel links are found without looking at all that were given before.
#[test]
fn very_many_parallel_links_are_named_in_no_time() {
    let links = "- [a, b]\n".repeat(70_000);
    let started = std::time::Instant::now();
    let found = findings(&format!("datacenters: [a, b]\nlinks:\n{links}"));
    assert_eq!(found, ["error: 65539:3: links[65536]: there can be at most 65536 links"]);
    // Looking at all of them took minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

/// A file of nothing but faults.
#[test]
fn of_very_many_findings_the_first_thousand_are_told() {
    let (topology, findings) = load(format!("datacenters:\n{}", "- -\n".repeat(500_000)).as_bytes());
    assert!(topology.is_none());
    assert_eq!(findings.len(), 1001);
    assert_eq!(findings[1000].message, "499000 more findings are not shown");
}

mod templates;
