//! Dialect `sonata`, route by route, as its clients use it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::Method;
use llcm_api::resources_of;
use llcm_lifecycle::Dialect;
use llcm_testkit::{PackageBuilder, demo_chain};
use serde_json::{Value, json};

use crate::common::Server;
use crate::transcript::Transcript;

const ABSENT: &str = "0123abcd-0000-4000-8000-000000000000";

/// The smallest SONATA service: one function, no link.
pub(crate) fn single(name: &str) -> PackageBuilder {
    PackageBuilder::son(
        "
//- /service_descriptor/nsd.yml
vendor: eu.llcm
name: single-ns
version: '0.1'
network_functions:
- {vnf_id: fw, vnf_name: single-vnf}
//- /function_descriptor/single-vnfd.yml
vendor: eu.llcm
name: single-vnf
version: '0.1'
virtual_deployment_units:
- {id: '1', vm_image: 'llcm-test:latest', vm_image_format: docker}
",
    )
    .name(name)
}

pub(crate) async fn sonata() -> Server {
    let mut server = Server::start().await;
    server.speak(Dialect::Sonata);
    server
}

#[tokio::test]
async fn a_service_from_upload_to_exit() {
    let server = sonata().await;
    let mut log = Transcript::of(&server);
    for (method, uri) in [
        (Method::GET, "/packages"),
        (Method::GET, "/instantiations"),
        (Method::POST, "/instantiations"),
        (Method::DELETE, "/instantiations"),
    ] {
        log.step(method, uri, "").await;
    }
    let service = log.upload("/packages", single("first").build()).await.json()["service_uuid"].clone();
    log.upload("/packages", b"no package".to_vec()).await;
    log.step(Method::GET, "/packages", "").await;
    let body = json!({ "service_uuid": service }).to_string();
    let made = log.step(Method::POST, "/instantiations", &body).await.json();
    log.step(Method::POST, "/instantiations", &json!({ "service_uuid": ABSENT }).to_string()).await;
    log.step(Method::GET, "/instantiations", "").await;
    assert_eq!(server.world.snapshot().containers.len(), 1);
    for body in [
        json!({ "service_uuid": ABSENT }),
        json!({ "service_uuid": service, "service_instance_uuid": ABSENT }),
        json!({ "service_instance_uuid": "x" }),
        json!({ "service_uuid": service, "service_instance_uuid": made["service_instance_uuid"] }),
    ] {
        log.step(Method::DELETE, "/instantiations", &body.to_string()).await;
    }
    assert!(server.world.snapshot().containers.is_empty());
    log.step(Method::GET, "/instantiations", "").await;
    log.step(Method::DELETE, "/instantiations", "{}").await;
    log.step(Method::DELETE, "/packages", "").await;
    log.step(Method::GET, "/api/v3/packages", "").await;
    log.step(Method::POST, "/instantiations", "[]").await;
    log.step(Method::PUT, "/emulator/exit", "").await;
    insta::assert_snapshot!(log.into_text());
}

#[tokio::test]
async fn every_route_stands_under_its_prefixes() {
    let server = sonata().await;
    for (path, allow) in resources_of(Dialect::Sonata) {
        let reply = server.send(Method::OPTIONS, &path.replace(['{', '}'], ""), "").await;
        assert_eq!((reply.status, reply.header("allow")), (204, Some(allow.as_str())), "{path}");
    }
    let mut services = Vec::new();
    for uri in ["/packages", "/api/v2/packages"] {
        services.push(server.post(uri, single("p").build()).await.json()["service_uuid"].clone());
        server.clock.advance(1000);
        for list in ["/packages", "/api/v2/packages"] {
            assert_eq!(server.get(list).await, json!({ "service_uuid_list": services }), "{list}");
        }
    }
    for uri in ["/instantiations", "/api/v2/instantiations", "/api/v2/requests"] {
        let reply = server.post(uri, "{}").await;
        assert_eq!(reply.status, 201, "{uri}: {reply:?}");
        let uuid = reply.json()["service_instance_uuid"].clone();
        assert_eq!(reply.json(), json!({ "service_instance_uuid": uuid }));
        // The newest is started; the lists are in the order of the services.
        assert_eq!(server.get(uri).await, json!({ "service_instantiations_list": [[], [uuid]] }));
        let body = json!({ "service_uuid": services[1] }).to_string();
        let reply = server.send(Method::DELETE, uri, body).await;
        let text = format!("service instance with uuid '{}' stopped.", uuid.as_str().unwrap());
        assert_eq!((reply.status, reply.json()), (200, json!(text)), "{uri}");
    }
}

#[test]
fn every_resource_is_documented() {
    let page = include_str!("../../../../docs/rest.md");
    let section = page.split("\n## ").find(|section| section.starts_with("Dialect `sonata`")).unwrap();
    let native = "/api/llcm/v1/";
    for (path, allow) in resources_of(Dialect::Sonata).iter().filter(|(path, _)| !path.starts_with(native)) {
        let short = path.strip_prefix("/api/v2").unwrap_or(path);
        for method in allow.split(", ").filter(|method| !matches!(*method, "HEAD" | "OPTIONS")) {
            assert!(
                section.contains(&format!("`{method} {short}`")),
                "{method} {path} is not in docs/rest.md"
            );
        }
    }
}

#[tokio::test]
async fn which_instance_is_stopped() {
    let server = sonata().await;
    server.post("/packages", single("first").build()).await;
    server.clock.advance(1000);
    server.post("/packages", single("second").build()).await;
    let start = async |name: &str| {
        let reply = server.post("/instantiations", json!({ "service_name": name }).to_string()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        server.clock.advance(1000);
        reply.json()["service_instance_uuid"].clone()
    };
    let stop = async |body: Value| {
        let reply = server.send(Method::DELETE, "/instantiations", body.to_string()).await;
        (reply.status, reply.json())
    };
    let stopped = |uuid: &Value| {
        (200, json!(format!("service instance with uuid '{}' stopped.", uuid.as_str().unwrap())))
    };
    let not_found = (404, json!("Service not found"));
    let (first, second, third) = (start("first").await, start("first").await, start("first").await);
    let (other, last) = (start("second").await, start("second").await);
    let listed = server.get("/instantiations").await;
    assert_eq!(listed, json!({ "service_instantiations_list": [[first, second, third], [other, last]] }));

    // Of the service given; an instance of another one is not found there.
    let mismatch = json!({ "service_uuid": "first", "service_instance_uuid": other });
    assert_eq!(stop(mismatch).await, not_found);
    let both = json!({ "service_uuid": "first", "service_instance_uuid": second });
    assert_eq!(stop(both).await, stopped(&second));
    // The service's first instance, one at a time.
    assert_eq!(stop(json!({ "service_uuid": "second" })).await, stopped(&other));
    // An instance is found without its service.
    assert_eq!(stop(json!({ "service_instance_uuid": last })).await, stopped(&last));
    // Of the newest service that has one.
    assert_eq!(stop(json!({ "service_uuid": "latest" })).await, not_found);
    assert_eq!(stop(json!({})).await, stopped(&first));
    assert_eq!(stop(json!({ "service_uuid": null, "service_instance_uuid": "" })).await, stopped(&third));
    assert_eq!(stop(json!({})).await, not_found);
    assert!(server.world.snapshot().containers.is_empty());
}

#[tokio::test]
async fn nothing_given_stops_what_nothing_given_started() {
    let server = sonata().await;
    server.post("/packages", single("first").build()).await;
    let older = server.post("/instantiations", "{}").await.json();
    server.clock.advance(1000);
    server.post("/packages", single("second").build()).await;
    let newer = server.post("/instantiations", "{}").await.json();
    for started in [newer, older] {
        let uuid = started["service_instance_uuid"].as_str().unwrap();
        let reply = server.send(Method::DELETE, "/instantiations", "{}").await;
        assert_eq!(reply.json(), json!(format!("service instance with uuid '{uuid}' stopped.")));
    }
    assert!(server.world.snapshot().containers.is_empty());
}

#[tokio::test]
async fn a_service_follows_the_dialect_of_its_listener_and_is_seen_at_both() {
    let mut server = sonata().await;
    // Either format through either listener, and the program's own route.
    for uri in ["/packages", "/api/llcm/v1/packages"] {
        assert_eq!(server.post(uri, demo_chain().build()).await.status, 201, "{uri}");
        server.clock.advance(1000);
    }
    server.speak(Dialect::Tango);
    for uri in ["/packages", "/api/llcm/v1/packages"] {
        assert_eq!(server.post(uri, single("late").build()).await.status, 201, "{uri}");
        server.clock.advance(1000);
    }
    let services = server.state.orchestrator().services();
    let dialects: Vec<_> = services.iter().map(|service| service.dialect).collect();
    assert_eq!(dialects, [Dialect::Sonata, Dialect::Sonata, Dialect::Tango, Dialect::Tango]);

    let uuids: Vec<_> = services.iter().map(|service| json!(service.id)).collect();
    let listed = server.get("/packages").await;
    let listed: Vec<_> = listed.as_array().unwrap().iter().map(|package| package["uuid"].clone()).collect();
    assert_eq!(listed, uuids);
    let made = server.post("/instantiations", json!({ "service_uuid": uuids[0] }).to_string()).await.json();
    server.speak(Dialect::Sonata);
    assert_eq!(server.get("/packages").await, json!({ "service_uuid_list": uuids }));
    let instance = &made["service_instance_uuid"];
    let listed = server.get("/instantiations").await;
    assert_eq!(listed, json!({ "service_instantiations_list": [[instance], [], [], []] }));
    // In dialect `sonata` the first instance's containers are called as the functions are.
    assert_eq!(server.containers(), ["mn.vnf0", "mn.vnf1", "mn.vnf2"]);
}

#[tokio::test]
async fn foreign_pages_may_neither_read_nor_change() {
    let server = sonata().await;
    let from = |method: Method, uri: &str| {
        let origin = ("origin", "http://evil.example");
        actix_web::test::TestRequest::default().method(method).uri(uri).insert_header(origin)
    };
    let reply = server.call(from(Method::GET, "/packages")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, None));
    for (path, allow) in resources_of(Dialect::Sonata) {
        for method in allow.split(", ").filter(|method| !matches!(*method, "GET" | "HEAD" | "OPTIONS")) {
            let reply = server.call(from(method.parse().unwrap(), &path.replace(['{', '}'], ""))).await;
            assert_eq!((reply.status, &reply.json()["code"]), (403, &json!("foreign-origin")), "{path}");
        }
    }
}

#[tokio::test]
async fn exit_stops_the_instances_of_both_dialects() {
    let mut server = sonata().await;
    server.post("/packages", single("p").build()).await;
    server.post("/instantiations", "").await;
    server.speak(Dialect::Tango);
    server.post("/packages", demo_chain().build()).await;
    server.post("/instantiations", "{\"service_name\": \"demo-chain\"}").await;
    assert_eq!(server.world.snapshot().containers.len(), 4);
    server.speak(Dialect::Sonata);
    assert_eq!(server.send(Method::PUT, "/emulator/exit", "").await.status, 200);
    let exited = async {
        while server.exits.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), exited).await.unwrap();
    assert!(server.world.snapshot().containers.is_empty());
}
