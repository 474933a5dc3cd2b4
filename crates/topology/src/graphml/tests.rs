//! Files of the Zoo's shape, good and bad; all of them our own.

use crate::finding::Severity;
use crate::model::Topology;

/// The declarations of the Zoo's files that mean something here, and some that do not.
const KEYS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
<key attr.name="Network" attr.type="string" for="graph" id="d0"/>
<key attr.name="label" attr.type="string" for="node" id="d1"/>
<key attr.name="Country" attr.type="string" for="node" id="d2"/>
<key attr.name="Latitude" attr.type="double" for="node" id="d3"/>
<key attr.name="Longitude" attr.type="double" for="node" id="d4"/>
<key attr.name="Internal" attr.type="int" for="node" id="d5"/>
<key attr.name="hyperedge" attr.type="int" for="node" id="d6"/>
<key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d7"/>
<key attr.name="LinkSpeed" attr.type="string" for="edge" id="d8"/>
<key attr.name="LinkSpeedUnits" attr.type="string" for="edge" id="d9"/>
<key attr.name="label" attr.type="string" for="edge" id="d10"/>
"#;

/// A file with these nodes and edges; lines are counted from the first one behind `<graph>`, which is line 15.
fn file(graph: &str) -> String {
    format!(
        "{KEYS}<graph edgedefault=\"undirected\"><data key=\"d0\">Own</data>\n{graph}\n</graph></graphml>\n"
    )
}

fn data(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(key, value)| format!("<data key=\"{key}\">{value}</data>")).collect()
}

fn node(id: &str, label: &str, latitude: &str, longitude: &str) -> String {
    let data = data(&[("d1", label), ("d3", latitude), ("d4", longitude), ("d5", "1")]);
    format!("<node id=\"{id}\">{data}</node>\n")
}

/// Nodes a, b, c, ... on the equator, a degree apart: 556 microseconds.
fn nodes(count: u8) -> String {
    (0..count)
        .map(|number| {
            let label = char::from(b'a' + number).to_string();
            node(&number.to_string(), &label, "0", &number.to_string())
        })
        .collect()
}

fn load(file: &str) -> (Option<Topology>, Vec<String>) {
    let (topology, findings) = crate::load(file.as_bytes());
    let failed = findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(topology.is_none(), failed, "{file}");
    (topology, findings.iter().map(ToString::to_string).collect())
}

/// `name bandwidth delay`, and the findings.
fn links(graph: &str) -> (Vec<String>, Vec<String>) {
    let (topology, findings) = load(&file(graph));
    let shown = topology.map(|topology| topology.links).unwrap_or_default().into_iter().map(|link| {
        assert_eq!(link.a.egress, link.b.egress, "both directions are the same");
        let properties = link.a.egress;
        let bandwidth = properties.bandwidth_bps.map_or("-".to_owned(), crate::units::show_bandwidth);
        format!("{} {bandwidth} {}", link.name, properties.delay_us)
    });
    (shown.collect(), findings)
}

fn no_findings() -> Vec<String> {
    Vec::new()
}

#[test]
fn a_network_of_the_zoo_is_a_topology() {
    let (topology, findings) = crate::load(include_bytes!("../../../../examples/capitals.graphml"));
    assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), no_findings());
    insta::assert_snapshot!(crate::to_yaml(&topology.unwrap()));
}

#[test]
fn speeds_are_read_as_the_zoo_writes_them() {
    let speeds = [
        (&[("d7", "10000000000.0")][..], "10Gbps"),
        (&[("d7", "2.5e+09")], "2.5Gbps"),
        (&[("d7", "155000000"), ("d8", "1"), ("d9", "T")], "155Mbps"),
        (&[("d8", "34"), ("d9", "M")], "34Mbps"),
        (&[("d8", "64"), ("d9", "K")], "64kbps"),
        (&[("d8", "1"), ("d9", "Gbps")], "1Gbps"),
        (&[("d7", "fast"), ("d8", "2"), ("d9", "G")], "2Gbps"),
        (&[("d10", "OC-48")], "-"),
    ];
    for (pairs, expected) in speeds {
        let edge = format!("<edge source=\"0\" target=\"1\">{}</edge>", data(pairs));
        assert_eq!(
            links(&(nodes(2) + &edge)),
            (vec![format!("a-b {expected} 556")], no_findings()),
            "{pairs:?}"
        );
    }
    for pairs in [
        &[("d7", "0.0")][..],
        &[("d7", "1e300")],
        &[("d7", "nan")],
        &[("d8", "10")],
        &[("d8", "&lt;10"), ("d9", "G")],
    ] {
        let edge = format!("<edge source=\"0\" target=\"1\">{}</edge>", data(pairs));
        let (links, findings) = links(&(nodes(2) + &edge));
        assert_eq!(links, ["a-b - 556"]);
        assert!(
            findings[0].starts_with("warning: 18:1: edge 0: the speed") && findings.len() == 1,
            "{findings:?}"
        );
    }
}

#[test]
fn nodes_without_places_have_links_without_delay() {
    let graph = node("0", "a", "0", "0")
        + &node("1", "b", "95", "0")
        + "<node id=\"2\"/>
<edge source=\"0\" target=\"1\"/><edge source=\"1\" target=\"2\"/>";
    assert_eq!(
        links(&graph),
        (
            vec!["a-b - 0".to_owned(), "b-node-2 - 0".to_owned()],
            vec![
                "warning: 17:1: node 1: the node has no valid coordinates: its links get no delay".to_owned(),
                "warning: 18:1: node 2: the node has no coordinates: its links get no delay".to_owned(),
            ],
        )
    );
}

#[test]
fn external_nodes_are_left_out_with_their_edges() {
    let graph = nodes(3) + "<node id=\"9\"><data key=\"d5\">0</data></node>
<edge source=\"0\" target=\"9\"/><edge source=\"0\" target=\"1\"/><edge source=\"9\" target=\"9\"/><edge source=\"2\" target=\"1\"/>";
    let (links, findings) = links(&graph);
    assert_eq!(links, ["a-b - 556", "c-b - 556"]);
    assert_eq!(findings, ["warning: 19:1: node 9: the node is external: it is left out, with its edges (2)"]);
    let all = file("<node id=\"9\"><data key=\"d5\">0</data></node>");
    assert!(
        load(&all).1[1].contains("error: 15:1: there is no node that becomes a data center"),
        "{:?}",
        load(&all).1
    );
}

#[test]
fn parallel_edges_stay_and_loops_go() {
    let graph = nodes(2) + "<edge source=\"0\" target=\"1\"/><edge source=\"1\" target=\"0\"/><edge source=\"0\" target=\"1\"/>
<edge source=\"0\" target=\"0\"/>";
    let (links, findings) = links(&graph);
    assert_eq!(links, ["a-b - 556", "b-a - 556", "a-b.2 - 556"]);
    assert_eq!(findings, ["warning: 19:1: edge 3: the edge joins a to itself: it is left out"]);
}

/// Members are joined each with each, over the true distance, as fast as the slower of both; hyperedges that are joined
/// are one.
#[test]
fn hyperedges_join_each_with_each() {
    let hyper = |id: &str| format!("<node id=\"{id}\">{}</node>\n", data(&[("d6", "1"), ("d1", "")]));
    let edge = |from: &str, to: &str, speed: &str| {
        format!("<edge source=\"{from}\" target=\"{to}\">{}</edge>\n", data(&[("d7", speed)]))
    };
    let graph = nodes(3)
        + &hyper("h")
        + &hyper("i")
        + &edge("0", "h", "1000000000")
        + &edge("h", "1", "10000000")
        + &edge("h", "i", "1")
        + &edge("i", "2", "")
        + &edge("2", "i", "7")
        + &edge("0", "1", "5");
    let (links, findings) = links(&graph);
    assert_eq!(links, ["a-b 5bps 556", "a-b.2 10Mbps 556", "a-c 1Gbps 1113", "b-c 10Mbps 556"]);
    assert_eq!(
        findings,
        [
            "warning: 19:1: node h: the node is a hyperedge: its data centers (3) are joined each with each",
            "warning: 20:1: node i: the node is a hyperedge, one with another that it is joined to",
        ]
    );
    let many: String =
        (0..400).map(|n| node(&n.to_string(), "x", "0", "0") + &edge(&n.to_string(), "h", "1")).collect();
    let found = load(&file(&(hyper("h") + &many))).1;
    assert!(
        found.last().unwrap().contains("error: 16:1: node h: there can be at most 65536 links"),
        "{found:?}"
    );
}

#[test]
fn a_network_in_parts_is_told() {
    let (_, findings) = links(&(nodes(4) + "<edge source=\"3\" target=\"1\"/>"));
    assert_eq!(findings, ["warning: 15:1: the network falls into 3 parts that no links join"]);
}

#[test]
fn what_is_no_graph_of_ours_is_an_error_with_its_place() {
    let edge = "<edge source=\"0\" target=\"1\"/>";
    let whole = |body: &str| format!("<graphml>\n{body}</graphml>");
    for (text, expected) in [
        ("<".to_owned(), "error: 1:1: not valid XML"),
        ("<a>".to_owned(), "error: 1:1: the root element is <a>"),
        (whole(""), "error: 1:1: there is no <graph>"),
        (whole("<graph edgedefault='undirected'/>"), "error: 2:1: there is no node that becomes"),
        (whole("<graph>\n <node/></graph>"), "error: 3:2: the node has no id"),
        (whole("<graph><node id='0'/>\n<node id='0'/></graph>"), "error: 3:1: node 0: there is another node"),
        (whole("<graph>\n<node id='0'/>\n<edge source='0'/></graph>"), "error: 4:1: the edge has no target"),
        (
            whole("<graph>\n<node id='0'/>\n<edge source='0' target='7'/></graph>"),
            "error: 4:1: edge 0: there is no node 7",
        ),
        (whole("<graph><node id='0'/></graph>\n<graph/>"), "error: 3:1: the file has several graphs"),
        (whole("<graph><node id='0'>\n<graph/></node></graph>"), "error: 3:1: the file has several graphs"),
        (
            whole(
                "<graph edgedefault='directed'><node id='0'/><node id='1'/><edge source='0' target='1'/></graph>",
            ),
            "error: 2:1: the graph is directed",
        ),
        (
            whole("<graph><node id='0'/><node id='1'/><edge directed='true' source='0' target='1'/></graph>"),
            "error: 2:1: the graph is directed",
        ),
        (
            whole("<graph><node id='0'>\n<data key='x'>1</data></node></graph>"),
            "error: 3:1: the key x is not declared",
        ),
        (whole("<key id='x'/>\n<key id='x'/>"), "error: 3:1: the key x is declared twice"),
        (whole("<graph><node id='0'></graph>"), "error: 2:21: not valid XML"),
        ("<graphml>\n<graph>".to_owned(), "error: 2:8: the file ends before"),
        ("<graphml/>\n<graphml/>".to_owned(), "error: 2:1: there is a second root"),
        ("<graphml/>\nx".to_owned(), "error: 1:11: there is text outside"),
        ("<!-- nothing -->".to_owned(), "error: 1:17: there is no element"),
        (whole("<graph><node id=0/></graph>"), "error: 2:8: not valid XML"),
        (whole("<graph><node id='0' id='1'/></graph>"), "error: 2:8: not valid XML"),
        (
            file(&(nodes(2) + edge)).replace("utf-8", "iso-8859-1").replace("Own", "Köln"),
            "error: 1:1: the file calls itself iso-8859-1",
        ),
    ] {
        let (topology, findings) = load(&text);
        assert!(
            topology.is_none() && findings.iter().any(|it| it.starts_with(expected)),
            "{text}: {findings:?}"
        );
    }
    let ascii = file(&(nodes(2) + edge)).replace("utf-8", "iso-8859-1");
    assert_eq!(load(&ascii).1, no_findings());
}

/// Nothing is expanded, nothing is fetched.
#[test]
fn entities_of_a_file_are_refused() {
    let bomb = "<!DOCTYPE graphml [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\n<graphml>&b;</graphml>";
    assert_eq!(
        load(bomb).1,
        ["error: 1:1: document type definitions are not read: remove <!DOCTYPE ...> and its entities"]
    );
    let fetched = "<?xml version=\"1.0\"?>\n<!DOCTYPE graphml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>\n<graphml>&x;</graphml>";
    assert!(load(fetched).1[0].starts_with("error: 2:1: document type definitions"), "{:?}", load(fetched).1);
    let unknown = file("<node id=\"0\"><data key=\"d1\">&x;</data></node>");
    assert!(load(&unknown).1[0].contains("the entity &x; is not known"), "{:?}", load(&unknown).1);
    let known = file(&node("0", "A&amp;B &#x42;<![CDATA[<&>]]>", "0", "0"));
    let (topology, findings) = load(&known);
    assert_eq!(findings, no_findings());
    let site = &topology.unwrap().datacenters[0];
    assert_eq!((site.name.as_str(), site.metadata["label"].as_str()), ("A-B-B", "A&B B<&>"));
}

/// Values for all that say nothing, as other programs write them.
#[test]
fn keys_may_have_defaults() {
    let text = "<graphml><key id='i' for='node' attr.name='Internal'><default>0</default></key>
<key id='s' for='all' attr.name='LinkSpeedRaw'><desc>d</desc><default> 1e6 </default></key>
<graph><node id='0'><data key='i'>1</data></node><node id='1'><data key='i'>1</data></node><node id='2'/>
<edge source='0' target='1'/></graph></graphml>";
    let (topology, findings) = load(text);
    assert!(findings.iter().any(|it| it.contains("node 2: the node is external")), "{findings:?}");
    assert_eq!(topology.unwrap().links[0].a.egress.bandwidth_bps, Some(1_000_000));
}

/// What stands in the file once is not held by each of thousands.
#[test]
fn values_are_bounded() {
    let long = "x".repeat(1025);
    let expected = "a value of label is longer than 1024 bytes";
    let key = |default: &str| format!("<key id='l' attr.name='label'><default>{default}</default></key>");
    for (text, expected) in [
        (format!("<graphml>{}<graph><node id='0'/></graph></graphml>", key(&long)), expected),
        (file(&node("0", &long, "0", "0")), expected),
        (file(&format!("<node id='{}'/>", "0".repeat(5000))), "has at most 4096 bytes"),
    ] {
        let (topology, findings) = load(&text);
        assert!(topology.is_none() && findings.iter().any(|it| it.contains(expected)), "{findings:?}");
    }
    let fits = format!("<graphml>{}<graph><node id='0'/><node id='1'/></graph></graphml>", key(&long[1..]));
    assert_eq!(load(&fits).0.unwrap().datacenters[1].metadata["label"].len(), 1024);
    // What means nothing here may have any length.
    let other = file(&format!("<node id='0'><data key='d0'>{long}</data></node>"));
    assert!(load(&other).0.is_some());
}

/// Time and memory stay small whatever a file holds.
#[test]
fn hostile_files_are_refused_quickly() {
    let started = std::time::Instant::now();
    let attributes: String = (0..600_000).map(|n| format!(" a{n}=\"\"")).collect();
    for (text, expected) in [
        ("<graphml>".repeat(100_000), "nested too deeply"),
        (format!("<graphml><graph>{}", "<node id=''/>".repeat(600_000)), "at most 16384 nodes"),
        (
            format!("<graphml><graph>{}", "<edge source='' target=''/>".repeat(300_000)),
            "at most 131072 edges",
        ),
        (
            format!("<graphml>{}", (0..2000).map(|n| format!("<key id='{n}'/>")).collect::<String>()),
            "at most 1000 keys",
        ),
        (format!("<graphml><graph{attributes}/></graphml>"), "no node that becomes"),
        (file(&"<node id=\"&#38;\"/>".repeat(16_384)), "another node of that id"),
        (
            file(&(0..5000).map(|n| format!("<node id='{n}'/>")).collect::<String>()),
            "at most 4096 data centers",
        ),
    ] {
        let (topology, findings) = load(&text);
        assert!(
            topology.is_none() && findings.iter().any(|it| it.contains(expected)),
            "{expected}: {findings:?}"
        );
    }
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}
