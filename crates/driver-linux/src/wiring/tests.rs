//! The wiring of small services, written out.

use std::fmt::Write as _;

use llcm_names::{EngineName, IfName, InstallationId, LinkGroup, MacAddr, Owner};

use llcm_runtime::ChainEnd;

use super::*;

const E_LINE: SegmentKind = SegmentKind::ELine { bidirectional: true };
const ONE_WAY: SegmentKind = SegmentKind::ELine { bidirectional: false };

fn owner() -> Owner {
    let instance = "0123abcd-0000-4000-8000-000000000000".parse().unwrap();
    Owner { installation: InstallationId::from_bits(1), instance }
}

/// A segment with ends of (port, data center); ports from 100 on are leaves.
fn segment(id: u32, kind: SegmentKind, ends: &[(u32, &str)]) -> SegmentSpec {
    let end = |(port, dc): &(u32, &str)| SegmentEnd {
        port: PortId::new(*port),
        datacenter: DcName::parse(dc).unwrap(),
        role: if *port >= 100 { TreeRole::Leaf } else { TreeRole::Root },
    };
    SegmentSpec {
        owner: owner(),
        id: SegmentId::try_from(id).unwrap(),
        group: LinkGroup::try_from(1).unwrap(),
        kind,
        ends: ends.iter().map(end).collect(),
    }
}

/// What [`View::wires_of`] gives for the last segment when these ports are attached, a line per device.
#[track_caller]
fn check(segments: &[SegmentSpec], attached: &[u32], expected: &[&str]) {
    look(segments, &[], attached, |view| {
        assert_eq!(view.wires_of(segments.last().unwrap()).iter().map(show).collect::<Vec<_>>(), expected);
    });
}

/// What [`View::wires_of_chain`] gives for the last chain, and [`View::wires_around`] for its destination.
#[track_caller]
fn check_chain(segments: &[SegmentSpec], chains: &[ChainSpec], attached: &[u32], expected: &[&str]) {
    let last = chains.last().unwrap();
    look(segments, chains, attached, |view| {
        assert_eq!(view.wires_of_chain(last).iter().map(show).collect::<Vec<_>>(), expected);
        if let Some(port) = view.ports.get(&last.destination.port) {
            let around: Vec<_> = view.wires_around(port).iter().map(show).collect();
            assert!(expected.iter().all(|line| around.iter().any(|wire| wire == line)), "{around:?}");
        }
    });
}

/// A chain of (port, data center) to (port, data center).
fn chain(id: u32, from: (u32, &str), to: (u32, &str), priority: u16, matches: &str) -> ChainSpec {
    let end = |(port, dc): (u32, &str)| ChainEnd {
        port: PortId::new(port),
        datacenter: DcName::parse(dc).unwrap(),
    };
    ChainSpec {
        owner: owner(),
        id: SegmentId::try_from(id).unwrap(),
        group: LinkGroup::try_from(1).unwrap(),
        source: end(from),
        destination: end(to),
        bidirectional: true,
        matches: matches.parse().unwrap(),
        priority,
    }
}

fn show(wire: &Wire) -> String {
    let mut text = format!("{} {}", wire.datacenter, wire.device);
    for rule in wire.chains.iter().chain(&wire.rules) {
        let arrow = match (rule.copy, rule.or_lose) {
            (true, _) => "+>",
            (false, false) => "->",
            (false, true) => "=>",
        };
        let matches = match &rule.matches {
            Match::All => String::new(),
            Match::To(mac) => format!("to {:02x} ", mac[5]),
            Match::From(device) => format!("from {device} "),
            Match::Words(words) => format!("{} words ", words.len()),
        };
        write!(text, "; {matches}{arrow} {}", rule.target).unwrap();
    }
    text
}

/// Looks at segments and chains of which these ports are attached.
#[track_caller]
fn look(segments: &[SegmentSpec], chains: &[ChainSpec], attached: &[u32], work: impl FnOnce(View<'_>)) {
    let all: BTreeMap<SegmentId, SegmentSpec> =
        segments.iter().map(|segment| (segment.id, segment.clone())).collect();
    let chains: BTreeMap<SegmentId, ChainSpec> =
        chains.iter().map(|chain| (chain.id, chain.clone())).collect();
    let port = |id: &u32| {
        let ends = segments.iter().flat_map(|segment| segment.ends.iter().map(move |end| (segment.id, end)));
        let own: Vec<_> = ends.filter(|(_, end)| end.port == PortId::new(*id)).collect();
        let ends = chains.values().flat_map(|chain| [&chain.source, &chain.destination]);
        let mut places = ends.filter(|end| end.port == PortId::new(*id)).map(|end| &end.datacenter);
        let datacenter = own.first().map(|(_, end)| &end.datacenter).or(places.next()).unwrap().clone();
        PortSpec {
            owner: owner(),
            id: PortId::new(*id),
            group: LinkGroup::try_from(1).unwrap(),
            datacenter,
            container: EngineName::parse("c").unwrap(),
            ifname: IfName::parse("data").unwrap(),
            mac: MacAddr::parse(&format!("02:00:00:00:00:{id:02x}")).unwrap(),
            addresses: Vec::new(),
            mtu: 1500,
            segments: own.iter().map(|(segment, _)| *segment).collect(),
            neighbours: Vec::new(),
            host: None,
        }
    };
    let ports = attached.iter().map(|id| (PortId::new(*id), port(id))).collect();
    work(View { segments: &all, chains: &chains, ports: &ports });
}

#[test]
fn an_e_line_within_a_data_center_is_two_redirects() {
    let line = [segment(5, E_LINE, &[(1, "a"), (2, "a")])];
    check(&line, &[1, 2], &["a p1; -> p2", "a p2; -> p1"]);
    check(&line, &[1], &["a p1"]);
    check(&[segment(5, SegmentKind::ELan, &[(1, "a"), (2, "a")])], &[1, 2], &["a p1; -> p2", "a p2; -> p1"]);
}

#[test]
fn an_e_line_across_data_centers_goes_by_its_tunnel() {
    let line = [segment(5, E_LINE, &[(1, "a"), (2, "b")])];
    check(&line, &[1, 2], &["a p1; -> v5", "b p2; -> v5", "a v5; -> p1", "b v5; -> p2"]);
    check(&line, &[2], &["b p2; -> v5", "a v5", "b v5; -> p2"]);
}

#[test]
fn a_one_way_e_line_has_no_way_back() {
    check(&[segment(5, ONE_WAY, &[(1, "a"), (2, "a")])], &[1, 2], &["a p1; -> p2", "a p2"]);
    let far = [segment(5, ONE_WAY, &[(1, "a"), (2, "b")])];
    check(&far, &[1, 2], &["a p1; -> v5", "b p2", "a v5", "b v5; -> p2"]);
}

#[test]
fn ports_of_bridges_need_no_filters() {
    check(&[segment(5, SegmentKind::ELan, &[(1, "a"), (2, "a"), (3, "b")])], &[1, 2, 3], &[]);
}

#[test]
fn a_port_on_several_segments_sorts_its_frames() {
    let segments = [
        segment(5, E_LINE, &[(1, "a"), (2, "a")]),
        segment(6, SegmentKind::ELan, &[(1, "a"), (3, "a"), (4, "b")]),
    ];
    let hub = "a p1; to 02 -> p2; to 03 -> h1.1; to 04 -> h1.1; +> p2; -> h1.1";
    check(&segments, &[1, 2, 3, 4], &["a h1.1; -> p1", hub]);
}

#[test]
fn leaves_of_a_tree_have_a_tunnel_of_their_own() {
    let tree = [segment(5, SegmentKind::ETree, &[(1, "a"), (100, "a"), (101, "b")])];
    let expected = ["a v5; from w5 -> x5; from p64 -> w5", "b v5; from w5 -> x5; from p65 -> w5"];
    check(&tree, &[1, 100, 101], &expected);
    check(&[segment(5, SegmentKind::ETree, &[(1, "a"), (2, "b"), (3, "b")])], &[1, 2, 3], &[]);
}

#[test]
fn a_chain_stands_before_the_segments() {
    let line = [segment(5, E_LINE, &[(1, "a"), (2, "a")])];
    let near = chain(9, (1, "a"), (3, "a"), 1, "dl_type=0x0806");
    check_chain(
        &line,
        std::slice::from_ref(&near),
        &[1, 2, 3],
        &["a p1; 1 words => p3; -> p2", "a p3; 1 words => p1"],
    );
    // What cannot arrive is lost.
    check_chain(&line, &[near], &[1, 2], &["a p1; 1 words => p3; -> p2"]);
    let lan = [segment(5, SegmentKind::ELan, &[(1, "a"), (2, "a"), (4, "a")])];
    let far = chain(9, (1, "a"), (3, "b"), 1, "");
    check_chain(&lan, &[far], &[1, 3], &["a v9; -> p1", "b v9; -> p3", "a p1; => v9", "b p3; => v9"]);
}

#[test]
fn chains_stand_in_the_order_of_their_priority() {
    let chains = [
        chain(7, (1, "a"), (4, "a"), 1, ""),
        chain(8, (2, "a"), (1, "a"), 3, "dl_type=0x0800,nw_proto=6"),
        chain(9, (1, "a"), (3, "a"), 1, "dl_src=02:00:00:00:00:01"),
    ];
    let expected = ["a p1; 2 words => p2; => p4; 2 words => p3", "a p3; 2 words => p1"];
    check_chain(&[], &chains, &[1, 2, 3, 4], &expected);
}

#[test]
fn without_its_chain_a_port_has_its_rules_still() {
    let line = [segment(5, E_LINE, &[(1, "a"), (2, "a")])];
    let spec = chain(9, (1, "a"), (3, "a"), 1, "");
    look(&line, std::slice::from_ref(&spec), &[1, 2, 3], |view| {
        let wires = view.without_chain(spec.id, |view| view.wires_of_chain(&spec));
        let shown: Vec<_> = wires.iter().map(show).collect();
        assert_eq!(shown, ["a p1; -> p2", "a p3"]);
    });
}
