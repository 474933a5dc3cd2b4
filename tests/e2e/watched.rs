//! What happens to containers behind the server's back: shown within moments, answered, and the same for the next
//! server.

use std::process::Command;

use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server};
use crate::look::{addresses, assert_nothing_left, pings};
use crate::native::{address, container, instance, until};
use crate::packages::{Unit, chain};

const NEAR: &str = "mn.vnf0.vdu01.0";
const FAR: &str = "mn.vnf1.vdu01.0";
/// The start script leaves a word.
const START: &str = "  vm_cmd_start: \"echo begun >> /tmp/begun\"\n";

on_each_engine!(a_process_that_is_killed_is_shown_and_healed_on_request);

/// The instance as the list shows it, which asks no engine.
fn listed(server: &Server<'_>, id: &str) -> Value {
    let list = server.get("/api/llcm/v1/instances");
    let found = list.as_array().unwrap().iter().find(|it| it["id"] == id);
    found.unwrap_or_else(|| panic!("no {id} in {list}")).clone()
}

fn up(lab: &Lab, server: &Server<'_>) -> (String, Value) {
    let units =
        [Unit::new("vnf0", "example/vnf:1"), Unit { extra: START, ..Unit::new("vnf1", "example/vnf:1") }];
    let service = server.upload(&chain(lab.dir.path(), "watched", &units));
    let id = server.instantiate(&service);
    let before = instance(server, &id);
    assert_eq!(before["state"], "running", "{before}");
    assert_ne!(container(&before, "vnf0")["datacenter"], container(&before, "vnf1")["datacenter"]);
    (id, before)
}

/// Name, MAC address and addresses of each interface that a VNF has by its descriptor.
fn wired(lab: &Lab, name: &str) -> Vec<(String, String, Vec<String>)> {
    let interface = |ifname: &str| {
        let shown = lab.in_container(name, &["ip", "-j", "link", "show", "dev", ifname]).output().unwrap();
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap_or_default();
        let mac = shown[0]["address"].as_str().unwrap_or_default().to_owned();
        (ifname.to_owned(), mac, addresses(lab, name, ifname))
    };
    ["mgmt", "input", "output"].map(interface).to_vec()
}

fn kill(lab: &Lab, name: &str) {
    assert!(Command::new("kill").args(["-KILL", &lab.pid(name)]).status().unwrap().success());
}

fn reason(seen: &Value) -> String {
    seen["reasons"][0].as_str().unwrap_or_default().to_owned()
}

fn a_process_that_is_killed_is_shown_and_healed_on_request(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let server = lab.serve(&[]);
    let (id, before) = up(&lab, &server);
    let far = address(&before, "vnf1", "input");
    let ask = ["-I", "output", far.as_str()];
    assert!(pings(&lab, NEAR, &ask));
    let wiring = wired(&lab, FAR);

    kill(&lab, FAR);
    until("it is degraded", 30, || listed(&server, &id)["state"] == "degraded");
    let seen = listed(&server, &id);
    assert!(reason(&seen).contains(&format!("container {FAR} has exited")), "{seen}");
    assert_eq!(container(&seen, "vnf1")["state"]["state"], "exited", "{seen}");
    assert_eq!(container(&seen, "vnf0")["state"]["state"], "running", "{seen}");
    assert!(!pings(&lab, NEAR, &ask));
    server.kill();

    // The next server shows the same; as it was told to heal, it does.
    let server = lab.serve(&["--heal"]);
    for round in 0..2 {
        until("it runs again", 30, || listed(&server, &id)["state"] == "running");
        assert!(pings(&lab, NEAR, &ask), "round {round}");
        assert_eq!(wired(&lab, FAR), wiring, "the same interfaces, round {round}");
        until("its start script runs again", 30, || {
            lab.sh(FAR, "cat /tmp/begun 2>/dev/null || true").contains("begun")
        });
        assert_eq!(listed(&server, &id)["reasons"], Value::Array(Vec::new()));
        if round == 0 {
            let killed = lab.pid(FAR);
            kill(&lab, FAR);
            // Another process runs soon: perhaps before anybody has looked.
            let is_another = || lab.find_pid(FAR).is_some_and(|pid| pid != killed);
            until("it is seen", 30, || listed(&server, &id)["state"] != "running" || is_another());
        }
    }
    server.terminate(&id);
    assert_nothing_left(&server);
    server.stop();
}

#[test]
fn what_others_do_with_dockers_own_client_is_seen_and_answered() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/vnf:1"]);
    let server = lab.serve(&[]);
    let (id, before) = up(&lab, &server);
    let far = address(&before, "vnf1", "input");
    let ask = ["-I", "output", far.as_str()];
    let wiring = wired(&lab, FAR);
    let is = |state: &str| listed(&server, &id)["state"] == state;

    // Paused: a kernel would answer for it, but its ports are down.
    lab.docker(&["pause", FAR]);
    until("it is degraded", 30, || is("degraded"));
    assert!(reason(&listed(&server, &id)).contains("is paused"), "{}", listed(&server, &id));
    assert!(!pings(&lab, NEAR, &ask), "a paused container answers");
    lab.docker(&["unpause", FAR]);
    until("it runs", 30, || is("running"));
    assert!(pings(&lab, NEAR, &ask));

    // Restarted: plugged in again, as it was.
    for name in [FAR, NEAR] {
        let pid = lab.pid(name);
        let old = wired(&lab, name);
        lab.docker(&["restart", "--time", "1", name]);
        until("another process runs", 30, || {
            lab.docker(&["inspect", "-f", "{{.State.Pid}}", name]).trim() != pid
        });
        until("it answers", 30, || pings(&lab, NEAR, &ask));
        assert_eq!(wired(&lab, name), old, "{name}");
        until("it runs", 30, || is("running"));
    }
    assert_eq!(wired(&lab, FAR), wiring);

    // While no server runs: the next one finds it.
    server.kill();
    lab.docker(&["restart", "--time", "1", FAR]);
    lab.docker(&["pause", NEAR]);
    let server = lab.serve(&[]);
    let is = |state: &str| listed(&server, &id)["state"] == state;
    until("it is plugged in again", 30, || wired(&lab, FAR) == wiring);
    assert!(is("degraded"), "{}", listed(&server, &id));
    lab.docker(&["unpause", NEAR]);
    until("it answers", 30, || pings(&lab, NEAR, &ask));
    until("it runs", 30, || is("running"));

    // Removed: missing; the next server, told to heal, makes it anew.
    lab.docker(&["rm", "--force", FAR]);
    until("it is degraded", 30, || is("degraded"));
    assert!(reason(&listed(&server, &id)).contains(&format!("container {FAR} is missing")));
    server.kill();
    let server = lab.serve(&["--heal"]);
    until("it is there again", 30, || listed(&server, &id)["state"] == "running");
    assert_eq!(wired(&lab, FAR), wiring);
    assert!(pings(&lab, NEAR, &ask));
    server.terminate(&id);
    assert_nothing_left(&server);
    server.stop();
}
