//! One server with a listener per dialect, and the clients of both originals.

use std::path::Path;
use std::process::{Command, Stdio};

use llcm_testkit::{PackageBuilder, demo_chain};
use serde_json::json;

use crate::run::{Server, command, demo_package, finish, root};

/// A server with a listener for each dialect; the second one's URL.
fn start(data_dir: &Path) -> (Server, String) {
    let server = Server::start(data_dir, &["--listen", "sonata=127.0.0.1:0"]);
    let line = server.log_line("dialect sonata: listening on ");
    let url = line[line.find("http://").unwrap()..].to_owned();
    (server, url)
}

fn son() -> Vec<u8> {
    let fixture = "
//- /service_descriptor/nsd.yml
vendor: eu.llcm
name: single-ns
version: '0.1'
network_functions:
- {vnf_id: fw, vnf_name: single-vnf}
//- /function_descriptor/single-vnfd.yml
vendor: eu.llcm
name: single-vnf
version: '0.1'
virtual_deployment_units:
- {id: '1', vm_image: 'llcm-test:latest', vm_image_format: docker}
";
    PackageBuilder::son(fixture).build()
}

#[test]
fn a_service_follows_the_dialect_of_the_listener_and_is_seen_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("demo.tgo");
    std::fs::write(&package, demo_chain().build()).unwrap();
    let package = package.to_str().unwrap();
    let (server, sonata) = start(&dir.path().join("data"));
    let there = |args: &[&str]| finish(command(args).env("LLCM_SERVER", &sonata).spawn().unwrap());

    server.llcm(&["push", package]).expect(0);
    there(&["push", package]).expect(0);
    let seen = server.llcm(&["services", "--output", "json"]).json();
    assert_eq!((&seen[0]["dialect"], &seen[1]["dialect"]), (&json!("tango"), &json!("sonata")));
    assert_eq!(there(&["services", "--output", "json"]).json(), seen);

    let id = seen[1]["id"].as_str().unwrap();
    server.llcm(&["up", id]).expect(0);
    let instances = there(&["ps", "--output", "json"]).json();
    assert_eq!(instances[0]["containers"][0]["engine_name"], "mn.vnf0");
    there(&["down"]).expect(0);
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json(), json!([]));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_is_deployed_by_itself_is_set_for_each_dialect() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("demo.tgo");
    std::fs::write(&package, demo_chain().build()).unwrap();
    let package = package.to_str().unwrap();
    let config = dir.path().join("config.yml");
    std::fs::write(&config, "auto_delete: true\nsonata: {auto_deploy: true}\n").unwrap();
    let flags = ["--listen", "sonata=127.0.0.1:0", "--config", config.to_str().unwrap()];
    let server = Server::start(&dir.path().join("data"), &flags);
    let line = server.log_line("dialect sonata: listening on ");
    let sonata = line[line.find("http://").unwrap()..].to_owned();

    for turn in 1..=2 {
        finish(command(&["push", package]).env("LLCM_SERVER", &sonata).spawn().unwrap()).expect(0);
        let instances = server.llcm(&["ps", "--output", "json"]).json();
        assert_eq!(instances.as_array().unwrap().len(), 1, "turn {turn}: the one before is gone");
        assert_eq!(instances[0]["state"], "running");
    }
    server.llcm(&["push", package]).expect(0);
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json(), json!([]));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn the_engines_own_interface_is_shown_with_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let package = dir.path().join("demo.tgo");
    std::fs::write(&package, demo_chain().build()).unwrap();
    let package = package.to_str().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--docker-management"]);
    let told = server.llcm(&["up", package]).expect(0);
    assert!(told.contains("mgmt=172.17.") && told.contains("output=20.0.0.1/24"), "{told}");
    assert_eq!(server.stop(), Some(0));
    let plan = ["plan", package, "--set", "tango.docker_management=true"];
    let told = finish(command(&plan).spawn().unwrap()).expect(0);
    assert!(told.contains("mgmt input output") && !told.contains("30.0.0.1"), "{told}");
}

#[test]
fn the_clients_of_the_originals_find_what_they_look_for() {
    let found = Command::new("python3").args(["-c", "import requests"]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        assert!(
            std::env::var_os("LLCM_REQUIRE_SYSTEM_TESTS").is_none(),
            "python3-requests is missing: scripts/setup-dev installs it"
        );
        eprintln!("skipped: needs python3 with `requests` (package python3-requests)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (tgo, son_file) = (dir.path().join("demo.tgo"), dir.path().join("single.son"));
    std::fs::write(&tgo, demo_chain().build()).unwrap();
    std::fs::write(&son_file, son()).unwrap();
    let (server, sonata) = start(&dir.path().join("data"));
    let mut clients = Command::new("python3");
    clients.arg(root().join("tests/clients/clients.py")).args([&server.url, &sonata]).args([&tgo, &son_file]);
    clients.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let told = finish(clients.spawn().unwrap()).expect(0);
    assert_eq!(
        told,
        "son-access: ok\nson-profile: ok\ncurl: ok\ncurl-sonata: ok\ntng-bench: ok\ntng-cli: ok\n"
    );
    assert_eq!(server.stop(), Some(0));
}

/// With `auto_deploy` the upload has started the service already: `up` takes that instance.
#[test]
fn up_takes_the_instance_that_the_upload_started() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let server = Server::start(&dir.path().join("data"), &["--auto-deploy", "--port-offset", "10"]);
    let up = server.llcm(&["up", &package, "--output", "json"]).json();
    assert_eq!(up.as_array().unwrap().len(), 1);
    assert_eq!(up[0]["state"], "running");
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json().as_array().unwrap().len(), 1);
    server.llcm(&["down", "--all"]).expect(0);
    let up = server.llcm(&["up", "demo-chain", "-n", "2", "--output", "json"]).json();
    assert_eq!(up.as_array().unwrap().len(), 2);
}
