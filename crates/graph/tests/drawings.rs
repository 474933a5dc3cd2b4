//! The drawings, held against texts that were looked at: the ones of Graphviz by `dot`, those of Mermaid by its parser.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests may")]

use llcm_graph::{Chain, Graph, Instance, Segment, SegmentEnd, Unit, dot, mermaid, text};
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
    Segment::new(id, kind, ends.iter().copied().map(end).collect())
}

fn end((unit, interface): (&str, &str)) -> SegmentEnd {
    SegmentEnd { unit: unit.to_owned(), interface: interface.to_owned() }
}

fn chain(id: u32, ends: [(&str, &str); 2], bidirectional: bool, matches: &str) -> Chain {
    let [source, destination] = ends.map(end);
    let matches = matches.to_owned();
    let (paths, paths_left_out) = (Vec::new(), 0);
    Chain { id, source, destination, bidirectional, matches, priority: 1000, paths, paths_left_out }
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
        chains: vec![
            chain(7, [("source.du.0", "out"), ("relay.du.0", "out")], false, ""),
            chain(9, [("source.du.0", "out"), ("sink.du.0", "in")], true, "dl_type=0x0806"),
        ],
    };
    let other = Instance {
        id: "abcd".to_owned(),
        name: "v.other.1.0-inst.0".to_owned(),
        state: "creating".to_owned(),
        units: vec![unit("source.du.0", Some("source"), "middle", false)],
        segments: vec![segment("alone", "E-LAN", &[("source.du.0", "m")])],
        chains: Vec::new(),
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
        chains: vec![chain(1, [(HOSTILE, HOSTILE), ("other", HOSTILE)], true, HOSTILE)],
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

/// An instance with a unit in each of the first data centers, all on one E-LAN.
fn lan(topology: Topology, sites: usize) -> Graph {
    let names: Vec<String> = (0..sites).map(|number| format!("u{number}")).collect();
    let units = topology.datacenters.iter().zip(&names);
    let units = units.map(|(dc, name)| unit(name, Some(name), dc.name.as_str(), false)).collect();
    let ends: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "m")).collect();
    let segments = vec![segment("mgmt", "E-LAN", &ends)];
    let (id, name, state) = ("1".to_owned(), "lan".to_owned(), "running".to_owned());
    Graph::new(topology, vec![Instance { id, name, state, units, segments, chains: Vec::new() }])
}

#[test]
fn many_ways_are_told_in_short_and_too_many_are_counted() {
    let ring = |count: usize| {
        topology(&format!(
            "templates: [{{shape: ring, prefix: r, count: {count}, links: {{delay: 1ms, bandwidth: 1Gbps}}}}]\n\
             datacenters: [alone]\nlinks: [{{ends: [r1, r2], name: fast, delay: 500us, mtu: 1400}}]"
        ))
    };
    // With `alone`, which nothing leads to: 32 with ends, of which 31 reach one another.
    let told = lan(ring(40), 32);
    let mgmt = &told.instances[0].segments[0];
    assert_eq!((mgmt.paths.len(), mgmt.paths_left_out), (32 * 31, 0));
    let shown = text(&told);
    let expected = "    930 ways between 32 data centers (at least 1Gbps, delay 500us to 19.5ms, mtu 1400 to 9000, 62 pairs without a way)\n";
    assert!(shown.ends_with(expected), "{shown}");

    let many = lan(ring(40), 33);
    let mgmt = &many.instances[0].segments[0];
    assert_eq!((mgmt.paths.len(), mgmt.paths_left_out), (0, 33 * 32));
    assert!(text(&many).ends_with("    1056 ways between data centers, which are too many to be told\n"));
    let json = serde_json::to_value(&many).unwrap();
    assert_eq!(json["instances"][0]["segments"][0]["paths_left_out"], 1056);
    let json = serde_json::to_value(&told).unwrap();
    assert_eq!(json["instances"][0]["segments"][0].get("paths_left_out"), None);
}

#[test]
fn all_paths_together_are_bounded() {
    let ring = topology("templates: [{shape: ring, prefix: '', count: 4000}]");
    let mut instance = lan(ring.clone(), 2).instances.remove(0);
    // Ends on opposite sides: 2000 links each way.
    instance.units[1].datacenter = "2000".parse().unwrap();
    instance.segments = vec![instance.segments[0].clone(); 400];
    let graph = Graph::new(ring, vec![instance]);
    let told = graph.instances[0].segments.iter().take_while(|segment| segment.paths.len() == 2).count();
    let links: usize = graph.instances[0]
        .segments
        .iter()
        .flat_map(|segment| &segment.paths)
        .filter_map(|path| path.links.as_ref())
        .map(Vec::len)
        .sum();
    assert!(links * size_of::<String>() <= Graph::MOST_BYTES, "{links}");
    assert!(told > 100 && told < 300, "{told}");
    for segment in &graph.instances[0].segments[told..] {
        assert_eq!((segment.paths.len(), segment.paths_left_out), (0, 2));
    }
}

/// One way for both directions, however many there are, and wherever the two stand.
#[test]
fn ways_back_are_found_wherever_they_stand() {
    let mut graph = lan(topology("templates: [{shape: mesh, prefix: m, count: 4}]"), 4);
    let paths = &mut graph.instances[0].segments[0].paths;
    assert_eq!(paths.len(), 12);
    paths.reverse();
    let shown = text(&graph);
    assert_eq!(shown.lines().filter(|line| line.contains("<->")).count(), 6, "{shown}");
    assert_eq!(shown.lines().filter(|line| line.contains(" -> ")).count(), 0, "{shown}");
}

/// A server begins with another topology than the one its instances were made in.
#[test]
fn what_is_in_no_data_center_of_the_topology_is_drawn() {
    let mut graph = example();
    graph.topology.datacenters.retain(|dc| dc.name.as_str() != "east");
    graph.topology.links.retain(|link| [&link.a, &link.b].iter().all(|end| end.dc.as_str() != "east"));
    let instances = graph.instances.clone();
    let graph = Graph::new(graph.topology, instances);
    insta::assert_snapshot!("lost-text", text(&graph));
    insta::assert_snapshot!("lost-dot", dot(&graph));
    insta::assert_snapshot!("lost-mermaid", mermaid(&graph));
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
    let expected = graph.topology.datacenters.len() + 2 + 1 + 1 + 1 + 1 + 2 + 1 + 2;
    assert_eq!(shown.lines().count(), expected, "{shown}");
}
