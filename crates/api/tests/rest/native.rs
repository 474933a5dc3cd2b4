//! The program's own routes.

use crate::common::{Reply, Server};
use crate::transcript::Transcript;
use actix_web::http::Method;
use llcm_api::OutputLine;
use llcm_api::native::view::{Instance, Request, Service, Version};
use llcm_lifecycle::Dialect;
use llcm_lifecycle::request::{InstanceState, RequestStatus};
use llcm_names::EngineName;
use llcm_runtime::OutputStream;
use llcm_runtime::simulated::{Script, ScriptedCommand};
use llcm_testkit::demo_chain;
use serde_json::{Value, json};

const V1: &str = "/api/llcm/v1";
const ABSENT: &str = "0123abcd-0000-4000-8000-000000000000";

/// On-boards the sample service and runs an instance of it.
async fn running(server: &Server) -> Instance {
    assert_eq!(server.post(&format!("{V1}/packages"), demo_chain().build()).await.status, 201);
    let reply = server.post(&format!("{V1}/instances"), "{\"service\": \"latest\"}").await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let request = followed(server, &reply).await;
    assert_eq!(request.status, RequestStatus::Ready);
    let instance = server.get(&format!("{V1}/instances/{}", request.instance_id)).await;
    serde_json::from_value(instance).unwrap()
}

/// The request of a reply once it is done.
async fn followed(server: &Server, reply: &Reply) -> Request {
    let request: Request = serde_json::from_slice(&reply.body).unwrap();
    let done = server.get(&format!("{V1}/requests/{}?wait=20", request.id)).await;
    serde_json::from_value(done).unwrap()
}

#[tokio::test]
async fn a_service_from_upload_to_removal() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let service = instance.service_id;
    let mut log = Transcript::of(&server);
    for path in ["version", "health", "services", "instances", "requests"] {
        log.step(Method::GET, &format!("{V1}/{path}"), "").await;
    }
    log.step(Method::GET, &format!("{V1}/services/{service}"), "").await;
    log.step(Method::GET, &format!("{V1}/instances/{}", instance.id), "").await;
    log.step(Method::DELETE, &format!("{V1}/services/{service}"), "").await;
    let reply = server.send(Method::DELETE, &format!("{V1}/instances/{}", instance.id), "").await;
    assert_eq!(reply.status, 202, "{reply:?}");
    let request = followed(&server, &reply).await;
    assert_eq!((request.status, request.instance_id), (RequestStatus::Ready, instance.id));
    log.step(Method::GET, &format!("{V1}/instances"), "").await;
    log.step(Method::DELETE, &format!("{V1}/services/{service}"), "").await;
    log.step(Method::GET, &format!("{V1}/services"), "").await;
    insta::assert_snapshot!(log.into_text());
    assert!(server.world.snapshot().containers.is_empty());
}

/// `GET .../plan` tells what placed the units, and `placement` in a request of any dialect says what is to.
#[tokio::test]
async fn an_instance_is_placed_as_its_request_says() {
    let mut server = Server::start().await;
    assert_eq!(server.post(&format!("{V1}/packages"), demo_chain().build()).await.status, 201);
    let algorithm = async |server: &Server, id: &str| {
        let plan = server.get(&format!("{V1}/instances/{id}/plan")).await;
        let count = |dc: &str| {
            plan["containers"].as_array().unwrap().iter().filter(|one| one["datacenter"] == dc).count()
        };
        (plan["placement"]["algorithm"].as_str().unwrap().to_owned(), count("dc1"), count("dc2"))
    };
    let body = "{\"service\": \"latest\", \"placement\": \"first\"}";
    let reply = server.post(&format!("{V1}/instances"), body).await;
    let request = followed(&server, &reply).await;
    let expected = ("first".to_owned(), 3, 0);
    assert_eq!(algorithm(&server, &request.instance_id.to_string()).await, expected);
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        server.speak(dialect);
        let reply = server.post("/instantiations", "{\"placement\": \"latency\"}").await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let id = reply.json()["service_instance_uuid"].as_str().unwrap().to_owned();
        assert_eq!(algorithm(&server, &id).await, ("latency".to_owned(), 3, 0));
    }
    server.speak(Dialect::Tango);
    let reply = server.post(&format!("{V1}/instances"), "{\"service\": \"latest\"}").await;
    let request = followed(&server, &reply).await;
    assert_eq!(algorithm(&server, &request.instance_id.to_string()).await.0, "round-robin");
    let reply = server.post(&format!("{V1}/instances"), body.replace("first", "best")).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (409, Some("cannot-plan")), "{reply:?}");
    assert!(reply.json()["error"].as_str().unwrap().contains("expected one of first, round-robin"));
}

#[tokio::test]
async fn what_is_not_there() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let mut log = Transcript::of(&server);
    for id in [ABSENT, "x"] {
        for (method, path) in [
            (Method::GET, "services/ID"),
            (Method::DELETE, "services/ID"),
            (Method::GET, "instances/ID"),
            (Method::DELETE, "instances/ID"),
            (Method::GET, "instances/ID/plan"),
            (Method::GET, "instances/ID/containers/vnf0.vdu01.0/logs"),
            (Method::GET, "requests/ID"),
        ] {
            log.step(method, &format!("{V1}/{}", path.replace("ID", id)), "").await;
        }
    }
    log.step(Method::POST, &format!("{V1}/instances"), &json!({ "service": ABSENT }).to_string()).await;
    let exec = format!("{V1}/instances/{}/containers/other/exec", instance.id);
    log.step(Method::POST, &exec, "{\"argv\": [\"true\"]}").await;
    let exec = format!("{V1}/instances/{}/containers/vnf0.vdu01.0/exec", instance.id);
    log.step(Method::POST, &exec, "{\"argv\": []}").await;
    insta::assert_snapshot!(log.into_text());
}

#[tokio::test]
async fn the_version_is_told() {
    let server = Server::start().await;
    let version: Version = serde_json::from_value(server.get(&format!("{V1}/version")).await).unwrap();
    assert_eq!((version.version.as_str(), version.engine.as_str()), ("0.0.0", "simulated"));
}

#[tokio::test]
async fn lists_are_read_back_as_the_types_they_are_made_of() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let instances: Vec<Instance> = read(&server, "instances?ended=true").await;
    assert_eq!(instances.len(), 1);
    assert_eq!((instances[0].id, instances[0].state), (instance.id, InstanceState::Running));
    assert_eq!(instances[0].containers.len(), 3);
    let services: Vec<Service> = read(&server, "services").await;
    assert_eq!(services[0].instances, [instance.id]);
    assert_eq!(services[0].functions[0].vnf_ids, ["vnf0", "vnf1", "vnf2"]);
    let requests: Vec<Request> = read(&server, "requests").await;
    assert_eq!(requests[0].instance_id, instance.id);
    let plan: Value = read(&server, &format!("instances/{}/plan", instance.id)).await;
    assert_eq!(plan["containers"].as_array().map(Vec::len), Some(3), "{plan}");
}

async fn read<T: serde::de::DeserializeOwned>(server: &Server, path: &str) -> T {
    serde_json::from_value(server.get(&format!("{V1}/{path}")).await).unwrap()
}

fn lines(reply: &Reply) -> Vec<OutputLine> {
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/x-ndjson")),
        "{reply:?}"
    );
    let text = std::str::from_utf8(&reply.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_command_gives_its_output_and_its_exit_code() {
    let mut command = ScriptedCommand::new(&["ip", "addr"], "inet 20.0.0.1/24\n", 3);
    command.stderr = "no such device\n".to_owned();
    let script = Script { missing_programs: vec!["absent".to_owned()], ..Script::default() }.command(command);
    let server = Server::with(script, llcm_api::ApiSettings::default()).await;
    let instance = running(&server).await;
    let exec = format!("{V1}/instances/{}/containers/vnf1.vdu01.0/exec", instance.id);

    let body = json!({ "argv": ["ip", "addr"], "environment": { "A": "1" }, "terminal": false });
    let got = lines(&server.post(&exec, body.to_string()).await);
    let piece = |at: usize| (got[at].clone(), got[at].bytes().unwrap().unwrap());
    assert!(
        matches!(piece(0), (OutputLine::Output { stream: OutputStream::Stdout, .. }, bytes) if bytes == b"inet 20.0.0.1/24\n")
    );
    assert!(
        matches!(piece(1), (OutputLine::Output { stream: OutputStream::Stderr, .. }, bytes) if bytes == b"no such device\n")
    );
    assert_eq!(got[2..], [OutputLine::Ended { exit_code: Some(3) }]);
    let record = server.world.execs().pop().unwrap();
    assert_eq!(
        (record.argv, record.environment["A"].as_str()),
        (vec!["ip".to_owned(), "addr".to_owned()], "1")
    );

    let got = lines(&server.post(&exec, "{\"argv\": [\"absent\"]}").await);
    assert!(matches!(&got[..], [OutputLine::Failed { error, .. }] if error.contains("absent")), "{got:?}");
}

#[tokio::test]
async fn the_output_of_a_container_is_shown() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let container = EngineName::parse("mn.vnf0.vdu01.0").unwrap();
    for text in ["one\n", "two\n", "three\n"] {
        assert!(server.world.write_output(&container, OutputStream::Stdout, text));
    }
    let logs = format!("{V1}/instances/{}/containers/vnf0.vdu01.0/logs", instance.id);
    let text = |got: &[OutputLine]| {
        assert_eq!(got.last(), Some(&OutputLine::Ended { exit_code: None }));
        let bytes: Vec<u8> = got.iter().filter_map(|line| line.bytes().unwrap()).flatten().collect();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(text(&lines(&server.send(Method::GET, &logs, "").await)), "one\ntwo\nthree\n");
    assert_eq!(text(&lines(&server.send(Method::GET, &format!("{logs}?tail=1"), "").await)), "three\n");

    // Followed, it ends when the server does.
    let following = format!("{logs}?follow=true");
    let follow = server.send(Method::GET, &following, "");
    let close = async {
        tokio::task::yield_now().await;
        server.state.closing().cancel();
    };
    let (reply, ()) = tokio::join!(follow, close);
    let got = lines(&reply);
    assert!(
        matches!(got.last(), Some(OutputLine::Failed { code, .. }) if code == "shutting-down"),
        "{got:?}"
    );
}

#[tokio::test]
async fn the_network_with_the_instances_on_it() {
    let server = Server::start().await;
    let empty = server.get(&format!("{V1}/graph")).await;
    assert_eq!((&empty["instances"], &empty["datacenters"][1]["name"]), (&json!([]), &json!("dc2")));
    let instance = running(&server).await;
    let mut graph = server.get(&format!("{V1}/graph")).await;
    assert_eq!(graph["instances"][0]["id"], json!(instance.id));
    graph["instances"][0]["id"] = json!("(id)");
    insta::assert_snapshot!(serde_json::to_string_pretty(&graph).unwrap());
    // Placed one here, one there: what joins them goes over the link, and what is in one place goes nowhere.
    let shown = &graph["instances"][0];
    let places: Vec<&Value> =
        shown["units"].as_array().unwrap().iter().map(|unit| &unit["datacenter"]).collect();
    assert_eq!(places, ["dc1", "dc2", "dc1"]);
    assert_eq!(shown["segments"][0]["paths"][0]["links"], json!(["dc1-dc2"]));
    // What was added to the links while it runs is there, too.
    let body = json!({"source": "vnf0:output", "destination": "vnf1:input", "match": "dl_type=0x0806"});
    let reply = server.post(&format!("{V1}/instances/{}/chains", instance.id), body.to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let graph = server.get(&format!("{V1}/graph")).await;
    let chain = &graph["instances"][0]["chains"][0];
    assert_eq!(chain["source"], json!({"unit": "vnf0.vdu01.0", "interface": "output"}));
    assert_eq!((&chain["match"], &chain["bidirectional"]), (&json!("dl_type=0x0806"), &json!(false)));
    assert_eq!(chain["paths"].as_array().unwrap().len(), 1, "{chain}");
    assert_eq!(chain["paths"][0]["links"], json!(["dc1-dc2"]));
    let reply = server.send(Method::DELETE, &format!("{V1}/instances/{}", instance.id), "").await;
    assert_eq!(followed(&server, &reply).await.status, RequestStatus::Ready);
    assert_eq!(server.get(&format!("{V1}/graph")).await, empty);
}
