//! Settings that change what the real engine and kernel are asked for.

use std::process::Stdio;

use crate::engine::On;
use crate::lab::{Lab, text};
use crate::look::{assert_nothing_left, pings};
use crate::packages::{Unit, built, chain};

/// A delay is not emulated by this kernel: nothing is pretended.
#[test]
fn a_link_property_that_cannot_be_emulated_is_refused_unless_best_effort_is_asked_for() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    if kernel_has_netem(&lab) {
        println!("skipped: this kernel emulates delays");
        return;
    }
    let topology = lab.dir.path().join("topology.yml");
    let file = "datacenters: [{name: dc1}, {name: dc2}]\nlinks: [{ends: [dc1, dc2], delay: 10ms}]\n";
    std::fs::write(&topology, file).unwrap();
    let topology = topology.to_str().unwrap();
    let refused = lab
        .command(env!("CARGO_BIN_EXE_llcm"))
        .args(["serve", "--engine", "docker", "--docker-host", &lab.docker_host, "--topology", topology])
        .args(["--listen", "127.0.0.1:5000", "--data-dir"])
        .arg(lab.dir.path().join("data"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("dc1-dc2") && said.contains("delay") && said.contains("best-effort"), "{said}");

    let server = lab.serve(&["--topology", topology, "--best-effort"]);
    lab.image(&["example/vnf:1"]);
    let units = [Unit::new("vnf0", "example/vnf:1"), Unit::new("vnf1", "example/vnf:1")];
    let service = server.upload(&chain(lab.dir.path(), "two", &units));
    let instance = server.instantiate(&service);
    assert!(pings(&lab, "mn.vnf0.vdu01.0", &["20.0.0.2"]));
    server.terminate(&instance);
    assert_nothing_left(&server);
}

fn kernel_has_netem(lab: &Lab) -> bool {
    lab.run(&["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"]).status.success()
}

#[test]
fn images_are_built_from_dockerfiles_inside_packages() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/base:1"]);
    let server = lab.serve(&["--build-images"]);
    // The second one's image takes the tag of the first one's.
    let services = ["one", "two"].map(|word| (server.upload(&built(&lab, word)), word));
    for (service, word) in services {
        let instance = server.instantiate(&service);
        assert_eq!(lab.docker(&["exec", "mn.Web.vdu01.0", "cat", "/proof"]).trim(), word);
        assert_eq!(lab.docker(&["inspect", "-f", "{{.Config.Image}}", "mn.Web.vdu01.0"]).trim(), "web.vdu01");
        server.terminate(&instance);
    }
    assert_nothing_left(&server);
}
