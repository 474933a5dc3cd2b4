//! Failures of the life-cycle as replies: status, code and message, and what is left.

use std::time::Duration;

use crate::common::Server;
use crate::transcript::Transcript;
use actix_web::http::Method;
use llcm_api::ApiSettings;
use llcm_lifecycle::{Backoff, Settings};
use llcm_runtime::ErrorKind;
use llcm_runtime::simulated::{Fault, Operation, Script};
use llcm_testkit::{PackageBuilder, demo_chain};
use serde_json::json;

async fn scripted(script: Script) -> Server {
    Server::with(script, ApiSettings::default()).await
}

/// A function that publishes a host port, high enough that the second instance's is out of range.
fn publishing(host_port: u16) -> PackageBuilder {
    PackageBuilder::tgo(&format!(
        "
//- /Definitions/nsd.yaml
name: web-ns
network_functions:
- {{vnf_id: vnf0, vnf_name: web-vnf}}
//- /Definitions/web-vnfd.yaml
name: web-vnf
cloudnative_deployment_units:
- id: cdu01
  image: 'llcm-test:latest'
  connection_points:
  - {{id: eth, port: 80, publish: {{80: {host_port}}}}}
"
    ))
}

#[tokio::test]
async fn an_image_that_nobody_has() {
    let server =
        scripted(Script { missing_images: vec!["llcm-test:*".to_owned()], ..Script::default() }).await;
    let mut log = Transcript::of(&server);
    log.upload("/packages", demo_chain().build()).await;
    log.upload("/api/llcm/v1/packages", demo_chain().build()).await;
    insta::assert_snapshot!(log.into_text());
    server.assert_empty().await;
}

#[tokio::test]
async fn an_engine_that_does_not_answer() {
    let fault = Fault::fail(Operation::EnsureImage)
        .always()
        .kind(ErrorKind::Unavailable)
        .message("connection refused");
    let server = scripted(Script::default().with(fault)).await;
    let mut log = Transcript::of(&server);
    log.upload("/packages", demo_chain().build()).await;
    insta::assert_snapshot!(log.into_text());
    server.assert_empty().await;
}

#[tokio::test]
async fn a_container_that_does_not_start() {
    let fault = Fault::fail(Operation::Start).target("mn.vnf1.*").message("exec format error");
    let server = scripted(Script::default().with(fault)).await;
    server.post("/packages", demo_chain().build()).await;
    let mut log = Transcript::of(&server);
    log.step(Method::POST, "/instantiations", "{}").await;
    log.step(Method::GET, "/instantiations", "").await;
    log.step(Method::GET, "/api/v3/requests", "").await;
    insta::assert_snapshot!(log.into_text());
    assert!(server.world.snapshot().containers.is_empty());
    let ended = server.get("/api/llcm/v1/instances?ended=true").await;
    assert_eq!(ended[0]["state"], "failed", "{ended}");
}

#[tokio::test]
async fn a_container_that_cannot_be_removed_is_stuck_until_it_can() {
    // It is tried again on request only: however long the requests below take, what they find is the same.
    let hour = Duration::from_secs(3600);
    let server =
        Server::set(Settings { retry: Backoff { first: hour, longest: hour }, ..Settings::default() }).await;
    server.post("/packages", demo_chain().build()).await;
    assert_eq!(server.post("/instantiations", "{}").await.status, 201);
    server
        .world
        .add_fault(Fault::fail(Operation::Remove).target("mn.vnf1.*").always().message("device is busy"));
    let mut log = Transcript::of(&server);
    log.step(Method::DELETE, "/instantiations", "{}").await;
    log.step(Method::GET, "/instantiations", "").await;
    let stuck = server.get("/api/llcm/v1/instances").await;
    assert_eq!((&stuck[0]["state"], &stuck[0]["retry"]["tries"]), (&"stuck".into(), &1.into()), "{stuck}");
    assert!(stuck[0]["errors"].to_string().contains("device is busy"), "{stuck}");
    server.world.clear_faults();
    log.step(Method::DELETE, "/instantiations", "{}").await;
    log.step(Method::GET, "/instantiations", "").await;
    insta::assert_snapshot!(log.into_text());
    assert!(server.world.snapshot().containers.is_empty());
}

#[tokio::test]
async fn a_port_beyond_the_range() {
    let server = scripted(Script::default()).await;
    server.post("/packages", publishing(65_000).build()).await;
    assert_eq!(server.post("/instantiations", "{}").await.status, 201);
    let mut log = Transcript::of(&server);
    log.step(Method::POST, "/instantiations", "{}").await;
    log.step(Method::POST, "/api/v3/requests", "{}").await;
    log.step(Method::POST, "/api/llcm/v1/instances", "{\"service\": \"latest\"}").await;
    insta::assert_snapshot!(log.into_text());
    assert_eq!(server.get("/instantiations").await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_port_of_another_service() {
    let server = scripted(Script::default()).await;
    server.post("/packages", publishing(8080).name("first").build()).await;
    server.post("/packages", publishing(8080).name("second").build()).await;
    assert_eq!(server.post("/instantiations", "{\"service_name\": \"first\"}").await.status, 201);
    let reply = server.post("/instantiations", "{\"service_name\": \"second\"}").await;
    let body = reply.json();
    assert_eq!((reply.status, body["code"].clone()), (409, json!("cannot-plan")), "{body}");
    assert!(body["error"].as_str().unwrap().contains("8080"), "{body}");
}

#[tokio::test]
async fn what_the_engine_cannot_do() {
    let fault = Fault::fail(Operation::Create).kind(ErrorKind::Unsupported).message("no memory limits here");
    let server = scripted(Script::default().with(fault)).await;
    server.post("/packages", demo_chain().build()).await;
    let reply = server.post("/instantiations", "{}").await;
    let body = reply.json();
    assert_eq!((reply.status, body["code"].clone()), (501, json!("unsupported")), "{body}");
    assert!(body["error"].as_str().unwrap().contains("no memory limits here"), "{body}");
}

#[tokio::test]
async fn a_data_directory_that_is_gone() {
    let server = scripted(Script::default()).await;
    std::fs::remove_dir_all(server.dir.path()).unwrap();
    std::fs::write(server.dir.path(), "a file in its place").unwrap();
    let reply = server.post("/packages", demo_chain().build()).await;
    let body = reply.json();
    assert_eq!((reply.status, body["code"].clone()), (500, json!("store-failed")), "{body}");
    let text = body["error"].as_str().unwrap();
    assert!(text.contains(&server.dir.path().display().to_string()), "{text}");
    std::fs::remove_file(server.dir.path()).unwrap();
}

#[tokio::test]
async fn no_service_at_all() {
    let server = scripted(Script::default()).await;
    let mut log = Transcript::of(&server);
    log.step(Method::POST, "/api/llcm/v1/instances", "{\"service\": \"latest\"}").await;
    log.step(Method::POST, "/api/llcm/v1/instances", "{\"service\": \"alpha\"}").await;
    insta::assert_snapshot!(log.into_text());
}
