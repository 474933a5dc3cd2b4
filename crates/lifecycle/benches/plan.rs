//! How long planning takes, and that it grows in proportion: `cargo bench -p llcm-lifecycle --bench plan`.
//!
//! Prints the shortest of several runs (whatever else the machine does only ever adds) for chains of 1,000 and
//! 10,000 VNFs, each VNF on two E-Lines and one E-LAN, and the ratio of the two, measured in one run; then for 1,000 on
//! 200 data centers by the algorithms that look at room and delays.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use llcm_descriptors::{Descriptors, LoadOptions, load};
use llcm_lifecycle::plan::{PlanRequest, PlanState, build, reserve};
use llcm_lifecycle::{Dialect, Settings};
use llcm_names::{InstallationId, InstanceId, Ssiid};
use llcm_netplan::PoolConfig;
use llcm_topology::{Topology, default_topology};
use uuid::Uuid;

const RUNS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let (small, large) = (1_000, 10_000);
    let plain = (default_topology(), "round-robin");
    let small_time = measure(&chain(small)?, &plain)?;
    let large_time = measure(&chain(large)?, &plain)?;
    println!("plan of {small:>6} VNFs: {:>8.1} ms", millis(small_time));
    println!("plan of {large:>6} VNFs: {:>8.1} ms", millis(large_time));
    println!("ratio: {:.1} for ten times the VNFs", large_time.as_secs_f64() / small_time.as_secs_f64());
    let wide = grid()?;
    for algorithm in ["round-robin", "least-loaded", "latency"] {
        let time = measure(&chain(small)?, &(wide.clone(), algorithm))?;
        println!(
            "plan of {small:>6} VNFs on {} data centers by {algorithm}: {:>8.1} ms",
            wide.datacenters.len(),
            millis(time)
        );
    }
    Ok(())
}

/// 200 data centers in 10 rows of 20, each joined to those beside it, with room for a third more than is asked for.
fn grid() -> Result<Topology, Box<dyn Error>> {
    let (rows, columns) = (10, 20);
    let (mut file, mut links) = ("datacenters:\n".to_owned(), "links:\n".to_owned());
    for row in 0..rows {
        for column in 0..columns {
            let here = format!("dc{row}-{column}");
            let cpu = 6 + (row * 7 + column * 3) % 3;
            file += &format!("- {{name: {here}, capacity: {{cpu: {cpu}, memory: 64GiB}}}}\n");
            if column + 1 < columns {
                links += &format!(
                    "- {{ends: [{here}, dc{row}-{}], delay: {}ms}}\n",
                    column + 1,
                    1 + (row + column) % 5
                );
            }
            if row + 1 < rows {
                links += &format!(
                    "- {{ends: [{here}, dc{}-{column}], delay: {}ms}}\n",
                    row + 1,
                    1 + (row * column) % 4
                );
            }
        }
    }
    file += &links;
    let (topology, findings) = llcm_topology::load(file.as_bytes());
    topology.ok_or_else(|| format!("{findings:?}").into())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// `vnf0 - vnf1 - ...` with a management E-LAN over all of them.
fn chain(functions: usize) -> Result<Descriptors, Box<dyn Error>> {
    let mut nsd = "vendor: bench\nname: chain\nversion: '1'\nnetwork_functions:\n".to_owned();
    let mut links = "virtual_links:\n".to_owned();
    let mut members = String::new();
    for number in 0..functions {
        nsd += &format!("- {{vnf_id: vnf{number}, vnf_name: fw}}\n");
        members += &format!("'vnf{number}:mgmt', ");
        if number > 0 {
            let before = number - 1;
            links += &format!(
                "- {{id: l{number}, connectivity_type: E-Line, \
                 connection_points_reference: ['vnf{before}:output', 'vnf{number}:input']}}\n"
            );
        }
    }
    links += &format!(
        "- {{id: mgmt, connectivity_type: E-LAN, connection_points_reference: [{members}'mgmt']}}\n\
         forwarding_graphs: []\n"
    );
    nsd += &links;
    let vnfd = "vendor: bench\nname: fw\nversion: '1'\nvirtual_deployment_units:\n\
                - id: vdu01\n  vm_image: alpine\n  vm_image_format: docker\n\
                \x20 resource_requirements: {cpu: {vcpus: 1}, memory: {size: 1, size_unit: GB}}\n\
                \x20 connection_points: [{id: mgmt}, {id: input}, {id: output}]\n";
    let napd = "vendor: bench\nname: chain\nversion: '1'\npackage_content:\n\
                - {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}\n\
                - {source: fw.yaml, content-type: application/vnd.5gtango.vnfd}\n";
    let files: BTreeMap<String, Vec<u8>> =
        [("TOSCA-Metadata/NAPD.yaml", napd), ("nsd.yaml", nsd.as_str()), ("fw.yaml", vnfd)]
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .into();
    let loaded = load(&files, &LoadOptions::default());
    loaded.descriptors.ok_or_else(|| format!("{:?}", loaded.diagnostics).into())
}

/// The shortest time of reserving subnets and planning.
fn measure(
    descriptors: &Descriptors,
    (topology, algorithm): &(Topology, &str),
) -> Result<Duration, Box<dyn Error>> {
    let mut settings = Settings::default();
    (*algorithm).clone_into(&mut settings.placement.algorithm);
    settings.pools.eline = Some(PoolConfig::parse("20.0.0.0/30", 1 << 20)?);
    settings.pools.elan = Some(PoolConfig::parse("30.0.0.0/24", 1 << 12)?);
    let state = PlanState::default();
    let installation = InstallationId::from_bits(1);
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begin = Instant::now();
        let reserved = reserve(descriptors, &settings, Dialect::Tango, &state.subnets)
            .map_err(|findings| format!("{findings:?}"))?;
        let plan = build(&PlanRequest {
            descriptors,
            reserved: &reserved,
            topology,
            settings: &settings,
            dialect: Dialect::Tango,
            state: &state,
            facts: None,
            env_files: &BTreeMap::new(),
            results: Path::new("/results"),
            placement: None,
            installation: &installation,
            instance: InstanceId::new(Uuid::from_u128(1)),
            ssiid: Ssiid::new(0),
        })
        .map_err(|findings| format!("{findings:?}"))?;
        times.push(begin.elapsed());
        assert_eq!(plan.containers.len(), descriptors.nsd.functions.len());
        assert_eq!(plan.links.len(), descriptors.nsd.links.len());
    }
    Ok(times.into_iter().min().unwrap_or_default())
}
