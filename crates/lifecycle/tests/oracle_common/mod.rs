//! What the comparisons of plans with the originals' records have in common.
//!
//! A plan is turned into the record's events and compared with them. A difference that is not listed fails the
//! test, and so does a listed one that no longer occurs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
pub(crate) type Departure = (&'static str, &'static str, &'static str);

/// One original's record, and how its words are to be read.
pub(crate) struct Oracle {
    /// The record's file in the corpus; a line per package.
    pub(crate) file: &'static str,
    /// The packages' directory in the corpus.
    pub(crate) packages: &'static str,
    /// How many lines it has.
    pub(crate) lines: usize,
    pub(crate) dialect: Dialect,
    pub(crate) settings: Settings,
    /// Instances that the original could start.
    pub(crate) instances: u16,
    pub(crate) departures: &'static [Departure],
    /// A container's start as the record has it, without what nobody reads.
    pub(crate) start: fn(&ContainerDocument) -> Value,
    /// The body of the record's start in the same form.
    pub(crate) normalise: fn(&mut serde_json::Map<String, Value>),
    /// Keys of the record with what the plan says in their place.
    pub(crate) facts: fn(&PlanDocument) -> Vec<(&'static str, Value)>,
}

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

fn plan(oracle: &Oracle, path: &Path) -> Outcome {
    let bytes = std::fs::read(path).unwrap();
    let staging = tempfile::tempdir().unwrap();
    let unpacked = match unpack(std::io::Cursor::new(&bytes), staging.path(), &Limits::default()) {
        Ok(unpacked) => unpacked,
        Err(error) => return Outcome::Refused(vec![error.to_string()]),
    };
    let loaded = load(&unpacked.content(&Limits::default()).unwrap(), &oracle.settings);
    let (_, sha1) = Sha1Reader::new(bytes.as_slice()).finish().unwrap();
    let input = PackageInput {
        sha1: PackageHash::parse(&sha1).unwrap(),
        package: loaded.package,
        nsd: loaded.nsd,
        descriptors: loaded.descriptors,
        diagnostics: loaded.diagnostics,
        env_files: BTreeMap::new(),
    };
    let document =
        plan_offline(&input, &default_topology(), &oracle.settings, oracle.dialect, oracle.instances);
    let errors: Vec<String> = document
        .diagnostics
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.code.clone())
        .collect();
    if errors.is_empty() { Outcome::Planned(Box::new(document)) } else { Outcome::Refused(errors) }
}

/// The record's event in the form that [`events`] gives.
fn normalise(oracle: &Oracle, event: &Value) -> Value {
    let mut event = event.clone();
    if event[0] == "startCompute" {
        let ids: Vec<Value> =
            event[3]["network"].as_array().unwrap().iter().map(|point| point["id"].clone()).collect();
        let body = event[3].as_object_mut().unwrap();
        body["network"] = Value::Array(ids);
        (oracle.normalise)(body);
    }
    event
}

/// What happens when the instance is made, in the record's words.
fn events(oracle: &Oracle, instance: &InstanceDocument) -> Vec<Value> {
    let mut events: Vec<Value> = instance.containers.iter().map(oracle.start).collect();
    let external = instance.saps.iter().filter(|sap| sap.container.is_none());
    events.extend(external.map(|sap| json!(["attachExternalSAP", sap.datacenter, sap.name, sap.subnet])));
    let is_static = |end: &EndDocument| {
        let container = instance.containers.iter().find(|c| c.name == end.container);
        container.is_some_and(|container| {
            container.interfaces.iter().find(|i| i.name == end.interface).unwrap().address.is_some()
        })
    };
    // The record has neither the address nor the interface of an external access point with its links.
    let is_outside = |end: &EndDocument| {
        instance.saps.iter().any(|sap| sap.name == end.container && sap.container.is_none())
    };
    let address = |end: &EndDocument| {
        let set = !is_static(end) && !is_outside(end);
        set.then(|| json!(["setIP", end.container, end.interface, end.address]))
    };
    let interface = |end: &EndDocument| (!is_outside(end)).then(|| end.interface.clone());
    for line in &instance.elines {
        events.extend(line.ends.iter().filter_map(address));
        let [from, to] = line.ends.as_slice() else { panic!("an E-Line has two ends") };
        events.push(json!(["setChain", from.container, to.container, {
            "bidirectional": line.bidirectional,
            "cmd": "add-flow",
            "cookie": line.cookie,
            "priority": line.priority,
            "vnf_dst_interface": interface(to),
            "vnf_src_interface": interface(from),
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
fn differences(oracle: &Oracle, record: &Value, outcome: &Outcome) -> Vec<String> {
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
    for (key, value) in (oracle.facts)(document) {
        compare(key, &record[key], value);
    }
    for (number, instance) in document.instances.iter().enumerate() {
        let recorded: Vec<Value> = record[format!("events{number}")]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| normalise(oracle, event))
            .collect();
        let planned = events(oracle, instance);
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

/// Compares all packages of the record.
pub(crate) fn check(oracle: &Oracle) {
    let Some(corpus) = corpus() else { return };
    let departures = oracle.departures;
    let record = std::fs::read_to_string(corpus.join("oracle").join(oracle.file)).unwrap();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let mut packages = 0;
    for line in record.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let package = record["package"].as_str().unwrap();
        packages += 1;
        for difference in
            differences(oracle, &record, &plan(oracle, &corpus.join(oracle.packages).join(package)))
        {
            match departures.iter().find(|(of, what, _)| *of == package && *what == difference) {
                Some(departure) => {
                    seen.insert(departure);
                }
                None => wrong.push(format!("not listed: ({package:?}, {difference:?})")),
            }
        }
    }
    let gone = departures.iter().filter(|departure| !seen.contains(departure));
    wrong.extend(gone.map(|(package, what, _)| format!("no longer so: ({package:?}, {what:?})")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(packages, oracle.lines, "the record has a line per package");
}
