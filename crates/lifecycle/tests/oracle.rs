//! The plans of real packages against what the original gatekeeper did with them.
//!
//! The record has a line per package: the result of onboarding, and for two instances everything the
//! original started and wired, on two data centers with round-robin placement. A plan is turned into the
//! same events and compared with them. Where behaviour is wanted that differs, [`DEPARTURES`] says so; a
//! difference that is not listed fails the test, and so does a listed one that no longer occurs.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by failing")]
#![expect(clippy::print_stdout, reason = "a difference is shown in full, and a skipped test says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use llcm_descriptors::Severity;
use llcm_lifecycle::package::load;
use llcm_lifecycle::plan::document::{ContainerDocument, EndDocument, InstanceDocument};
use llcm_lifecycle::plan::{PackageInput, PlanDocument, plan_offline};
use llcm_lifecycle::{Dialect, Settings};
use llcm_names::PackageHash;
use llcm_packaging::{Limits, Sha1Reader, unpack};
use llcm_topology::default_topology;
use serde_json::{Value, json};

/// Package, what differs, and the reason, from the contract of behaviour.
const DEPARTURES: &[(&str, &str, &str)] = &[
    ("tng-sdk-package__misc__5gtango-ns-package-example-bad-checksum.tgo", BAD_HASH, AT_ONBOARDING),
    ("tng-sdk-package__misc__eu.5gtango.idempotency_test.0.1.tgo", QCOW2, AT_ONBOARDING),
    ("tng-vnv-platform-adapter__packages__basic_package.tgo", QCOW2, AT_ONBOARDING),
    ("tng-y1-demo__tango__eu.5gtango.ns-squid-haproxy.0.1.tgo", QCOW2, AT_ONBOARDING),
    (CALIBRATION, "+ instance 0: [setIP,mp.input.vdu01.0,data,20.0.0.1/24]", TEMPLATE),
    (CALIBRATION, "+ instance 0: [setIP,mp.output.vdu01.0,data,20.0.1.2/24]", TEMPLATE),
    (CALIBRATION, "+ instance 1: [setIP,mp.input.vdu01.1,data,20.0.0.1/24]", TEMPLATE),
    (CALIBRATION, "+ instance 1: [setIP,mp.output.vdu01.1,data,20.0.1.2/24]", TEMPLATE),
];

const CALIBRATION: &str = "ped_calibration_stress-cpu_limitation_00000.tgo";
const QCOW2: &str = "refused: unstartable-image-format";
const BAD_HASH: &str = "refused: hash-mismatch, unstartable-image-format";
const AT_ONBOARDING: &str = "units that cannot be started are an error when the package is uploaded (sections 1, 2); the original \
     took the package and failed when it was to start";
const TEMPLATE: &str = "an address that is a template which nobody filled in is ignored (section 2), so that the interface gets \
     one like any other; the original took the template for an address";

/// What a package gives: findings that forbid it, or the plan of two instances.
enum Outcome {
    /// No package at all, or one that cannot be on-boarded.
    Refused(Vec<String>),
    Planned(Box<PlanDocument>),
}

fn corpus() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !path.is_dir() {
        println!("skipped: there is no corpus of real packages beside the workspace");
        return None;
    }
    Some(path)
}

fn plan(path: &std::path::Path) -> Outcome {
    let bytes = std::fs::read(path).unwrap();
    let staging = tempfile::tempdir().unwrap();
    let unpacked = match unpack(std::io::Cursor::new(&bytes), staging.path(), &Limits::default()) {
        Ok(unpacked) => unpacked,
        Err(error) => return Outcome::Refused(vec![error.to_string()]),
    };
    let settings = Settings::default();
    let loaded = load(&unpacked.content(&Limits::default()).unwrap(), &settings);
    let (_, sha1) = Sha1Reader::new(bytes.as_slice()).finish().unwrap();
    let input = PackageInput {
        sha1: PackageHash::parse(&sha1).unwrap(),
        package: loaded.package,
        nsd: loaded.nsd,
        descriptors: loaded.descriptors,
        diagnostics: loaded.diagnostics,
        env_files: BTreeMap::new(),
    };
    let document = plan_offline(&input, &default_topology(), &settings, Dialect::Tango, 2);
    let errors: Vec<String> = document
        .diagnostics
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.code.clone())
        .collect();
    if errors.is_empty() { Outcome::Planned(Box::new(document)) } else { Outcome::Refused(errors) }
}

/// A container's start as the record has it, without what the original copied out of the descriptor and
/// nobody reads.
fn start(container: &ContainerDocument) -> Value {
    let ports: Vec<Value> = container
        .ports
        .iter()
        .map(|port| match port.protocol.as_str() {
            "tcp" => json!(port.port.get()),
            other => json!(format!("{}/{other}", port.port)),
        })
        .collect();
    let bindings: serde_json::Map<String, Value> = container
        .port_bindings
        .iter()
        .map(|binding| {
            let port = match binding.protocol.as_str() {
                "tcp" => binding.container.to_string(),
                other => format!("{}/{other}", binding.container),
            };
            (port, json!(binding.host.get()))
        })
        .collect();
    json!(["startCompute", container.datacenter, container.name, {
        "network": container.interfaces.iter().map(|interface| interface.id.clone()).collect::<Vec<_>>(),
        "image": container.image,
        "cpu_quota": container.cpu_quota,
        "cpu_period": container.cpu_period,
        "cpuset_cpus": container.cpuset_cpus,
        "mem_limit": container.mem_limit,
        "volumes": container.volumes,
        "ports": ports,
        "port_bindings": bindings,
        "ipc_mode": container.ipc_mode,
        "devices": container.devices,
        "cap_add": container.cap_add,
    }])
}

/// The record's event in the same form.
fn normalise(event: &Value) -> Value {
    let mut event = event.clone();
    if event[0] == "startCompute" {
        let ids: Vec<Value> =
            event[3]["network"].as_array().unwrap().iter().map(|point| point["id"].clone()).collect();
        let body = event[3].as_object_mut().unwrap();
        body["network"] = Value::Array(ids);
        for constant in ["properties", "publish_all_ports", "type"] {
            assert!(body.remove(constant).is_some());
        }
    }
    event
}

fn events(instance: &InstanceDocument) -> Vec<Value> {
    let mut events: Vec<Value> = instance.containers.iter().map(start).collect();
    let is_static = |end: &EndDocument| {
        let container = instance.containers.iter().find(|c| c.name == end.container).unwrap();
        container.interfaces.iter().find(|i| i.name == end.interface).unwrap().address.is_some()
    };
    let address = |end: &EndDocument| {
        (!is_static(end)).then(|| json!(["setIP", end.container, end.interface, end.address]))
    };
    for line in &instance.elines {
        events.extend(line.ends.iter().filter_map(address));
        let [from, to] = line.ends.as_slice() else { panic!("an E-Line has two ends") };
        events.push(json!(["setChain", from.container, to.container, {
            "bidirectional": line.bidirectional,
            "cmd": "add-flow",
            "cookie": line.cookie,
            "priority": line.priority,
            "vnf_dst_interface": to.interface,
            "vnf_src_interface": from.interface,
        }]));
    }
    for lan in &instance.elans {
        events.extend(lan.members.iter().filter_map(address));
        let members =
            lan.members.iter().map(|end| json!({"name": end.container, "interface": end.interface}));
        events.push(json!(["setLAN", members.collect::<Vec<_>>()]));
    }
    events
}

/// The same value with its keys in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let map: BTreeMap<&String, Value> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            json!(map)
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// All differences between a record and a plan, each as one word to be listed.
fn differences(record: &Value, outcome: &Outcome) -> Vec<String> {
    let accepted = record["onboard"] == "ok";
    let starts = record["inst0"] == "ok";
    let document = match outcome {
        Outcome::Refused(codes) => {
            // What the original refused is refused; what it took, and only failed to start, must be listed.
            let codes: BTreeSet<&str> = codes.iter().map(String::as_str).collect();
            return match accepted {
                true => vec![format!("refused: {}", codes.into_iter().collect::<Vec<_>>().join(", "))],
                false => Vec::new(),
            };
        }
        Outcome::Planned(_) if !accepted || !starts => return vec!["accepted".to_owned()],
        Outcome::Planned(document) => document,
    };
    let mut found = Vec::new();
    let mut compare = |what: &str, record: &Value, plan: Value| {
        if sorted(record) != sorted(&plan) {
            found.push(what.to_owned());
            println!("{what}:\n  record {record}\n  plan   {plan}");
        }
    };
    compare("name", &record["name"], json!(document.package.as_ref().unwrap().id.name));
    compare("vnfs", &record["vnfs"], json!(document.vnfs));
    compare("eline_subnets", &record["eline_subnets"], json!(document.reserved.eline));
    compare("elan_subnets", &record["elan_subnets"], json!(document.reserved.elan));
    let images: BTreeMap<String, &str> = document.instances[0]
        .containers
        .iter()
        .map(|container| (format!("{}.{}", container.vnf_id, container.du_id), container.image.as_str()))
        .collect();
    compare("images", &record["images"], json!(images));
    for (number, instance) in document.instances.iter().enumerate() {
        let recorded: Vec<Value> =
            record[format!("events{number}")].as_array().unwrap().iter().map(normalise).collect();
        let planned = events(instance);
        let name = |event: &Value| format!("instance {number}: {}", sorted(event)).replace('"', "");
        let in_plan: BTreeSet<String> = planned.iter().map(name).collect();
        let in_record: BTreeSet<String> = recorded.iter().map(name).collect();
        for extra in in_plan.difference(&in_record) {
            compare(&format!("+ {extra}"), &Value::Null, json!("only in the plan"));
        }
        for missing in in_record.difference(&in_plan) {
            compare(&format!("- {missing}"), &json!("only in the record"), Value::Null);
        }
        // The same events stand in the same order.
        let common = |events: &[Value], other: &BTreeSet<String>| -> Vec<String> {
            events.iter().map(name).filter(|event| other.contains(event)).collect()
        };
        let (record_order, plan_order) = (common(&recorded, &in_plan), common(&planned, &in_record));
        compare(&format!("instance {number}: order"), &json!(record_order), json!(plan_order));
    }
    found
}

#[test]
fn plans_equal_the_record_but_for_the_listed_departures() {
    let Some(corpus) = corpus() else { return };
    let record = std::fs::read_to_string(corpus.join("oracle/tango.jsonl")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let mut packages = 0;
    for line in record.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let package = record["package"].as_str().unwrap();
        packages += 1;
        for difference in differences(&record, &plan(&corpus.join("tgo").join(package))) {
            match DEPARTURES.iter().find(|(of, what, _)| *of == package && *what == difference) {
                Some(departure) => {
                    seen.insert(departure);
                }
                None => wrong.push(format!("not listed: ({package:?}, {difference:?})")),
            }
        }
    }
    let gone = DEPARTURES.iter().filter(|departure| !seen.contains(departure));
    wrong.extend(gone.map(|(package, what, _)| format!("no longer so: ({package:?}, {what:?})")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(packages, 16, "the record has a line per package");
}
