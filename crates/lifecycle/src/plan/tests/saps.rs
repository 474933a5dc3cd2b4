//! Service access points: what they become, where, with which addresses.

use super::*;
use crate::settings::SapSettings;

const CHAIN: &str = "
connection_points:
- {id: input, type: external}
- {id: 'ns:output', type: external}
- {id: mgmt, type: management}
- {id: spare, type: external}
- {id: odd, type: E-LAN}
network_functions:
- {vnf_id: vnf0, vnf_name: fw}
- {vnf_id: vnf1, vnf_name: fw}
virtual_links:
- {id: in, connectivity_type: E-Line, connection_points_reference: [input, 'vnf0:a']}
- {id: between, connectivity_type: E-Line, connection_points_reference: ['vnf0:b', 'vnf1:a']}
- {id: out, connectivity_type: E-Line, connection_points_reference: ['vnf1:b', 'ns:output']}
- {id: mgmt, connectivity_type: E-LAN, connection_points_reference: ['vnf0:m', 'vnf1:m', mgmt]}
- {id: short, connectivity_type: E-Line, connection_points_reference: [input, mgmt]}
forwarding_graphs: []
";

fn bench(nsd: &str, dialect: Dialect) -> Bench {
    let points = "[{id: a}, {id: b}, {id: m}]";
    let unit = one_unit(points) + &format!("connection_points: {points}\n");
    let mut bench = Bench::new(package(nsd, &[("fw", &unit)]));
    bench.dialect = dialect;
    bench.settings.saps = SapSettings { deploy: true, ..SapSettings::default() };
    bench
}

fn links(plan: &InstancePlan) -> Vec<String> {
    let link = |link: &LinkPlan| format!("{} {}: {}", link.id, link.subnet, shown(link, plan).join(", "));
    plan.links.iter().map(link).collect()
}

/// As [`ends`], with `host` in the place of an interface of the host.
fn shown(link: &LinkPlan, plan: &InstancePlan) -> Vec<String> {
    let end = |end: &LinkEnd| {
        let of_host = plan.host_ports().any(|port| port.id == end.port);
        let interface = if of_host { "host" } else { end.interface.as_str() };
        format!("{}:{interface} {}", end.container, end.address)
    };
    link.ends.iter().map(end).collect()
}

fn warned(plan: &InstancePlan) -> Vec<&str> {
    plan.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

#[test]
fn external_ones_are_ports_of_the_host_and_others_containers() {
    let mut bench = bench(CHAIN, Dialect::Tango);
    let plan = bench.plan();
    assert_eq!(
        links(&plan),
        [
            "in 10.10.0.0/30: input.sap.0:host 10.10.0.1/30, vnf0.vdu01.0:a 10.10.0.2/30",
            "between 20.0.0.0/24: vnf0.vdu01.0:b 20.0.0.1/24, vnf1.vdu01.0:a 20.0.0.2/24",
            "out 10.10.1.0/30: vnf1.vdu01.0:b 10.10.1.2/30, ns_output.sap.0:host 10.10.1.1/30",
            "mgmt 30.0.0.0/24: vnf0.vdu01.0:m 30.0.0.1/24, vnf1.vdu01.0:m 30.0.0.2/24, mgmt.sap.0:mgmt 30.0.0.3/24",
        ]
    );
    assert_eq!(warned(&plan), ["no-sap-kind", "link-skipped", "unlinked-sap"]);
    let saps: Vec<_> =
        plan.saps.iter().map(|sap| format!("{} {} {}", sap.id, sap.kind.as_str(), sap.datacenter)).collect();
    assert_eq!(saps, ["input external dc1", "ns:output external dc2", "mgmt management dc1"]);
    assert_eq!(texts_of(&plan.leases.sap), ["10.10.0.0/30", "10.10.1.0/30"]);
    let container = plan.containers.last().unwrap();
    assert_eq!((container.name.as_str(), container.spec.image.as_str()), ("mgmt.sap.0", SAP_IMAGE));
    assert!(plan.host_ports().all(|port| port.host == Some(llcm_runtime::HostPort { nat: false })));
    let names: Vec<_> = plan.host_ports().map(|port| port.ifname.as_str()).collect();
    assert!(names[0].starts_with("input-") && names[1].starts_with("output-"), "{names:?}");
    assert!(plan.ports().any(|port| port.host.is_some()), "they are among the plan's ports");
}

fn texts_of<T: std::fmt::Display>(list: &[T]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn the_second_instance_has_addresses_of_its_own_at_the_host() {
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        let mut bench = bench(CHAIN, dialect);
        let first = bench.plan();
        bench.state.occupy(&first);
        let second = bench.build(2, 1).unwrap();
        assert_eq!(texts_of(&second.leases.sap), ["10.10.2.0/30", "10.10.3.0/30"]);
        let names = |plan: &InstancePlan| set(plan.host_ports().map(|port| port.ifname.clone()));
        assert!(names(&first).is_disjoint(&names(&second)));
        bench.state.release(&first);
        bench.state.release(&second);
        assert!(bench.state.ports.is_empty());
        assert_eq!(bench.build(3, 0).unwrap().leases.sap, first.leases.sap, "given back");
    }
}

#[test]
fn an_access_point_on_a_lan_makes_its_subnet_the_lans() {
    let nsd = "
connection_points: [{id: wan, type: external}, {id: other, type: external}]
network_functions: [{vnf_id: vnf0, vnf_name: fw}, {vnf_id: vnf1, vnf_name: fw}]
virtual_links:
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:a', wan, 'vnf1:a', other]}
- {id: line, connectivity_type: E-Line, connection_points_reference: ['vnf0:b', wan]}
- {id: plain, connectivity_type: E-LAN, connection_points_reference: ['vnf0:m', 'vnf1:m']}
forwarding_graphs: []
";
    for (dialect, plain) in [(Dialect::Tango, "30.0.1.0/24"), (Dialect::Sonata, "10.20.0.0/24")] {
        let mut bench = bench(nsd, dialect);
        let plan = bench.plan();
        let subnets: Vec<_> = plan.links.iter().map(|link| link.subnet.to_string()).collect();
        // Five addresses: the access point's, and one for each other end of its two links.
        assert_eq!(subnets, ["10.10.0.0/29", "10.10.0.0/29", plain]);
        let given: Vec<_> =
            plan.links[..2].iter().flat_map(|it| &it.ends).map(|it| it.address.ip()).collect();
        assert_eq!(
            texts_of(&given),
            ["10.10.0.2", "10.10.0.1", "10.10.0.3", "10.10.0.4", "10.10.0.5", "10.10.0.1"]
        );
        let wan = plan.host_ports().next().unwrap();
        assert_eq!((wan.segments.len(), texts_of(&wan.addresses)), (2, vec!["10.10.0.1/29".to_owned()]));
    }
}

#[test]
fn a_host_without_such_interfaces_has_containers_instead_and_says_so() {
    let mut bench = bench(CHAIN, Dialect::Tango);
    let host =
        llcm_runtime::HostSide { obstacle: Some("no root".to_owned()), ..llcm_runtime::HostSide::default() };
    bench.facts = Some(HostFacts { host, ..HostFacts::default() });
    let plan = bench.plan();
    assert_eq!(plan.host_ports().count(), 0);
    assert_eq!(plan.containers.len(), 6);
    let warnings: Vec<_> =
        warned(&plan).into_iter().filter(|code| *code == "external-sap-as-container").collect();
    assert_eq!(warnings.len(), 3);
    assert_eq!(
        links(&plan)[0],
        "in 20.0.0.0/24: input.sap.0:input 20.0.0.1/24, vnf0.vdu01.0:a 20.0.0.2/24",
        "the E-Lines have their reserved subnets"
    );
}

#[test]
fn networks_that_the_host_knows_are_kept_clear_of() {
    let mut bench = bench(CHAIN, Dialect::Sonata);
    let networks =
        ["10.10.0.0/31", "10.10.2.128/25", "192.0.2.0/24"].map(|text| text.parse().unwrap()).to_vec();
    bench.facts = Some(HostFacts {
        host: llcm_runtime::HostSide { networks, ..llcm_runtime::HostSide::default() },
        ..HostFacts::default()
    });
    assert_eq!(texts_of(&bench.plan().leases.sap), ["10.10.1.0/30", "10.10.3.0/30"]);
    bench.settings.pools.sap = Some(llcm_netplan::PoolConfig::parse("10.10.0.0/30", 1).unwrap());
    let errors = bench.build(1, 0).unwrap_err();
    assert!(texts(&errors).iter().any(|text| text.contains("setting `sap_pool`")), "{errors:?}");
    bench.settings.pools.sap = None;
    let filters = vec!["chain FORWARD of table filter drops".to_owned()];
    bench.facts = Some(HostFacts {
        host: llcm_runtime::HostSide { filters, ..llcm_runtime::HostSide::default() },
        ..HostFacts::default()
    });
    assert!(!warned(&bench.build(1, 0).unwrap()).contains(&"nat-is-filtered"));
    bench.settings.saps.nat = true;
    assert!(warned(&bench.build(1, 0).unwrap()).contains(&"nat-is-filtered"));
}

#[test]
fn settings_say_what_connection_points_become() {
    let mut bench = bench(CHAIN, Dialect::Sonata);
    let kinds = [("output", SapKind::Internal), ("odd", SapKind::Internal), ("ns:output", SapKind::External)];
    bench.settings.saps.kinds = kinds.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
    bench.settings.saps.nat = true;
    bench.settings.saps.image = Some("mine:1".to_owned());
    let plan = bench.plan();
    let kinds: Vec<_> = plan.saps.iter().map(|sap| (sap.name.as_str(), sap.kind)).collect();
    assert_eq!(
        kinds,
        [
            ("input", SapKind::External),
            ("ns_output", SapKind::Internal),
            ("mgmt", SapKind::Management),
            ("odd", SapKind::Internal),
        ]
    );
    assert!(plan.host_ports().all(|port| port.host.unwrap().nat));
    assert_eq!(plan.containers.last().unwrap().spec.image, "mine:1");
    let images = images(&bench.descriptors, &bench.settings).unwrap();
    assert!(images.iter().any(|need| need.reference == "mine:1"), "fetched at onboarding");
}

#[test]
fn a_line_that_carries_frames_one_way_has_its_receiver_introduced() {
    let mut bench = bench(CHAIN, Dialect::Sonata);
    let plan = bench.plan();
    let knows = |port: &PortSpec| texts_of(&port.neighbours.iter().map(|it| it.address).collect::<Vec<_>>());
    let interface = |container: usize, at: usize| &plan.containers[container].interfaces[at].port;
    assert_eq!(knows(plan.host_ports().next().unwrap()), ["10.10.0.2"]);
    assert_eq!(knows(interface(0, 1)), ["10.30.0.2"]);
    assert_eq!(interface(0, 1).neighbours[0].mac, interface(1, 0).mac);
    assert!(knows(interface(1, 0)).is_empty() && knows(interface(0, 2)).is_empty());
    bench.settings.bidirectional_chain = Some(true);
    let plan = bench.build(1, 0).unwrap();
    assert!(plan.ports().all(|port| port.neighbours.is_empty()));
}

/// As the graph of a server shows them: containers among the units, and interfaces of the host behind them.
#[test]
fn a_graph_shows_them_where_they_are() {
    let mut bench = bench(CHAIN, Dialect::Tango);
    let plan = bench.plan();
    let shown = crate::graph::of_plan(&plan, crate::request::InstanceState::Running);
    let units = shown.units.iter().map(|unit| {
        let of = unit.vnf_id.as_deref().unwrap_or("access point");
        let host = if unit.on_host { ", host" } else { "" };
        format!("{} ({of}{host}) {}", unit.name, unit.datacenter)
    });
    assert_eq!(
        units.collect::<Vec<_>>(),
        [
            "vnf0.vdu01.0 (vnf0) dc1",
            "vnf1.vdu01.0 (vnf1) dc2",
            "mgmt.sap.0 (access point) dc1",
            "input.sap.0 (access point, host) dc1",
            "ns_output.sap.0 (access point, host) dc2"
        ]
    );
    // Each end of a segment is one of the units.
    let names: Vec<_> = shown.units.iter().map(|unit| &unit.name).collect();
    let mut ends = shown.segments.iter().flat_map(|segment| &segment.ends);
    assert!(
        shown.segments.len() == plan.links.len() && ends.all(|end| names.contains(&&end.unit)),
        "{shown:?}"
    );
    let input = shown.segments[0].ends.iter().find(|end| end.unit == "input.sap.0").unwrap();
    assert!(plan.host_ports().any(|port| port.ifname.as_str() == input.interface), "{input:?}");
}
