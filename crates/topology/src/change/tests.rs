//! Changes that can be made, and those that cannot.

use super::*;

fn ring() -> Topology {
    let file = "datacenters: [a, b, c]\nlinks:\n- {ends: [a, b], delay: 5ms, jitter: 2ms, mtu: 1500}\n- [b, c]\n- [c, a]\n";
    crate::load(file.as_bytes()).0.unwrap()
}

fn dc(name: &str) -> DcName {
    DcName::parse(name).unwrap()
}

fn link(name: &str, change: LinkChange) -> Change {
    Change::Link { name: name.to_owned(), change }
}

fn new_link(name: Option<&str>, a: &str, b: &str) -> Change {
    let end = |name: &str| LinkEnd { dc: dc(name), egress: LinkProperties::default() };
    Change::AddLink(NewLink { name: name.map(str::to_owned), a: end(a), b: end(b), up: true })
}

fn datacenter(name: &str) -> DataCenter {
    DataCenter { name: dc(name), ..crate::default_topology().datacenters[0].clone() }
}

#[test]
fn what_is_not_named_stays() {
    let before = ring();
    let change = LinkChange { delay_us: Some(20_000), from: Some(dc("b")), ..LinkChange::default() };
    let after = before.changed(&link("a-b", change)).unwrap();
    let mut expected = before.clone();
    expected.links[0].b.egress.delay_us = 20_000;
    assert_eq!(after, expected);
    let change = LinkChange {
        up: Some(false),
        bandwidth_bps: Some(Some(1000)),
        mtu: Some(None),
        ..LinkChange::default()
    };
    let after = after.changed(&link("a-b", change)).unwrap();
    for properties in [after.links[0].a.egress, after.links[0].b.egress] {
        assert_eq!(
            (properties.bandwidth_bps, properties.mtu, properties.jitter_us),
            (Some(1000), None, 2000)
        );
    }
    assert!(!after.links[0].up);
    let back = LinkChange { up: Some(true), bandwidth_bps: Some(None), ..LinkChange::default() };
    assert_eq!(after.changed(&link("a-b", back)).unwrap().links[0].a.egress.bandwidth_bps, None);
}

#[test]
fn links_and_data_centers_come_and_go() {
    let grown = ring().changed(&Change::AddDatacenter(datacenter("d"))).unwrap();
    assert_eq!(grown.datacenters[3].name, dc("d"));
    let grown = grown.changed(&new_link(None, "a", "b")).unwrap().changed(&new_link(None, "c", "d")).unwrap();
    let names = |topology: &Topology| topology.links.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&grown), ["a-b", "b-c", "c-a", "a-b.2", "c-d"]);
    let smaller = grown.changed(&Change::RemoveDatacenter { name: dc("c") }).unwrap();
    assert_eq!(names(&smaller), ["a-b", "a-b.2"]);
    let smaller = smaller.changed(&Change::RemoveLink { name: "a-b".to_owned() }).unwrap();
    assert_eq!(names(&smaller), ["a-b.2"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let nothing = LinkChange::default();
    for (change, expected) in [
        (link("a-d", nothing.clone()), "there is no link \"a-d\"; there are a-b, b-c, c-a"),
        (link("a-b", nothing.clone()), "changes nothing"),
        (link("a-b", LinkChange { from: Some(dc("a")), ..nothing.clone() }), "changes nothing"),
        (
            link("a-b", LinkChange { from: Some(dc("c")), delay_us: Some(1), ..nothing.clone() }),
            "link a-b: c is none of its ends, which are a and b",
        ),
        (
            link("a-b", LinkChange { from: Some(dc("a")), up: Some(false), ..nothing.clone() }),
            "leave `from` out",
        ),
        (
            link("a-b", LinkChange { delay_us: Some(1_500), ..nothing.clone() }),
            "the jitter (2ms) would be larger than the delay (1.5ms)",
        ),
        (new_link(None, "a", "d"), "there is no data center d; there are a, b, c"),
        (new_link(None, "a", "a"), "link a-a: it joins a to itself"),
        (new_link(Some("b-c"), "a", "b"), "there is another link b-c"),
        (Change::RemoveLink { name: "x".to_owned() }, "there is no link \"x\""),
        (Change::AddDatacenter(datacenter("a")), "there is another data center a"),
        (Change::RemoveDatacenter { name: dc("d") }, "there is no data center d"),
    ] {
        let error = ring().changed(&change).unwrap_err().to_string();
        assert!(error.contains(expected), "{change}: {error}");
    }
    let one = crate::load(b"datacenters: [a]").0.unwrap();
    let error = one.changed(&Change::RemoveDatacenter { name: dc("a") }).unwrap_err();
    assert_eq!(error, ChangeError::LastDatacenter { name: dc("a") });
}

#[test]
fn changes_are_told_in_the_units_of_the_file() {
    let change = LinkChange {
        from: Some(dc("a")),
        up: Some(true),
        bandwidth_bps: Some(Some(2_500_000)),
        delay_us: Some(20_000),
        jitter_us: Some(1_500),
        loss_ppm: Some(10_001),
        mtu: Some(None),
        queue_packets: Some(Some(7)),
    };
    let expected =
        "link x: up, bandwidth 2.5Mbps, delay 20ms, jitter 1.5ms, loss 1.0001%, mtu none, queue 7, from a";
    assert_eq!(link("x", change).to_string(), expected);
}

#[test]
fn there_is_room_for_so_many_links_only() {
    let links = "- [a, b]\n".repeat(MAX_LINKS);
    let mut full = crate::load(format!("datacenters: [a, b]\nlinks:\n{links}").as_bytes()).0.unwrap();
    assert_eq!(full.change(&new_link(None, "a", "b")).unwrap_err(), ChangeError::TooManyLinks);
    full.change(&Change::RemoveLink { name: "a-b.7".to_owned() }).unwrap();
    full.change(&new_link(None, "a", "b")).unwrap();
    assert_eq!(full.links.len(), MAX_LINKS);
}

/// Links are found where they have come to stand.
#[test]
fn many_changes_are_as_one_after_the_other() {
    let delay = |delay_us| LinkChange { delay_us: Some(delay_us), ..LinkChange::default() };
    let changes = [
        link("b-c", delay(5)),
        Change::RemoveLink { name: "a-b".to_owned() },
        link("b-c", delay(7)),
        new_link(Some("a-b"), "b", "a"),
        link("a-b", LinkChange { from: Some(dc("a")), ..delay(9) }),
    ];
    let (mut batch, mut expected) = (Batch::new(ring()), ring());
    for change in &changes {
        batch.change(change).unwrap();
        expected.change(change).unwrap();
        assert_eq!(batch.topology(), &expected);
    }
    assert_eq!(batch.link("b-c").unwrap().a.egress.delay_us, 7);
    let nowhere = link("x", delay(1));
    assert_eq!(batch.change(&nowhere), expected.change(&nowhere));
    assert_eq!(batch.finish(), expected);
}
