//! A container of the embedded engine whose files cannot be read: shown, removable, and no matter for others.

use crate::engine::On;
use crate::lab::Lab;
use crate::look::assert_nothing_left;
use crate::native::{self, container};
use crate::packages::{Unit, chain};

#[test]
fn one_container_is_damaged() {
    let Some(lab) = Lab::new(On::Embedded) else { return };
    lab.image(&["example/vnf:1"]);
    let units = [Unit::new("vnf0", "example/vnf:1"), Unit::new("vnf1", "example/vnf:1")];
    let package = chain(lab.dir.path(), "damaged", &units);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    // With its labels still to be read, and without anything.
    let (one, other) = (server.instantiate(&service), server.instantiate(&service));
    server.kill();
    let containers = lab.data().join("engine/containers");
    for (name, files) in [
        ("mn.vnf1.vdu01.0", &["spec.json"][..]),
        ("mn.vnf1.vdu01.1", &["spec.json", "state.json", "labels.json"]),
    ] {
        for file in files {
            std::fs::write(containers.join(name).join(file), "{ this is no").unwrap();
        }
    }

    let server = lab.serve(&[]);
    let instance = native::instance(&server, &one);
    assert_eq!(instance["state"], "degraded", "{instance}");
    assert!(instance["errors"].to_string().contains("mn.vnf1.vdu01.0 is damaged"), "{instance}");
    assert_eq!(container(&instance, "vnf0")["state"]["state"], "running", "{instance}");
    assert_eq!(container(&instance, "vnf1")["state"]["state"], "damaged", "{instance}");
    let instance = native::instance(&server, &other);
    assert_eq!(instance["state"], "degraded", "{instance}");
    assert_eq!(container(&instance, "vnf0")["state"]["state"], "running", "{instance}");
    // A third one takes other names.
    let third = server.instantiate(&service);
    assert_eq!(native::instance(&server, &third)["state"], "running");
    for instance in [&one, &other, &third] {
        server.terminate(instance);
    }
    assert_nothing_left(&server);
    server.stop();
}
