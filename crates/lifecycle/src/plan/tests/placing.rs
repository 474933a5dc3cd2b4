//! Data centers with capacity, and placements that look at it.

use llcm_names::DcName;

use super::*;

/// Four functions in a chain, half a CPU and 1 GiB each.
fn chain() -> Bench {
    let vnfd = one_unit("[{id: in}, {id: out}]")
        + "  resource_requirements: {cpu: {cpu_bw: 0.5}, memory: {size: 1, size_unit: GB}}\n";
    let links: String = (1..4)
        .map(|to| {
            let from = to - 1;
            format!("- {{id: l{to}, connectivity_type: E-Line, connection_points_reference: ['vnf{from}:out', 'vnf{to}:in']}}\n")
        })
        .collect();
    Bench::new(package(&service(4, &links), &[("fw", &vnfd)]))
}

fn with(mut bench: Bench, topology: &str, algorithm: &str) -> Bench {
    let (topology, findings) = llcm_topology::load(topology.as_bytes());
    assert!(findings.is_empty(), "{findings:?}");
    bench.topology = topology.unwrap();
    bench.settings.placement.algorithm = algorithm.to_owned();
    bench
}

fn sites(plan: &InstancePlan) -> String {
    plan.containers.iter().map(|container| container.datacenter().as_str()).collect::<Vec<_>>().join(" ")
}

/// `near` and `far` from `edge`, where two units have room.
const EDGE: &str = "
datacenters:
- {name: edge, capacity: {cpu: 1, memory: 4GiB}}
- {name: far, capacity: {cpu: 4, memory: 8GiB}}
- {name: near, capacity: {cpu: 1, memory: 8GiB}}
links:
- {ends: [edge, far], delay: 40ms}
- {ends: [edge, near], delay: 5ms, backward: {delay: 7ms}}
";

#[test]
fn algorithms_look_at_room_and_delays_and_the_plan_says_how_well() {
    let summary = |algorithm: &str| {
        let plan = with(chain(), EDGE, algorithm).plan();
        format!("{} | {}", sites(&plan), plan.placement.unwrap())
    };
    assert_eq!(
        summary("latency"),
        "far far far far | latency, round trips along the links 0.000 ms, the best there is"
    );
    // The fourth leaves half of far taken, or half of edge: the same share, but fewer units.
    assert_eq!(
        summary("least-loaded"),
        "far far far edge | least-loaded, round trips along the links 80.000 ms"
    );
    assert_eq!(
        // edge to near is 12 ms there and back, edge to far 80, near to far by edge 92.
        summary("round-robin"),
        "edge far near edge | round-robin, round trips along the links 184.000 ms"
    );
    let mut tight = with(chain(), &EDGE.replace("cpu: 4", "cpu: 1"), "latency");
    let plan = tight.plan();
    assert_eq!(sites(&plan), "edge edge near near");
    assert_eq!(plan.placement.as_ref().unwrap().round_trips_us, Some(12_000));
    assert!(
        plan.to_string().contains("\nplacement latency, round trips along the links 12.000 ms, the best"),
        "{plan}"
    );
}

#[test]
fn a_placement_beyond_capacity_is_refused_whatever_made_it() {
    let mut bench = with(chain(), EDGE, "first");
    let refused = "error[no-capacity]: network_functions: the units placed on edge: 2 CPUs demanded, 1 free of 1 (terminate \
                   instances, place the service with `least-loaded` or `latency`, which look for room, or state a larger \
                   capacity in the topology, or none)";
    assert_eq!(bench.errors(), [refused]);
    bench.settings.placement.algorithm = "static".to_owned();
    for unit in 0..4 {
        bench.settings.placement.fixed.insert(format!("vnf{unit}.vdu01.0"), "near".to_owned());
    }
    assert!(bench.errors()[0].contains("the units placed on near: 2 CPUs demanded, 1 free of 1"));
    let memory = EDGE.replace("cpu: 1, memory: 4GiB", "memory: 1GiB");
    let mut bench = with(chain(), &memory, "round-robin");
    let expected = "placed on edge: 2147483648 bytes of memory demanded, 1073741824 free of 1073741824";
    assert!(bench.errors()[0].contains(expected), "{:?}", bench.errors());
    // Those that look for room say that there is none.
    let small = EDGE.replace("cpu: 4", "cpu: 0.4").replace("cpu: 1", "cpu: 0.5");
    let told = |topology: &str, algorithm: &str| with(chain(), topology, algorithm).errors().remove(0);
    let beginning = "error[no-capacity]: network_functions: no";
    let together =
        "placement of all units was found with the CPU and the memory that they demand free (terminate";
    let one = |unit: &str| format!("{beginning} data center can take {unit}: none has the CPU");
    assert!(told(&small, "least-loaded").starts_with(&one("vnf2.vdu01.0")));
    assert!(told(&small, "latency").starts_with(&format!("{beginning} {together}")));
    // Where one is too large for all of them, both name that one.
    let smaller = small.replace("cpu: 0.5", "cpu: 0.4");
    for algorithm in ["least-loaded", "latency"] {
        assert!(told(&smaller, algorithm).starts_with(&one("vnf0.vdu01.0")));
    }
}

#[test]
fn room_without_links_is_told_apart_from_no_room() {
    let islands = "datacenters: [{name: a, capacity: {cpu: 1}}, {name: b, capacity: {cpu: 1}}]";
    let errors = with(chain(), islands, "latency").errors();
    assert!(
        errors[0].starts_with("error[no-path]: network_functions: no placement of all units"),
        "{errors:?}"
    );
}

#[test]
fn sums_of_what_instances_take_do_not_overflow() {
    let mut bench = with(chain(), EDGE, "latency");
    let mut plan = bench.plan();
    for container in &mut plan.containers {
        container.load = Load { units: u64::MAX, cpu_milli: u64::MAX, memory_bytes: u64::MAX };
    }
    bench.state.occupy(&plan);
    let full = Load { units: u64::MAX, cpu_milli: u64::MAX, memory_bytes: u64::MAX };
    assert_eq!(bench.state.load.values().collect::<Vec<_>>(), [&full]);
}

#[test]
fn live_instances_take_room_until_they_are_gone() {
    let mut bench = with(chain(), EDGE, "latency");
    let first = bench.plan();
    bench.state.occupy(&first);
    let second = bench.build(2, 1).unwrap();
    assert_eq!(sites(&second), "far far far far");
    bench.state.occupy(&second);
    let third = bench.build(3, 2).unwrap();
    assert_eq!(sites(&third), "edge edge near near", "far is full");
    bench.state.occupy(&third);
    assert!(texts(&bench.build(4, 3).unwrap_err())[0].contains("no data center can take"));
    bench.settings.placement.algorithm = "round-robin".to_owned();
    let refused = texts(&bench.build(4, 3).unwrap_err());
    assert_eq!(refused.len(), 3, "every data center that is asked for too much is named: {refused:?}");
    assert!(refused[1].contains("the units placed on far: 0.5 CPUs demanded, 0 free of 4"), "{refused:?}");
    bench.settings.placement.algorithm = "latency".to_owned();
    bench.state.release(&first);
    assert_eq!(sites(&bench.build(4, 0).unwrap()), "far far far far");
    // A capacity that was made smaller under what lives there.
    let far = DcName::parse("far").unwrap();
    let dc = bench.topology.datacenters.iter_mut().find(|dc| dc.name == far).unwrap();
    dc.capacity.cpu_milli = Some(1000);
    assert!(texts(&bench.build(4, 0).unwrap_err())[0].contains("no data center can take"));
}

#[test]
fn units_without_demand_need_no_room_but_for_the_cpu_they_are_given() {
    // Without cpu_bw a unit may use one CPU; without memory it counts none.
    let topology = "datacenters: [{name: dc1, capacity: {cpu: 2, memory: 1MiB}}]\n";
    let mut bench = with(Bench::chain(2, "[]", "  []\n"), topology, "round-robin");
    assert_eq!(bench.plan().placement.unwrap().round_trips_us, Some(0));
    let mut bench = with(Bench::chain(3, "[]", "  []\n"), topology, "round-robin");
    assert!(bench.errors()[0].contains("3 CPUs demanded, 2 free of 2"));
}

#[test]
fn trees_and_lans_count_and_links_that_are_not_deployed_do_not() {
    let links = "- {id: tree, connectivity_type: E-Tree, root_requirement: 'vnf0:a', \
                 connection_points_reference: ['vnf0:a', 'vnf1:a', 'vnf2:a']}\n";
    let topology = "datacenters: [dc1, dc2]\nlinks: [{ends: [dc1, dc2], delay: 10ms}]\n";
    let mut bench = with(Bench::chain(3, "[{id: a}]", links), topology, "round-robin");
    // Root and one leaf in dc1: of the two pairs that speak one is apart.
    assert_eq!(bench.plan().placement.unwrap().round_trips_us, Some(20_000));
    bench.descriptors.nsd.has_forwarding_graphs = false;
    assert_eq!(bench.build(1, 0).unwrap().placement.unwrap().round_trips_us, Some(0));
}

#[test]
fn plans_written_before_say_nothing_of_placement() {
    let plan = with(chain(), EDGE, "latency").plan();
    let mut old = serde_json::to_value(&plan).unwrap();
    old.as_object_mut().unwrap().remove("placement").unwrap();
    let old: InstancePlan = serde_json::from_value(old).unwrap();
    assert_eq!(old, InstancePlan { placement: None, ..plan });
    assert!(!old.to_string().contains("placement"));
    assert!(serde_json::to_value(InstanceDocument::from(&old)).unwrap().get("placement").is_none());
}
