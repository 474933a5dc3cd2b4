//! The emulators' own demo package on this machine's programs: no image, no engine installed. And what cannot be had
//! without root, told before anything starts.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::engine::On;
use crate::lab::{Lab, Server, text};
use crate::look::{addresses, assert_nothing_left, pings};
use crate::native::{self, exec, instantiate_timed, refused};
use crate::packages::{Unit, chain, corpus};

const PACKAGE: &str = "containernet__vim-emu__misc__eu.5gtango.emulator-example-service.0.1.tgo";
const MAP: [&str; 2] = ["--image-map", "ubuntu:trusty=host"];
const NEAR: &str = "mn.vnf0.vdu01.0";
const FAR: &str = "mn.vnf1.vdu01.0";

#[test]
fn the_demo_package_runs_this_machines_programs() {
    the_demo_package(On::Embedded);
}

#[test]
fn the_demo_package_runs_this_machines_programs_as_an_ordinary_user() {
    the_demo_package(On::User);
}

fn the_demo_package(on: On) {
    let Some(package) = corpus(PACKAGE) else { return };
    let Some(lab) = Lab::new(on) else { return };
    let server = lab.serve(&MAP);
    let service = server.upload(&package);
    let id = instantiate_timed(&server, &service, &format!("the emulators' demo on the image host, {on:?}"));
    let instance = native::instance(&server, &id);
    assert_eq!(instance["state"], "running", "{instance}");
    for (container, interface, expected) in
        [(NEAR, "mgmt", "30.0.0.1/24"), (FAR, "mgmt", "30.0.0.2/24"), (NEAR, "output", "20.0.0.1/24")]
    {
        assert_eq!(addresses(&lab, container, interface), [expected], "{container} {interface}");
    }
    for target in ["30.0.0.2", "20.0.0.2"] {
        assert!(pings(&lab, NEAR, &[target]), "{target}, by the host's ping from outside");
        let said = exec(&server, &id, "vnf0", &format!("ping -c 1 -W 1 {target}"));
        assert!(said.contains("1 packets transmitted, 1 received"), "{said}");
    }
    assert!(pings(&lab, FAR, &["30.0.0.1"]) && pings(&lab, FAR, &["20.0.0.1"]), "the other way");
    the_programs_are_this_machines(&lab, &server, &id);
    limits_are_set_or_said_not_to_be(&lab, &instance);
    server.terminate(&id);
    assert_nothing_left(&server);
}

fn the_programs_are_this_machines(lab: &Lab, server: &Server<'_>, id: &str) {
    let sum = |path: &str| format!("sha256sum < {path}");
    let inside = exec(server, id, "vnf0", &sum("/usr/bin/env"));
    assert_eq!(inside, lab.ok(&["sh", "-c", &sum("/usr/bin/env")]));
    // Its files are not: what is written stays in the container.
    exec(server, id, "vnf0", "echo mine > /etc/hostname && echo mine > /root/mine");
    assert_ne!(std::fs::read_to_string("/etc/hostname").unwrap_or_default(), "mine\n");
    assert_eq!(exec(server, id, "vnf1", "ls /root"), "", "nor the other container's");
    let refusal = exec(server, id, "vnf0", "touch /usr/bin/llcm-was-here 2>&1 || echo refused");
    assert!(refusal.contains("Read-only file system") && refusal.ends_with("refused\n"), "{refusal}");
}

/// The demo asks for a CPU and a gigabyte.
fn limits_are_set_or_said_not_to_be(lab: &Lab, instance: &Value) {
    let warnings = instance["warnings"].as_array().unwrap();
    let told: Vec<&str> = warnings
        .iter()
        .filter(|warning| warning["code"] == "limit-not-set")
        .map(|warning| warning["message"].as_str().unwrap())
        .collect();
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", lab.pid(NEAR))).unwrap();
    if lab.on == On::Embedded {
        assert_eq!(told, Vec::<&str>::new());
        assert_eq!(memory_limit(&groups), (1_u64 << 30).to_string());
        return;
    }
    let limits: BTreeSet<&str> = told
        .iter()
        .map(|message| message.split("the limit of ").nth(1).unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!(limits, BTreeSet::from(["cpu", "cpuset", "memory"]), "{told:?}");
    for message in told {
        assert!(message.contains("vnf0.vdu01.0, vnf1.vdu01.0: "), "{message}");
    }
    assert!(!groups.contains("llcm"), "{groups}");
}

/// What the kernel holds a process of these groups to, in bytes; version 1 and version 2.
fn memory_limit(groups: &str) -> String {
    let group =
        |of: &str| groups.lines().find_map(|line| line.split_once(of)).map(|(_, path)| path.to_owned());
    let file = match group(":memory:") {
        Some(path) => format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
        None => format!("/sys/fs/cgroup{}/memory.max", group("0::").unwrap()),
    };
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}")).trim().to_owned()
}

/// A web server at port 80 of the host.
fn low_port(lab: &Lab) -> std::path::PathBuf {
    let second = Unit {
        extra: "  vm_cmd_start: \"web-server 80 low\"\n",
        points: &["{id: web, interface: ipv4, type: external, port: 80, publish: {80: 80}}"],
        ..Unit::new("vnf1", "ubuntu:trusty")
    };
    chain(lab.dir.path(), "low", &[Unit::new("vnf0", "ubuntu:trusty"), second])
}

#[test]
fn a_low_port_is_published_by_root() {
    let Some(lab) = Lab::new(On::Embedded) else { return };
    let server = lab.serve(&MAP);
    let service = server.upload(&low_port(&lab));
    let instance = instantiate_timed(&server, &service, "with a port below 1024");
    native::until("port 80 answers", 30, || {
        lab.run(&["curl", "-sf", "http://127.0.0.1/"]).stdout.starts_with(b"low")
    });
    server.terminate(&instance);
    assert_nothing_left(&server);
}

#[test]
fn a_low_port_is_refused_to_an_ordinary_user() {
    let Some(lab) = Lab::new(On::User) else { return };
    let server = lab.serve(&MAP);
    let service = server.upload(&low_port(&lab));
    refused_before_anything_starts(
        &server,
        &service,
        &["vnf1.vdu01.0", "port 80 of the host", "1024", "root"],
    );
}

/// Whose second unit's image wants to run as `nobody`.
fn other_user(lab: &Lab) -> std::path::PathBuf {
    lab.image(&["example/vnf:1"]);
    let mut import = lab.program();
    import.args(["image", "import", "--name", "example/other:1", "--user", "nobody", "--data-dir"]);
    let out = import.arg(lab.data()).arg(lab.dir.path().join("image.tar")).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    let units = [Unit::new("vnf0", "example/vnf:1"), Unit::new("vnf1", "example/other:1")];
    chain(lab.dir.path(), "other", &units)
}

#[test]
fn an_image_with_another_user_runs_as_that_user_with_root() {
    let Some(lab) = Lab::new(On::Embedded) else { return };
    let package = other_user(&lab);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    let instance = instantiate_timed(&server, &service, "with an image that wants another user");
    let status = std::fs::read_to_string(format!("/proc/{}/status", lab.pid(FAR))).unwrap();
    assert!(status.contains("Uid:\t65534\t65534\t"), "{status}");
    server.terminate(&instance);
    assert_nothing_left(&server);
}

#[test]
fn an_image_with_another_user_is_refused_to_an_ordinary_user() {
    let Some(lab) = Lab::new(On::User) else { return };
    let package = other_user(&lab);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    refused_before_anything_starts(&server, &service, &["vnf1.vdu01.0", "nobody", "root"]);
}

/// The refusal names what it is about, and no instance was ever there.
fn refused_before_anything_starts(server: &Server<'_>, service: &str, says: &[&str]) {
    let (status, said) = refused(server, service);
    assert_eq!(status, 409, "{said}");
    for part in says {
        assert!(said.contains(part), "expected {part:?} in {said}");
    }
    assert_eq!(server.get("/api/llcm/v1/instances"), serde_json::json!([]));
    assert_eq!(server.get("/api/llcm/v1/requests"), serde_json::json!([]));
    assert!(server.lab.containers().is_empty());
}
