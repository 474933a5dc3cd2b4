//! Looking at containers and the kernel with tools that are not ours.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::On;
use crate::lab::{Lab, Server, text};

/// Pings from a container; whether a reply came within a second.
pub(crate) fn pings(lab: &Lab, container: &str, args: &[&str]) -> bool {
    let mut argv = vec!["ping", "-c", "1", "-W", "1"];
    argv.extend(args);
    lab.in_container(container, &argv).output().unwrap().status.success()
}

/// The addresses (with prefix lengths) of a container's interface, by `ip -j`.
pub(crate) fn addresses(lab: &Lab, container: &str, interface: &str) -> Vec<String> {
    let out =
        lab.in_container(container, &["ip", "-j", "-4", "addr", "show", "dev", interface]).output().unwrap();
    assert!(out.status.success(), "{container} {interface}: {}", text(&out));
    let list: Value = serde_json::from_slice(&out.stdout).unwrap();
    // An interface without addresses has no such key.
    list[0]["addr_info"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|info| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"]))
        .collect()
}

/// Listens on a container's interface.
pub(crate) struct Capture {
    child: Child,
}

impl Capture {
    /// Listens for what `filter` lets through; returns when the capture has begun.
    pub(crate) fn begin(lab: &Lab, container: &str, interface: &str, filter: &str) -> Self {
        Self::of(lab.in_container(container, &["tcpdump"]), interface, filter)
    }

    /// The same by a command that runs tcpdump wherever the interface is.
    pub(crate) fn of(mut tcpdump: Command, interface: &str, filter: &str) -> Self {
        let mut child = tcpdump
            .args(["-n", "-l", "--immediate-mode", "-i", interface, filter])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // tcpdump says "listening on" once the socket is open.
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening on") {
            let mut line = String::new();
            let read = std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
            assert_ne!(read, 0, "tcpdump ended: {said}");
            said.push_str(&line);
        }
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { child }
    }

    /// Ends the capture; the packets, a line each.
    pub(crate) fn end(mut self) -> Vec<String> {
        // What was sent before is delivered by now: the senders waited for replies or timeouts.
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut stdout = self.child.stdout.take().unwrap();
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut said).unwrap();
        self.child.wait().unwrap();
        said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// Asserts that neither the engine nor the kernel nor the server's lists hold anything of an instance.
pub(crate) fn assert_nothing_left(server: &Server<'_>) {
    let lab = server.lab;
    assert_eq!(lab.leftovers_of_containers(), Vec::<String>::new(), "left of containers");
    assert_eq!(server.get("/instantiations"), Value::Array(Vec::new()));
    assert_eq!(server.get("/api/llcm/v1/instances"), Value::Array(Vec::new()));
    assert_no_devices(lab);
}

/// Asserts that no network namespace of a data center and no device of ours is left in the lab.
pub(crate) fn assert_no_devices(lab: &Lab) {
    // The kernel takes a namespace apart behind the scenes, after those of all other tests; its name goes at once.
    let begun = Instant::now();
    loop {
        let namespaces: Vec<String> = namespaces_of_servers_in(lab);
        let links: Value = serde_json::from_str(&lab.ok(&["ip", "-j", "link"])).unwrap();
        let names = links.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap().to_owned());
        let names = names.filter(|name| name != "lo" && name != "docker0");
        let devices: Vec<_> = names.collect();
        if namespaces.is_empty() && devices.is_empty() {
            return;
        }
        let limit = Duration::from_secs(30);
        assert!(begun.elapsed() < limit, "left: namespaces {namespaces:?}, devices {devices:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The data centers' namespaces of the lab's installation.
pub(crate) fn namespaces_of_servers_in(lab: &Lab) -> Vec<String> {
    let id = installation(lab);
    // An ordinary user's server has them in a mount namespace of its own.
    let directory = match lab.on {
        On::User => lab.server_root().join(lab.data().strip_prefix("/").unwrap()).join("run/netns"),
        On::Docker | On::Embedded => "/run/netns".into(),
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&format!("llcm-{id}-"))).collect()
}

/// The installation's id, as the server tells it.
pub(crate) fn installation(lab: &Lab) -> String {
    let out = lab.ok(&["curl", "-sf", "http://127.0.0.1:5000/api/llcm/v1/version"]);
    let version: Value = serde_json::from_str(&out).unwrap();
    version["installation"].as_str().expect("the version names the installation").to_owned()
}
