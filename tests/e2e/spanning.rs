//! One service over two engines: Docker runs the containers of one data center, the embedded engine those of the
//! other one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::engine::On;
use crate::lab::{Lab, Server};
use crate::look::{addresses, assert_nothing_left, pings};
use crate::native::{self, Events, address, container, exec, instantiate_timed, logs, until};
use crate::packages::{Unit, chain};

const TOPOLOGY: &str = "datacenters: [{name: dc1, engine: docker}, {name: dc2, engine: embedded}]\n\
                        links: [{ends: [dc1, dc2]}]\n";
const IMAGE: &str = "example/vnf:1";
const VNFS: [&str; 3] = ["vnf0", "vnf1", "vnf2"];
/// Where they are: Docker, the embedded engine, and Docker.
const PLACES: [&str; 3] = ["dc1", "dc2", "dc1"];

#[test]
fn a_chain_over_docker_and_the_embedded_engine() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&[IMAGE]);
    let topology = lab.dir.path().join("topology.yml");
    std::fs::write(&topology, TOPOLOGY).unwrap();
    let docker_host = lab.docker_host.clone();
    let server = lab.serve_on("embedded", &docker_host, &["--topology", topology.to_str().unwrap()]);
    let events = Events::watch(&lab);

    let start = "  vm_cmd_start: \"echo begun by $(hostname); hostname > /begun\"\n";
    let units = VNFS.map(|vnf| Unit { extra: start, ..Unit::new(vnf, IMAGE) });
    let service = server.upload(&chain(lab.dir.path(), "spanning", &units));
    let first = instantiate_timed(&server, &service, "three VNFs over Docker and the embedded engine");
    each_is_in_the_engine_of_its_data_center(&server, &first);
    links_cross_the_engines(&server, &first, "0");
    commands_and_logs_and_scripts_in_both(&server, &first, "0");

    let second = instantiate_timed(&server, &service, "the same once more");
    links_cross_the_engines(&server, &second, "1");
    commands_and_logs_and_scripts_in_both(&server, &second, "1");
    assert_eq!(lab.running().len(), 6);

    server.terminate(&first);
    links_cross_the_engines(&server, &second, "1");
    server.terminate(&second);
    assert_nothing_left(&server);
    image_is_exported_once(&events.of(server));
}

fn each_is_in_the_engine_of_its_data_center(server: &Server<'_>, id: &str) {
    let lab = server.lab;
    let instance = native::instance(server, id);
    assert_eq!(instance["state"], "running", "{instance}");
    for (vnf, place) in VNFS.into_iter().zip(PLACES) {
        assert_eq!(container(&instance, vnf)["datacenter"], place, "{vnf}");
    }
    let embedded = BTreeSet::from(["mn.vnf1.vdu01.0".to_owned()]);
    assert_eq!(lab.embedded_containers(), embedded);
    let in_docker = lab.docker(&["ps", "--format", "{{.Names}}"]);
    let in_docker: BTreeSet<_> = in_docker.lines().collect();
    assert_eq!(in_docker, BTreeSet::from(["mn.vnf0.vdu01.0", "mn.vnf2.vdu01.0"]));
}

fn engine_name(vnf: &str, number: &str) -> String {
    format!("mn.{vnf}.vdu01.{number}")
}

fn links_cross_the_engines(server: &Server<'_>, id: &str, number: &str) {
    let lab = server.lab;
    let instance = native::instance(server, id);
    for (from, to) in [("vnf0", "vnf1"), ("vnf1", "vnf2")] {
        let (near, far) = (engine_name(from, number), engine_name(to, number));
        let (source, target) = (address(&instance, from, "output"), address(&instance, to, "input"));
        for (container, interface, address) in [(&near, "output", &source), (&far, "input", &target)] {
            let seen = addresses(lab, container, interface);
            assert!(seen.len() == 1 && seen[0].starts_with(&format!("{address}/")), "{container}: {seen:?}");
        }
        assert!(pings(lab, &near, &["-I", "output", &target]), "E-Line {near} -> {far}");
        assert!(pings(lab, &far, &["-I", "input", &source]), "E-Line {far} -> {near}");
    }
    for from in VNFS {
        for to in VNFS {
            let target = address(&instance, to, "mgmt");
            assert!(pings(lab, &engine_name(from, number), &["-I", "mgmt", &target]), "E-LAN {from} -> {to}");
        }
    }
}

fn commands_and_logs_and_scripts_in_both(server: &Server<'_>, id: &str, number: &str) {
    for vnf in VNFS {
        let host = format!("{vnf}.vdu01.{number}");
        // The second line goes where the container's own process writes.
        let said = exec(server, id, vnf, "hostname; printf '\\nlog of %s\\n' $(hostname) >> /proc/1/fd/1");
        assert_eq!(said.trim(), host);
        // Docker gives a container a terminal: with a prompt before the line, and another end of it.
        let line = format!("log of {host}");
        until("the log has the line", 30, || logs(server, id, vnf).lines().any(|it| it.trim_end() == line));
        until("the start script has ended", 30, || {
            let instance = native::instance(server, id);
            let script = &container(&instance, vnf)["scripts"][0];
            script["ended_at"] != Value::Null
        });
        let instance = native::instance(server, id);
        let script = &container(&instance, vnf)["scripts"][0];
        assert_eq!((&script["exit_code"], &script["error"]), (&Value::from(0), &Value::Null), "{script}");
        assert_eq!(script["output"], format!("begun by {host}\n"));
        assert_eq!(server.lab.sh(&engine_name(vnf, number), "cat /begun").trim(), host);
    }
}

/// The embedded engine has the image from Docker, and has not asked for its bytes again.
fn image_is_exported_once(events: &str) {
    let saved = events.lines().filter(|line| line.contains(r#""status":"Saved""#)).count();
    assert_eq!(saved, 1, "{events}");
}
