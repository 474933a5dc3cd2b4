//! Many instantiations and terminations at once.

use std::collections::BTreeSet;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server};
use crate::look::assert_nothing_left;
use crate::packages::{Unit, chain};

const PER_SERVICE: usize = 7;

on_each_engine!(twenty_instances_of_three_services_start_while_half_of_them_stop);

fn twenty_instances_of_three_services_start_while_half_of_them_stop(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let server = lab.serve(&[]);
    let services: Vec<String> = ["one", "two", "three"]
        .iter()
        .zip([3100, 3200, 3300])
        .map(|(name, port)| {
            let points = [format!("{{id: web, interface: ipv4, type: external, publish: {{80: {port}}}}}")];
            let points: Vec<&str> = points.iter().map(String::as_str).collect();
            let units = [
                Unit { points: &points, ..Unit::new("a", "example/vnf:1") },
                Unit::new("b", "example/vnf:1"),
            ];
            server.upload(&chain(lab.dir.path(), name, &units))
        })
        .collect();

    // The services' VNFs have the same ids, so that their containers' names clash as well.
    let kept: Vec<String> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..20)
            .map(|number| {
                let (server, service) = (&server, &services[number % 3]);
                scope.spawn(move || {
                    let instance = server.instantiate(service);
                    if number % 2 == 0 {
                        server.terminate(&instance);
                        None
                    } else {
                        Some(instance)
                    }
                })
            })
            .collect();
        handles.into_iter().filter_map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(kept.len(), 10);
    assert!(kept.len() <= 3 * PER_SERVICE);
    no_clash(&lab, &server, &kept);

    let reply = server.curl(&["-X", "DELETE", "-d", "{}"], "/instantiations");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_nothing_left(&server);
}

fn no_clash(lab: &Lab, server: &Server<'_>, kept: &[String]) {
    let instances = server.get("/api/llcm/v1/instances");
    let mut seen = BTreeSet::new();
    for instance in instances.as_array().unwrap() {
        assert_eq!(instance["state"], "running", "{instance}");
        assert!(kept.contains(&instance["id"].as_str().unwrap().to_owned()));
        for container in instance["containers"].as_array().unwrap() {
            assert!(seen.insert(container["engine_name"].to_string()), "{container}");
            for port in container["ports"].as_array().unwrap() {
                assert!(seen.insert(port.to_string()), "{port} twice");
            }
        }
    }
    assert_eq!(lab.running().len(), 20, "two containers an instance");
}
