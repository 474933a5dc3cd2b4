//! SONATA's own demo package through SONATA's listener, from upload to nothing left.

use std::path::Path;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Reply, Server, text};
use crate::look::{Capture, addresses, assert_nothing_left, pings};
use crate::packages::corpus;

const PACKAGE: &str = "CN-UPB__son-emu__misc__sonata-demo-service.son";
const LISTEN: &[&str] = &["--listen", "sonata=127.0.0.1:8000"];
const VNFS: [&str; 3] = ["mn.empty_vnf1", "mn.empty_vnf2", "mn.empty_vnf3"];

on_each_engine!(a_chain_of_three_on_real_links_and_nothing_left);

fn a_chain_of_three_on_real_links_and_nothing_left(on: On) {
    let Some(package) = corpus(PACKAGE) else { return };
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["sonatanfv/sonata-empty-vnf"]);
    let server = lab.serve(LISTEN);
    let service = upload(&lab, &package);
    let first = instantiate(&lab, &service);
    one_after_the_other_on_both_data_centers(&lab);
    addresses_are_those_of_sonata(&lab);
    everyone_reaches_everyone_on_the_management_lan(&lab);
    chains_have_one_direction(&lab);
    results_are_found_on_the_host(&server, &service);

    let second = instantiate(&lab, &service);
    assert_eq!(addresses(&lab, "mn.empty_vnf1.1", "output"), ["10.30.2.1/30"], "subnets of its own");
    assert_eq!(addresses(&lab, "mn.empty_vnf1.1", "mgmt"), ["10.20.1.1/24"]);
    assert!(pings(&lab, "mn.empty_vnf1.1", &["10.20.1.3"]));
    terminate(&lab, &service, &second);
    assert!(pings(&lab, VNFS[0], &["10.20.0.3"]), "the other instance lives on");
    terminate(&lab, &service, &first);
    assert_nothing_left(&server);
    server.stop();

    // The service is known still, and its chains have both directions when that is asked for.
    let both_ways: Vec<&str> = LISTEN.iter().copied().chain(["--bidirectional-chain=true"]).collect();
    let server = lab.serve(&both_ways);
    let third = instantiate(&lab, &service);
    addresses_are_those_of_sonata(&lab);
    assert!(pings(&lab, VNFS[0], &["10.30.0.2"]) && pings(&lab, VNFS[1], &["10.30.0.1"]));
    assert!(pings(&lab, VNFS[1], &["10.30.1.2"]) && pings(&lab, VNFS[2], &["10.30.1.1"]));
    terminate(&lab, &service, &third);
    assert_nothing_left(&server);
}

fn one_after_the_other_on_both_data_centers(lab: &Lab) {
    let seen: Vec<_> = lab.running().into_iter().map(|it| format!("{} {}", it.name, it.datacenter)).collect();
    assert_eq!(seen, ["mn.empty_vnf1 dc1", "mn.empty_vnf2 dc2", "mn.empty_vnf3 dc1"]);
}

fn addresses_are_those_of_sonata(lab: &Lab) {
    for (container, mgmt, input, output) in [
        (VNFS[0], "10.20.0.1/24", None, Some("10.30.0.1/30")),
        (VNFS[1], "10.20.0.2/24", Some("10.30.0.2/30"), Some("10.30.1.1/30")),
        (VNFS[2], "10.20.0.3/24", Some("10.30.1.2/30"), None),
    ] {
        for (interface, address) in [("mgmt", Some(mgmt)), ("input", input), ("output", output)] {
            match address {
                Some(address) => assert_eq!(addresses(lab, container, interface), [address], "{container}"),
                // It is there and has none: its chain ends at a service connection point.
                None => {
                    let show = ["ip", "-o", "-4", "addr", "show", "dev", interface];
                    let out = lab.in_container(container, &show).output().unwrap();
                    assert!(out.status.success() && out.stdout.is_empty(), "{container}: {}", text(&out));
                }
            }
        }
    }
}

fn everyone_reaches_everyone_on_the_management_lan(lab: &Lab) {
    for from in VNFS {
        for to in ["10.20.0.1", "10.20.0.2", "10.20.0.3"] {
            assert!(pings(lab, from, &["-I", "mgmt", to]), "{from} -> {to}");
        }
    }
}

/// What the first end sends arrives at the second one, and nothing of what the second one sends arrives at the
/// first: neither its replies nor what it asks by itself.
fn chains_have_one_direction(lab: &Lab) {
    for (from, to, source, target) in
        [(VNFS[0], VNFS[1], "10.30.0.1", "10.30.0.2"), (VNFS[1], VNFS[2], "10.30.1.1", "10.30.1.2")]
    {
        let near = Capture::begin(lab, from, "output", "arp or icmp");
        let far = Capture::begin(lab, to, "input", "arp or icmp");
        assert!(!pings(lab, from, &["-I", "output", target]), "no reply comes back over {from} -> {to}");
        assert!(!pings(lab, to, &["-I", "input", source]), "no request gets there against {from} -> {to}");
        let (near, far) = (near.end(), far.end());
        let speaks = |lines: &[String], who: &str| {
            let forms = [format!("tell {who},"), format!("Reply {who} "), format!("IP {who} >")];
            lines.iter().any(|line| forms.iter().any(|form| line.contains(form)))
        };
        assert!(speaks(&near, source) && speaks(&far, source), "{near:?} {far:?}");
        assert!(speaks(&far, target) && !speaks(&near, target), "{near:?} {far:?}");
    }
}

/// The directory that every function has, as profiling tools use it.
fn results_are_found_on_the_host(server: &Server<'_>, service: &str) {
    for container in VNFS {
        let script = format!("echo of {container} > /mnt/share/result.txt");
        server.lab.sh(container, &script);
        let function = container.strip_prefix("mn.").unwrap();
        let file = server.data.join("results").join(service).join(function).join("result.txt");
        let found = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        assert_eq!(found.trim(), format!("of {container}"));
    }
}

/// One exchange with SONATA's listener.
fn curl(lab: &Lab, args: &[&str], path: &str) -> Reply {
    let out = lab
        .command("curl")
        .args(["-sS", "--max-time", "120", "-w", "\n%{http_code}"])
        .args(args)
        .arg(format!("http://127.0.0.1:8000{path}"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    let (body, status) = printed.rsplit_once('\n').unwrap_or_else(|| panic!("curl {path}: {}", text(&out)));
    let status = status.parse().unwrap_or_else(|_| panic!("curl {path}: {}", text(&out)));
    Reply { status, body: serde_json::from_str(body).unwrap_or_else(|_| body.into()) }
}

fn upload(lab: &Lab, file: &Path) -> String {
    let reply = curl(lab, &["-F", &format!("package=@{}", file.display())], "/packages");
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["service_uuid"].as_str().unwrap().to_owned()
}

fn instantiate(lab: &Lab, service: &str) -> String {
    let body = format!(r#"{{"service_uuid": "{service}"}}"#);
    let reply = curl(lab, &["-X", "POST", "-H", "Content-Type:", "-d", &body], "/instantiations");
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.body["service_instance_uuid"].as_str().unwrap().to_owned()
}

fn terminate(lab: &Lab, service: &str, instance: &str) {
    let body = format!(r#"{{"service_uuid": "{service}", "service_instance_uuid": "{instance}"}}"#);
    let reply = curl(lab, &["-X", "DELETE", "-d", &body], "/instantiations");
    assert_eq!(reply.status, 200, "{reply:?}");
}
