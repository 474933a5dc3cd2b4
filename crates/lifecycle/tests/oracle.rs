//! The plans of real packages against what the 5GTANGO gatekeeper did with them.
//!
//! The record has a line per package: the result of onboarding, and for two instances everything the
//! original started and wired, on two data centers with round-robin placement. Where behaviour is wanted that
//! differs, [`DEPARTURES`] says so.
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

/// Takes out what the original copied from the descriptor and nobody reads.
fn normalise(body: &mut serde_json::Map<String, Value>) {
    for constant in ["properties", "publish_all_ports", "type"] {
        assert!(body.remove(constant).is_some());
    }
}

fn facts(document: &PlanDocument) -> Vec<(&'static str, Value)> {
    let images: BTreeMap<String, &str> = document.instances[0]
        .containers
        .iter()
        .map(|container| (format!("{}.{}", container.vnf_id, container.du_id), container.image.as_str()))
        .collect();
    vec![
        ("eline_subnets", json!(document.reserved.eline)),
        ("elan_subnets", json!(document.reserved.elan)),
        ("images", json!(images)),
    ]
}

#[test]
fn plans_equal_the_record_but_for_the_listed_departures() {
    check(&Oracle {
        file: "tango.jsonl",
        packages: "tgo",
        lines: 16,
        dialect: Dialect::Tango,
        settings: Settings::default(),
        instances: 2,
        departures: DEPARTURES,
        start,
        normalise,
        facts,
    });
}
