//! Published ports: reachable, moved by 1000 per instance, refused when taken.

use crate::engine::{On, on_each_engine};
use crate::lab::Lab;
use crate::look::assert_nothing_left;
use crate::packages::{Unit, chain};

on_each_engine!(the_second_instance_publishes_a_thousand_higher);

fn the_second_instance_publishes_a_thousand_higher(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/web:1"]);
    let web = Unit {
        extra: "  vm_cmd_start: \"mkdir -p /www && hostname > /www/index.html && httpd -p 80 -h /www\"\n",
        points: &[
            "{id: web, interface: ipv4, type: external, port: 80, publish: {80: 8080, \"53/udp\": 5353}}",
        ],
        ..Unit::new("web", "example/web:1")
    };
    let package = chain(lab.dir.path(), "web", &[web]);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    let instances = [server.instantiate(&service), server.instantiate(&service)];

    for (container, tcp, udp) in [("mn.web.vdu01.0", "8080", "5353"), ("mn.web.vdu01.1", "9080", "6353")] {
        if lab.has_docker() {
            let bindings = lab.docker(&["port", container]);
            assert!(bindings.lines().any(|line| line == format!("80/tcp -> 0.0.0.0:{tcp}")), "{bindings}");
            assert!(bindings.lines().any(|line| line == format!("53/udp -> 0.0.0.0:{udp}")), "{bindings}");
        }
        // The start script runs in the background: its server may take a moment to listen.
        let name = lab.ok(&[
            "curl",
            "-sf",
            "--retry",
            "20",
            "--retry-connrefused",
            "--retry-delay",
            "1",
            "--retry-all-errors",
            &format!("http://127.0.0.1:{tcp}/"),
        ]);
        assert_eq!(name.trim(), container.strip_prefix("mn.").unwrap());
    }

    // A third instance would need 10080, which somebody else holds now.
    let mut squatter = lab.command("busybox").args(["nc", "-l", "-p", "10080"]).spawn().unwrap();
    let reply = wait_until_taken(&server, &service);
    squatter.kill().unwrap();
    squatter.wait().unwrap();
    let said = reply.body.to_string();
    assert!(said.contains("10080"), "{said}");
    assert_eq!(lab.containers().len(), 2, "nothing is left of the third instance");

    for instance in &instances {
        server.terminate(instance);
    }
    assert_nothing_left(&server);
}

fn wait_until_taken(server: &crate::lab::Server<'_>, service: &str) -> crate::lab::Reply {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while server.lab.ok(&["ss", "-Hltn", "sport = :10080"]).is_empty() {
        assert!(std::time::Instant::now() < end, "nc does not listen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let reply = server.post("/instantiations", &format!(r#"{{"service_uuid": "{service}"}}"#));
    assert!((400..600).contains(&reply.status), "{reply:?}");
    reply
}
