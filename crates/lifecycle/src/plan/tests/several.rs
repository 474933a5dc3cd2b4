//! Several instances and services side by side.

use ipnetwork::Ipv4Network;
use llcm_netplan::PoolConfig;
use proptest::prelude::*;

use super::*;

const LINKS: &str = "
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:a', 'vnf1:a']}
- {id: line, connectivity_type: E-Line, connection_points_reference: ['vnf0:b', 'vnf1:b']}
";
const POINTS: &str = "[{id: a, port: 80, publish: {80: 8080}}, {id: b}]";

/// Without published ports in the second function, which would clash within the plan.
fn two() -> Bench {
    let second = one_unit("[{id: a}, {id: b}]");
    let nsd = service(2, LINKS).replace("vnf1, vnf_name: fw", "vnf1, vnf_name: plain");
    Bench::new(package(&nsd, &[("fw", &one_unit(POINTS)), ("plain", &second)]))
}

#[test]
fn instances_of_a_service_share_addresses_and_nothing_else() {
    let mut bench = two();
    let first = bench.plan();
    bench.state.occupy(&first);
    let second = bench.build(2, 1).unwrap();
    let addresses = |plan: &InstancePlan| -> Vec<_> {
        plan.links.iter().flat_map(|link| link.ends.iter().map(|end| end.address)).collect()
    };
    assert_eq!(addresses(&first), addresses(&second));
    assert_ne!(first.group, second.group);
    let segments = |plan: &InstancePlan| set(plan.segments().map(|segment| segment.id));
    assert!(segments(&first).is_disjoint(&segments(&second)));
    let ports = |plan: &InstancePlan| set(plan.ports().map(|port| port.id));
    assert!(ports(&first).is_disjoint(&ports(&second)));
    let macs = |plan: &InstancePlan| set(plan.ports().map(|port| port.mac));
    assert!(macs(&first).is_disjoint(&macs(&second)));
    assert_eq!(second.containers[0].spec.published[0].host.get(), 9080);
    assert_eq!(second.containers[0].spec.name.as_str(), "mn.vnf0.vdu01.1");
    assert_eq!(second.placement_turn, 4);
}

#[test]
fn a_name_that_another_service_holds_is_qualified() {
    let mut bench = two();
    let first = bench.plan();
    bench.state.occupy(&first);
    bench.settings.port_offset = 0;
    let clash = texts(&bench.build(2, 0).unwrap_err()).join("\n");
    assert!(clash.contains(" is taken by vnf0.vdu01.0 of instance eu.test.demo-ns.0.1-inst.0"), "{clash}");
    let json = serde_json::to_string(&bench.state).unwrap();
    assert_eq!(serde_json::from_str::<PlanState>(&json).unwrap(), bench.state);
    bench.state.host_ports.clear();
    let other = bench.build(0x1234_5678 << 96, 0).unwrap();
    assert_eq!(other.containers[0].name, first.containers[0].name);
    assert_eq!(other.containers[0].spec.name.as_str(), "mn.vnf0.vdu01.0.12345678");
    assert_eq!(other.containers[0].spec.environment["VNF_NAME"], "vnf0.vdu01.0");
}

#[test]
fn what_is_released_is_given_out_again_lowest_first() {
    let mut bench = two();
    let first = bench.plan();
    let before = bench.state.clone();
    bench.state.occupy(&first);
    let second = bench.build(2, 1).unwrap();
    bench.state.occupy(&second);
    bench.state.release(&first);
    let again = bench.build(3, 0).unwrap();
    assert_eq!(again.group, first.group);
    assert!(again.ports().map(|p| p.id).eq(first.ports().map(|p| p.id)));
    assert!(again.segments().map(|s| s.id).eq(first.segments().map(|s| s.id)));
    bench.state.release(&second);
    assert_eq!(PlanState { placement_turn: before.placement_turn, ..bench.state.clone() }, before);
    assert_eq!(bench.state.placement_turn, 4, "the counter goes on");
}

#[test]
fn subnets_are_reserved_and_given_back() {
    let mut bench = two();
    bench.onboard().unwrap();
    let first = bench.reserved.clone();
    bench.onboard().unwrap();
    assert_eq!(bench.reserved.eline, ["20.0.1.0/24".parse::<Ipv4Network>().unwrap()]);
    assert_eq!(bench.reserved.elan, ["30.0.1.0/24".parse::<Ipv4Network>().unwrap()]);
    bench.state.give_back(&first);
    bench.onboard().unwrap();
    assert_eq!(bench.reserved, first);
    bench.state.subnets.insert("20.0.0.0/16".parse().unwrap());
    let errors = texts(&bench.onboard().unwrap_err());
    assert_eq!(
        errors,
        ["error[pool-exhausted]: nsd.yaml: virtual_links[1]: no subnet for E-Line line: the pool of 256 \
          subnets from 20.0.0.0/24 has no free run of 1: give it a larger count, or remove services (the \
          pool is the setting `eline_pool`)"]
    );
    bench.settings.pools.eline = Some(PoolConfig::parse("10.0.0.0/29", 1).unwrap());
    bench.onboard().unwrap();
    assert_eq!(bench.reserved.eline, ["10.0.0.0/29".parse::<Ipv4Network>().unwrap()]);
}

#[test]
fn sonata_has_names_pools_and_directions_of_its_own() {
    let vnfd = one_unit("[{id: eth0}]") + "connection_points: [{id: a}, {id: b}]\n";
    let mut bench = Bench::new(package(&service(2, LINKS), &[("fw", &vnfd)]));
    bench.dialect = Dialect::Sonata;
    let first = bench.plan();
    assert_eq!(bench.reserved, Reserved::default(), "nothing at onboarding");
    assert_eq!(first.containers[0].spec.name.as_str(), "mn.vnf0");
    assert_eq!(
        first.links.iter().flat_map(ends).collect::<Vec<_>>(),
        ["vnf0:a 10.20.0.1/24", "vnf1:a 10.20.0.2/24", "vnf0:b 10.30.0.1/30", "vnf1:b 10.30.0.2/30"]
    );
    assert!(!first.links[1].chain.unwrap().bidirectional);
    bench.state.occupy(&first);
    let second = bench.build(2, 1).unwrap();
    assert_eq!(second.containers[1].spec.name.as_str(), "mn.vnf1.1");
    assert_eq!(second.leases.eline, ["10.30.1.0/30".parse::<Ipv4Network>().unwrap()]);
    bench.state.release(&first);
    assert_eq!(bench.build(3, 0).unwrap().leases, first.leases);
    bench.settings.bidirectional_chain = Some(true);
    assert!(bench.build(3, 0).unwrap().links[1].chain.unwrap().bidirectional);
}

#[test]
fn functions_of_sonata_have_a_directory_that_all_instances_share() {
    let mut bench = two();
    assert!(bench.plan().containers.iter().all(|container| container.spec.binds.is_empty()), "not in tango");
    bench.dialect = Dialect::Sonata;
    bench.descriptors.nsd.functions[1].vnf_id = "fw 2/../..".to_owned();
    let volumes = |plan: &InstancePlan| -> Vec<Vec<String>> {
        InstanceDocument::from(plan).containers.into_iter().map(|container| container.volumes).collect()
    };
    let expected = [["/results/service/vnf0:/mnt/share/:rw"], ["/results/service/fw-2-..-..:/mnt/share/:rw"]];
    let first = bench.build(1, 0).unwrap();
    assert_eq!(volumes(&first), expected);
    bench.state.occupy(&first);
    assert_eq!(volumes(&bench.build(2, 1).unwrap()), expected);
    let text = first.to_string();
    assert!(text.contains("  mounts /results/service/vnf0 at /mnt/share/\n"), "{text}");
}

#[test]
fn a_directory_that_cannot_be_mounted_is_an_error_with_the_setting() {
    for directory in ["results", "/a:b"] {
        let mut bench = two();
        bench.results = directory.into();
        bench.plan();
        bench.dialect = Dialect::Sonata;
        let errors = bench.errors();
        assert!(errors.len() == 1 && errors[0].contains(directory), "{errors:?}");
        assert!(errors[0].contains("bad-results-dir") && errors[0].contains("`results_dir`"), "{errors:?}");
    }
}

proptest! {
    /// Whatever comes and goes, the live instances of two services share no name, id, host port or subnet.
    #[test]
    fn live_instances_never_clash(steps in prop::collection::vec((any::<bool>(), 0_usize..6), 1..24)) {
        let mut bench = two();
        bench.onboard().unwrap();
        let services = [bench.reserved.clone(), { bench.onboard().unwrap(); bench.reserved.clone() }];
        prop_assert!(set(services[0].iter()).is_disjoint(&set(services[1].iter())));
        let mut live: Vec<(usize, InstancePlan)> = Vec::new();
        for (number, (second, victim)) in steps.into_iter().enumerate() {
            if victim < live.len() {
                let (_, gone) = live.remove(victim);
                bench.state.release(&gone);
                continue;
            }
            let service = usize::from(second);
            bench.reserved = services[service].clone();
            let used = set(live.iter().filter(|(of, _)| *of == service).map(|(_, plan)| plan.ssiid.get()));
            let ssiid = (0..).find(|ssiid| !used.contains(ssiid)).unwrap();
            // Both services publish 8080: the second one is refused while the first has the port.
            let id = (number as u128 + 1) << 96;
            match bench.build(id, ssiid) {
                Ok(plan) => {
                    bench.state.occupy(&plan);
                    live.push((service, plan));
                }
                Err(findings) => prop_assert!(findings.iter().any(|f| f.code == "port-taken")),
            }
            let all = || live.iter().map(|(_, plan)| plan);
            let containers = all().map(|plan| plan.containers.len()).sum::<usize>();
            let names = set(all().flat_map(|p| p.containers.iter().map(|c| c.spec.name.clone())));
            prop_assert_eq!(names.len(), containers);
            let published = all().flat_map(|p| p.containers.iter().flat_map(|c| &c.spec.published));
            prop_assert_eq!(set(published.map(|p| p.host)).len(), live.len());
            prop_assert_eq!(set(all().map(|plan| plan.group)).len(), live.len());
            prop_assert_eq!(set(all().flat_map(|p| p.segments().map(|s| s.id))).len(), 2 * live.len());
            prop_assert_eq!(set(all().flat_map(|p| p.ports().map(|x| x.id))).len(), 4 * live.len());
        }
        for (_, plan) in &live {
            bench.state.release(plan);
        }
        bench.state.placement_turn = 0;
        let subnets = services.iter().flat_map(Reserved::iter).collect();
        prop_assert_eq!(bench.state, PlanState { subnets, ..PlanState::default() });
    }
}
