//! Whole plans as golden texts.

use super::*;

/// Something of everything: chains over service connection points, an E-Tree with roots, several units in a
/// function with an internal link, static addresses, ports, limits, scripts, privileges.
fn everything() -> Bench {
    let nsd = "
network_functions:
- {vnf_id: fw, vnf_name: firewall}
- {vnf_id: db, vnf_name: database}
connection_points:
- {id: input, type: external}
virtual_links:
- {id: mgmt, connectivity_type: E-LAN, connection_points_reference: ['fw:mgmt', 'db:mgmt', 'ns:mgmt']}
- {id: input-2-fw, connectivity_type: E-Line, connection_points_reference: ['input', 'fw:in']}
- {id: fw-2-db, connectivity_type: E-Line, connection_points_reference: ['fw:out', 'db:data']}
- {id: tree, connectivity_type: E-Tree, connection_points_reference: ['db:data', 'fw:in'], root_requirement: 'db:data'}
forwarding_graphs: []
";
    let firewall = "
virtual_deployment_units:
- id: vdu01
  vm_image: http://registry/fw:1
  vm_image_format: docker
  vm_cmd_start: ./start.sh
  resource_requirements:
    cpu: {vcpus: '0, 1', cpu_bw: 0.5}
    memory: {size: 1.5, size_unit: GB}
  cap_add: [NET_ADMIN]
  devices: ['/dev/net/tun']
  ipc_mode: shareable
  connection_points:
  - {id: eth0}
  - {id: in, address: 20.0.9.9/24}
  - {id: out}
  - {id: unused_interface_1}
virtual_links:
- {id: m, connectivity_type: E-LAN, connection_points_reference: ['vdu01:eth0', 'mgmt']}
";
    let database = "
cloudnative_deployment_units:
- id: cdu01
  image: postgres
  parameters: {env: {POSTGRES_DB: x, INTERVAL: 2}}
  connection_points:
  - {id: data, port: 5432, publish: {5432: 15432, '137/udp': 137}}
  - {id: mgmt}
  - {id: sync}
- id: cdu02
  image: backup
  connection_points: [{id: sync}, {id: mgmt}]
virtual_links:
- {id: sync, connectivity_type: E-Line, connection_points_reference: ['cdu01:sync', 'cdu02:sync']}
";
    let mut bench = Bench::new(package(nsd, &[("firewall", firewall), ("database", database)]));
    let variables = [("MACHINE_NAME", "one"), ("SON_EMU_CMD_STOP", "./stop.sh")];
    let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    bench.env_files.insert("db.cdu02.0".to_owned(), variables);
    bench
}

#[test]
fn a_plan_as_text() {
    insta::assert_snapshot!(everything().plan().to_string());
}

#[test]
fn a_plan_can_be_recorded_and_read_back() {
    let plan = everything().plan();
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<InstancePlan>(&text).unwrap(), plan);
    let more = text.replacen("{", "{\"further\":1,", 1);
    assert!(serde_json::from_str::<InstancePlan>(&more).is_err(), "what is not known must not be dropped");
}

fn offline(bench: &Bench, instances: u16) -> PlanDocument {
    let input = PackageInput {
        sha1: llcm_names::PackageHash::parse(&"0123456789".repeat(4)).unwrap(),
        package: Some(bench.descriptors.package.clone()),
        nsd: None,
        descriptors: Some(bench.descriptors.clone()),
        diagnostics: Vec::new(),
        env_files: bench.env_files.clone(),
    };
    plan_offline(&input, &bench.topology, &bench.settings, bench.dialect, instances)
}

#[test]
fn the_public_document() {
    let document = offline(&everything(), 2);
    let json = serde_json::to_value(&document).unwrap();
    insta::assert_json_snapshot!(json);
    assert_eq!(serde_json::from_value::<PlanDocument>(json).unwrap(), document);
    assert_eq!(offline(&everything(), 2), document, "the same package has the same plan");
}

#[test]
fn what_cannot_be_planned_has_no_instances_and_says_why() {
    let mut bench = everything();
    bench.settings.port_offset = 60_000;
    let document = offline(&bench, 2);
    assert!(document.instances.is_empty());
    let codes: Vec<_> =
        document.diagnostics.iter().filter(|f| f.severity == Severity::Error).map(|f| &f.code).collect();
    assert_eq!(codes, ["port-overflow"]);
    assert_eq!(offline(&bench, 1).instances.len(), 1);
}
