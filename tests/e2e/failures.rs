//! What fails on a real engine leaves nothing and says what it was.

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server};
use crate::look::assert_nothing_left;
use crate::packages::{Unit, chain};

on_each_engine!(
    a_device_that_the_host_does_not_have,
    a_device_that_the_policy_refuses,
    an_image_that_is_nowhere,
);

/// A chain of three whose last unit cannot start.
fn fails(on: On, extra: &str, serve: &[&str], says: &[&str]) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let last = Unit { extra, ..Unit::new("vnf2", "example/vnf:1") };
    let units = [Unit::new("vnf0", "example/vnf:1"), Unit::new("vnf1", "example/vnf:1"), last];
    let package = chain(lab.dir.path(), "fails", &units);
    let server = lab.serve(serve);
    let service = server.upload(&package);
    let reply = server.post("/instantiations", &format!(r#"{{"service_uuid": "{service}"}}"#));
    assert!((400..600).contains(&reply.status), "{reply:?}");
    let said = reply.body.to_string();
    for word in says {
        assert!(said.contains(word), "expected {word:?} in {said}");
    }
    assert_nothing_left(&server);
    server.stop();
}

fn a_device_that_the_host_does_not_have(on: On) {
    let allow = ["--allowed-devices", "/dev/llcm-none"];
    fails(on, "  devices: [/dev/llcm-none]\n", &allow, &["vnf2.vdu01.0", "/dev/llcm-none"]);
}

fn a_device_that_the_policy_refuses(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let unit = Unit { extra: "  devices: [/dev/mem]\n", ..Unit::new("vnf0", "example/vnf:1") };
    let package = chain(lab.dir.path(), "refused", &[unit]);
    let server = lab.serve(&[]);
    let reply = server.curl(&["-F", &format!("package=@{}", package.display())], "/packages");
    assert_eq!(reply.status, 422, "{reply:?}");
    let said = reply.body["error"].as_str().unwrap();
    assert!(said.contains("/dev/mem") && said.contains("allowed_devices"), "{said}");
    assert_nothing_on_boarded(&server);
}

fn an_image_that_is_nowhere(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let units = [Unit::new("vnf0", "example/vnf:1"), Unit::new("vnf1", "example/none:1")];
    let package = chain(lab.dir.path(), "no-image", &units);
    let server = lab.serve(&[]);
    let reply = server.curl(&["-F", &format!("package=@{}", package.display())], "/packages");
    assert!((400..600).contains(&reply.status), "{reply:?}");
    assert!(reply.body["error"].as_str().unwrap().contains("example/none:1"), "{reply:?}");
    assert_eq!(reply.body["service_uuid"], serde_json::Value::Null);
    assert_nothing_on_boarded(&server);
}

fn assert_nothing_on_boarded(server: &Server<'_>) {
    assert_eq!(server.get("/packages"), serde_json::json!([]));
    assert!(server.lab.containers().is_empty());
    for name in ["packages", "staging"] {
        let left: Vec<_> =
            std::fs::read_dir(server.data.join(name)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
