//! Chains between VNFs of a running service: they steer, and outlive containers and servers.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server, text};
use crate::look::{Capture, assert_nothing_left, pings};
use crate::native::{address, container, instance, until};
use crate::packages::{Unit, chain};

on_each_engine!(chains_steer_within_and_across_data_centers);

const NAMES: [&str; 3] = ["mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0", "mn.vnf2.vdu01.0"];

/// Runs the program's client; its standard output.
fn llcm(lab: &Lab, args: &[&str]) -> String {
    let out = lab.command(env!("CARGO_BIN_EXE_llcm")).args(args).output().unwrap();
    assert!(out.status.success(), "llcm {args:?}: {}", text(&out));
    String::from_utf8(out.stdout).unwrap()
}

/// Gives an interface a further address, which the service knows nothing of.
fn give(lab: &Lab, container: &str, interface: &str, address: &str) {
    let out =
        lab.in_container(container, &["ip", "addr", "add", address, "dev", interface]).output().unwrap();
    assert!(out.status.success(), "{container}: {}", text(&out));
}

/// Chains for what two interfaces say to an address of the other's, questions by ARP included.
fn steer(lab: &Lab, cookie: &str, (from, own): (&str, &str), (to, target): (&str, &str)) {
    for (source, destination, address) in [(from, to, target), (to, from, own)] {
        for kind in ["0x0806", "0x0800"] {
            let matches = format!("dl_type={kind},nw_dst={address}");
            llcm(lab, &["chain", "add", "--src", source, "--dst", destination, "-m", &matches, "-c", cookie]);
        }
    }
}

fn chains_steer_within_and_across_data_centers(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let server = lab.serve(&["--heal"]);
    let units = ["vnf0", "vnf1", "vnf2"].map(|vnf| Unit::new(vnf, "example/vnf:1"));
    let service = server.upload(&chain(lab.dir.path(), "chained", &units));
    let id = server.instantiate(&service);
    let before = instance(&server, &id);
    let place = |vnf: &str| container(&before, vnf)["datacenter"].clone();
    assert_eq!(place("vnf0"), place("vnf2"));
    assert_ne!(place("vnf0"), place("vnf1"));

    // vnf0 and vnf2 share no link but `mgmt`; neither do vnf1's output and vnf0's input.
    let (near, far) = ("20.0.0.77", "20.0.1.77");
    give(&lab, NAMES[2], "input", &format!("{near}/24"));
    give(&lab, NAMES[0], "input", &format!("{far}/24"));
    let (first, second) = (address(&before, "vnf0", "output"), address(&before, "vnf1", "output"));
    let (neighbour, behind) = (address(&before, "vnf1", "input"), address(&before, "vnf2", "input"));
    let hears_near = || pings(&lab, NAMES[0], &["-I", "output", near]);
    let hears_far = || pings(&lab, NAMES[1], &["-I", "output", far]);
    let links_work = || {
        assert!(pings(&lab, NAMES[0], &["-I", "output", &neighbour]), "the E-Line from vnf0 to vnf1");
        assert!(pings(&lab, NAMES[1], &["-I", "output", &behind]), "the E-Line from vnf1 to vnf2");
    };
    links_work();
    assert!(!hears_near() && !hears_far(), "without chains");

    steer(&lab, "1", ("vnf0:output", &first), ("vnf2:input", near));
    steer(&lab, "2", ("vnf1:output", &second), ("vnf0:input", far));
    let capture = Capture::begin(&lab, NAMES[1], "input", "icmp");
    // A kernel that has asked for a neighbour in vain asks again a second later.
    until("both chains steer", 30, || hears_near() && hears_far());
    let past = capture.end();
    assert!(
        past.iter().all(|line| !line.contains(near)),
        "what was steered away goes the old way, too: {past:?}"
    );
    links_work();
    let listed = server.get(&format!("/api/llcm/v1/instances/{id}/chains"));
    assert_eq!(listed.as_array().unwrap().len(), 8, "{listed}");

    // The server is killed: frames go on, and the next one knows the chains.
    server.kill();
    assert!(hears_near() && hears_far(), "without a server");
    let server = lab.serve(&["--heal"]);
    assert_eq!(server.get(&format!("/api/llcm/v1/instances/{id}/chains")), listed);
    assert!(hears_near() && hears_far(), "with the next server");

    // A server that is killed in the middle of adding or removing a chain leaves its record alone.
    let installation = crate::look::installation(&lab);
    server.kill();
    unmake(&lab, &installation, listed.as_array().unwrap());
    if on != On::User {
        assert!(!hears_near() && !hears_far(), "without filters");
    }
    let server = lab.serve(&["--heal"]);
    until("both chains steer again", 30, || hears_near() && hears_far());
    links_work();

    // One end's process is killed: its packets take no other way, and it is chained again when it is back.
    let pid = lab.pid(NAMES[2]);
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    until("it runs again", 30, || {
        lab.find_pid(NAMES[2]).is_some_and(|now| now != pid) && is_running(&server, &id)
    });
    give(&lab, NAMES[2], "input", &format!("{near}/24"));
    until("both chains steer after the container is back", 30, || hears_near() && hears_far());

    llcm(&lab, &["chain", "rm", "--cookie", "1"]);
    assert!(!hears_near(), "without its chains");
    assert!(hears_far(), "those of the other cookie stay");
    links_work();
    assert_eq!(server.get(&format!("/api/llcm/v1/instances/{id}/chains?cookie=1")), Value::Array(Vec::new()));

    server.terminate(&id);
    assert_nothing_left(&server);
    server.stop();
}

/// Takes away what chains are made of in the kernel: their filters, which stand before all others, and their tunnels. An
/// ordinary user's namespaces are not in reach.
fn unmake(lab: &Lab, installation: &str, chains: &[Value]) {
    let prefix = format!("llcm-{installation}-");
    let namespaces = lab.ok(&["ip", "netns", "list"]);
    let names = namespaces.lines().filter_map(|line| line.split_whitespace().next());
    for netns in names.filter(|name| name.starts_with(&prefix) && !name.ends_with(".ul")) {
        let devices: Value = serde_json::from_str(&lab.ok(&["ip", "-n", netns, "-j", "link"])).unwrap();
        let devices: Vec<_> =
            devices.as_array().unwrap().iter().map(|it| it["ifname"].as_str().unwrap()).collect();
        for device in devices.iter().filter(|name| name.starts_with('p')) {
            let shown = lab.ok(&["tc", "-n", netns, "-j", "filter", "show", "dev", device, "ingress"]);
            let filters: Value = serde_json::from_str(&shown).unwrap();
            let priorities = filters.as_array().unwrap().iter().filter_map(|it| it["pref"].as_u64());
            // Those of other filters come from 10,000 on.
            for priority in priorities.filter(|it| *it < 10_000).collect::<BTreeSet<_>>() {
                let priority = priority.to_string();
                lab.ok(&["tc", "-n", netns, "filter", "del", "dev", device, "ingress", "prio", &priority]);
            }
        }
        for chain in chains {
            let tunnel = format!("v{:x}", chain["id"].as_u64().unwrap());
            if devices.contains(&tunnel.as_str()) {
                lab.ok(&["ip", "-n", netns, "link", "del", &tunnel]);
            }
        }
    }
}

fn is_running(server: &Server<'_>, id: &str) -> bool {
    let list = server.get("/api/llcm/v1/instances");
    list.as_array().unwrap().iter().any(|it| it["id"] == id && it["state"] == "running")
}
