//! Management links that are left to the engine.

use super::*;

const POINTS: &str = "[{id: mgmt, type: management}, {id: data}]";
const LAN: &str = "
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:mgmt', 'vnf1:mgmt', 'ns:mgmt']}
- {id: line, connectivity_type: E-Line, connection_points_reference: ['vnf0:data', 'vnf1:data']}
";

fn bench(points: &str, links: &str) -> Bench {
    let mut bench = Bench::chain(2, points, links);
    bench.settings.docker_management = true;
    bench
}

/// Of each container: what is the engine's, then what is wired.
fn interfaces(plan: &InstancePlan) -> Vec<String> {
    let container = |container: &ContainerPlan| {
        let engines = container.management.iter().map(|it| format!("{}!", it.name));
        let wired = container.interfaces.iter().map(|it| it.port.ifname.to_string());
        assert_eq!(container.spec.management, container.management.as_ref().map(|it| it.name.clone()));
        engines.chain(wired).collect::<Vec<_>>().join(" ")
    };
    plan.containers.iter().map(container).collect()
}

fn links(plan: &InstancePlan) -> Vec<&str> {
    plan.links.iter().map(|link| link.id.as_str()).collect()
}

#[test]
fn the_engines_interface_is_the_connection_point_and_nothing_is_wired_for_it() {
    let plan = bench(POINTS, LAN).plan();
    assert_eq!(interfaces(&plan), ["mgmt! data", "mgmt! data"]);
    assert_eq!(links(&plan), ["line"]);
    let spec = &plan.containers[0].spec;
    let names: Vec<_> = spec.interfaces.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["mgmt", "data"], "the VNF's process waits for both");
    assert_eq!(plan.warnings, []);
    assert!(plan.to_string().contains("  interface mgmt (mgmt): the engine's own\n"), "{plan}");
    let document = serde_json::to_value(InstanceDocument::from(&plan)).unwrap();
    let container = &document["containers"][0];
    assert_eq!(container["management"], serde_json::json!({ "id": "mgmt", "name": "mgmt" }));
    assert_eq!(container["interfaces"].as_array().unwrap().len(), 1);
    // What is recorded is read back.
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<InstancePlan>(&text).unwrap(), plan);

    let plan = Bench::chain(2, POINTS, LAN).plan();
    assert_eq!(interfaces(&plan), ["mgmt data", "mgmt data"], "it is off by default");
    assert_eq!(links(&plan), ["lan", "line"]);
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains("\"management\""), "what was recorded before is what is recorded now");
}

#[test]
fn the_setting_may_be_one_dialects() {
    for (dialect, expected) in [(Dialect::Tango, "mgmt data"), (Dialect::Sonata, "mgmt! data")] {
        let mut bench = Bench::new(package(
            &service(2, LAN),
            &[("fw", &format!("{}connection_points: {POINTS}\n", one_unit(POINTS)))],
        ));
        let mut settings = Settings::default();
        settings.sonata.docker_management = Some(true);
        (bench.settings, bench.dialect) = (settings.of(dialect), dialect);
        assert_eq!(interfaces(&bench.plan()), [expected, expected]);
    }
}

#[test]
fn only_e_lans_of_management_connection_points_are_left_to_the_engine() {
    let nsd = |links: &str, own: &str| {
        service(2, links) + &format!("connection_points: [{{id: 'ns:mgmt', type: {own}}}]\n")
    };
    let refs = |kind: &str, points: &str| {
        format!("- {{id: l, connectivity_type: {kind}, connection_points_reference: [{points}]}}\n")
    };
    for (what, kind, points, own, engines) in [
        ("all are", "E-LAN", "'vnf0:mgmt', 'vnf1:mgmt'", "management", true),
        ("with the service's", "E-LAN", "'vnf0:mgmt', 'ns:mgmt'", "management", true),
        ("one alone", "E-LAN", "'vnf0:mgmt'", "management", true),
        ("the service's is another one", "E-LAN", "'vnf0:mgmt', 'ns:mgmt'", "external", false),
        ("one is another one", "E-LAN", "'vnf0:mgmt', 'vnf1:data'", "management", false),
        ("a chain", "E-Line", "'vnf0:mgmt', 'vnf1:mgmt'", "management", false),
        ("a tree", "E-Tree", "'vnf0:mgmt', 'vnf1:mgmt'", "management", false),
    ] {
        let mut bench = Bench::new(package(&nsd(&refs(kind, points), own), &[("fw", &one_unit(POINTS))]));
        bench.settings.docker_management = true;
        let plan = bench.plan();
        assert_eq!(plan.containers[0].management.is_some(), engines, "{what}");
        assert_eq!(plan.links.is_empty(), engines, "{what}");
    }
    // A link that is not deployed leaves everything as it is.
    let mut bench = Bench::new(package(
        &service(1, LAN).replace("forwarding_graphs: []\n", ""),
        &[("fw", &one_unit(POINTS))],
    ));
    bench.settings.docker_management = true;
    assert_eq!(interfaces(&bench.plan()), ["mgmt data"]);
}

#[test]
fn the_functions_connection_point_says_what_its_units_interfaces_are_for() {
    let vnfd = "
cloudnative_deployment_units:
- {id: a, image: i, connection_points: [{id: eth0, type: internal}, {id: eth1}]}
- {id: b, image: i, connection_points: [{id: eth0, type: internal}]}
connection_points: [{id: 'vnf:mgmt', type: management}]
virtual_links:
- {id: m, connectivity_type: E-LAN, connection_points_reference: ['a:eth0', 'b:eth0', 'vnf:mgmt']}
";
    let lan = "- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:mgmt']}\n";
    let mut bench = Bench::new(package(&service(1, lan), &[("fw", vnfd)]));
    bench.settings.docker_management = true;
    let plan = bench.plan();
    assert_eq!(interfaces(&plan), ["eth0! eth1", "eth0!"]);
    assert!(links(&plan).is_empty(), "the function's inner part of the link is the engine's, too");
}

#[test]
fn an_address_of_ones_own_is_the_engines_nevertheless() {
    let points = "[{id: mgmt, type: management, address: 30.0.0.9/24}]";
    let lan = "- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:mgmt']}\n";
    let plan = bench(points, lan).plan();
    let codes: Vec<_> = plan.warnings.iter().map(|warning| warning.code.as_str()).collect();
    assert_eq!(codes, ["management-address"]);
    assert_eq!(interfaces(&plan)[0], "mgmt!");
}

#[test]
fn where_the_engine_has_no_such_network_there_is_no_plan() {
    let mut bench = bench(POINTS, LAN);
    let without = [("dc2".parse().unwrap(), "embedded".to_owned())].into();
    bench.facts = Some(HostFacts { without_management: without, ..HostFacts::default() });
    let errors = bench.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    for word in ["no-management-network", "mgmt of vnf1.vdu01.0", "dc2", "embedded", "docker_management"] {
        assert!(errors[0].contains(word), "{word}: {}", errors[0]);
    }
}

#[test]
fn what_the_engine_cannot_be_for_is_refused() {
    let two = "[{id: mgmt, type: management}, {id: oam, type: management}]";
    let lans = "
- {id: one, connectivity_type: E-LAN, connection_points_reference: ['vnf0:mgmt', 'vnf1:mgmt']}
- {id: two, connectivity_type: E-LAN, connection_points_reference: ['vnf0:oam']}
";
    let errors = bench(two, lans).errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("management-twice"), "{}", errors[0]);
    let both = "
- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:mgmt', 'vnf1:mgmt']}
- {id: line, connectivity_type: E-Line, connection_points_reference: ['vnf0:mgmt', 'vnf1:data']}
";
    let errors = bench(POINTS, both).errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("management-on-other-link"), "{}", errors[0]);
}

#[test]
fn access_points_that_are_containers_are_on_the_engines_network_too() {
    let lan =
        "- {id: lan, connectivity_type: E-LAN, connection_points_reference: ['vnf0:mgmt', 'ns:mgmt']}\n";
    let nsd = service(1, lan) + "connection_points: [{id: 'ns:mgmt', type: management}]\n";
    let mut bench = Bench::new(package(&nsd, &[("fw", &one_unit(POINTS))]));
    bench.settings.docker_management = true;
    bench.settings.saps.deploy = true;
    let plan = bench.plan();
    assert_eq!(interfaces(&plan), ["mgmt! data", "mgmt!"]);
    assert!(plan.links.is_empty() && plan.saps.len() == 1);
    // The host has no interface of the engine's: with an access point there the link is one like others.
    bench.settings.saps.kinds = [("mgmt".to_owned(), SapKind::External)].into();
    let plan = bench.plan();
    assert_eq!(interfaces(&plan), ["mgmt data"]);
    assert_eq!(links(&plan), ["lan"]);
}
