//! The plans of real packages against what SONATA's gatekeeper did with them, service access points included.
//!
//! As `oracle_sonata`, with `deploy_sap` switched on in the original.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by failing")]
#![expect(clippy::print_stdout, reason = "a difference is shown in full, and a skipped test says so")]

mod oracle_common;
#[path = "oracle_common/sonata.rs"]
mod sonata;

use std::collections::BTreeMap;

use llcm_lifecycle::plan::PlanDocument;
use llcm_lifecycle::settings::SapSettings;
use llcm_lifecycle::{Dialect, Settings};
use oracle_common::{Departure, Oracle, check};
use serde_json::json;
use sonata::{AT_ONBOARDING, DOCKERFILES, QCOW2, RESULTS, normalise, start};

/// Package, what differs, and the reason, from the contract of behaviour.
const DEPARTURES: &[Departure] = &[
    ("CN-UPB__son-emu__misc__sonata-stress-service.son", "accepted", NO_POINTS),
    ("son-cli__src__son__access__samples__sonata-demo.son", QCOW2, AT_ONBOARDING),
    (
        "son-cli__src__son__profile__tests__misc__sonata-fw-vtc-service.son",
        "accepted",
        "an external access point is placed wherever the other end is; the original found no data center for it",
    ),
    (
        "son-cli__src__son__validate__tests__samples__packages__sonata-demo-invalid-md5.son",
        DOCKERFILES,
        AT_ONBOARDING,
    ),
    ("son-cli__src__son__validate__tests__samples__packages__sonata-demo-valid.son", QCOW2, AT_ONBOARDING),
    (
        DEMO,
        "+ instance 0: [startCompute,dc2,mgmt,{cpu_period:1000000,cpu_quota:1000000,cpuset:null,image:sonatanfv/son-emu-sap,mem_limit:1073741824,network:[mgmt],volumes:[u/mgmt:/mnt/share/]}]",
        NOT_PINNED,
    ),
    (
        DEMO,
        "- instance 0: [startCompute,dc2,mgmt,{cpu_period:1000000,cpu_quota:1000000,cpuset:1,image:sonatanfv/son-emu-sap,mem_limit:1073741824,network:[mgmt],volumes:[u/mgmt:/mnt/share/]}]",
        NOT_PINNED,
    ),
    ("son-tutorials__ETSI_plugtest__eu.sonata.etsi-alpha.0.5.son", QCOW2, AT_ONBOARDING),
];

const DEMO: &str = "son-schema__package-descriptor__examples__sonata-demo-docker.son";
const NOT_PINNED: &str = "containers of access points are not pinned to CPU 1, which some hosts do not have";
const NO_POINTS: &str = "a service without connection points has no access points; the original failed on it";

/// The image of access points that the original has.
const SAP_IMAGE: &str = "sonatanfv/son-emu-sap";

fn facts(document: &PlanDocument) -> Vec<(&'static str, serde_json::Value)> {
    let instance = &document.instances[0];
    let images: BTreeMap<&str, &str> = instance
        .containers
        .iter()
        .map(|container| (container.vnf_id.as_str(), container.image.as_str()))
        .collect();
    // The original calls everything internal that is a container.
    let kind = |kind| if kind == "external" { kind } else { "internal" };
    let saps: BTreeMap<&str, &str> =
        instance.saps.iter().map(|sap| (sap.name.as_str(), kind(sap.kind.as_str()))).collect();
    vec![("images", json!(images)), ("saps", json!(saps))]
}

#[test]
fn plans_equal_the_record_but_for_the_listed_departures() {
    let saps = SapSettings { deploy: true, image: Some(SAP_IMAGE.to_owned()), ..SapSettings::default() };
    check(&Oracle {
        file: "sonata-with-saps.jsonl",
        packages: "son",
        lines: 11,
        dialect: Dialect::Sonata,
        settings: Settings { results_dir: Some(RESULTS.into()), saps, ..Settings::default() },
        instances: 1,
        departures: DEPARTURES,
        start,
        normalise,
        facts,
    });
}
