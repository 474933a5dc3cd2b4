//! The plans of real packages against what SONATA's gatekeeper did with them, without service access points.
//!
//! The record has a line per package: the result of onboarding, and for the first instance everything the
//! original started and wired, on two data centers with round-robin placement. (It could not start a second one:
//! the names were taken.) Where behaviour is wanted that differs, [`DEPARTURES`] says so.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by failing")]
#![expect(clippy::print_stdout, reason = "a difference is shown in full, and a skipped test says so")]

mod oracle_common;
#[path = "oracle_common/sonata.rs"]
mod sonata;

use std::collections::BTreeMap;

use llcm_lifecycle::plan::PlanDocument;
use llcm_lifecycle::{Dialect, Settings};
use oracle_common::{Departure, Oracle, check};
use serde_json::json;
use sonata::{AT_ONBOARDING, DOCKERFILES, QCOW2, RESULTS, normalise, start};

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

fn facts(document: &PlanDocument) -> Vec<(&'static str, serde_json::Value)> {
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
