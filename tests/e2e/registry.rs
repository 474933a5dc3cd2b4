//! An image that only a registry has is pulled when the package is uploaded.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::engine::On;
use crate::lab::{Lab, root};
use crate::look::assert_nothing_left;
use crate::native::Events;
use crate::packages::{Unit, chain};

pub(crate) const REGISTRY: &str = "127.0.0.1:5002";

/// A registry in the lab, ended when dropped.
pub(crate) struct Registry(std::process::Child);

impl Registry {
    pub(crate) fn start(lab: &Lab) -> Self {
        let config = lab.dir.path().join("registry.yml");
        let storage = lab.dir.path().join("registry");
        std::fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{REGISTRY}\"}}\n",
                storage.display()
            ),
        )
        .unwrap();
        // Installed as a package it would be a service of the machine: scripts/setup-dev only unpacks it.
        let program = root().join("target/test-tools/usr/bin/docker-registry");
        assert!(program.exists(), "{} is missing: run scripts/setup-dev", program.display());
        let child = lab
            .command(program)
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self(child);
        let end = Instant::now() + Duration::from_secs(30);
        while !lab.run(&["curl", "-sf", &format!("http://{REGISTRY}/v2/")]).status.success() {
            assert!(Instant::now() < end, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_image_is_pulled_with_progress() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    let _registry = Registry::start(&lab);
    let image = format!("{REGISTRY}/example/vnf:1");
    lab.image(&[&image]);
    lab.docker(&["push", "-q", &image]);
    lab.docker(&["rmi", &image]);
    let server = lab.serve(&[]);
    let events = Events::watch(&lab);
    let service = server.upload(&chain(lab.dir.path(), "pulled", &[Unit::new("vnf0", &image)]));
    assert!(lab.docker(&["images", "-q", &image]).lines().count() == 1, "it is here now");
    let instance = server.instantiate(&service);
    server.terminate(&instance);
    assert_nothing_left(&server);
    let said = events.of(server);
    assert!(said.contains(r#""event":"image""#) && said.contains("Pull complete"), "{said}");
}

#[test]
fn a_registry_without_the_image_is_said_to_be_without_it() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    let _registry = Registry::start(&lab);
    let server = lab.serve(&[]);
    let image = format!("{REGISTRY}/example/none:1");
    let package = chain(lab.dir.path(), "absent", &[Unit::new("vnf0", &image)]);
    let reply = server.curl(&["-F", &format!("package=@{}", package.display())], "/packages");
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(reply.body["error"].as_str().unwrap().contains(&image), "{reply:?}");
    assert_eq!(server.get("/packages"), serde_json::json!([]));
}
