//! The program's own client and routes, and what they tell.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Lab, Server, text};

/// Waits until something is so.
pub(crate) fn until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while !is_so() {
        assert!(Instant::now() < end, "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Instantiates a service and prints how long it took; the instance's id.
pub(crate) fn instantiate_timed(server: &Server<'_>, service: &str, what: &str) -> String {
    let begun = Instant::now();
    let instance = server.instantiate(service);
    println!("instantiation, {what}: {} ms", begun.elapsed().as_millis());
    instance
}

/// An instance as the native route shows it.
pub(crate) fn instance(server: &Server<'_>, id: &str) -> Value {
    server.get(&format!("/api/llcm/v1/instances/{id}"))
}

/// The container of a VNF with one unit, in what [`instance`] returns.
pub(crate) fn container<'a>(instance: &'a Value, vnf_id: &str) -> &'a Value {
    let all = instance["containers"].as_array().unwrap();
    all.iter().find(|it| it["vnf_id"] == vnf_id).unwrap_or_else(|| panic!("no {vnf_id} in {instance}"))
}

/// The address (without prefix length) of a VNF's interface.
pub(crate) fn address(instance: &Value, vnf_id: &str, interface: &str) -> String {
    let address = container(instance, vnf_id)["interfaces"][interface][0].as_str().unwrap();
    address.split('/').next().unwrap().to_owned()
}

/// Runs a shell script in a VNF through the program; it must succeed. Its standard output.
pub(crate) fn exec(server: &Server<'_>, instance: &str, vnf_id: &str, script: &str) -> String {
    client(server, &["exec", instance, vnf_id, "--", "/bin/sh", "-c", script])
}

/// What a VNF's own process wrote.
pub(crate) fn logs(server: &Server<'_>, instance: &str, vnf_id: &str) -> String {
    client(server, &["logs", instance, vnf_id])
}

fn client(server: &Server<'_>, args: &[&str]) -> String {
    let out = server.lab.command(env!("CARGO_BIN_EXE_llcm")).args(args).output().unwrap();
    assert!(out.status.success(), "llcm {args:?}: {}", text(&out));
    String::from_utf8(out.stdout).unwrap()
}

/// Refused requests: the status and the error's text with all that belongs to it.
pub(crate) fn refused(server: &Server<'_>, service: &str) -> (u16, String) {
    let reply = server.post("/api/llcm/v1/instances", &format!(r#"{{"service": "{service}"}}"#));
    assert!((400..600).contains(&reply.status), "{reply:?}");
    (reply.status, reply.body.to_string())
}

/// Somebody who watches the server's events.
pub(crate) struct Events(Child);

impl Events {
    /// Begins to watch; returns when no event is missed any more, which is when the reply has begun.
    pub(crate) fn watch(lab: &Lab) -> Self {
        let mut curl = lab
            .command("curl")
            .args(["-svN", "--max-time", "600", "http://127.0.0.1:5000/api/llcm/v1/events"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // curl tells of the head at once there, but on its standard output only with the first event.
        let mut told = BufReader::new(curl.stderr.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("< HTTP/1.1 200 ") {
            line.clear();
            assert_ne!(told.read_line(&mut line).unwrap(), 0, "nobody tells of events");
        }
        std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
        Self(curl)
    }

    /// All events until the server ended, one a line.
    pub(crate) fn of(self, server: Server<'_>) -> String {
        // The stream of events ends with the server.
        server.stop();
        String::from_utf8(self.0.wait_with_output().unwrap().stdout).unwrap()
    }
}
