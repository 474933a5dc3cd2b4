//! Counters and captures on the real kernel, read back by `tcpdump` and compared with the kernel's own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server, text};
use crate::look::assert_nothing_left;
use crate::native::{self, address, until};
use crate::packages::{Unit, chain};

const IMAGE: &str = "example/vnf:1";
const TOPOLOGY: &str =
    "datacenters: [dc1, dc2]\nlinks: [{ends: [dc1, dc2], name: backbone, bandwidth: 100Mbps}]\n";
/// Echo requests in each part of the test.
const PINGS: usize = 5;

on_each_engine!(what_flows_is_counted_and_shown);

fn what_flows_is_counted_and_shown(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&[IMAGE]);
    let topology = lab.dir.path().join("topology.yml");
    std::fs::write(&topology, TOPOLOGY).unwrap();
    lab.give(&topology);
    let server = lab.serve(&["--topology", topology.to_str().unwrap()]);
    let units = ["vnf0", "vnf1"].map(|vnf| Unit::new(vnf, IMAGE));
    let service = server.upload(&chain(lab.dir.path(), "seen", &units));
    let id = server.instantiate(&service);
    let instance = native::instance(&server, &id);
    let (source, target) = (address(&instance, "vnf0", "output"), address(&instance, "vnf1", "input"));

    let file = lab.dir.path().join("port.pcap");
    let capture = Capture::begin(&server, &["vnf0:output", "-w", file.to_str().unwrap()]);
    ping(&lab, &target);
    until_there(&file);
    capture.end();
    assert_eq!(std::fs::read(&file).unwrap()[..4], [0x4d, 0x3c, 0xb2, 0xa1], "pcap with nanoseconds");
    let seen = tcpdump(&file, &["icmp"]);
    assert_eq!(echoes(&seen, &source, &target), (PINGS, PINGS), "{seen}");

    // As it is on the link between the data centers.
    let link = ["--link", "backbone", "--end", "dc2", "-w", file.to_str().unwrap()];
    let capture = Capture::begin(&server, &link);
    ping(&lab, &target);
    until_there(&file);
    capture.end();
    let seen = tcpdump(&file, &[]);
    assert!(seen.lines().filter(|line| line.contains(".4789: VXLAN")).count() >= 2 * PINGS, "{seen}");
    assert_eq!(echoes(&seen, &source, &target), (PINGS, PINGS), "{seen}");

    // Told by the program itself, until there are enough.
    let capture = Capture::begin(&server, &["vnf1:input", "--plain", "-c", "3"]);
    ping(&lab, &target);
    let told = String::from_utf8(capture.output()).unwrap();
    assert_eq!(told.lines().count(), 3, "{told}");
    assert!(told.contains(&format!(" < {source} {target} ICMP echo request, 98 bytes\n")), "{told}");

    counters_are_the_kernels(&server, &id);
    links_are_counted(&server, &target);
    what_cannot_be_shown_is_refused_with_what_there_is(&server, &id);
    let audit = server.get("/api/llcm/v1/audit").to_string();
    assert!(audit.contains("/api/llcm/v1/captures") && audit.contains("backbone"), "{audit}");
    server.terminate(&id);
    assert_nothing_left(&server);
}

/// Five echo requests from the first VNF to an address, all of them answered.
fn ping(lab: &Lab, target: &str) {
    let count = PINGS.to_string();
    let argv = ["ping", "-n", "-c", &count, "-i", "0.2", "-W", "2", "-I", "output", target];
    let out = lab.in_container("mn.vnf0.vdu01.0", &argv).output().unwrap();
    assert!(text(&out).contains(&format!("{PINGS} received")), "{}", text(&out));
}

/// Waits until all echoes are in a file that is being written.
fn until_there(file: &Path) {
    until("all echoes are in the file", 20, || {
        let out = Command::new("tcpdump").args(["-nn", "-r"]).arg(file).output().unwrap();
        String::from_utf8_lossy(&out.stdout).matches("ICMP echo reply").count() == PINGS
    });
}

/// Echo requests and answers between two addresses in tcpdump's words.
fn echoes(seen: &str, source: &str, target: &str) -> (usize, usize) {
    let count = |from: &str, to: &str, what: &str| {
        let words = format!("{from} > {to}: ICMP echo {what}");
        seen.matches(&words).count()
    };
    (count(source, target, "request"), count(target, source, "reply"))
}

fn tcpdump(file: &Path, filter: &[&str]) -> String {
    let out = Command::new("tcpdump").args(["-nn", "-r"]).arg(file).args(filter).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    String::from_utf8(out.stdout).unwrap()
}

/// `llcm capture` at work.
struct Capture(Child);

impl Capture {
    /// Begins one; returns when frames are looked at.
    fn begin(server: &Server<'_>, args: &[&str]) -> Self {
        let mut command = server.lab.command(PathBuf::from(env!("CARGO_BIN_EXE_llcm")));
        let mut child =
            command.arg("capture").args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        said.read_line(&mut first).unwrap();
        if !first.starts_with("capturing") {
            said.read_to_string(&mut first).unwrap();
            panic!("llcm capture {args:?}: {first}");
        }
        // What it says later is short enough to wait in the pipe.
        std::mem::forget(said);
        Self(child)
    }

    /// Interrupts it; it ends well.
    fn end(mut self) {
        // It is a child of `nsenter`, which becomes it.
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }

    /// What it wrote until it ended by itself.
    fn output(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.0.stdout.take().unwrap().read_to_end(&mut out).unwrap();
        assert!(self.0.wait().unwrap().success());
        out
    }
}

fn stats(server: &Server<'_>, args: &[&str]) -> Vec<Value> {
    let mut command = server.lab.command(env!("CARGO_BIN_EXE_llcm"));
    let out = command.arg("stats").args(args).args(["-o", "json"]).output().unwrap();
    assert!(out.status.success(), "{}", text(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}

/// What is told of each interface is what the kernel counts inside of the container.
fn counters_are_the_kernels(server: &Server<'_>, id: &str) {
    for (container, interface) in [("vnf0", "output"), ("vnf1", "input"), ("vnf0", "mgmt")] {
        let told = || {
            let all = stats(server, &[id]);
            let found = all.iter().find(|it| it["vnf_id"] == container && it["interface"] == interface);
            let found = found.unwrap_or_else(|| panic!("{container}:{interface} in {all:?}"));
            ["packets", "bytes"].map(|what| (found["sent"][what].clone(), found["received"][what].clone()))
        };
        let counted = || {
            let name = format!("mn.{container}.vdu01.0");
            let argv = ["ip", "-s", "-j", "link", "show", "dev", interface];
            let out = server.lab.in_container(&name, &argv).output().unwrap();
            let shown: Vec<Value> = serde_json::from_slice(&out.stdout).unwrap();
            let stats = &shown[0]["stats64"];
            ["packets", "bytes"].map(|what| (stats["tx"][what].clone(), stats["rx"][what].clone()))
        };
        // Something may pass between the two looks.
        until("the counters of the interface are the kernel's", 20, || {
            let before = counted();
            let told = told();
            before == counted() && told == before
        });
        if interface != "mgmt" {
            let [(sent, received), _] = told();
            assert!(sent.as_u64().unwrap() >= 10 && received.as_u64().unwrap() >= 10, "{sent} {received}");
        }
    }
}

fn links_are_counted(server: &Server<'_>, target: &str) {
    let directions = || {
        let all = stats(server, &["--links"]);
        let of = |from: &str| {
            let found = all.iter().find(|it| it["link"] == "backbone" && it["from"] == from).unwrap();
            (found["packets"].as_u64().unwrap(), found["bytes"].as_u64().unwrap())
        };
        [of("dc1"), of("dc2")]
    };
    let before = directions();
    ping(server.lab, target);
    let after = directions();
    for (then, now) in before.into_iter().zip(after) {
        // 98 bytes of an echo and 50 of the tunnel.
        let (packets, bytes) = (now.0 - then.0, now.1 - then.1);
        assert!(packets >= 5 && bytes >= 5 * 148, "{packets} packets, {bytes} bytes");
    }
}

fn what_cannot_be_shown_is_refused_with_what_there_is(server: &Server<'_>, id: &str) {
    for (args, expected) in [
        (&["vnf0:nowhere"][..], "vnf0.vdu01.0:output"),
        (&["--link", "nowhere"], "there are backbone"),
        (&["--link", "backbone", "--end", "dc7"], "joins dc1 and dc2"),
    ] {
        let out = server.lab.command(env!("CARGO_BIN_EXE_llcm")).arg("capture").args(args).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{args:?}: {}", text(&out));
        assert!(text(&out).contains(expected), "{args:?}: {}", text(&out));
    }
    let body = format!(r#"{{"instance": "{id}", "link": "backbone"}}"#);
    assert_eq!(server.post("/api/llcm/v1/captures", &body).status, 400);
}
