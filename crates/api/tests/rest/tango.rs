//! Dialect `tango`, route by route, as its clients use it.

use crate::common::{Server, multipart};
use crate::transcript::Transcript;
use actix_web::http::Method;
use actix_web::test::TestRequest;
use llcm_testkit::{PackageBuilder, demo_chain};
use serde_json::json;

const ABSENT: &str = "0123abcd-0000-4000-8000-000000000000";

/// The smallest service: one function, no link.
fn single(name: &str, version: &str) -> PackageBuilder {
    PackageBuilder::tgo(
        "
//- /Definitions/nsd.yaml
vendor: eu.llcm
name: single-ns
version: '0.1'
network_functions:
- {vnf_id: vnf0, vnf_name: single-vnf}
//- /Definitions/single-vnfd.yaml
vendor: eu.llcm
name: single-vnf
version: '0.1'
cloudnative_deployment_units:
- {id: cdu01, image: 'llcm-test:latest'}
",
    )
    .name(name)
    .version(version)
}

#[tokio::test]
async fn a_service_from_upload_to_removal() {
    let server = Server::start().await;
    let mut log = Transcript::of(&server);
    log.step(Method::DELETE, "/instantiations", "{}").await;
    log.step(Method::POST, "/instantiations", "{}").await;
    let service = log.upload("/packages", demo_chain().build()).await.json()["service_uuid"].clone();
    let service = service.as_str().unwrap();
    for uri in ["/packages", "/services", "/functions"] {
        log.step(Method::GET, uri, "").await;
    }
    log.step(Method::GET, &format!("/packages/{service}"), "").await;
    let body = json!({ "service_uuid": service }).to_string();
    let instance = log.step(Method::POST, "/instantiations", &body).await.json();
    for uri in ["/instantiations", "/api/v3/records/services", "/api/v3/requests"] {
        log.step(Method::GET, uri, "").await;
    }
    log.step(Method::GET, &format!("/api/v2/requests/{}", instance["id"].as_str().unwrap()), "").await;
    assert_eq!(server.world.snapshot().containers.len(), 3);
    log.step(Method::DELETE, &format!("/packages/{service}"), "").await;
    let body = json!({ "service_instance_uuid": instance["service_instance_uuid"] }).to_string();
    log.step(Method::DELETE, "/instantiations", &body).await;
    assert!(server.world.snapshot().containers.is_empty());
    log.step(Method::GET, "/instantiations", "").await;
    log.step(Method::DELETE, "/instantiations", &body).await;
    log.step(Method::DELETE, &format!("/packages/{service}"), "").await;
    log.step(Method::GET, &format!("/packages/{service}"), "").await;
    log.step(Method::GET, "/packages", "").await;
    insta::assert_snapshot!(log.into_text());
}

#[tokio::test]
async fn every_route_stands_under_its_prefixes() {
    let server = Server::start().await;
    for prefix in ["", "/api/v2", "/api/v3"] {
        let reply = server.post(&format!("{prefix}/packages"), single("p", "1").build()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let list = server.get(&format!("{prefix}/packages")).await;
        let uuid = list[0]["uuid"].as_str().unwrap().to_owned();
        assert_eq!(reply.json()["service_uuid"], json!(uuid));
        assert_eq!(server.get(&format!("{prefix}/packages/{uuid}")).await, list[0]);
        assert_eq!(server.get(&format!("{prefix}/services")).await[0]["uuid"], json!(uuid));
        assert_eq!(server.get(&format!("{prefix}/functions")).await[0]["vnfd"]["name"], "single-vnf");
        let reply = server.send(Method::DELETE, &format!("{prefix}/packages/{uuid}"), "").await;
        assert_eq!((reply.status, reply.body.len()), (204, 0));
    }
    server.post("/packages", single("p", "1").build()).await;
    for uri in ["/instantiations", "/api/v2/instantiations", "/api/v2/requests", "/api/v3/requests"] {
        let reply = server.post(uri, "{}").await;
        assert_eq!(reply.status, 201, "{uri}: {reply:?}");
        let uuid = reply.json()["service_instance_uuid"].clone();
        for list in ["/instantiations", "/api/v2/instantiations", "/api/v3/records/services"] {
            assert_eq!(server.get(list).await[0]["uuid"], uuid, "{list}");
        }
        let ends = if uri.contains("v2") { "/api/v2/instantiations" } else { "/instantiations" };
        let reply = server.send(Method::DELETE, ends, "{}").await;
        assert_eq!((reply.status, reply.json()), (200, json!("Service(s) stopped.")));
    }
}

#[tokio::test]
async fn which_service_is_meant() {
    let server = Server::start().await;
    let mut uuids = Vec::new();
    for (name, version) in [("alpha", "1"), ("beta", "1"), ("alpha", "2"), ("gamma", "1")] {
        let reply = server.post("/packages", single(name, version).build()).await;
        uuids.push(reply.json()["service_uuid"].as_str().unwrap().to_owned());
        server.clock.advance(1000);
    }
    for (body, meant) in [
        (json!({ "service_uuid": uuids[0] }), 0),
        (json!({ "service_name": "beta" }), 1),
        (json!({ "service_uuid": "alpha" }), 2),
        (json!({ "service_name": "alpha" }), 2),
        (json!({ "service_uuid": "latest" }), 3),
        (json!({ "service_uuid": null, "service_name": "" }), 3),
        (json!({}), 3),
        (json!({ "service_uuid": uuids[1], "service_name": "gamma" }), 1),
    ] {
        let reply = server.post("/instantiations", body.to_string()).await;
        assert_eq!(reply.status, 201, "{body}: {reply:?}");
        let all = server.get("/instantiations").await;
        assert_eq!(all.as_array().unwrap().last().unwrap()["service_uuid"], json!(uuids[meant]), "{body}");
    }
    for body in [json!({ "service_uuid": ABSENT }), json!({ "service_name": "delta" })] {
        let reply = server.post("/instantiations", body.to_string()).await;
        assert_eq!((reply.status, reply.json()), (404, json!("Service not found")), "{body}");
    }
}

#[tokio::test]
async fn what_is_stopped() {
    let server = Server::start().await;
    server.post("/packages", single("alpha", "1").build()).await;
    server.clock.advance(1000);
    server.post("/packages", single("beta", "1").build()).await;
    let start = async |name: &str| {
        let reply = server.post("/instantiations", json!({ "service_name": name }).to_string()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()
    };
    let stop = async |body: serde_json::Value| {
        let reply = server.send(Method::DELETE, "/instantiations", body.to_string()).await;
        (reply.status, reply.json())
    };
    let running = async || {
        let mut names = Vec::new();
        for instance in server.get("/instantiations").await.as_array().unwrap() {
            names.push(instance["instance_name"].as_str().unwrap().to_owned());
        }
        names.sort();
        names
    };
    let (stopped, not_found) = (json!("Service(s) stopped."), json!("Service not found"));
    let first = start("alpha").await;
    let second = start("alpha").await;
    let other = start("beta").await;
    let uuid = |reply: &serde_json::Value| reply["service_instance_uuid"].clone();

    assert_eq!(stop(json!({ "service_uuid": ABSENT })).await, (404, not_found.clone()));
    assert_eq!(stop(json!({ "service_instance_uuid": ABSENT })).await, (404, not_found.clone()));
    assert_eq!(stop(json!({ "service_instance_uuid": "x" })).await, (404, not_found.clone()));
    let mismatch = json!({ "service_uuid": "alpha", "service_instance_uuid": uuid(&other) });
    assert_eq!(stop(mismatch).await, (404, not_found));
    assert_eq!(running().await.len(), 3);

    let both = json!({ "service_uuid": "alpha", "service_instance_uuid": uuid(&first) });
    assert_eq!(stop(both).await, (200, stopped.clone()));
    // The id that the originals called the instance's own.
    assert_eq!(stop(json!({ "service_instance_uuid": second["id"] })).await, (200, stopped.clone()));
    assert_eq!(running().await, ["eu.llcm.single-ns.0.1-inst.0"]);
    start("alpha").await;
    start("alpha").await;
    assert_eq!(stop(json!({ "service_uuid": "alpha" })).await, (200, stopped.clone()));
    assert_eq!(running().await.len(), 1);
    start("alpha").await;
    assert_eq!(stop(json!({})).await, (200, stopped.clone()));
    assert_eq!(running().await.len(), 0);
    assert_eq!(stop(json!({})).await, (200, stopped));
    assert!(server.world.snapshot().containers.is_empty());
}

#[tokio::test]
async fn requests_instantiate_and_terminate() {
    let server = Server::start().await;
    server.post("/packages", single("alpha", "1").build()).await;
    let mut log = Transcript::of(&server);
    let body = "{\"request_type\": \"CREATE_SERVICE\", \"service_uuid\": \"alpha\", \"egresses\": []}";
    let made = log.step(Method::POST, "/api/v3/requests", body).await.json();
    let instance = &made["service_instance_uuid"];
    let body = json!({ "request_type": "TERMINATE_SERVICE", "instance_uuid": instance }).to_string();
    log.step(Method::POST, "/api/v3/requests", &body).await;
    log.step(Method::GET, "/api/v2/instantiations", "").await;
    log.step(Method::GET, "/api/v3/requests", "").await;
    for body in [
        json!({ "request_type": "TERMINATE_SERVICE" }),
        json!({ "request_type": "TERMINATE_SERVICE", "instance_uuid": ABSENT }),
        json!({ "request_type": "SCALE_SERVICE" }),
        json!({ "request_type": "CREATE_SERVICE", "service_uuid": ABSENT }),
    ] {
        log.step(Method::POST, "/api/v2/requests", &body.to_string()).await;
    }
    for id in [ABSENT, "x"] {
        log.step(Method::GET, &format!("/api/v2/requests/{id}"), "").await;
        log.step(Method::GET, &format!("/packages/{id}"), "").await;
        log.step(Method::DELETE, &format!("/packages/{id}"), "").await;
    }
    insta::assert_snapshot!(log.into_text());
}

#[tokio::test]
async fn an_upload_as_a_form_and_as_a_body() {
    let server = Server::start().await;
    let package = single("alpha", "1").build();
    let sha1 = sha1_smol::Sha1::from(&package).digest().to_string();
    let (kind, form) = multipart("package", &package);
    let as_form =
        TestRequest::post().uri("/packages").insert_header(("content-type", kind)).set_payload(form);
    let octets = ("content-type", "application/octet-stream");
    let zip = ("content-type", "application/zip");
    let labelled = ("content-type", "application/x-www-form-urlencoded");
    let body =
        |header| TestRequest::post().uri("/packages").insert_header(header).set_payload(package.clone());
    for request in [as_form, body(octets), body(zip), body(labelled)] {
        let reply = server.call(request).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let json = reply.json();
        assert_eq!(json["sha1"], json!(sha1));
        assert_eq!(json["size"], json!(package.len()));
        assert_eq!((&json["error"], &json["warnings"]), (&json!(null), &json!([])));
    }
}

#[tokio::test]
async fn exit_answers_then_stops_the_instances_then_the_server() {
    let server = Server::start().await;
    server.post("/packages", single("alpha", "1").build()).await;
    server.post("/instantiations", "{}").await;
    assert_eq!(server.world.snapshot().containers.len(), 1);
    let reply = server.send(Method::PUT, "/emulator/exit", "").await;
    assert_eq!(reply.status, 200);
    let exited = async {
        while server.exits.load(std::sync::atomic::Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), exited).await.unwrap();
    assert!(server.world.snapshot().containers.is_empty());
    let reply = server.post("/instantiations", "{}").await;
    assert_eq!((reply.status, reply.json()["code"].clone()), (503, json!("shutting-down")));
}
