//! Chains of instances.

use actix_web::http::Method;
use llcm_lifecycle::request::ServiceRef;
use llcm_runtime::ErrorKind;
use llcm_runtime::simulated::{Fault, Operation};
use llcm_testkit::demo_chain;
use serde_json::json;

use crate::common::Server;
use crate::transcript::Transcript;

const V1: &str = "/api/llcm/v1";

/// The routes of an instance's chains.
async fn chains_of_an_instance(server: &Server) -> String {
    assert_eq!(server.post(&format!("{V1}/packages"), demo_chain().build()).await.status, 201);
    let llcm = server.state.orchestrator();
    let request = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
    llcm.wait(request.id).await.unwrap();
    format!("{V1}/instances/{}/chains", request.instance_id)
}

#[tokio::test]
async fn chains_from_the_first_to_the_last() {
    let server = Server::start().await;
    let chains = chains_of_an_instance(&server).await;
    let mut log = Transcript::of(&server);
    let add = |body: serde_json::Value| body.to_string();
    let web = add(json!({
        "source": "vnf0:output", "destination": "vnf2.vdu01.0:input", "bidirectional": true,
        "match": "eth_type=2048,ip_proto=6,tcp_dst=80", "priority": 7, "cookie": 11
    }));
    log.step(Method::POST, &chains, &web).await;
    log.step(Method::POST, &chains, &add(json!({ "source": "vnf2", "destination": "vnf1:output" }))).await;
    log.step(Method::GET, &chains, "").await;
    log.step(Method::GET, &format!("{chains}?cookie=11"), "").await;
    log.step(Method::DELETE, &format!("{chains}?cookie=12"), "").await;
    log.step(Method::DELETE, &format!("{chains}?cookie=11"), "").await;
    log.step(Method::GET, &chains, "").await;
    let left = server.get(&chains).await[0]["id"].to_string();
    log.step(Method::DELETE, &format!("{chains}/{left}"), "").await;
    log.step(Method::GET, &chains, "").await;
    insta::assert_snapshot!(log.into_text());
    assert!(server.world.snapshot().chains.is_empty());
}

#[tokio::test]
async fn what_is_refused_of_chains() {
    let server = Server::start().await;
    let chains = chains_of_an_instance(&server).await;
    let mut log = Transcript::of(&server);
    let (source, destination) = ("vnf0:output", "vnf2:input");
    for body in [
        json!({ "source": source, "destination": destination, "match": "dl_type=0x0800,colour=red" }),
        json!({ "source": source, "destination": destination, "match": "dl_vlan=7" }),
        json!({ "source": source, "destination": source }),
        json!({ "source": source, "destination": "vnf9:input" }),
        json!({ "source": source, "destination": "vnf2:nowhere" }),
        json!({ "source": source }),
        json!({ "source": source, "destination": destination, "priority": 65536 }),
        json!({ "source": source, "destination": destination, "weight": 1 }),
    ] {
        log.step(Method::POST, &chains, &body.to_string()).await;
    }
    assert!(server.world.snapshot().chains.is_empty());
    let plain = json!({ "source": source, "destination": destination });
    assert_eq!(server.post(&chains, plain.to_string()).await.status, 201);
    log.step(Method::POST, &chains, &plain.to_string()).await;
    server.world.add_fault(Fault::fail(Operation::EnsureChain).kind(ErrorKind::Failed));
    let other = json!({ "source": source, "destination": destination, "priority": 1 });
    log.step(Method::POST, &chains, &other.to_string()).await;
    assert_eq!(server.get(&chains).await.as_array().unwrap().len(), 1, "what failed is not there");
    log.step(Method::DELETE, &chains, "").await;
    for path in ["/9999", "/x", "/0"] {
        log.step(Method::DELETE, &format!("{chains}{path}"), "").await;
    }
    let absent = format!("{V1}/instances/0123abcd-0000-4000-8000-000000000000/chains");
    log.step(Method::GET, &absent, "").await;
    log.step(Method::POST, &absent, &plain.to_string()).await;
    log.step(Method::DELETE, &format!("{absent}/1"), "").await;
    log.step(Method::PUT, &chains, "").await;
    insta::assert_snapshot!(log.into_text());
}
