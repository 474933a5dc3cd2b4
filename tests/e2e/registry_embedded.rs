//! The embedded engine pulls from a registry by itself, with nothing else on the machine that has images.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::engine::On;
use crate::lab::{Lab, NO_DOCKER, script, text};
use crate::look::{assert_nothing_left, pings};
use crate::native::{Events, instantiate_timed};
use crate::packages::{Unit, chain};
use crate::registry::{REGISTRY, Registry};

/// A path of the image's in the registry.
const REPOSITORY: &str = "example/vnf";

fn image() -> String {
    format!("{REGISTRY}/{REPOSITORY}:1")
}

#[test]
fn what_docker_has_pushed_is_pulled_without_docker() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    let _registry = Registry::start(&lab);
    lab.image(&[&image()]);
    lab.docker(&["push", "-q", &image()]);
    lab.docker(&["rmi", &image()]);
    runs_from_the_registry(&lab);
}

#[test]
fn an_ordinary_user_pulls() {
    let Some(lab) = Lab::new(On::User) else { return };
    let _registry = Registry::start(&lab);
    push_by_hand(&lab);
    runs_from_the_registry(&lab);
}

#[test]
fn a_registry_without_the_image_is_told_from_one_that_does_not_answer() {
    let Some(lab) = Lab::new(On::Embedded) else { return };
    let package = chain(lab.dir.path(), "absent", &[Unit::new("vnf0", &image())]);
    let server = lab.serve(&[]);
    let refusal = || {
        let reply = server.curl(&["-F", &format!("package=@{}", package.display())], "/packages");
        let said = reply.body["error"].as_str().unwrap().to_owned();
        assert!(said.contains(&image()) && said.contains(REGISTRY), "{said}");
        assert_eq!(server.get("/packages"), json!([]));
        (reply.status, said)
    };
    let (status, said) = refusal();
    assert!(status == 503 && said.contains("cannot be reached"), "{status} {said}");
    let _registry = Registry::start(&lab);
    let (status, said) = refusal();
    assert!(status == 502 && !said.contains("cannot be reached"), "{status} {said}");
    // Asked again, it is there.
    push_by_hand(&lab);
    server.upload(&package);
}

fn runs_from_the_registry(lab: &Lab) {
    let server = lab.serve_on("embedded", NO_DOCKER, &[]);
    let events = Events::watch(lab);
    let image = image();
    let units = [Unit::new("vnf0", &image), Unit::new("vnf1", &image)];
    let service = server.upload(&chain(lab.dir.path(), "pulled", &units));
    let instance = instantiate_timed(&server, &service, "two VNFs of an image from a registry");
    assert_eq!(lab.embedded_containers().len(), 2);
    assert!(lab.running().iter().all(|container| container.image == image));
    assert!(pings(lab, "mn.vnf0.vdu01.0", &["20.0.0.2"]));
    server.terminate(&instance);
    assert_nothing_left(&server);
    let said = events.of(server);
    let images: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &Value| event["event"] == "image")
        .collect();
    assert!(images.iter().any(bytes_are_counted), "{said}");
    let loaded = images.iter().filter(|event| event.to_string().contains("Unpacking")).count();
    assert_eq!(loaded, 1, "it is fetched once: {said}");
}

/// Whether an event tells how much of how much has come.
fn bytes_are_counted(event: &Value) -> bool {
    let bytes = &event["progress"]["bytes"];
    bytes[0].as_u64().is_some_and(|done| done > 0) && bytes[0].as_u64() <= bytes[1].as_u64()
}

/// Fills the registry over HTTP, where there is no Docker to push: a layer, a configuration, and a manifest.
fn push_by_hand(lab: &Lab) {
    let tree = lab.dir.path().join("tree.tar");
    let out = script(&["image-tree", &lab.name, tree.to_str().unwrap()]);
    assert!(out.status.success(), "image-tree: {}", text(&out));
    let diff_id = digest(&tree);
    assert!(Command::new("gzip").arg("-1").arg(&tree).status().unwrap().success());
    let layer = blob(lab, &lab.dir.path().join("tree.tar.gz"), "application/vnd.oci.image.layer.v1.tar+gzip");
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture, "os": "linux", "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    });
    let file = lab.dir.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let config = blob(lab, &file, "application/vnd.oci.image.config.v1+json");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let file = lab.dir.path().join("manifest.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    put(lab, &file, kind, &format!("http://{REGISTRY}/v2/{REPOSITORY}/manifests/1"));
}

/// Uploads a blob; its descriptor.
fn blob(lab: &Lab, file: &Path, kind: &str) -> Value {
    let begin = format!("http://{REGISTRY}/v2/{REPOSITORY}/blobs/uploads/");
    let headers = lab.ok(&["curl", "-sfi", "-X", "POST", &begin]);
    let is_location = |line: &&str| line.to_ascii_lowercase().starts_with("location:");
    let location = headers.lines().find(is_location).unwrap_or_else(|| panic!("{headers}"));
    let location = location.split_once(':').unwrap().1.trim();
    let digest = digest(file);
    let separator = if location.contains('?') { '&' } else { '?' };
    put(lab, file, "application/octet-stream", &format!("{location}{separator}digest={digest}"));
    json!({"mediaType": kind, "size": file.metadata().unwrap().len(), "digest": digest})
}

fn put(lab: &Lab, file: &Path, kind: &str, url: &str) {
    let (header, file) = (format!("Content-Type: {kind}"), file.to_str().unwrap());
    lab.ok(&["curl", "-sf", "-H", &header, "-T", file, url]);
}

fn digest(file: &Path) -> String {
    let out = Command::new("sha256sum").arg(file).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    let printed = String::from_utf8(out.stdout).unwrap();
    format!("sha256:{}", printed.split(' ').next().unwrap())
}
