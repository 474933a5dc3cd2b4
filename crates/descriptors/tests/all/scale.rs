//! Long lists are read in time that grows with their length, not with its square.

use std::time::{Duration, Instant};

use crate::common::{NAPD, loaded};

fn timed(fixture: &str) -> llcm_descriptors::Loaded {
    let start = Instant::now();
    let loaded = loaded(fixture);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    loaded
}

#[test]
fn a_link_with_many_endpoints() {
    let endpoints: String = (0..90_000).map(|n| format!("  - vnf0:{n}\n")).collect();
    let loaded = timed(&format!(
        "//- nsd.yaml\n{}virtual_links:\n- connectivity_type: E-LAN\n  root_requirement: &all\n{endpoints}  \
         connection_points_reference: *all\n",
        crate::common::NSD
    ));
    let links = loaded.descriptors.unwrap().nsd.links;
    assert_eq!((links[0].endpoints.len(), links[0].roots.len()), (90_000, 90_000));
}

#[test]
fn a_unit_with_many_ports() {
    let ports: String = (0..120_000).map(|n| format!("{}, ", n % 65_535 + 1)).collect();
    let publish: String = (1..50_000).map(|n| format!("{n}: {n}, ")).collect();
    let loaded = timed(&format!(
        "//- vnfd.yaml\nname: test-vnf\ncloudnative_deployment_units:\n- id: c\n  image: d\n  connection_points:\n  \
         - {{id: e, ports: [{ports}], publish: {{{publish}}}}}\n"
    ));
    let unit = &loaded.descriptors.unwrap().vnfds["test-vnf"].units[0];
    assert_eq!((unit.exposed.len(), unit.published.len()), (65_535, 49_999));
}

#[test]
fn a_service_with_many_functions() {
    let functions: String =
        (0..10_000).map(|n| format!("- {{vnf_id: vnf{n}, vnf_name: test-vnf}}\n")).collect();
    let links: String = (0..9_999)
        .map(|n| {
            let next = n + 1;
            format!(
                "- {{id: l{n}, connectivity_type: E-Line, connection_points_reference: ['vnf{n}:o', 'vnf{next}:i']}}\n"
            )
        })
        .collect();
    let loaded =
        timed(&format!("//- nsd.yaml\nname: x\nnetwork_functions:\n{functions}virtual_links:\n{links}"));
    let nsd = loaded.descriptors.unwrap().nsd;
    assert_eq!((nsd.functions.len(), nsd.links.len()), (10_000, 9_999));
}

#[test]
fn a_manifest_with_many_missing_files() {
    let missing: String = (0..10_000)
        .map(|n| {
            format!("- {{source: f{n}, content-type: application/vnd.5gtango.vnfd}}\n- {{source: g{n}}}\n")
        })
        .collect();
    let loaded = timed(&format!("//- TOSCA-Metadata/NAPD.yaml\n{NAPD}{missing}"));
    assert!(!loaded.is_valid() && loaded.diagnostics.len() <= 210);
}
