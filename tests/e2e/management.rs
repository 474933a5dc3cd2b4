//! Management links left to the engine: its own interface is the connection point, with the engine's address.

use serde_json::{Value, json};

use llcm_testkit::{PackageBuilder, demo_chain};

use crate::engine::On;
use crate::lab::{Lab, Server};
use crate::look::{addresses, assert_nothing_left, pings};

const VNFS: [&str; 3] = ["mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0", "mn.vnf2.vdu01.0"];

fn push(server: &Server<'_>, package: &PackageBuilder) -> String {
    let file = server.lab.dir.path().join("service.tgo");
    std::fs::write(&file, package.build()).unwrap();
    server.upload(&file)
}

/// The names of a container's interfaces, without the kernel's own ones.
fn interfaces(lab: &Lab, container: &str) -> Vec<String> {
    let shown = lab.in_container(container, &["ip", "-j", "link", "show", "type", "veth"]).output().unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    let links = shown.as_array().unwrap().iter();
    let mut names: Vec<_> = links.map(|link| link["ifname"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The address that Docker says a container has.
fn dockers_address(lab: &Lab, container: &str) -> String {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}}{{end}}";
    lab.docker(&["inspect", "-f", format, container]).trim().to_owned()
}

#[test]
fn dockers_interface_has_the_connection_points_name_and_dockers_address() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["llcm-test:latest"]);
    let server = lab.serve(&["--docker-management"]);
    // In the second one a connection point has the very name that Docker gives its own interface.
    for (package, data) in [(demo_chain(), "input"), (demo_chain().replace("input", "eth0"), "eth0")] {
        let service = push(&server, &package);
        let instance = server.instantiate(&service);
        let told = server.get(&format!("/api/llcm/v1/instances/{instance}"));
        for (number, vnf) in VNFS.iter().enumerate() {
            let mut expected = vec![data, "mgmt", "output"];
            expected.sort_unstable();
            assert_eq!(interfaces(&lab, vnf), expected, "{vnf}");
            let docker = dockers_address(&lab, vnf);
            assert_eq!(addresses(&lab, vnf, "mgmt"), [docker.as_str()], "{vnf}");
            let route = ["ip", "-4", "route", "show", "default"];
            let route = lab.in_container(vnf, &route).output().unwrap().stdout;
            let route = String::from_utf8(route).unwrap();
            assert!(route.contains("dev mgmt"), "the way out is Docker's still: {route:?}");
            let management = &told["containers"][number]["management"];
            let address = docker.split('/').next().unwrap();
            assert_eq!(management, &json!({ "interface": "mgmt", "address": address }));
        }
        let plan = server.get(&format!("/api/llcm/v1/instances/{instance}/plan"));
        assert_eq!(plan["containers"][0]["management"], json!({ "id": "mgmt", "name": "mgmt" }));
        assert_eq!(plan["elans"], json!([]));
        for from in VNFS {
            for to in VNFS {
                let to = dockers_address(&lab, to);
                let to = to.split('/').next().unwrap();
                assert!(pings(&lab, from, &["-I", "mgmt", to]), "{from} -> {to}");
            }
        }
        // The chains are the emulated ones.
        assert_eq!(addresses(&lab, VNFS[0], "output"), ["20.0.0.1/24"]);
        assert!(pings(&lab, VNFS[0], &["-I", "output", "20.0.0.2"]));
        server.terminate(&instance);
        assert_nothing_left(&server);
        assert_eq!(server.curl(&["-X", "DELETE"], &format!("/packages/{service}")).status, 204);
    }
    server.stop();

    // Without the setting the link is one like others, and Docker's interface is beside it.
    let server = lab.serve(&[]);
    let service = push(&server, &demo_chain());
    let instance = server.instantiate(&service);
    assert_eq!(interfaces(&lab, VNFS[0]), ["eth0", "input", "mgmt", "output"]);
    assert_eq!(addresses(&lab, VNFS[0], "mgmt"), ["30.0.0.1/24"]);
    server.terminate(&instance);
    assert_nothing_left(&server);
}

#[test]
fn the_embedded_engine_has_no_such_network_and_says_so() {
    let Some(lab) = Lab::new(On::Embedded) else { return };
    lab.image(&["llcm-test:latest"]);
    let server = lab.serve(&["--tango", "docker_management=true", "--listen", "sonata=127.0.0.1:8000"]);
    let file = lab.dir.path().join("service.tgo");
    std::fs::write(&file, demo_chain().build()).unwrap();
    let upload = format!("package=@{}", file.display());
    let reply = server.curl(&["-F", &upload], "/packages");
    assert_eq!(reply.status, 422, "{reply:?}");
    let findings = reply.body["diagnostics"].as_array().unwrap().iter();
    let findings: Vec<_> = findings.filter(|finding| finding["severity"] == "error").collect();
    assert_eq!(findings.len(), 3, "{findings:?}");
    for finding in findings {
        assert_eq!(finding["code"], "no-management-network");
        let message = finding["message"].as_str().unwrap();
        assert!(message.contains("docker_management") && message.contains("embedded"), "{message}");
        assert_eq!(finding["path"], "virtual_links[0]");
    }
    // The other dialect's services have their link.
    let sonata = lab.ok(&["curl", "-sf", "-F", &upload, "http://127.0.0.1:8000/packages"]);
    let sonata: Value = serde_json::from_str(&sonata).unwrap();
    let instance = server.instantiate(sonata["service_uuid"].as_str().unwrap());
    assert_eq!(addresses(&lab, "mn.vnf0", "mgmt"), ["10.20.0.1/24"]);
    server.terminate(&instance);
    assert_nothing_left(&server);
}
