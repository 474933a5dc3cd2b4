//! Uploads that are deployed by themselves, as clients see them.

use llcm_lifecycle::{Dialect, DialectSettings, Settings};
use llcm_runtime::simulated::{Fault, Operation};
use llcm_testkit::demo_chain;
use serde_json::{Value, json};

use crate::common::Server;

fn both() -> Settings {
    Settings { auto_deploy: true, auto_delete: true, ..Settings::default() }
}

fn keys(reply: &Value) -> Vec<&str> {
    reply.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The warnings about the deployment, without those about the package.
fn own(reply: &Value) -> Vec<&Value> {
    let warnings = reply["warnings"].as_array().unwrap().iter();
    warnings.filter(|warning| warning["code"].as_str().unwrap().starts_with("auto-")).collect()
}

#[tokio::test]
async fn the_reply_to_an_upload_names_instance_and_request() {
    let server = Server::set(both()).await;
    let mut instances = Vec::new();
    for name in ["one", "two"] {
        let reply = server.post("/packages", demo_chain().name(name).build()).await;
        assert_eq!(reply.status, 201);
        let reply = reply.json();
        assert_eq!((&reply["error"], own(&reply).len()), (&json!(null), 0));
        let instance = reply["service_instance_uuid"].as_str().unwrap().to_owned();
        let request =
            server.get(&format!("/api/v3/requests/{}", reply["request_uuid"].as_str().unwrap())).await;
        assert_eq!(request["instance_uuid"], json!(instance));
        assert_eq!(
            (&request["request_type"], &request["status"]),
            (&json!("CREATE_SERVICE"), &json!("READY"))
        );
        assert_eq!(request["service_uuid"], reply["service_uuid"]);
        // The one before is gone.
        let listed = server.get("/instantiations").await;
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!((&listed[0]["uuid"], &listed[0]["status"]), (&json!(instance), &json!("running")));
        instances.push(instance);
    }
    assert_ne!(instances[0], instances[1]);
    // The program's own route tells of the instance with the service.
    let service = server.post("/api/llcm/v1/packages", demo_chain().name("three").build()).await.json();
    let listed = server.get("/instantiations").await;
    assert_eq!(service["instances"], json!([listed[0]["uuid"]]));
}

#[tokio::test]
async fn a_failure_is_a_warning_of_the_reply_and_a_request() {
    let server = Server::set(both()).await;
    server.world.add_fault(Fault::fail(Operation::Start).target("mn.vnf1*").message("no room"));
    let reply = server.post("/packages", demo_chain().build()).await;
    assert_eq!(reply.status, 201);
    let reply = reply.json();
    let expected = ["service_uuid", "size", "sha1", "error", "warnings", "request_uuid"];
    let mut expected = expected.to_vec();
    let mut found = keys(&reply);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
    let [warning] = own(&reply).try_into().unwrap();
    assert_eq!((&warning["severity"], &warning["code"]), (&json!("warning"), &json!("auto-deploy-failed")));
    assert!(warning["message"].as_str().unwrap().contains("no room"), "{warning}");
    let request = server.get(&format!("/api/v3/requests/{}", reply["request_uuid"].as_str().unwrap())).await;
    assert_eq!(request["status"], json!("ERROR"));
    assert_eq!(server.get("/instantiations").await, json!([]));
    assert!(server.world.snapshot().containers.is_empty());
}

#[tokio::test]
async fn what_was_sent_to_a_listener_follows_that_listeners_dialect() {
    let sonata = DialectSettings { auto_deploy: Some(true), ..DialectSettings::default() };
    let mut server = Server::set(Settings { sonata, ..Settings::default() }).await;
    let reply = server.post("/packages", demo_chain().build()).await.json();
    assert_eq!((reply.get("service_instance_uuid"), reply.get("request_uuid")), (None, None));
    server.speak(Dialect::Sonata);
    let reply = server.post("/api/v2/packages", demo_chain().build()).await.json();
    let listed = server.get("/api/v2/requests").await;
    assert_eq!(listed, json!({ "service_instantiations_list": [[], [reply["service_instance_uuid"]]] }));
}
