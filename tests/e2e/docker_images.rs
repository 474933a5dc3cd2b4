//! Images that a Docker engine on the machine has run on the embedded engine.

use serde_json::Value;

use crate::engine::On;
use crate::lab::{Lab, NO_DOCKER, Server, text};
use crate::look::assert_nothing_left;
use crate::native::instantiate_timed;
use crate::packages::{Unit, built, chain};

const IMAGE: &str = "example/vnf:1";
const CONTAINER: &str = "mn.vnf0.vdu01.0";

/// Builds the image in Docker, with a word in `/proof`.
fn build_in_docker(lab: &Lab, word: &str) {
    let context = lab.dir.path().join(word);
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), format!("FROM example/base:1\nRUN echo {word} > /proof\n"))
        .unwrap();
    lab.docker(&["build", "-q", "-t", IMAGE, context.to_str().unwrap()]);
}

/// The image in the embedded engine's store, by the program's own list; null when it is not there.
fn in_store(lab: &Lab) -> Value {
    let mut list = lab.program();
    list.args(["image", "ls", "--output", "json", "--data-dir"]).arg(lab.data());
    let out = list.output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    let all: Value = serde_json::from_slice(&out.stdout).unwrap();
    let found = all.as_array().unwrap().iter().find(|line| line["reference"] == IMAGE);
    found.cloned().unwrap_or_default()
}

/// What an instance of the service finds in `/proof`; the container is the embedded engine's, and nothing stays.
fn proof(server: &Server<'_>, service: &str, what: &str) -> String {
    let lab = server.lab;
    let instance = instantiate_timed(server, service, what);
    assert_eq!(lab.embedded_containers().into_iter().collect::<Vec<_>>(), [CONTAINER]);
    assert_eq!(lab.docker(&["ps", "-aq"]), "", "nothing runs in Docker");
    let proof = lab.sh(CONTAINER, "cat /proof").trim().to_owned();
    server.terminate(&instance);
    assert_nothing_left(server);
    proof
}

#[test]
fn an_image_of_docker_runs_at_once_and_so_does_what_is_built_anew() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/base:1"]);
    build_in_docker(&lab, "first");
    let package = chain(lab.dir.path(), "docker", &[Unit::new("vnf0", IMAGE)]);
    let server = lab.serve_on("embedded", &lab.docker_host, &[]);
    assert_eq!(in_store(&lab), Value::Null);
    let service = server.upload(&package);
    let origin = &in_store(&lab)["origin"];
    assert_eq!(origin, "Docker on this machine");
    assert_eq!(proof(&server, &service, "an image of Docker's"), "first");
    let loaded = in_store(&lab);
    assert_eq!(proof(&server, &service, "the same again"), "first");
    assert_eq!(in_store(&lab), loaded, "it is fetched once");

    // The next instance of a service that is there has it.
    build_in_docker(&lab, "second");
    assert_eq!(proof(&server, &service, "built anew in Docker"), "second");
    assert_ne!(in_store(&lab)["id"], loaded["id"]);
    // And so has the next package.
    build_in_docker(&lab, "third");
    let before = in_store(&lab);
    let service = server.upload(&package);
    assert_ne!(in_store(&lab)["id"], before["id"]);
    assert_eq!(proof(&server, &service, "uploaded anew"), "third");
    server.stop();

    // Without Docker, and with a Docker that has lost it, what was fetched runs on.
    let server = lab.serve_on("embedded", NO_DOCKER, &[]);
    assert_eq!(proof(&server, &service, "without Docker"), "third");
    let service = server.upload(&package);
    assert_eq!(proof(&server, &service, "uploaded without Docker"), "third");
    server.stop();
    lab.docker(&["rmi", "-f", IMAGE]);
    let server = lab.serve_on("embedded", &lab.docker_host, &[]);
    assert_eq!(proof(&server, &service, "removed from Docker"), "third");
}

#[test]
fn an_image_that_nobody_has_is_refused_with_all_places() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    // A registry of this machine that nobody serves: a refusal at once, without a network.
    let image = "127.0.0.1:5003/example/none:1";
    let package = chain(lab.dir.path(), "nowhere", &[Unit::new("vnf0", image)]);
    for docker_host in [lab.docker_host.as_str(), NO_DOCKER] {
        let server = lab.serve_on("embedded", docker_host, &[]);
        let reply = server.curl(&["-F", &format!("package=@{}", package.display())], "/packages");
        assert!(reply.status == 502 || reply.status == 503, "{reply:?}");
        let said = reply.body["error"].as_str().unwrap();
        println!("{said}");
        for part in [
            "vnf0.vdu01",
            image,
            "store",
            "Docker on this machine",
            "127.0.0.1:5003",
            "llcm image load",
            "--image-map",
        ] {
            assert!(said.contains(part), "expected {part:?} in {said}");
        }
        assert_eq!(server.get("/packages"), serde_json::json!([]));
        assert!(lab.containers().is_empty());
    }
}

#[test]
fn dockerfiles_in_packages_are_built_by_docker_and_run_on_the_embedded_engine() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/base:1"]);
    let server = lab.serve_on("embedded", &lab.docker_host, &["--build-images"]);
    // The second one's image takes the tag of the first one's.
    let services = ["one", "two"].map(|word| (server.upload(&built(&lab, word)), word));
    for (service, word) in &services {
        let instance = instantiate_timed(&server, service, "an image built from the package");
        assert_eq!(lab.docker(&["ps", "-aq"]), "", "nothing runs in Docker");
        assert_eq!(lab.sh("mn.Web.vdu01.0", "cat /proof").trim(), *word);
        server.terminate(&instance);
    }
    assert_nothing_left(&server);
    server.stop();

    // Without Docker the image that is there still is that of the service built last.
    let server = lab.serve_on("embedded", NO_DOCKER, &["--build-images"]);
    let instance = instantiate_timed(&server, &services[1].0, "built before, without Docker");
    assert_eq!(lab.sh("mn.Web.vdu01.0", "cat /proof").trim(), "two");
    server.terminate(&instance);
    // That of the other one would have to be built again.
    let reply = server.post("/instantiations", &format!(r#"{{"service_uuid": "{}"}}"#, services[0].0));
    assert_eq!(reply.status, 501, "{reply:?}");
    assert!(reply.body.to_string().contains("Docker engine on this machine"), "{reply:?}");
    assert_nothing_left(&server);
}
