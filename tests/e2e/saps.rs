//! Service access points: traffic from the host into a chain and out at its other end.

use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, text};
use crate::look::{Capture, addresses, assert_nothing_left, pings};
use crate::packages::{corpus, demo_chain};

on_each_engine!(a_chain_is_reached_from_an_access_point_and_answers);

/// A tango package whose NSD has `input`, `output` and `mgmt`.
fn a_chain_is_reached_from_an_access_point_and_answers(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["llcm-test:latest"]);
    let package = demo_chain(&lab);
    // As an ordinary user, external ones are containers, too.
    let server = lab.serve(&["--deploy-saps", "--sap", "output=internal"]);
    let out = llcm(&lab, &["up", package.to_str().unwrap()]);
    assert!(out.status.success(), "{}", text(&out));
    let saps = saps(&lab);
    let kinds: Vec<_> = saps.iter().map(|sap| (word(sap, "id"), word(sap, "kind"))).collect();
    let outside = if on == On::User { "internal" } else { "external" };
    assert_eq!(kinds, [("mgmt", "management"), ("input", outside), ("output", "internal")]);
    let address =
        |id: &str| sap_of(&saps, id)["address"].as_str().unwrap().split('/').next().unwrap().to_owned();
    let (input, output) = (address("input"), address("output"));

    // Each VNF is a router between the two networks that it is on; so are the ends, towards each other.
    for (vnf, previous) in [
        ("vnf0", &input),
        ("vnf1", &neighbour(&lab, "vnf0", "output")),
        ("vnf2", &neighbour(&lab, "vnf1", "output")),
    ] {
        let container = format!("mn.{vnf}.vdu01.0");
        assert!(pings(&lab, &container, &["-I", "input", previous]), "{vnf} reaches {previous}");
    }
    routes(&lab, &["vnf0", "vnf1", "vnf2"], &input, &output);
    let first = neighbour(&lab, "vnf0", "input");
    let last = neighbour(&lab, "vnf2", "output");
    if on == On::User {
        ip(&lab, "mn.input.sap.0", &["route", "add", &output, "via", &first]);
    } else {
        lab.ok(&["ip", "route", "add", &output, "via", &first]);
    }
    ip(&lab, "mn.output.sap.0", &["route", "add", &input, "via", &last]);
    let there = Capture::begin(&lab, "mn.output.sap.0", "output", "icmp");
    let ping =
        llcm(&lab, &["sap", "exec", "input", "--", "ping", "-c", "3", "-i", "0.2", "-W", "2", &output]);
    assert!(ping.status.success(), "{}", text(&ping));
    assert!(text(&ping).contains("ttl=61"), "through three routers: {}", text(&ping));
    let back = llcm(&lab, &["sap", "exec", "output", "--", "ping", "-c", "1", "-W", "2", &input]);
    assert!(back.status.success(), "{}", text(&back));
    let seen = there.end();
    assert!(
        seen.iter().any(|line| line.contains(&format!("{input} > {output}: ICMP echo request"))),
        "{seen:?}"
    );
    let unknown = llcm(&lab, &["sap", "exec", "nowhere", "--", "true"]);
    assert!(!unknown.status.success() && text(&unknown).contains("output"), "{}", text(&unknown));

    // A second instance stands beside the first.
    let out = llcm(&lab, &["up", "demo-chain"]);
    assert!(out.status.success(), "{}", text(&out));
    assert_eq!(self::saps(&lab).len(), 6);
    let again = llcm(&lab, &["down", "--all"]);
    assert!(again.status.success(), "{}", text(&again));
    no_rules(&lab);
    assert_nothing_left(&server);
}

#[test]
fn what_leaves_a_chain_goes_out_with_nat_only_docker() {
    what_leaves_a_chain_goes_out_with_nat_only(On::Docker);
}

#[test]
fn what_leaves_a_chain_goes_out_with_nat_only_embedded() {
    what_leaves_a_chain_goes_out_with_nat_only(On::Embedded);
}

const SONATA: &[&str] = &[
    "--listen",
    "sonata=127.0.0.1:8000",
    "--deploy-saps",
    "--sap",
    "input=external,output=external,mgmt=internal",
    "--bidirectional-chain=true",
];

/// SONATA's own demo package: host -> `ns:input` -> three VNFs -> `ns:output` -> host -> another machine, and back.
fn what_leaves_a_chain_goes_out_with_nat_only(on: On) {
    let Some(package) = corpus("CN-UPB__son-emu__misc__sonata-demo-service.son") else { return };
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["sonatanfv/sonata-empty-vnf"]);
    let beyond = Beyond::new(&lab);
    for nat in [true, false] {
        let mut settings = SONATA.to_vec();
        settings.extend(nat.then_some("--sap-nat"));
        let server = lab.serve(&settings);
        instantiate(&lab, &package);
        let saps = saps(&lab);
        let [input, output] = ["ns:input", "ns:output"].map(|id| word(sap_of(&saps, id), "interface"));
        assert_eq!(word(sap_of(&saps, "ns:input"), "address"), "10.10.0.1/30");
        assert_eq!(word(sap_of(&saps, "ns:output"), "address"), "10.10.1.1/30");
        assert_eq!(addresses(&lab, "mn.empty_vnf1", "input"), ["10.10.0.2/30"]);
        assert_eq!(addresses(&lab, "mn.empty_vnf1", "output"), ["10.30.0.1/30"]);
        assert_eq!(addresses(&lab, "mn.empty_vnf3", "output"), ["10.10.1.2/30"]);
        assert_eq!(addresses(&lab, "mn.ns_mgmt", "mgmt"), ["10.20.0.4/24"]);
        assert!(pings(&lab, "mn.ns_mgmt", &["10.20.0.1"]), "the management access point is on its E-LAN");
        assert!(lab.run(&["ping", "-c", "1", "-W", "2", "10.10.0.2"]).status.success(), "host -> first VNF");
        assert!(pings(&lab, "mn.empty_vnf3", &["10.10.1.1"]), "last VNF -> host");

        // What the host sends to `BEYOND` goes into the chain, and what comes out goes on to where that is.
        let hops =
            [("mn.empty_vnf1", "10.30.0.2"), ("mn.empty_vnf2", "10.30.1.2"), ("mn.empty_vnf3", "10.10.1.1")];
        for (vnf, next) in hops {
            router(&lab, vnf);
            ip(&lab, vnf, &["route", "add", BEYOND, "via", next]);
        }
        lab.ok(&["ip", "route", "replace", BEYOND, "via", "10.10.0.2"]);
        lab.ok(&["ip", "rule", "add", "iif", output, "lookup", "100"]);
        lab.ok(&["ip", "route", "replace", BEYOND, "via", UPLINK_FAR, "table", "100"]);
        let [at_output, at_beyond] = [
            Capture::of(lab.command("tcpdump"), output, "icmp"),
            Capture::of(beyond.command("tcpdump"), "wan0", "icmp"),
        ];
        let ping = lab.run(&["ping", "-c", "2", "-i", "0.2", "-W", "1", BEYOND]);
        let (at_output, at_beyond) = (at_output.end(), at_beyond.end());
        let is = |lines: &[String], what: &str| lines.iter().any(|line| line.contains(what));
        assert!(
            is(&at_output, &format!("10.10.0.1 > {BEYOND}: ICMP echo request")),
            "it came out of the chain as it went in: {at_output:?}"
        );
        assert_eq!(ping.status.success(), nat, "{}", text(&ping));
        if nat {
            assert!(is(&at_beyond, &format!("{UPLINK} > {BEYOND}: ICMP echo request")), "{at_beyond:?}");
        } else {
            assert!(at_beyond.is_empty(), "without NAT nothing leaves: {at_beyond:?}");
        }
        assert!(!beyond.reaches("10.10.0.2"), "others do not get into the chain by way of the host");
        // The input is on the host only, too: the VNFs do not reach beyond it.
        ip(&lab, "mn.empty_vnf1", &["route", "add", UPLINK_FAR, "via", "10.10.0.1"]);
        assert_eq!(pings(&lab, "mn.empty_vnf1", &[UPLINK_FAR]), nat);

        lab.ok(&["ip", "rule", "del", "iif", output, "lookup", "100"]);
        lab.ok(&["ip", "link", "show", input]);
        let down = llcm(&lab, &["down", "--all"]);
        assert!(down.status.success(), "{}", text(&down));
        no_rules(&lab);
        assert_eq!(lab.ok(&["cat", "/proc/sys/net/ipv4/ip_forward"]).trim(), beyond.forwarding, "as it was");
        beyond.while_unplugged(|| assert_nothing_left(&server));
        server.stop();
    }
}

/// SONATA's default: a chain carries frames one way, and so do the links of access points.
#[test]
fn a_chain_of_one_direction_takes_traffic_from_the_host_and_gives_none_back() {
    let Some(package) = corpus("CN-UPB__son-emu__misc__sonata-demo-service.son") else { return };
    let Some(lab) = Lab::new(On::Embedded) else { return };
    lab.image(&["sonatanfv/sonata-empty-vnf"]);
    let settings: Vec<_> =
        SONATA.iter().copied().filter(|word| !word.starts_with("--bidirectional")).collect();
    let server = lab.serve(&settings);
    instantiate(&lab, &package);
    let at_vnf = Capture::begin(&lab, "mn.empty_vnf1", "input", "icmp or arp");
    let saps = saps(&lab);
    let at_host =
        Capture::of(lab.command("tcpdump"), word(sap_of(&saps, "ns:input"), "interface"), "icmp or arp");
    assert!(!lab.run(&["ping", "-c", "2", "-i", "0.2", "-W", "1", "10.10.0.2"]).status.success());
    assert!(!pings(&lab, "mn.empty_vnf1", &["-I", "input", "10.10.0.1"]));
    let (at_vnf, at_host) = (at_vnf.end(), at_host.end());
    // No neighbour is asked for on the way there: it could not answer.
    let request = "10.10.0.1 > 10.10.0.2: ICMP echo request";
    assert!(at_vnf.iter().any(|line| line.contains(request)), "{at_vnf:?}");
    assert!(at_vnf.iter().any(|line| line.contains("tell 10.10.0.2")), "the VNF asks: {at_vnf:?}");
    assert!(at_host.iter().all(|line| line.contains(request)), "and nobody hears it: {at_host:?}");
    let at_next = Capture::begin(&lab, "mn.empty_vnf2", "input", "icmp");
    assert!(!pings(&lab, "mn.empty_vnf1", &["-I", "output", "10.30.0.2"]));
    let at_next = at_next.end();
    assert!(
        at_next.iter().any(|line| line.contains("10.30.0.1 > 10.30.0.2: ICMP echo request")),
        "{at_next:?}"
    );
    assert!(llcm(&lab, &["down", "--all"]).status.success());
    assert_nothing_left(&server);
}

/// Another machine, behind an uplink of the lab.
struct Beyond<'a> {
    lab: &'a Lab,
    name: String,
    /// Whether the lab's network forwarded before.
    forwarding: String,
}

/// Its address, and those of the uplink (RFC 5737).
const BEYOND: &str = "203.0.113.9";
const UPLINK: &str = "198.51.100.1";
const UPLINK_FAR: &str = "198.51.100.2";

static NEXT: AtomicU32 = AtomicU32::new(0);

impl<'a> Beyond<'a> {
    fn new(lab: &'a Lab) -> Self {
        let name = format!("{}-b{}", lab.name, NEXT.fetch_add(1, Ordering::Relaxed));
        assert!(std::process::Command::new("ip").args(["netns", "add", &name]).status().unwrap().success());
        let forwarding = lab.ok(&["cat", "/proc/sys/net/ipv4/ip_forward"]).trim().to_owned();
        let beyond = Self { lab, name, forwarding };
        beyond.plug();
        beyond
    }

    fn plug(&self) {
        let far = format!("/run/netns/{}", self.name);
        self.lab.ok(&["ip", "link", "add", "uplink", "type", "veth", "peer", "name", "wan0", "netns", &far]);
        self.lab.ok(&["ip", "addr", "add", &format!("{UPLINK}/24"), "dev", "uplink"]);
        self.lab.ok(&["ip", "link", "set", "uplink", "up"]);
        for words in [
            &["link", "set", "lo", "up"][..],
            &["link", "set", "wan0", "up"],
            &["addr", "replace", &format!("{UPLINK_FAR}/24"), "dev", "wan0"],
            &["addr", "replace", &format!("{BEYOND}/32"), "dev", "lo"],
            &["route", "replace", "default", "via", UPLINK],
        ] {
            let out = self.command("ip").args(words).output().unwrap();
            assert!(out.status.success(), "{words:?}: {}", text(&out));
        }
    }

    fn command(&self, program: &str) -> std::process::Command {
        let mut command = std::process::Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg("--").arg(program);
        command
    }

    fn reaches(&self, address: &str) -> bool {
        self.command("ping").args(["-c", "1", "-W", "1", address]).output().unwrap().status.success()
    }

    /// Does something while the lab has no uplink.
    fn while_unplugged(&self, work: impl FnOnce()) {
        self.lab.ok(&["ip", "link", "del", "uplink"]);
        work();
        self.plug();
    }
}

impl Drop for Beyond<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn llcm(lab: &Lab, words: &[&str]) -> Output {
    lab.program().args(words).env("LLCM_SERVER", "http://127.0.0.1:5000").output().unwrap()
}

fn saps(lab: &Lab) -> Vec<Value> {
    let out = llcm(lab, &["sap", "ls", "--output", "json"]);
    assert!(out.status.success(), "{}", text(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn sap_of<'a>(saps: &'a [Value], id: &str) -> &'a Value {
    saps.iter().find(|sap| sap["id"] == id).unwrap_or_else(|| panic!("no {id} in {saps:?}"))
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// Runs `ip` in a container's network.
fn ip(lab: &Lab, container: &str, words: &[&str]) {
    let argv: Vec<_> = ["ip"].iter().chain(words).copied().collect();
    let out = lab.in_container(container, &argv).output().unwrap();
    assert!(out.status.success(), "{container} {words:?}: {}", text(&out));
}

fn router(lab: &Lab, container: &str) {
    let out = lab.in_container(container, &["sysctl", "-qw", "net.ipv4.ip_forward=1"]).output().unwrap();
    assert!(out.status.success(), "{container}: {}", text(&out));
}

/// The address of a VNF's interface.
fn neighbour(lab: &Lab, vnf: &str, interface: &str) -> String {
    let all = addresses(lab, &format!("mn.{vnf}.vdu01.0"), interface);
    all[0].split('/').next().unwrap().to_owned()
}

/// Makes VNFs in a row routers between two addresses.
fn routes(lab: &Lab, vnfs: &[&str], from: &str, to: &str) {
    for (position, vnf) in vnfs.iter().enumerate() {
        let container = format!("mn.{vnf}.vdu01.0");
        router(lab, &container);
        if let Some(next) = vnfs.get(position + 1) {
            ip(lab, &container, &["route", "add", to, "via", &neighbour(lab, next, "input")]);
        }
        if position > 0 {
            ip(
                lab,
                &container,
                &["route", "add", from, "via", &neighbour(lab, vnfs[position - 1], "output")],
            );
        }
    }
}

/// Uploads a package by SONATA's listener and starts it.
fn instantiate(lab: &Lab, package: &std::path::Path) {
    let upload = format!("package=@{}", package.display());
    lab.ok(&["curl", "-sSf", "-F", &upload, "http://127.0.0.1:8000/packages"]);
    let start = [
        "curl",
        "-sSf",
        "--max-time",
        "120",
        "-X",
        "POST",
        "-d",
        "{}",
        "http://127.0.0.1:8000/instantiations",
    ];
    lab.ok(&start);
}

/// Asserts that the packet filter has nothing of ours.
fn no_rules(lab: &Lab) {
    let tables = lab.ok(&["nft", "list", "tables"]);
    assert!(!tables.contains("llcm-"), "{tables}");
    let rules = lab.ok(&["nft", "list", "ruleset"]);
    assert!(!rules.contains("llcm-"), "{rules}");
}
