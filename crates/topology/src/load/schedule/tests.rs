//! Schedules and changes, good and bad.

use crate::{LinkChange, load_datacenter, load_link, load_link_change, load_schedule};

fn told(file: &str) -> String {
    let (schedule, findings) = load_schedule(file.as_bytes());
    match schedule {
        Some(schedule) => {
            assert!(findings.is_empty(), "{findings:?}");
            let lines =
                schedule.changes.iter().map(|it| format!("{} {}: {}\n", it.at_us, it.link, it.change));
            lines.collect()
        }
        None => findings.iter().map(|finding| format!("{finding}\n")).collect(),
    }
}

#[test]
fn repetitions_are_unrolled_in_the_order_of_time() {
    let file = "
name: flaps
changes:
  - {at: 2s, link: b, delay: 20ms, loss: 1%, from: dc1}
  - at: 1s
    repeat: 3
    every: 500ms
    changes:
      - {at: 0, link: a, up: false}
      - {at: 0.25s, link: a, up: true}
  - {at: 2s, link: c, bandwidth: none, mtu: none, queue: 10}
";
    assert_eq!(
        told(file),
        "1000000 a: down\n1250000 a: up\n1500000 a: down\n1750000 a: up\n\
         2000000 b: delay 20ms, loss 1%, from dc1\n2000000 a: down\n\
         2000000 c: bandwidth none, mtu none, queue 10\n2250000 a: up\n"
    );
    let schedule = load_schedule(file.as_bytes()).0.unwrap();
    assert_eq!(schedule.links().into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(schedule.name.as_deref(), Some("flaps"));
    let json = r#"{"changes": [{"at": "1ms", "link": "a", "mtu": 1400, "up": true}]}"#;
    assert_eq!(told(json), "1000 a: up, mtu 1400\n");
}

#[test]
fn all_findings_come_back_together_with_their_places() {
    let file = "changes:
  - {at: soon, link: a, up: false}
  - {at: 1s, link: a}
  - {link: [a], delay: 10, colour: red}
  - {at: 0, repeat: 0, every: 1s, changes: []}
  - {at: 0, repeat: 2, changes: []}
  - at: 0
    repeat: 2
    every: 1s
    changes:
      - {at: 2s, link: a, up: false}
  - {at: 0, repeat: 2, every: 1s, changes: [{at: 0, repeat: 2, every: 1s, changes: []}]}
  - nothing
  - at: 0
    repeat:
    every: 1s
    changes: [{at: 0, link: a, up: false}]
  - {at: 0, repeat: 2, every: 1s, changes: []}
";
    insta::assert_snapshot!(told(file));
}

#[test]
fn schedules_are_bounded() {
    let long = "x".repeat(201);
    let round = "changes: [{at: 0, link: a, up: false}, {at: 0, link: a, up: true}]";
    for (file, expected) in [
        (format!("changes: [{{at: 0, repeat: 5000, every: 1ms, {round}}}]"), None),
        (format!("changes: [{{at: 0, repeat: 5001, every: 1ms, {round}}}]"), Some("at most 10000 changes")),
        (format!("changes: [{{at: 0, repeat: 99999999999, every: 1ms, {round}}}]"), Some("from 1 to 10000")),
        (format!("changes: [{{at: 1h, repeat: 25, every: 1h, {round}}}]"), Some("at most 24h")),
        ("changes: [{at: 25h, link: a, up: true}]".to_owned(), Some("up to 24h")),
        (String::new(), Some("expected a map")),
        ("name: x".to_owned(), Some("at least one change")),
        ("changes: []".to_owned(), Some("at least one change")),
        // Repeated, a long name would fill the memory.
        (
            format!(
                "changes: [{{at: 0, repeat: 2, every: 1s, changes: [{{at: 0, link: {long}, up: true}}]}}]"
            ),
            Some("changes[0].changes[0].link: expected a name of 1 to 200 bytes"),
        ),
        (
            format!("name: {long}\nchanges: [{{at: 0, link: a, up: true}}]"),
            Some("name: expected a name of 1 to 200"),
        ),
    ] {
        let told = told(&file);
        match expected {
            Some(expected) => assert!(told.contains(expected), "{file}: {told}"),
            None => assert_eq!(told.lines().count(), 10_000, "{file}"),
        }
    }
    assert!(load_schedule(b"\xff").0.is_none());
}

/// Ten thousand changes of one link name it once.
#[test]
fn repetitions_share_the_name_of_their_link() {
    let file = "changes: [{at: 0, repeat: 3, every: 1s, changes: [{at: 0, link: a, up: true}]}]";
    let changes = load_schedule(file.as_bytes()).0.unwrap().changes;
    assert!(changes.iter().all(|change| std::sync::Arc::ptr_eq(&change.link, &changes[0].link)));
}

#[test]
fn parts_are_read_strictly() {
    let (change, findings) = load_link_change(br#"{"delay": "20ms", "mtu": "none", "up": true}"#);
    let expected =
        LinkChange { delay_us: Some(20_000), mtu: Some(None), up: Some(true), ..LinkChange::default() };
    assert_eq!((change, findings), (Some(expected), vec![]));
    for (text, expected) in [
        ("{dealy: 1ms}", "error: 1:2: dealy: the key is not known; known are from, up, bandwidth"),
        ("{delay: 1}", "error: 1:9: delay: expected a duration"),
        ("{mtu: 12}", "error: 1:7: mtu: expected a number of bytes from 1280 to 9000"),
        ("{queue: 0}", "expected a number of packets"),
        ("{from: ''}", "from: "),
        ("[]", "expected a map"),
    ] {
        let (change, findings) = load_link_change(text.as_bytes());
        let told = findings.iter().map(ToString::to_string).collect::<String>();
        assert!(change.is_none() && told.contains(expected), "{text}: {told}");
    }
    let topology = crate::default_topology();
    let (link, _) = load_link(b"{ends: [dc1, dc2], delay: 1ms, backward: {loss: 1%}}", &topology);
    assert_eq!(link.unwrap().b.egress.loss_ppm, 10_000);
    let (link, findings) = load_link(b"{ends: [dc1, dc3]}", &topology);
    assert!(link.is_none() && findings[0].to_string().contains("1:14: ends: there is no data center dc3"));
    assert_eq!(load_datacenter(b"{name: dc3, capacity: {cpu: 2}}").0.unwrap().capacity.cpu_milli, Some(2000));
    assert!(load_datacenter(b"{nam: dc3}").0.is_none());
}
