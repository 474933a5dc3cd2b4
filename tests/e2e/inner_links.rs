//! Links inside a VNF of several units: segments of their own, across data centers, apart for each VNF and instance.

use std::path::{Path, PathBuf};

use llcm_testkit::PackageBuilder;
use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server};
use crate::look::{Capture, addresses, assert_nothing_left, pings};

on_each_engine!(units_of_a_function_are_linked_as_it_says);

/// Two VNFs, each of three units: the first two on an E-Line, all three on an E-LAN, and nothing else.
fn package(dir: &Path) -> PathBuf {
    let header = "vendor: eu.example\nversion: \"0.1\"\ndescriptor_schema: \"-\"\n";
    let unit = |id: &str| {
        format!(
            "- id: {id}\n  vm_image: example/vnf:1\n  vm_image_format: docker\n  resource_requirements: {{}}\n  \
             connection_points:\n  - {{id: sync}}\n  - {{id: data}}\n"
        )
    };
    let fixture = format!(
        "//- /TOSCA-Metadata/NAPD.yaml\n{header}name: inner\npackage_content:\n\
         - {{source: nsd.yaml, content-type: application/vnd.5gtango.nsd}}\n\
         - {{source: fw.yaml, content-type: application/vnd.5gtango.vnfd}}\n\
         //- /nsd.yaml\n{header}name: inner\nnetwork_functions:\n\
         - {{vnf_id: vnf0, vnf_vendor: eu.example, vnf_name: fw, vnf_version: \"0.1\"}}\n\
         - {{vnf_id: vnf1, vnf_vendor: eu.example, vnf_name: fw, vnf_version: \"0.1\"}}\n\
         connection_points: []\nforwarding_graphs: []\nvirtual_links: []\n\
         //- /fw.yaml\n{header}name: fw\nvirtual_deployment_units:\n{}{}{}virtual_links:\n\
         - {{id: pair, connectivity_type: E-Line, connection_points_reference: ['a:sync', 'b:sync']}}\n\
         - {{id: all, connectivity_type: E-LAN, connection_points_reference: ['a:data', 'b:data', 'c:data']}}\n",
        unit("a"),
        unit("b"),
        unit("c"),
    );
    let path = dir.join("inner.tgo");
    std::fs::write(&path, PackageBuilder::tgo(&fixture).build()).unwrap();
    path
}

fn name(vnf: &str, unit: &str, instance: u32) -> String {
    format!("mn.{vnf}.{unit}.{instance}")
}

fn address(lab: &Lab, container: &str, interface: &str) -> String {
    let all = addresses(lab, container, interface);
    all.first()
        .unwrap_or_else(|| panic!("{container}: no address at {interface}"))
        .split('/')
        .next()
        .unwrap()
        .to_owned()
}

fn units_of_a_function_are_linked_as_it_says(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let server = lab.serve(&[]);
    let service = server.upload(&package(lab.dir.path()));
    let instances = [server.instantiate(&service), server.instantiate(&service)];
    let shown = server.get(&format!("/api/llcm/v1/instances/{}", instances[0]));
    let links: Vec<_> = shown["links"].as_array().unwrap().iter().map(|link| link["id"].clone()).collect();
    assert_eq!(links, ["vnf0:pair", "vnf0:all", "vnf1:pair", "vnf1:all"]);
    let places: Vec<&Value> =
        shown["containers"].as_array().unwrap().iter().map(|it| &it["datacenter"]).collect();
    assert_ne!(places[0], places[1], "the units of a VNF are in several data centers: {places:?}");

    for instance in [0, 1] {
        for vnf in ["vnf0", "vnf1"] {
            linked(&lab, vnf, instance);
        }
    }
    apart(&lab);
    server.terminate(&instances[0]);
    linked(&lab, "vnf1", 1);
    server.terminate(&instances[1]);
    nothing_left(server);
}

fn nothing_left(server: Server<'_>) {
    assert_nothing_left(&server);
    server.stop();
}

fn linked(lab: &Lab, vnf: &str, instance: u32) {
    let [a, b] = ["a", "b"].map(|unit| name(vnf, unit, instance));
    assert!(pings(lab, &a, &["-I", "sync", &address(lab, &b, "sync")]), "{a} to {b}");
    assert!(pings(lab, &b, &["-I", "sync", &address(lab, &a, "sync")]), "{b} to {a}");
    let c = name(vnf, "c", instance);
    assert_eq!(addresses(lab, &c, "sync"), Vec::<String>::new(), "on no link");
    for from in [&a, &b, &c] {
        for to in [&a, &b, &c].into_iter().filter(|to| *to != from) {
            assert!(pings(lab, from, &["-I", "data", &address(lab, to, "data")]), "{from} to {to}");
        }
    }
}

/// What is asked in one VNF of one instance is heard in no other one, though the instances have equal addresses.
fn apart(lab: &Lab) {
    let from = name("vnf0", "a", 0);
    assert_eq!(address(lab, &from, "data"), address(lab, &name("vnf0", "a", 1), "data"));
    let others = [("vnf1", "a", 0), ("vnf1", "b", 0), ("vnf0", "a", 1), ("vnf0", "b", 1)];
    let captures: Vec<_> = others
        .map(|(vnf, unit, instance)| Capture::begin(lab, &name(vnf, unit, instance), "data", "arp or icmp"))
        .into();
    let own = address(lab, &from, "data");
    let nobody = format!("{}.99", own.rsplit_once('.').unwrap().0);
    assert!(!pings(lab, &from, &["-I", "data", &nobody]));
    for (capture, other) in captures.into_iter().zip(others) {
        let heard = capture.end();
        assert!(heard.iter().all(|line| !line.contains(&nobody)), "{other:?} heard {heard:?}");
    }
}
