//! SIGTERM: what is going on is finished within a limit; instances run on for the next server, or go when that was asked
//! for.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::engine_trouble::Daemon;
use crate::lab::{Lab, Server};
use crate::look::{installation, pings};
use crate::native::{address, instance, until};
use crate::packages::{Unit, chain};

const NEAR: &str = "mn.vnf0.vdu01.0";

on_each_engine!(what_is_going_on_is_finished_and_instances_run_on);

fn what_is_going_on_is_finished_and_instances_run_on(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let server = lab.serve_lasting(&["--start-concurrency", "1"]);
    let units = ["vnf0", "vnf1", "vnf2", "vnf3"].map(|name| Unit::new(name, "example/vnf:1"));
    let service = server.upload(&chain(lab.dir.path(), "lasting", &units));
    let curl = in_the_middle(&server, &service);
    let (code, took) = server.asked_to_end();
    assert_eq!(code, Some(0), "after {took:?}");
    let replied = curl.wait_with_output().unwrap();
    let replied = String::from_utf8_lossy(&replied.stdout).into_owned();
    assert!(replied.ends_with("201"), "{replied}");

    // An ordinary user's containers can be looked at from outside as well.
    assert_eq!(lab.containers().len(), 4, "{:?}", lab.containers());
    let server = lab.serve_lasting(&[]);
    let id = server.get("/api/llcm/v1/instances")[0]["id"].as_str().unwrap().to_owned();
    let adopted = instance(&server, &id);
    assert_eq!(adopted["state"], "running", "{adopted}");
    let ask = ["-I", "output", &address(&adopted, "vnf1", "input")];
    assert!(pings(&lab, NEAR, &ask));
    // Once more, with nothing going on.
    let (code, took) = server.asked_to_end();
    assert!(code == Some(0) && took < Duration::from_secs(30), "{code:?} after {took:?}");
    assert!(pings(&lab, NEAR, &ask), "without a server");

    let server = lab.serve_lasting(&["--stop-instances"]);
    assert_eq!(instance(&server, &id)["state"], "running");
    let ours = format!("llcm-{}-", installation(&lab));
    let (code, took) = server.asked_to_end();
    assert_eq!(code, Some(0), "after {took:?}");
    assert_eq!(lab.leftovers_of_containers(), Vec::<String>::new());
    let namespaces = std::fs::read_dir("/run/netns").unwrap().flatten();
    let names = namespaces.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert_eq!(names.filter(|name| name.starts_with(&ours)).count(), 0, "namespaces of {ours}");
}

/// A request that is answered when the instance is there, in flight when this returns. An instance that was there before
/// it was seen to be made is taken down, and another one asked for.
fn in_the_middle(server: &Server<'_>, service: &str) -> Child {
    let body = format!(r#"{{"service_uuid": "{service}"}}"#);
    for _ in 0..10 {
        let mut curl = server.lab.command("curl");
        curl.args(["-sS", "--max-time", "60", "-w", "%{http_code}", "-d", &body]);
        let curl = curl.arg("http://127.0.0.1:5000/instantiations").stdout(Stdio::piped()).spawn().unwrap();
        let mut seen = Value::Null;
        until("it is being made", 30, || {
            seen = server.get("/api/llcm/v1/instances")[0].clone();
            seen["state"] == "creating" || seen["state"] == "running"
        });
        if seen["state"] == "creating" {
            return curl;
        }
        curl.wait_with_output().unwrap();
        server.terminate(seen["id"].as_str().unwrap());
    }
    panic!("it is there before it can be seen to be made");
}

#[test]
fn a_daemon_that_hangs_does_not_keep_the_server_from_ending() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/vnf:1"]);
    let daemon = Daemon::of(&lab);
    let server = lab.serve_lasting(&["--drain-limit", "3", "--start-concurrency", "1"]);
    let units = ["vnf0", "vnf1", "vnf2", "vnf3"].map(|name| Unit::new(name, "example/vnf:1"));
    let service = server.upload(&chain(lab.dir.path(), "drained", &units));
    for tries in 1.. {
        let reply = server.post("/api/llcm/v1/instances", &format!(r#"{{"service": "{service}"}}"#));
        assert!((200..300).contains(&reply.status), "{reply:?}");
        daemon.signal("-STOP");
        std::thread::sleep(Duration::from_millis(500));
        let list = server.get("/api/llcm/v1/instances");
        if list[0]["state"] != "running" {
            break;
        }
        // The signal came when all was made.
        assert!(tries < 5, "{list}");
        daemon.signal("-CONT");
        server.terminate(list[0]["id"].as_str().unwrap());
    }
    let (code, took) = server.asked_to_end();
    println!("ended after {took:?} with a daemon that hangs");
    assert!(code.is_some_and(|code| code != 0), "what was going on is not done: {code:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    daemon.signal("-CONT");
    let server = lab.serve(&[]);
    let ended = server.get("/api/llcm/v1/instances?ended=true");
    assert_eq!(ended[0]["state"], "failed", "{ended}");
    assert_eq!(server.get("/api/llcm/v1/instances"), Value::Array(Vec::new()));
    assert_eq!(lab.leftovers_of_containers(), Vec::<String>::new());
    server.stop();
}
