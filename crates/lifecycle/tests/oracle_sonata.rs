//! The plans of real packages against what SONATA's gatekeeper did with them, without service access points.
//!
//! The record has a line per package: the result of onboarding, and for the first instance everything the
//! original started and wired, on two data centers with round-robin placement. (It could not start a second one:
//! the names were taken.) Where behaviour is wanted that differs, [`DEPARTURES`] says so.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by failing")]
#![expect(clippy::print_stdout, reason = "a difference is shown in full, and a skipped test says so")]

mod oracle_common;

use std::collections::BTreeMap;

use llcm_lifecycle::plan::PlanDocument;
use llcm_lifecycle::plan::document::ContainerDocument;
use llcm_lifecycle::{Dialect, Settings};
use oracle_common::{Departure, Oracle, check};
use serde_json::{Value, json};

/// Package, what differs, and the reason, from the contract of behaviour.
const DEPARTURES: &[Departure] = &[
    ("son-cli__src__son__access__samples__sonata-demo.son", QCOW2, AT_ONBOARDING),
    (
        "son-cli__src__son__validate__tests__samples__packages__sonata-demo-invalid-md5.son",
        DOCKERFILES,
        AT_ONBOARDING,
    ),
    ("son-cli__src__son__validate__tests__samples__packages__sonata-demo-valid.son", QCOW2, AT_ONBOARDING),
    ("son-tutorials__ETSI_plugtest__eu.sonata.etsi-alpha.0.5.son", QCOW2, AT_ONBOARDING),
];

const QCOW2: &str = "refused: unstartable-image-format";
const DOCKERFILES: &str = "refused: build-images-off, unstartable-image-format";
const AT_ONBOARDING: &str = "units that cannot be started are an error when the package is uploaded (sections 1, 2); the original \
     took the package and failed when it was to start";

/// Where the results are in this test; the record has another directory of that last name.
const RESULTS: &str = "/srv/results";

/// A container's start as the record has it, without what the original copied out of the descriptor and
/// nobody reads.
fn start(container: &ContainerDocument) -> Value {
    // What the original did not know of is not there.
    assert!(container.port_bindings.is_empty() && container.devices.is_empty());
    assert!(container.cap_add.is_empty() && container.ipc_mode.is_none());
    json!(["startCompute", container.datacenter, container.name, {
        "network": container.interfaces.iter().map(|interface| interface.id.clone()).collect::<Vec<_>>(),
        "image": container.image,
        "cpu_quota": container.cpu_quota,
        "cpu_period": container.cpu_period,
        "cpuset": container.cpuset_cpus,
        "mem_limit": container.mem_limit,
        "volumes": container.volumes.iter().map(|volume| mounted(volume)).collect::<Vec<_>>(),
    }])
}

/// `<results>/<service>/<function>:<path>:rw` as `u/<function>:<path>`: the service's id is drawn, and the record
/// has that letter for it.
fn mounted(volume: &str) -> String {
    let below = volume.strip_prefix(RESULTS).unwrap().strip_prefix('/').unwrap();
    let (service, rest) = below.split_once('/').unwrap();
    service.parse::<uuid::Uuid>().unwrap();
    format!("u/{}", rest.strip_suffix(":rw").unwrap())
}

fn normalise(body: &mut serde_json::Map<String, Value>) {
    for constant in ["flavor_name", "type"] {
        assert!(body.remove(constant).is_some());
    }
    // The list of CPUs is whatever the descriptor had, a number or a text.
    if body["cpuset"].is_number() {
        body["cpuset"] = json!(body["cpuset"].to_string());
    }
    for volume in body["volumes"].as_array_mut().unwrap() {
        let (_, below) = volume.as_str().unwrap().split_once("/results/").unwrap();
        *volume = json!(below);
    }
}

fn facts(document: &PlanDocument) -> Vec<(&'static str, Value)> {
    let images: BTreeMap<&str, &str> = document.instances[0]
        .containers
        .iter()
        .map(|container| (container.vnf_id.as_str(), container.image.as_str()))
        .collect();
    let saps: BTreeMap<&str, &str> =
        document.instances[0].saps.iter().map(|sap| (sap.id.as_str(), sap.kind.as_str())).collect();
    vec![("images", json!(images)), ("saps", json!(saps))]
}

#[test]
fn plans_equal_the_record_but_for_the_listed_departures() {
    check(&Oracle {
        file: "sonata.jsonl",
        packages: "son",
        lines: 11,
        dialect: Dialect::Sonata,
        settings: Settings { results_dir: Some(RESULTS.into()), ..Settings::default() },
        instances: 1,
        departures: DEPARTURES,
        start,
        normalise,
        facts,
    });
}
