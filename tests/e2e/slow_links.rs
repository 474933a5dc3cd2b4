//! Links with a delay between VNFs of a service, which neither the server's end nor that of the process that may be behind
//! them takes away.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::engine::{On, on_each_engine};
use crate::killed::{Orphans, Pings};
use crate::lab::{Lab, text};
use crate::look::{assert_nothing_left, pings};
use crate::native::{self, address, container, until};
use crate::packages::{Unit, chain};

const TOPOLOGY: &str = "datacenters: [dc1, dc2]\nlinks:\n  - {ends: [dc1, dc2], delay: 20ms, bandwidth: 50Mbps, backward: {delay: 5ms}}\n";
const NEAR: &str = "mn.vnf0.vdu01.0";

on_each_engine!(a_slow_link_survives_the_server_and_its_own_process);

fn a_slow_link_survives_the_server_and_its_own_process(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let units = ["vnf0", "vnf1"].map(|vnf| Unit::new(vnf, "example/vnf:1"));
    let package = chain(lab.dir.path(), "slow", &units);
    let topology = lab.dir.path().join("topology.yml");
    std::fs::write(&topology, TOPOLOGY).unwrap();
    lab.give(&topology);
    let args = ["--topology", topology.to_str().unwrap()];
    if on == On::User && !tap_devices_are_for_everybody() && !has_netem() {
        return it_is_refused_with_the_reason(&lab, &args);
    }
    let _orphans = Orphans(&lab);
    let server = lab.serve(&args);
    let service = server.upload(&package);
    let instance = server.instantiate(&service);
    let shown = native::instance(&server, &instance);
    assert_ne!(container(&shown, "vnf0")["datacenter"], container(&shown, "vnf1")["datacenter"]);
    let target = address(&shown, "vnf1", "input");
    assert!((24.9..40.0).contains(&rtt(&lab, &target)), "{} ms", rtt(&lab, &target));
    let by = server.get("/api/llcm/v1/links");
    let means = if has_netem() { "netem" } else { "delay line" };
    assert!(by.to_string().contains(means), "{by}");
    assert!(shown["emulated_by"]["dc1-dc2"][0].to_string().contains(means), "{shown}");

    // The server is killed: what is on its way arrives.
    let going = Pings::begin(&lab, NEAR, &["-I", "output", &target]);
    server.kill();
    let server = lab.serve(&args);
    going.none_is_lost();
    assert!(rtt(&lab, &target) > 24.9);

    // A change goes to the process that was there before.
    let link = "/api/llcm/v1/links/dc1-dc2";
    let changed = server.curl(&["-X", "PATCH", "--data", "{\"delay\": \"1ms\"}"], link);
    assert_eq!(changed.status, 200, "{changed:?}");
    until("the link is fast", 30, || rtt(&lab, &target) < 20.0);

    if !has_netem() {
        let helper = helpers(&lab);
        assert_eq!(helper.len(), 1, "{helper:?}");
        assert!(Command::new("kill").args(["-KILL", &helper[0]]).status().unwrap().success());
        until("the link is made anew", 30, || pings(&lab, NEAR, &["-I", "output", &target]));
        assert_ne!(helpers(&lab), helper);
        let anew = server.get("/api/llcm/v1/links").to_string();
        assert!(anew.contains("tbf, delay line"), "its limit, too: {anew}");
        assert_eq!(native::instance(&server, &instance)["state"], json!("running"));
    }
    server.terminate(&instance);
    assert_nothing_left(&server);
    until("no process is left behind the links", 30, || helpers(&lab).is_empty());
    server.stop();
}

/// The fastest of some pings, in milliseconds.
fn rtt(lab: &Lab, target: &str) -> f64 {
    let argv = ["ping", "-n", "-q", "-c", "5", "-i", "0.05", "-I", "output", target];
    let said = text(&lab.in_container(NEAR, &argv).output().unwrap());
    let least = said.split_once("mdev = ").and_then(|(_, rest)| rest.split('/').next());
    least.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

/// The processes behind links of the lab's servers.
fn helpers(lab: &Lab) -> Vec<String> {
    let own = std::fs::metadata(format!("/run/netns/{}", lab.name)).unwrap().ino();
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap());
    let is_helper = |entry: &std::fs::DirEntry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let network = std::fs::metadata(entry.path().join("ns/net")).map(|it| it.ino());
        command.split(|byte| *byte == 0).nth(1) == Some(b"delay-line") && network.ok() == Some(own)
    };
    processes.filter(is_helper).map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn tap_devices_are_for_everybody() -> bool {
    std::fs::metadata("/dev/net/tun").is_ok_and(|it| it.permissions().mode() & 0o006 == 0o006)
}

fn has_netem() -> bool {
    llcm_driver_linux::Kernel::check()
        .unwrap()
        .properties()
        .iter()
        .any(|(name, by)| *name == "delay" && *by == Ok("netem".to_owned()))
}

fn it_is_refused_with_the_reason(lab: &Lab, args: &[&str]) {
    let mut server = lab.serve_command(lab.own_engine(), &lab.docker_host, args);
    let said = text(&server.output().unwrap());
    assert!(said.contains("link dc1-dc2, dc1 to dc2: delay of 20000 us"), "{said}");
    assert!(said.contains("/dev/net/tun") && said.contains("best"), "{said}");
    let mut tolerant = args.to_vec();
    tolerant.push("--best-effort");
    let server = lab.serve(&tolerant);
    std::thread::sleep(Duration::from_millis(10));
    server.stop();
}
