//! Which links are deployed, with which members and addresses.

use super::*;

const POINTS: &str = "[{id: a}, {id: b}]";

fn lines(bench: &mut Bench) -> Vec<String> {
    let plan = bench.plan();
    let link = |link: &LinkPlan| {
        format!("{} {} {}: {}", link.connectivity.as_str(), link.id, link.subnet, ends(link).join(", "))
    };
    plan.links.iter().map(link).collect()
}

fn warnings(bench: &mut Bench) -> Vec<String> {
    bench.plan().warnings.iter().map(|warning| format!("{}: {}", warning.code, warning.message)).collect()
}

#[test]
fn a_line_to_a_service_connection_point_is_skipped_and_the_rest_goes_on() {
    let links = "
- {id: in, connectivity_type: E-Line, connection_points_reference: ['ns:x', 'vnf0:a']}
- {id: one, connectivity_type: E-Line, connection_points_reference: ['vnf0:b', 'vnf1:a']}
- {id: nowhere, connectivity_type: E-Line, connection_points_reference: ['vnf0:c', 'vnf1:a']}
- {id: stranger, connectivity_type: E-Line, connection_points_reference: ['vnf9:a', 'vnf1:a']}
- {id: itself, connectivity_type: E-Line, connection_points_reference: ['vnf1:a', 'vnf1:a']}
- {id: two, connectivity_type: E-Line, connection_points_reference: ['vnf1:b', 'vnf0:a']}
";
    let mut bench = Bench::chain(2, POINTS, links);
    assert_eq!(
        lines(&mut bench),
        [
            "E-Line one 20.0.0.0/24: vnf0.vdu01.0:b 20.0.0.1/24, vnf1.vdu01.0:a 20.0.0.2/24",
            "E-Line two 20.0.1.0/24: vnf1.vdu01.0:b 20.0.1.1/24, vnf0.vdu01.0:a 20.0.1.2/24",
        ]
    );
    let mut bench = Bench::chain(2, POINTS, links);
    assert_eq!(
        warnings(&mut bench),
        [
            "link-skipped: E-Line in ends at a service connection point, and no SAP is deployed there: skipped",
            "link-skipped: E-Line nowhere has the endpoint vnf0:c, which there is not: skipped",
            "link-skipped: E-Line stranger has the endpoint vnf9:a, which there is not: skipped",
            "link-skipped: E-Line itself does not have two endpoints: skipped",
        ]
    );
    assert_eq!(bench.reserved.eline.len(), 6, "every declared E-Line has a subnet");
}

#[test]
fn without_forwarding_graphs_links_are_left_out_unless_set_otherwise() {
    let nsd = "
network_functions: [{vnf_id: vnf0, vnf_name: fw}]
virtual_links:
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:a']}
";
    let mut bench = Bench::new(package(nsd, &[("fw", &one_unit(POINTS))]));
    assert!(lines(&mut bench).is_empty());
    assert!(bench.reserved.elan.is_empty());
    let mut bench = Bench::new(bench.descriptors);
    assert_eq!(
        warnings(&mut bench),
        ["links-not-deployed: 1 links are declared and left out: there is no forwarding_graphs"]
    );
    bench.settings.links = crate::settings::LinkRule::Declared;
    // The service was on-boarded before that: nothing is reserved for its link.
    let findings = bench.build(2, 1).unwrap_err();
    assert_eq!(findings[0].code, "not-reserved");
    let mut bench = Bench { settings: bench.settings, ..Bench::new(bench.descriptors) };
    assert_eq!(lines(&mut bench), ["E-LAN lan 30.0.0.0/24: vnf0.vdu01.0:a 30.0.0.1/24"]);
}

#[test]
fn a_line_with_more_endpoints_is_a_lan() {
    let links = "
- {id: many, connectivity_type: E-Line, connection_points_reference: ['vnf0:a', 'vnf1:a', 'vnf2:a']}
";
    let mut bench = Bench::chain(3, POINTS, links);
    let plan = bench.plan();
    assert_eq!(plan.links[0].connectivity, ConnectivityType::ELan);
    assert_eq!(plan.links[0].chain, None);
    assert_eq!(ends(&plan.links[0])[2], "vnf2.vdu01.0:a 30.0.0.3/24");
    assert_eq!(plan.warnings[0].code, "eline-with-many-endpoints");
    assert!(bench.reserved.eline.is_empty());
}

const TWO_UNITS: &str = "
cloudnative_deployment_units:
- {id: c1, image: x, connection_points: [{id: data}, {id: eth1}]}
- {id: c2, image: x, connection_points: [{id: data}, {id: eth1}]}
";

#[test]
fn a_connection_point_may_lead_to_several_units() {
    let inner = "virtual_links:\n- {id: i, connectivity_type: E-Tree, connection_points_reference: ['p', 'c2:data', 'c1:data']}\n";
    let vnfd = format!("{TWO_UNITS}{inner}");
    let lan = "
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:p', 'vnf1:eth1']}
";
    let mut bench = Bench::new(package(&service(2, lan), &[("fw", &vnfd)]));
    // The inner link of vnf0 is part of the outer one; that of vnf1 is on no link and stands by itself.
    assert_eq!(
        lines(&mut bench),
        [
            "E-LAN lan 30.0.0.0/24: vnf0.c2.0:data 30.0.0.1/24, vnf0.c1.0:data 30.0.0.2/24, \
             vnf1.c1.0:eth1 30.0.0.3/24, vnf1.c2.0:eth1 30.0.0.4/24",
            "E-Tree vnf1:i 30.0.1.0/24: vnf1.c2.0:data 30.0.1.1/24, vnf1.c1.0:data 30.0.1.2/24",
        ]
    );
    let line = "
- {id: line, connectivity_type: E-Line, connection_points_reference: ['vnf0:p', 'vnf1:p']}
";
    let mut bench = Bench::new(package(&service(2, line), &[("fw", &vnfd)]));
    let errors = bench.errors();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with(
        "error[ambiguous-endpoint]: nsd.yaml: virtual_links[0]: E-Line line ends at vnf0:p: 2 units"
    ));
}

#[test]
fn links_inside_a_function_are_segments_of_their_own() {
    let inner = "virtual_links:
- {id: sync, connectivity_type: E-Line, connection_points_reference: ['c1:eth1', 'c2:eth1']}
- {id: alone, connectivity_type: E-LAN, connection_points_reference: ['c1:data', 'data']}
";
    let vnfd = format!("{TWO_UNITS}{inner}");
    let mut bench = Bench::new(package(&service(2, "  []\n"), &[("fw", &vnfd)]));
    let lines = lines(&mut bench);
    assert_eq!(
        lines,
        [
            "E-Line vnf0:sync 20.0.0.0/24: vnf0.c1.0:eth1 20.0.0.1/24, vnf0.c2.0:eth1 20.0.0.2/24",
            "E-Line vnf1:sync 20.0.1.0/24: vnf1.c1.0:eth1 20.0.1.1/24, vnf1.c2.0:eth1 20.0.1.2/24",
        ]
    );
    assert_eq!(bench.reserved.eline.len(), 2);
}

#[test]
fn trees_have_roots_and_leaves_only_when_roots_are_named() {
    let links = "
- {id: plain, connectivity_type: E-Tree, connection_points_reference: ['vnf0:a', 'vnf1:a']}
- {id: rooted, connectivity_type: E-Tree, connection_points_reference: ['vnf0:b', 'vnf1:b'], root_requirement: ['vnf1:b']}
";
    let plan = Bench::chain(2, POINTS, links).plan();
    let shape = |link: &LinkPlan| {
        let roles: Vec<_> = link.segment.ends.iter().map(|end| format!("{:?}", end.role)).collect();
        format!("{} {:?} {}", link.connectivity.as_str(), link.segment.kind, roles.join(" "))
    };
    assert_eq!(
        plan.links.iter().map(shape).collect::<Vec<_>>(),
        ["E-Tree ELan Root Root", "E-Tree ETree Leaf Root"]
    );
}

#[test]
fn an_interface_on_several_links_gets_all_addresses_and_segments() {
    let links = "
- {id: one, connectivity_type: E-Line, connection_points_reference: ['vnf0:a', 'vnf1:a']}
- {id: two, connectivity_type: E-LAN, connection_points_reference: ['vnf0:a', 'vnf1:b']}
";
    let plan = Bench::chain(2, POINTS, links).plan();
    let port = &plan.containers[0].interfaces[0].port;
    let addresses: Vec<_> = port.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["20.0.0.1/24", "30.0.0.1/24"]);
    assert_eq!(port.segments, plan.segments().map(|segment| segment.id).collect::<Vec<_>>());
    assert!(plan.containers[1].interfaces.iter().all(|interface| interface.port.segments.len() == 1));
}

#[test]
fn static_addresses_are_kept_and_never_given_to_others() {
    let links = "
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:b', 'vnf1:a', 'vnf1:b']}
";
    let points = "[{id: a, address: 30.0.0.1/24}, {id: b}]";
    assert_eq!(
        lines(&mut Bench::chain(2, points, links)),
        ["E-LAN lan 30.0.0.0/24: vnf0.vdu01.0:b 30.0.0.2/24, vnf1.vdu01.0:a 30.0.0.1/24, \
             vnf1.vdu01.0:b 30.0.0.3/24"]
    );
    let plan = Bench::chain(2, points, links).plan();
    let unlinked = &plan.containers[0].interfaces[0].port;
    assert_eq!(unlinked.addresses.len(), 1, "also an interface on no link has its static address");
    let both = "
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:a', 'vnf1:a']}
";
    let errors = Bench::chain(2, points, both).errors();
    assert!(errors[0].contains("static address 30.0.0.1 is given to two members"), "{errors:?}");
}

#[test]
fn an_address_of_the_function_goes_to_the_interface_it_leads_to() {
    let vnfd = one_unit("[{id: eth0}, {id: eth1, address: 9.9.9.1/24}]")
        + "connection_points: [{id: data, address: 20.0.0.9/24}, {id: eth1, address: 9.9.9.2/24}]
virtual_links:
- {id: d, connectivity_type: E-Line, connection_points_reference: ['vdu01:eth0', 'data']}
";
    let plan = Bench::new(package(&service(1, "  []\n"), &[("fw", &vnfd)])).plan();
    let addresses: Vec<_> =
        plan.containers[0].interfaces.iter().map(|i| i.static_address.unwrap().to_string()).collect();
    assert_eq!(addresses, ["20.0.0.9/24", "9.9.9.1/24"]);
}

#[test]
fn a_large_lan_gets_a_larger_block() {
    let references: Vec<_> = (0..300).map(|n| format!("'vnf{n}:a'")).collect();
    let links = format!(
        "- {{id: small, connectivity_type: E-LAN, connection_points_reference: ['vnf0:b']}}\n\
         - {{id: large, connectivity_type: E-LAN, connection_points_reference: [{}]}}\n\
         - {{id: after, connectivity_type: E-LAN, connection_points_reference: ['vnf1:b']}}\n",
        references.join(", ")
    );
    let plan = Bench::chain(300, POINTS, &links).plan();
    let subnets: Vec<_> = plan.links.iter().map(|link| link.subnet.to_string()).collect();
    assert_eq!(subnets, ["30.0.0.0/24", "30.0.2.0/23", "30.0.1.0/24"]);
    assert_eq!(plan.links[1].ends[299].address.to_string(), "30.0.3.44/23");
    assert_eq!(set(plan.links[1].ends.iter().map(|end| end.address)).len(), 300);
}

#[test]
fn the_topology_joins_the_ends_and_bounds_the_packets() {
    let links = "
- {id: one, connectivity_type: E-Line, connection_points_reference: ['vnf0:a', 'vnf1:a']}
";
    let topology = |text: &str| llcm_topology::load(text.as_bytes()).0.unwrap();
    let mut bench = Bench::chain(2, POINTS, links);
    bench.topology = topology("datacenters: [x, y, z]\nlinks:\n- {ends: [x, z], mtu: 1400}\n- [z, y]\n");
    let plan = bench.plan();
    let mtus: Vec<_> = plan.containers[0].interfaces.iter().map(|interface| interface.port.mtu).collect();
    assert_eq!(mtus, [1400, 1500]);
    let mut bench = Bench::chain(2, POINTS, links);
    bench.topology =
        topology("datacenters: [x, y, z]\nlinks:\n- {ends: [x, z], mtu: 1400, up: false}\n- [z, y]\n");
    let plan = bench.plan();
    assert_eq!(plan.containers[0].interfaces[0].port.mtu, 1400, "a link that is down may come back");
    let warnings: Vec<_> = plan.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|it| it.contains("has ends in x and y, and the links")), "{warnings:?}");
    let mut bench = Bench::chain(2, POINTS, links);
    bench.topology = topology("datacenters: [x, y]");
    let errors = bench.errors();
    assert!(errors[0].contains("E-Line one has ends in x and y, which no links join"), "{errors:?}");
    bench.settings.placement.algorithm = "first".to_owned();
    assert!(bench.build(1, 0).is_ok(), "in one data center no link is needed");
}

#[test]
fn a_subnet_of_the_engine_is_a_plan_error() {
    let links = "
- {id: one, connectivity_type: E-Line, connection_points_reference: ['vnf0:a', 'vnf1:a']}
";
    let mut bench = Bench::chain(2, POINTS, links);
    let engine_networks = vec!["20.0.0.0/16".parse().unwrap(), "172.17.0.0/16".parse().unwrap()];
    bench.facts = Some(HostFacts { engine_networks, ..HostFacts::default() });
    let errors = bench.errors();
    assert!(errors[0].contains("overlaps 20.0.0.0/16, a network of the container engine"), "{errors:?}");
    assert!(errors[0].contains("settings `eline_pool`, `elan_pool` and `sap_pool`"));
}

/// Few bytes may mean very much: it is refused before it takes memory or time.
#[test]
fn descriptors_that_multiply_are_refused() {
    let list = |count: usize, text: &str| -> String {
        (0..count).map(|n| text.replace('N', &n.to_string())).collect()
    };
    let units = format!("cloudnative_deployment_units:\n{}", list(300, "- {id: cN, image: x}\n"));
    let mut bench = Bench::new(package(&service(300, "  []\n"), &[("fw", &units)]));
    assert!(bench.errors()[0].contains("more than 65536 units"));

    let ways = one_unit(&format!("[{}]", list(1100, "{id: iN}, ")))
        + &format!(
            "connection_points: [{}]\nvirtual_links:\n- {{id: l, connectivity_type: E-LAN, \
             connection_points_reference: [{}{}]}}\n",
            list(1100, "{id: pN}, "),
            list(1100, "pN, "),
            list(1100, "'vdu01:iN', ")
        );
    let mut bench = Bench::new(package(&service(1, "  []\n"), &[("fw", &ways)]));
    assert!(bench.errors()[0].contains("in more than 1048576 ways"));

    let internal = format!(
        "{TWO_UNITS}virtual_links:\n{}",
        list(
            1500,
            "- {id: lN, connectivity_type: E-Line, connection_points_reference: ['c1:data', 'c2:data']}\n"
        )
    );
    let mut bench = Bench::new(package(&service(600, "  []\n"), &[("fw", &internal)]));
    bench.settings.pools.eline = Some(llcm_netplan::PoolConfig::parse("16.0.0.0/30", 1 << 26).unwrap());
    assert!(bench.errors()[0].contains("have more than 524288 ends"));
}
