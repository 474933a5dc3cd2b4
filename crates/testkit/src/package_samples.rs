//! Small service packages, ready made. Their units use the image [`TEST_IMAGE`].

use crate::package::PackageBuilder;

/// The image of all sample units: anything with a shell will do.
pub const TEST_IMAGE: &str = "llcm-test:latest";

/// Three functions in a chain (`vnf0` - `vnf1` - `vnf2`) over E-Lines, all on the E-LAN `mgmt`.
#[must_use]
pub fn demo_chain() -> PackageBuilder {
    PackageBuilder::tgo(DEMO_CHAIN).name("demo-chain")
}

/// A service that needs every kind of step: E-Lines, an E-LAN, an E-Tree with a root, a link inside a
/// function, published TCP and UDP ports, start and stop scripts, several units in a function, CPU and memory
/// limits, a static address, environment.
#[must_use]
pub fn every_step() -> PackageBuilder {
    PackageBuilder::tgo(EVERY_STEP).name("every-step")
}

const DEMO_CHAIN: &str = "
//- /Definitions/nsd.yaml
descriptor_schema: https://raw.githubusercontent.com/sonata-nfv/tng-schema/master/service-descriptor/nsd-schema.yml
vendor: eu.llcm
name: demo-chain-ns
version: '0.1'
network_functions:
- {vnf_id: vnf0, vnf_vendor: eu.llcm, vnf_name: demo-vnf, vnf_version: '0.1'}
- {vnf_id: vnf1, vnf_vendor: eu.llcm, vnf_name: demo-vnf, vnf_version: '0.1'}
- {vnf_id: vnf2, vnf_vendor: eu.llcm, vnf_name: demo-vnf, vnf_version: '0.1'}
connection_points:
- {id: mgmt, interface: ipv4, type: management}
- {id: input, interface: ipv4, type: external}
- {id: output, interface: ipv4, type: external}
virtual_links:
- id: mgmt
  connectivity_type: E-LAN
  connection_points_reference: ['vnf0:mgmt', 'vnf1:mgmt', 'vnf2:mgmt', mgmt]
- id: input-2-vnf0
  connectivity_type: E-Line
  connection_points_reference: [input, 'vnf0:input']
- id: vnf0-2-vnf1
  connectivity_type: E-Line
  connection_points_reference: ['vnf0:output', 'vnf1:input']
- id: vnf1-2-vnf2
  connectivity_type: E-Line
  connection_points_reference: ['vnf1:output', 'vnf2:input']
- id: vnf2-2-output
  connectivity_type: E-Line
  connection_points_reference: ['vnf2:output', output]
forwarding_graphs: []
//- /Definitions/demo-vnfd.yaml
descriptor_schema: https://raw.githubusercontent.com/sonata-nfv/tng-schema/master/function-descriptor/vnfd-schema.yml
vendor: eu.llcm
name: demo-vnf
version: '0.1'
virtual_deployment_units:
- id: vdu01
  vm_image: 'llcm-test:latest'
  vm_image_format: docker
  resource_requirements:
    cpu: {vcpus: 0}
    memory: {size: 64, size_unit: MB}
    storage: {size: 1, size_unit: GB}
  connection_points:
  - {id: mgmt, interface: ipv4, type: internal}
  - {id: input, interface: ipv4, type: internal}
  - {id: output, interface: ipv4, type: internal}
connection_points:
- {id: mgmt, interface: ipv4, type: management}
- {id: input, interface: ipv4, type: external}
- {id: output, interface: ipv4, type: external}
virtual_links:
- {id: mgmt, connectivity_type: E-LAN, connection_points_reference: ['vdu01:mgmt', mgmt]}
- {id: input, connectivity_type: E-Line, connection_points_reference: ['vdu01:input', input]}
- {id: output, connectivity_type: E-Line, connection_points_reference: ['vdu01:output', output]}
";

const EVERY_STEP: &str = "
//- /Definitions/nsd.yaml
vendor: eu.llcm
name: every-step-ns
version: '1.0'
network_functions:
- {vnf_id: edge, vnf_name: edge-vnf}
- {vnf_id: core, vnf_name: core-vnf}
- {vnf_id: leaf_a, vnf_name: leaf-vnf}
- {vnf_id: leaf_b, vnf_name: leaf-vnf}
connection_points:
- {id: 'ns:mgmt', interface: ipv4, type: management}
virtual_links:
- id: mgmt
  connectivity_type: E-LAN
  connection_points_reference: ['edge:mgmt', 'core:mgmt', 'ns:mgmt']
- id: uplink
  connectivity_type: E-Line
  connection_points_reference: ['edge:north', 'core:south']
- id: cross
  connectivity_type: E-Line
  connection_points_reference: ['leaf_a:side', 'leaf_b:side']
- id: tree
  connectivity_type: E-Tree
  root_requirement: 'core:trunk'
  connection_points_reference: ['core:trunk', 'leaf_a:trunk', 'leaf_b:trunk']
forwarding_graphs:
- {fg_id: all, number_of_endpoints: 2, constituent_vnfs: [edge, core]}
//- /Definitions/edge-vnfd.yaml
vendor: eu.llcm
name: edge-vnf
version: '1.0'
virtual_deployment_units:
- id: vdu01
  vm_image: 'llcm-test:latest'
  vm_image_format: docker
  vm_cmd_start: 'echo edge is up'
  vm_cmd_stop: 'echo edge goes down'
  resource_requirements:
    cpu: {vcpus: '0', cpu_bw: 0.5}
    memory: {size: 48, size_unit: MB}
  connection_points:
  - {id: mgmt, interface: ipv4, type: internal}
  - {id: north, interface: ipv4, type: internal}
  - {id: inner, interface: ipv4, type: internal}
- id: vdu02
  vm_image: 'llcm-test:latest'
  vm_image_format: docker
  resource_requirements:
    cpu: {vcpus: 0}
    memory: {size: 0.05}
  connection_points:
  - {id: inner, interface: ipv4, type: internal}
connection_points:
- {id: mgmt, interface: ipv4, type: management}
- {id: north, interface: ipv4, type: external}
virtual_links:
- {id: mgmt, connectivity_type: E-LAN, connection_points_reference: ['vdu01:mgmt', mgmt]}
- {id: north, connectivity_type: E-Line, connection_points_reference: ['vdu01:north', north]}
- {id: inside, connectivity_type: E-LAN, connection_points_reference: ['vdu01:inner', 'vdu02:inner']}
//- /Definitions/core-vnfd.yaml
vendor: eu.llcm
name: core-vnf
version: '1.0'
cloudnative_deployment_units:
- id: cdu01
  image: 'llcm-test:latest'
  vm_cmd_start: 'echo core is up'
  connection_points:
  - {id: mgmt, port: 8080, publish: {8080: 18080}}
  - {id: south, address: 20.0.0.200/24}
  - {id: trunk, ports: [5353, '5353/udp'], publish: {'5353/udp': 15353}}
  parameters:
    env: {ROLE: core, INTERVAL: 2}
//- /Definitions/leaf-vnfd.yaml
vendor: eu.llcm
name: leaf-vnf
version: '1.0'
cloudnative_deployment_units:
- id: cdu01
  image: 'llcm-test:latest'
  connection_points:
  - {id: side}
  - {id: trunk}
";
