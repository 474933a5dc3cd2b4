//! The drawings, held against texts that were looked at: the ones of Graphviz by `dot`, those of Mermaid by its parser.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests may")]

use llcm_graph::{Graph, Instance, Segment, SegmentEnd, Unit, dot, mermaid, text};
use llcm_topology::Topology;

fn topology(file: &str) -> Topology {
    let (topology, findings) = llcm_topology::load(file.as_bytes());
    assert!(findings.is_empty(), "{findings:?}");
    topology.unwrap()
}

fn unit(name: &str, vnf_id: Option<&str>, datacenter: &str, on_host: bool) -> Unit {
    let vnf_id = vnf_id.map(str::to_owned);
    Unit { name: name.to_owned(), vnf_id, datacenter: datacenter.parse().unwrap(), on_host }
}

fn segment(id: &str, kind: &str, ends: &[(&str, &str)]) -> Segment {
    let ends = ends
        .iter()
        .map(|(unit, interface)| SegmentEnd { unit: (*unit).to_owned(), interface: (*interface).to_owned() });
    Segment::new(id, kind, ends.collect())
}

/// Three data centers in use and one that is not, a link that is down, and one that differs by direction; two instances,
/// with access points.
fn example() -> Graph {
    let topology = topology(
        "datacenters:
- {name: west, capacity: {cpu: 4, memory: 8GiB}}
- {name: middle, engine: docker}
- east
- spare
links:
- {ends: [west, middle], bandwidth: 1Gbps, delay: 5ms, jitter: 500us}
- {ends: [middle, east], bandwidth: 100Mbps, delay: 10ms, backward: {delay: 12ms, loss: 0.1%, mtu: 1400}}
- {ends: [west, east], name: short cut, up: false}
- [spare, east]
",
    );
    let chain = Instance {
        id: "0f0e".to_owned(),
        name: "v.chain.1.0-inst.0".to_owned(),
        state: "running".to_owned(),
        units: vec![
            unit("source.du.0", Some("source"), "west", false),
            unit("relay.du.0", Some("relay"), "west", false),
            unit("sink.du.0", Some("sink"), "east", false),
            unit("mgmt.sap.0", None, "middle", false),
            unit("out.sap.0", None, "east", true),
        ],
        segments: vec![
            segment("first", "E-Line", &[("source.du.0", "out"), ("relay.du.0", "in")]),
            segment("second", "E-Line", &[("relay.du.0", "out"), ("sink.du.0", "in")]),
            segment(
                "mgmt",
                "E-LAN",
                &[("source.du.0", "m"), ("sink.du.0", "m"), ("mgmt.sap.0", "port"), ("out.sap.0", "sap-out")],
            ),
        ],
    };
    let other = Instance {
        id: "abcd".to_owned(),
        name: "v.other.1.0-inst.0".to_owned(),
        state: "creating".to_owned(),
        units: vec![unit("source.du.0", Some("source"), "middle", false)],
        segments: vec![segment("alone", "E-LAN", &[("source.du.0", "m")])],
    };
    Graph::new(topology, vec![chain, other])
}

/// Whatever has a meaning somewhere.
const HOSTILE: &str =
    "a\"b\\N\\\" <b>&amp;&lt; #35; %%{init: {}}%% `x` ]end;style:x\n} -- \u{1b}[31m\u{0}\u{2028}é\\";

fn hostile() -> Graph {
    let mut topology = topology("datacenters: [{name: a, engine: x}, b]\nlinks: [[a, b]]");
    topology.links[0].name = HOSTILE.to_owned();
    topology.datacenters[0].engine = Some(HOSTILE.to_owned());
    let instance = Instance {
        id: HOSTILE.to_owned(),
        name: HOSTILE.to_owned(),
        state: HOSTILE.to_owned(),
        units: vec![unit(HOSTILE, Some(HOSTILE), "a", false), unit("other", None, "b", true)],
        segments: vec![
            segment(HOSTILE, HOSTILE, &[(HOSTILE, HOSTILE), ("other", HOSTILE)]),
            segment(HOSTILE, HOSTILE, &[(HOSTILE, HOSTILE)]),
        ],
    };
    Graph::new(topology, vec![instance])
}

#[test]
fn drawings_of_a_network_in_use() {
    insta::assert_snapshot!("text", text(&example()));
    insta::assert_snapshot!("dot", dot(&example()));
    insta::assert_snapshot!("mermaid", mermaid(&example()));
}

#[test]
fn drawings_of_a_network_without_instances() {
    let graph = Graph::new(llcm_topology::default_topology(), Vec::new());
    insta::assert_snapshot!("empty-text", text(&graph));
    insta::assert_snapshot!("empty-dot", dot(&graph));
    insta::assert_snapshot!("empty-mermaid", mermaid(&graph));
}

#[test]
fn drawings_with_hostile_names() {
    insta::assert_snapshot!("hostile-text", text(&hostile()));
    insta::assert_snapshot!("hostile-dot", dot(&hostile()));
    insta::assert_snapshot!("hostile-mermaid", mermaid(&hostile()));
}

#[test]
fn json_is_read_as_what_it_was() {
    for graph in [example(), hostile()] {
        let json = serde_json::to_string(&graph).unwrap();
        assert_eq!(serde_json::from_str::<Graph>(&json).unwrap(), graph);
    }
}

#[test]
fn a_segment_has_a_way_for_each_direction_between_its_data_centers() {
    let graph = example();
    let ways = |segment: usize| -> Vec<String> {
        let paths = &graph.instances[0].segments[segment].paths;
        let shown = paths.iter().map(|way| {
            let links = way.links.as_ref().unwrap().join(" ");
            format!("{}>{} {links} {} {:?} {}", way.from, way.to, way.delay_us, way.bandwidth_bps, way.mtu)
        });
        shown.collect()
    };
    assert_eq!(ways(0), Vec::<String>::new());
    assert_eq!(
        ways(1),
        [
            "west>east west-middle middle-east 15000 Some(100000000) 9000",
            "east>west middle-east west-middle 17000 Some(100000000) 1400"
        ]
    );
    assert_eq!(ways(2).len(), 6);
}

/// What Graphviz reads: strings in quotes, in which a backslash is never alone.
#[test]
fn texts_of_dot_are_whole() {
    for graph in [example(), hostile()] {
        for line in dot(&graph).lines() {
            let mut inside = false;
            let mut characters = line.chars();
            while let Some(c) = characters.next() {
                match c {
                    '\\' if inside => assert!(matches!(characters.next(), Some('"' | '\\' | 'n')), "{line}"),
                    '"' => inside = !inside,
                    '{' | '}' if !inside => assert!(!line.contains("label="), "{line}"),
                    _ => {}
                }
            }
            assert!(!inside, "{line}");
            assert!(!line.contains(char::is_control), "{line}");
        }
    }
}

/// What Mermaid reads: texts in quotes without anything that it gives a meaning.
#[test]
fn texts_of_mermaid_are_plain() {
    for graph in [example(), hostile()] {
        for line in mermaid(&graph).lines() {
            let parts: Vec<&str> = line.split('"').collect();
            assert!(matches!(parts.len(), 1 | 3), "{line}");
            let plain = parts.get(1).unwrap_or(&"").replace("<br/>", "");
            let mut rest = plain.as_str();
            while let Some((before, after)) = rest.split_once('#') {
                let (entity, behind) = after.split_once(';').unwrap();
                assert!(
                    !before.contains(';') && entity.bytes().all(|digit| digit.is_ascii_digit()),
                    "{line}"
                );
                rest = behind;
            }
            assert!(!plain.contains(['<', '>', '&', '%', '`', '\\', ':', '[', ']', '{', '}', '|']), "{line}");
        }
    }
}

/// Each line is one of ours: no name begins another one, or says anything to a terminal.
#[test]
fn text_stays_in_its_lines() {
    let shown = text(&hostile());
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    let graph = hostile();
    let expected = graph.topology.datacenters.len() + 2 + 1 + 1 + 1 + 1 + 2 + 1;
    assert_eq!(shown.lines().count(), expected, "{shown}");
}
