//! `llcm link` and `llcm dc` against a server.

use std::fs;

use crate::run::{Server, demo_package};

const RING: &str = "datacenters: [dc1, dc2, dc3]\nlinks: [[dc1, dc2], [dc2, dc3], [dc3, dc1]]\n";

/// A server on a ring of three data centers.
fn ring(dir: &std::path::Path, flags: &[&str]) -> Server {
    let topology = dir.join("topology.yml");
    if !topology.exists() {
        fs::write(&topology, RING).unwrap();
    }
    let args = [&["--topology", topology.to_str().unwrap()], flags].concat();
    Server::start(&dir.join("data"), &args)
}

#[test]
fn links_are_changed_and_stay_changed() {
    let dir = tempfile::tempdir().unwrap();
    let server = ring(dir.path(), &[]);
    server.llcm(&["up", &demo_package(dir.path())]).expect(0);
    server
        .llcm(&[
            "link", "set", "dc1-dc2", "--delay", "20ms", "--jitter", "1.5ms", "--loss", "1%", "--from", "dc1",
        ])
        .expect(0);
    server.llcm(&["link", "set", "dc2-dc3", "--bandwidth", "100Mbps", "--queue", "50"]).expect(0);
    assert_eq!(server.llcm(&["link", "down", "dc3-dc1"]).expect(0), "link dc3-dc1 is down\n");
    server.llcm(&["link", "add", "dc1", "dc3", "--name", "spare link", "--mtu", "1500", "--down"]).expect(0);
    let told = server.llcm(&["link", "ls"]).expect(0);
    insta::assert_snapshot!("link-ls", told);
    server.llcm(&["link", "up", "spare link"]).expect(0);
    server.llcm(&["link", "rm", "spare link"]).expect(0);
    let links = server.llcm(&["link", "ls", "-o", "json"]).json();
    assert_eq!(links.as_array().unwrap().len(), 3);

    server
        .llcm(&["dc", "add", "dc4", "--cpu", "2.5", "--memory", "4GiB", "--metadata", "country=eu"])
        .expect(0);
    let unlimited = ["--bandwidth", "none", "--mtu", "none", "--queue", "none"];
    server.llcm(&[&["link", "add", "dc4", "dc1"][..], &unlimited].concat()).expect(0);
    insta::assert_snapshot!("dc-ls", server.llcm(&["dc", "ls"]).expect(0));
    let refused = server.llcm(&["dc", "rm", "dc1"]).expect_error(1);
    assert!(refused.contains("in use by 1 units of live instances"), "{refused}");
    server.llcm(&["dc", "rm", "dc4"]).expect(0);
    for (args, expected) in [
        (&["link", "set", "dc1-dc2"][..], "say what to change"),
        (&["link", "set", "dc1-dc2", "--delay", "soon"], "error: delay: expected a duration"),
        (&["link", "down", "none"], "there is no link"),
        (
            &["link", "add", "dc1", "dc9"],
            "error: ends: there is no data center dc9; there are dc1, dc2, dc3\n",
        ),
        (&["dc", "rm", "dc9"], "there is no data center dc9"),
        (&["link", "add", "dc1", "dc2", "--delay", "none"], "error: delay: expected a duration"),
        (&["dc", "add", "dc5", "--cpu", "many"], "error: capacity.cpu: "),
        (&["dc", "add", "dc5", "--metadata", "a=1", "--metadata", "a=2"], "--metadata gives a twice"),
        (&["link", "stop"], "there is no schedule"),
    ] {
        let error = server.llcm(args).expect_error(1);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    assert_eq!(server.stop(), Some(0));

    // The file is as it was: the changes hold. It is another one: it holds, which is said.
    let server = ring(dir.path(), &[]);
    let said = server.begun.join("\n");
    assert!(said.contains("link dc3-dc1: state up -> down"), "{said}");
    assert!(
        said.contains("link dc1-dc2: delay from dc1 none -> 20ms, jitter from dc1 none -> 1.5ms"),
        "{said}"
    );
    let down = server.llcm(&["link", "ls", "-o", "json"]).json();
    assert_eq!(down[2]["up"], false, "{down}");
    assert_eq!(server.stop(), Some(0));
    fs::write(dir.path().join("topology.yml"), format!("{RING}# other\n")).unwrap();
    let server = ring(dir.path(), &[]);
    assert_eq!(server.llcm(&["link", "ls", "-o", "json"]).json()[2]["up"], false, "it says the same");
    assert_eq!(server.stop(), Some(0));
    fs::write(
        dir.path().join("topology.yml"),
        RING.replace("[dc2, dc3],", "{ends: [dc2, dc3], delay: 1ms},"),
    )
    .unwrap();
    let server = ring(dir.path(), &[]);
    let said = server.begun.join("\n");
    assert!(said.contains("the file holds") && said.contains("link dc3-dc1: state up -> down"), "{said}");
    assert_eq!(server.llcm(&["link", "ls", "-o", "json"]).json()[2]["up"], true);
    assert_eq!(server.stop(), Some(0));
}

/// How a schedule ends.
fn ended(server: &Server, id: &str) -> String {
    let begun = std::time::Instant::now();
    loop {
        let shown = server.llcm(&["link", "schedules", id, "-o", "json"]).json();
        if shown["state"] != "running" {
            return shown["state"].as_str().unwrap().to_owned();
        }
        assert!(begun.elapsed().as_secs() < 60, "{shown}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_schedule_is_played_followed_and_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let server = ring(dir.path(), &[]);
    let file = dir.path().join("flaps.yml");
    let path = file.to_str().unwrap();
    let flaps = "changes: [{at: 0, link: dc1-dc2, up: false}, {at: 100ms, link: dc1-dc2, up: true}]";
    fs::write(&file, format!("name: flaps\nchanges:\n- {{at: 50ms, repeat: 3, every: 200ms, {flaps}}}\n"))
        .unwrap();
    let told = server.llcm(&["link", "play", path]).expect(0);
    assert!(
        told.contains("    150ms  dc1-dc2: up, ") && told.contains("schedule done: 6 of 6 changes made"),
        "{told}"
    );
    let done = server.llcm(&["link", "play", path, "-o", "json"]).json();
    assert_eq!((done["made"].as_u64(), done["changes"].as_array().unwrap().len()), (Some(6), 6));

    fs::write(&file, "changes: [{at: 0, link: dc1-dc2, up: false}, {at: 1h, link: dc1-dc2, up: true}]")
        .unwrap();
    let id = server.llcm(&["link", "play", "--detach", path]).expect(0);
    let listed = server.llcm(&["link", "schedules"]).expect(0);
    assert!(listed.contains(id.trim()) && listed.contains("running"), "{listed}");
    assert!(server.llcm(&["link", "ls"]).expect(0).contains("down, scheduled"));
    let conflict = server.llcm(&["link", "play", path]).expect_error(1);
    assert!(conflict.contains(id.trim()), "{conflict}");
    let stopped = server.llcm(&["link", "stop"]).expect(0);
    assert!(stopped.contains("schedule stopped: 1 of 2 changes made"), "{stopped}");
    let shown = server.llcm(&["link", "schedules", id.trim()]).expect(0);
    assert!(shown.contains("3600s  dc1-dc2: up\n"), "{shown}");
    server.llcm(&["link", "stop", id.trim()]).expect(0);

    // Whatever fails: the one that was to be changed goes between its changes. Where that took too long, they are
    // farther apart the next time.
    let mut id = String::new();
    for seconds in [2, 10, 30] {
        let later = format!("{{at: {seconds}s, link: dc1-dc2, up: false}}");
        fs::write(&file, format!("changes: [{{at: 0, link: dc1-dc2, up: true}}, {later}]")).unwrap();
        id = server.llcm(&["link", "play", "--detach", path]).expect(0);
        server.llcm(&["link", "rm", "dc1-dc2"]).expect(0);
        server.llcm(&["link", "add", "dc1", "dc2", "--name", "other"]).expect(0);
        if ended(&server, id.trim()) != "done" {
            break;
        }
        server.llcm(&["link", "rm", "other"]).expect(0);
        server.llcm(&["link", "add", "dc1", "dc2", "--name", "dc1-dc2"]).expect(0);
    }
    let missing = "there is no link \"dc1-dc2\"";
    let listed = server.llcm(&["link", "schedules"]).expect(0);
    assert!(listed.contains("failed") && listed.contains(missing), "{listed}");
    let shown = server.llcm(&["link", "schedules", id.trim()]).expect(0);
    assert!(shown.contains("reason: ") && shown.contains(missing), "{shown}");

    fs::write(&file, "changes:\n- {at: 0, link: other, up: false}\n- {at: 1s, link: none, up: false}\n")
        .unwrap();
    let error = server.llcm(&["link", "play", path]).expect_error(1);
    assert!(error.contains("flaps.yml: 3:3: changes[1]: there is no link \"none\""), "{error}");
    fs::write(
        &file,
        "changes: [{at: 0, repeat: 2, every: 1s, changes: [{at: 0, link: other, jitter: 1ms}]}]",
    )
    .unwrap();
    let error = server.llcm(&["link", "play", path]).expect_error(1);
    assert!(error.contains(": 1:51: changes[0].changes[0]: link other: the jitter"), "{error}");

    // Several places with the same fault are several findings.
    fs::write(&file, "changes:\n- {at: 1, link: other, up: maybe}\n- {at: 1, link: other, up: true}\n")
        .unwrap();
    let error = server.llcm(&["link", "play", path]).expect_error(1);
    assert!(error.contains("error[schedule]: 3:8: changes[1].at: "), "{error}");
    fs::write(&file, "changes:\n- {at: 1, link: dc1-dc2, up: maybe}\n").unwrap();
    let error = server.llcm(&["link", "play", path]).expect_error(1);
    assert!(error.contains("flaps.yml") && error.contains("2:8: changes[0].at"), "{error}");
    assert!(error.contains("error[schedule]: 2:30: changes[0].up: expected true or false"), "{error}");
}

/// What the host cannot do is refused, or left out and told where that is wanted.
#[test]
fn what_is_not_emulated_is_an_error_or_shown() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script.yml");
    fs::write(
        &script,
        "not-emulated: [{link: dc1-dc2, what: 'link dc1-dc2, dc1 to dc2: delay of 1000 us'}]\n",
    )
    .unwrap();
    let script = script.to_str().unwrap();
    let (data, data_dir) = (dir.path().join("data"), "--data-dir");
    let args =
        ["serve", "--engine", "simulated", "--listen", "127.0.0.1:0", "--simulated-script", script, data_dir];
    let refused = crate::run::llcm(&[&args[..], &[data.to_str().unwrap()]].concat()).expect_error(1);
    assert!(refused.contains("cannot emulate") && refused.contains("--best-effort"), "{refused}");
    let server = ring(dir.path(), &["--simulated-script", script, "--best-effort"]);
    server.llcm(&["up", &demo_package(dir.path())]).expect(0);
    let shown = server.llcm(&["link", "ls", "-o", "json"]).json();
    assert_eq!(shown[0]["not_emulated"][0], "link dc1-dc2, dc1 to dc2: delay of 1000 us");
    let instance = server.llcm(&["ps", "-o", "json"]).json();
    assert!(instance.to_string().contains("not emulated on this host"), "{instance}");
}
