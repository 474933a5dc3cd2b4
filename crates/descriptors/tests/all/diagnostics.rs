//! What a user reads: all findings of a package together, each with its place and what to do.

use crate::common::findings;

#[test]
fn all_findings_come_together() {
    insta::assert_snapshot!(findings(
        "\
//- TOSCA-Metadata/NAPD.yaml
vendor: eu.test
version: 0.1
package_content:
- source: nsd.yaml
  content-type: application/vnd.5gtango.nsd
- source: vnfd.yaml
  content-type: application/vnd.5gtango.vnfd
- source: ../../etc/passwd
  content-type: text/plain
- source: icons/missing.png
  content-type: image/png
- source: missing-vnfd.yaml
  content-type: application/vnd.5gtango.vnfd
//- nsd.yaml
name: broken
name: broken-ns
network_functions:
- vnf_id: vnf0
  vnf_name: test-vnf
- vnf_id: vnf1
  vnf_name: firewall
- vnf_id: vnf0
  vnf_name: test-vnf
virtual_links:
- id: a
  connectivity_type: E-Line
  connection_points_reference: ['vnf0:mgmt', 'vnf7:mgmt']
- id: b
  connectivity_type: bus
  connection_points_reference: ['vnf0:mgmt', input]
//- vnfd.yaml
name: test-vnf
virtual_deployment_units:
- id: vdu01
  vm_image: http://example.org/image.qcow2
  vm_image_format: qcow2
  resource_requirements:
    cpu: {vcpus: many}
    memory: {size: lots, size_unit: XB}
- id: vdu02
  vm_image: Ubuntu
  vm_image_format: docker
  connection_points:
  - {id: eth0, address: 10.0.0.300/24}
  - {id: web, port: 80, publish: {80: 80000, '53/icmp': 53}}
cloudnative_deployment_units:
- image: 'a:b'
"
    ));
}

#[test]
fn broken_yaml_has_its_place() {
    insta::assert_snapshot!(findings(
        "//- nsd.yaml\nname: ns\nnetwork_functions:\n- {vnf_id: a, vnf_name: [b}\n//- vnfd.yaml\nname: x: y\n"
    ));
}

#[test]
fn a_package_in_a_folder() {
    let files = crate::common::files("").into_iter().map(|(path, bytes)| (format!("project/{path}"), bytes));
    let files: std::collections::BTreeMap<_, _> = files.collect();
    let loaded = llcm_descriptors::load(&files, &llcm_descriptors::LoadOptions::default());
    insta::assert_snapshot!(loaded.diagnostics[0].to_string());
}

#[test]
fn a_flood_of_findings_is_cut() {
    let units: String = (0..1000).map(|_| "- {}\n").collect();
    let text = findings(&format!("//- vnfd.yaml\nname: test-vnf\ncloudnative_deployment_units:\n{units}"));
    assert_eq!(text.lines().count(), 201);
    assert!(text.lines().last().unwrap().contains("more than 200 findings"));
}
