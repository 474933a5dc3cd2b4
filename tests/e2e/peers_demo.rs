//! The emulators' own demo package, from upload to nothing left.

use std::process::Stdio;

use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server, text};
use crate::look::{Capture, addresses, assert_nothing_left, pings};
use crate::packages::corpus;

const PACKAGE: &str = "containernet__vim-emu__misc__eu.5gtango.emulator-example-service.0.1.tgo";

/// dc1 and dc2, joined by a link of 100 Mbit/s.
const SLOW_LINK: &str =
    "datacenters: [{name: dc1}, {name: dc2}]\nlinks: [{ends: [dc1, dc2], bandwidth: 100Mbps}]\n";

on_each_engine!(two_instances_on_real_links_and_nothing_left);

fn two_instances_on_real_links_and_nothing_left(on: On) {
    let Some(package) = corpus(PACKAGE) else { return };
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["ubuntu:trusty"]);
    let topology = lab.dir.path().join("topology.yml");
    std::fs::write(&topology, SLOW_LINK).unwrap();
    lab.give(&topology);
    let server = lab.serve(&["--topology", topology.to_str().unwrap()]);

    let service = server.upload(&package);
    let first = server.instantiate(&service);
    one_container_per_data_center(&lab);
    let (vnf0, vnf1) = ("mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0");
    assert_eq!(addresses(&lab, vnf0, "mgmt"), ["30.0.0.1/24"]);
    assert_eq!(addresses(&lab, vnf1, "mgmt"), ["30.0.0.2/24"]);
    assert_eq!(addresses(&lab, vnf0, "output"), ["20.0.0.1/24"]);
    assert_eq!(addresses(&lab, vnf1, "input"), ["20.0.0.2/24"]);
    assert!(pings(&lab, vnf0, &["30.0.0.2"]), "mgmt E-LAN across data centers");
    assert!(pings(&lab, vnf0, &["20.0.0.2"]), "E-Line across data centers");
    assert!(pings(&lab, vnf1, &["20.0.0.1"]), "E-Line, the other way");
    segments_do_not_hear_one_another(&lab, vnf0, vnf1);

    let second = server.instantiate(&service);
    second_instance_is_a_world_of_its_own(&lab);
    link_limit_holds_for_two_segments_together(&lab, vnf0, vnf1);

    server.terminate(&first);
    assert!(pings(&lab, "mn.vnf0.vdu01.1", &["20.0.0.2"]), "the other instance lives on");
    server.terminate(&second);
    assert_nothing_left(&server);
    forgotten_in_the_store_too(&lab, server);
}

fn one_container_per_data_center(lab: &Lab) {
    let seen: Vec<_> = lab.running().into_iter().map(|it| (it.name, it.datacenter, it.image)).collect();
    let expected = [("mn.vnf0.vdu01.0", "dc1"), ("mn.vnf1.vdu01.0", "dc2")];
    let expected = expected.map(|(name, dc)| (name.to_owned(), dc.to_owned(), "ubuntu:trusty".to_owned()));
    assert_eq!(seen, expected);
}

fn segments_do_not_hear_one_another(lab: &Lab, vnf0: &str, vnf1: &str) {
    // Asks for an address that nobody has: a broadcast, which a whole segment hears. (Which addresses a VNF's
    // own kernel answers for on which interface is the VNF's business: looked at is what arrives.)
    for (speaks, hears, must_not, peer, nobody) in [
        ("output", "input", "mgmt", "20.0.0.2", "20.0.0.77"),
        ("mgmt", "mgmt", "input", "30.0.0.2", "30.0.0.77"),
    ] {
        let heard = Capture::begin(lab, vnf1, hears, "icmp or arp");
        let overheard = Capture::begin(lab, vnf1, must_not, "icmp or arp");
        assert!(pings(lab, vnf0, &["-I", speaks, peer]));
        assert!(!pings(lab, vnf0, &["-I", speaks, nobody]));
        assert!(heard.end().iter().any(|line| line.contains(nobody)), "{hears} hears {speaks}");
        assert_eq!(about(overheard, &[peer, nobody]), Vec::<String>::new(), "{must_not} hears {speaks}");
    }
}

/// The captured packets that name one of the addresses. (A kernel goes on asking for addresses it was asked to
/// reach before: packets of an earlier look do not count.)
fn about(capture: Capture, addresses: &[&str]) -> Vec<String> {
    let named = |line: &String| addresses.iter().any(|address| line.contains(address));
    capture.end().into_iter().filter(named).collect()
}

fn second_instance_is_a_world_of_its_own(lab: &Lab) {
    let (vnf0, vnf1) = ("mn.vnf0.vdu01.1", "mn.vnf1.vdu01.1");
    assert_eq!(addresses(lab, vnf0, "output"), ["20.0.0.1/24"], "the same addresses as the first instance");
    assert!(pings(lab, vnf0, &["20.0.0.2"]));
    assert!(pings(lab, vnf0, &["30.0.0.2"]));
    for (near, far, peer, nobody) in
        [("output", "input", "20.0.0.2", "20.0.0.77"), ("mgmt", "mgmt", "30.0.0.2", "30.0.0.77")]
    {
        let heard = Capture::begin(lab, vnf1, far, "icmp or arp");
        assert!(pings(lab, "mn.vnf0.vdu01.0", &["-I", near, peer]), "within the first instance");
        // Asks for an address that nobody has: a broadcast, which the whole segment hears.
        assert!(!pings(lab, "mn.vnf0.vdu01.0", &["-I", near, nobody]));
        assert_eq!(
            about(heard, &[peer, nobody]),
            Vec::<String>::new(),
            "the second instance hears the first on {far}"
        );
    }
}

/// What both streams together get through is what one alone would. On a busy machine that may take another try: senders
/// that wait for a processor send less, and one that begins or ends much later than the other has the link for itself.
fn link_limit_holds_for_two_segments_together(lab: &Lab, from: &str, to: &str) {
    let mut tries = Vec::new();
    while tries.len() < 3 {
        let rates = rates_of_two_segments(lab, from, to);
        println!("E-LAN {:.1} Mbit/s + E-Line {:.1} Mbit/s over a link of 100 Mbit/s", rates[0], rates[1]);
        let sum: f64 = rates.iter().sum();
        // 95 and no more are possible all the while. Twice as much would be without a limit for both; what is beyond
        // 100 is the end of the one that was a moment later.
        if (75.0..=115.0).contains(&sum) && rates.iter().all(|rate| *rate > 5.0) {
            return;
        }
        tries.push(rates);
    }
    panic!("not one link of 100 Mbit/s for both, or one segment starves: {tries:?}");
}

/// Megabits per second that each of two streams gets through, by iperf3.
fn rates_of_two_segments(lab: &Lab, from: &str, to: &str) -> Vec<f64> {
    let server = |port: &str| {
        lab.in_container(to, &["iperf3", "-s", "-1", "-p", port]).stdout(Stdio::null()).spawn().unwrap()
    };
    let client = |address: &str, port: &str| {
        let mut command =
            lab.in_container(from, &["iperf3", "-c", address, "-p", port, "-t", "4", "-O", "1"]);
        command.args(["-J", "--connect-timeout", "30000"]).stdout(Stdio::piped());
        command
    };
    let mut servers = [server("5201"), server("5202")];
    for port in ["5201", "5202"] {
        wait_for_listener(lab, to, port);
    }
    // Whatever takes time comes before, so that they begin together.
    let clients = [client("30.0.0.2", "5201"), client("20.0.0.2", "5202")];
    let clients = clients.map(|mut command| command.spawn().unwrap());
    let mut rates = Vec::new();
    for running in clients {
        let out = running.wait_with_output().unwrap();
        let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|_| panic!("{}", text(&out)));
        rates.push(
            report["end"]["sum_received"]["bits_per_second"].as_f64().unwrap_or_else(|| panic!("{report}"))
                / 1e6,
        );
    }
    for running in &mut servers {
        running.wait().unwrap();
    }
    rates
}

fn wait_for_listener(lab: &Lab, container: &str, port: &str) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let out =
            lab.in_container(container, &["ss", "-Hltn", &format!("sport = :{port}")]).output().unwrap();
        if !out.stdout.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < end, "nobody listens on {port}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// A server started again on the same data directory knows the service and no instance.
fn forgotten_in_the_store_too(lab: &Lab, server: Server<'_>) {
    server.stop();
    let server = lab.serve(&[]);
    assert_eq!(server.get("/services").as_array().unwrap().len(), 1);
    assert_nothing_left_but_idle(&server);
}

fn assert_nothing_left_but_idle(server: &Server<'_>) {
    assert_eq!(server.get("/instantiations"), Value::Array(Vec::new()));
    assert!(server.lab.containers().is_empty());
}
