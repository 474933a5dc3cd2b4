//! Plans two instances of a small service and prints them - no server, no engine, no privileges.
//!
//! `cargo run -p llcm-lifecycle --example plan_only`
#![expect(clippy::print_stdout, reason = "an example shows its results")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use llcm_descriptors::{LoadOptions, load};
use llcm_lifecycle::plan::{HostFacts, PlanRequest, PlanState, build, reserve};
use llcm_lifecycle::{Dialect, Settings};
use llcm_names::{InstallationId, InstanceId, Ssiid};
use uuid::Uuid;

const NAPD: &str = "
vendor: eu.example
name: chain
version: '0.1'
package_content:
- {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}
- {source: fw.yaml, content-type: application/vnd.5gtango.vnfd}
";
const NSD: &str = "
vendor: eu.example
name: chain-ns
version: '0.1'
network_functions:
- {vnf_id: client, vnf_name: fw}
- {vnf_id: server, vnf_name: fw}
virtual_links:
- {id: data, connectivity_type: E-Line, connection_points_reference: ['client:out', 'server:in']}
forwarding_graphs: []
";
const VNFD: &str = "
vendor: eu.example
name: fw
version: '0.1'
virtual_deployment_units:
- id: vdu01
  vm_image: alpine
  vm_image_format: docker
  resource_requirements: {cpu: {vcpus: 7}, memory: {size: 64, size_unit: MB}}
  connection_points: [{id: in}, {id: out}]
";

fn main() -> Result<(), Box<dyn Error>> {
    let files: BTreeMap<String, Vec<u8>> =
        [("TOSCA-Metadata/NAPD.yaml", NAPD), ("nsd.yaml", NSD), ("fw.yaml", VNFD)]
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .into();
    let loaded = load(&files, &LoadOptions::default());
    let descriptors = loaded.descriptors.ok_or_else(|| format!("{:?}", loaded.diagnostics))?;

    let settings = Settings::default();
    let topology = llcm_topology::default_topology();
    // A host with two CPUs: CPU 7, which the descriptor asks for, is left out with a warning.
    let facts = HostFacts { cpus: [0, 1].into(), ..HostFacts::default() };
    let mut state = PlanState::default();
    let reserved = reserve(&descriptors, &settings, Dialect::Tango, &state.subnets)
        .map_err(|findings| format!("{findings:?}"))?;
    state.hold(&reserved);
    for number in 0..2 {
        let plan = build(&PlanRequest {
            descriptors: &descriptors,
            reserved: &reserved,
            topology: &topology,
            settings: &settings,
            dialect: Dialect::Tango,
            state: &state,
            facts: Some(&facts),
            env_files: &BTreeMap::new(),
            results: Path::new("/var/lib/llcm/results/chain"),
            placement: None,
            installation: &InstallationId::from_bits(1),
            instance: InstanceId::new(Uuid::from_u128(u128::from(number) + 1)),
            ssiid: Ssiid::new(number),
        })
        .map_err(|findings| format!("{findings:?}"))?;
        println!("{plan}");
        state.occupy(&plan);
    }
    Ok(())
}
