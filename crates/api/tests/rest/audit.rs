//! What is written down, when, and what happens when it cannot be.

use std::collections::BTreeSet;

use std::path::Path;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use llcm_access::{AuditLog, AuditOptions, Event, Filter};
use llcm_api::{Access, ApiSettings, resources_of};
use llcm_lifecycle::{Dialect, Settings};
use llcm_runtime::simulated::{Fault, Latency, Operation, Script};
use llcm_testkit::demo_chain;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::access::{token, tokens};
use crate::common::{Reply, Server};
use crate::wire::{Client, Gate, Running, until};

fn log(dir: &Path) -> AuditLog {
    AuditLog::in_dir(dir, AuditOptions::default())
}

async fn audited(script: Script, settings: ApiSettings) -> Server {
    Server::build(script, settings, Settings::default(), |dir| Access {
        tokens: Some(Arc::new(tokens(dir))),
        audit: Some(Arc::new(log(dir))),
    })
    .await
}

fn events(server: &Server) -> Vec<Event> {
    log(server.dir.path()).read(&Filter::default()).unwrap()
}

/// An event in short.
fn short(event: &Event) -> String {
    let objects: Vec<_> = event.objects.keys().map(String::as_str).collect();
    let status = event.status.map_or("?".to_owned(), |status| status.to_string());
    let code = event.code.as_deref().unwrap_or("-");
    let asked = &event.beginning;
    format!("{} {} {} {status} {code} {}", asked.by, asked.method, asked.route, objects.join(","))
}

#[tokio::test]
async fn every_change_is_in_the_log_with_who_and_what_came_of_it_and_nothing_secret() {
    let server =
        audited(Script::default(), ApiSettings { require_tokens: true, ..ApiSettings::default() }).await;
    let secret = token(&server, "ci", false);
    let bearer = format!("Bearer {secret}");
    let call = async |method: Method, uri: &str, body: Vec<u8>| -> Reply {
        let request =
            TestRequest::default().method(method).uri(uri).peer_addr("192.0.2.7:40000".parse().unwrap());
        server.call(request.insert_header(("authorization", bearer.as_str())).set_payload(body)).await
    };
    assert_eq!(call(Method::GET, "/packages", Vec::new()).await.status, 200);
    let uploaded = call(Method::POST, "/packages?password=hunter2", demo_chain().build()).await.json();
    let made = call(Method::POST, "/instantiations", b"{\"note\": \"hunter2\"}".to_vec()).await.json();
    let instance = made["service_instance_uuid"].as_str().unwrap();
    let exec = format!("/api/llcm/v1/instances/{instance}/containers/vnf0.vdu01.0/exec");
    let name = server.state.orchestrator().instances(false)[0].containers[0].name.to_string();
    let exec = exec.replace("vnf0.vdu01.0", &name);
    assert_eq!(call(Method::POST, &exec, b"{\"argv\": [\"echo\", \"hunter2\"]}".to_vec()).await.status, 200);
    assert_eq!(call(Method::POST, "/packages", b"no package".to_vec()).await.status, 400);
    assert_eq!(
        call(Method::POST, "/instantiations", b"{\"service_uuid\": \"x\"}".to_vec()).await.status,
        404
    );
    let path = format!("/api/llcm/v1/instances/{instance}");
    assert_eq!(call(Method::DELETE, &path, Vec::new()).await.status, 202);
    // Refused callers are not in it: strangers would push out what others did.
    assert_eq!(server.post("/instantiations", "{}").await.status, 401);
    assert_eq!(call(Method::POST, "/nothing", Vec::new()).await.status, 404);

    let told = events(&server);
    assert_eq!(
        told.iter().map(short).collect::<Vec<_>>(),
        [
            "token:ci POST /packages 201 - service",
            "token:ci POST /instantiations 201 - instance,request,service",
            "token:ci POST /api/llcm/v1/instances/{id}/containers/{name}/exec 200 - container,instance",
            "token:ci POST /packages 400 not-a-package ",
            "token:ci POST /instantiations 404 - ",
            "token:ci DELETE /api/llcm/v1/instances/{id} 202 - instance,request,service",
        ]
    );
    assert_eq!(told[0].objects["service"], [uploaded["service_uuid"].as_str().unwrap()]);
    assert_eq!(told[1].objects["instance"], [instance]);
    assert_eq!(told[0].beginning.peer.as_deref(), Some("192.0.2.7:40000"));
    let text = std::fs::read_to_string(log(server.dir.path()).path()).unwrap();
    for secret in ["hunter2", &secret[5..], "argv", "Bearer"] {
        assert!(!text.contains(secret), "{secret} is in the log:\n{text}");
    }

    let about = call(Method::GET, &format!("/api/llcm/v1/audit?about={instance}"), Vec::new()).await.json();
    assert_eq!(about.as_array().unwrap().len(), 3, "{about}");
    assert_eq!(about[0]["objects"]["instance"], json!([instance]));
    let since = about[2]["at"].as_str().unwrap().replace('Z', "%2B00:00");
    let newest =
        call(Method::GET, &format!("/api/llcm/v1/audit?since={since}&limit=1"), Vec::new()).await.json();
    assert_eq!(newest[0]["method"], "DELETE");
    for query in ["since=yesterday", "limit=many", "instance=x"] {
        let reply = call(Method::GET, &format!("/api/llcm/v1/audit?{query}"), Vec::new()).await;
        assert_eq!(reply.status, 400, "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        let mut server = audited(Script::default(), ApiSettings::default()).await;
        server.speak(dialect);
        assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
        assert_eq!(server.post("/instantiations", "{}").await.status, 201);
        let before = (server.containers(), server.files());
        let log = log(server.dir.path()).path();
        std::fs::remove_file(&log).unwrap();
        // Every write to it fails with "no space left on device".
        std::os::unix::fs::symlink("/dev/full", &log).unwrap();
        let mut refused = 0;
        for (path, allow) in resources_of(dialect) {
            let path = path.replace("{id}", "x").replace("{uuid}", "x").replace("{name}", "x");
            for method in allow.split(", ").filter(|method| !matches!(*method, "GET" | "HEAD" | "OPTIONS")) {
                let reply = server.send(method.parse().unwrap(), &path, "{}").await;
                assert_eq!(reply.status, 503, "{method} {path}");
                let body = reply.json();
                assert_eq!(body["code"], "audit-unavailable");
                assert!(body["error"].as_str().unwrap().contains("No space left"), "{body}");
                refused += 1;
            }
        }
        assert!(refused > 8, "{refused}");
        assert_eq!((server.containers(), server.files()), before);
        assert_eq!(server.exits.load(std::sync::atomic::Ordering::SeqCst), 0);
        assert_ne!(server.get("/instantiations").await, Value::Array(Vec::new()), "looking is possible");
        // As soon as there is room again, it goes on.
        std::fs::remove_file(&log).unwrap();
        assert_eq!(server.send(Method::DELETE, "/instantiations", "{}").await.status, 200);
        assert!(server.containers().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_written_down_before_it_is_done_and_when_the_client_hangs_up() {
    let server = audited(Script::default(), ApiSettings::default()).await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    let running = Running::start(&server);
    // The client is gone before there is anything to be replied.
    let gate = Gate::closed(&server, Operation::Start);
    let mut client = Client::connect(&running).await;
    client.write("POST /instantiations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}").await;
    let orchestrator = server.state.orchestrator();
    until("the instance is being made", || !orchestrator.instances(false).is_empty()).await;
    let begun = events(&server).pop().unwrap();
    assert_eq!(short(&begun), "loopback POST /instantiations ? - ");
    assert_eq!(begun.beginning.listener, Some(running.address.to_string()));
    drop(client);
    until("what it began is in the log", || events(&server).pop().unwrap().ended_at.is_some()).await;
    let ended = events(&server).pop().unwrap();
    assert_eq!(short(&ended), "loopback POST /instantiations ? client-gone instance,request,service");
    assert_eq!(ended.objects["instance"], [orchestrator.instances(false)[0].id.to_string()]);
    gate.open();
    running.stop().await;
}

/// What has its number or name only once it is made: a chain, a link without a name.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_that_hung_up_has_made_is_written_down_with_its_name() {
    let server = audited(Script::default(), ApiSettings::default()).await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    let made = server.post("/instantiations", "{}").await.json();
    let chains = format!("/api/llcm/v1/instances/{}/chains", made["service_instance_uuid"].as_str().unwrap());
    let running = Running::start(&server);
    let chain = r#"{"source": "vnf0:output", "destination": "vnf2:input"}"#;
    for (path, body, operation, kind, id) in [
        (&*chains, chain, Operation::EnsureChain, "chain", "4"),
        ("/api/llcm/v1/links", r#"{"ends": ["dc1", "dc2"]}"#, Operation::Prepare, "link", "dc1-dc2.2"),
    ] {
        server.world.forget_calls();
        let gate = Gate::closed(&server, operation);
        let mut client = Client::connect(&running).await;
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}", body.len());
        client.write(&format!("{head}\r\n\r\n{body}")).await;
        let last = || events(&server).pop().unwrap();
        // The line in the log comes before anything is done: a client that hangs up then has begun nothing.
        until("it is being made", || server.world.calls().iter().any(|call| call.operation == operation))
            .await;
        // The server has noticed that the client hangs up when it does so, too; only then it is made.
        client.stream.shutdown().await.unwrap();
        assert_eq!(client.rest().await, "");
        gate.open();
        until("it has an end", || last().ended_at.is_some()).await;
        assert_eq!(last().code.as_deref(), Some("client-gone"));
        assert_eq!(last().objects.get(kind), Some(&vec![id.to_owned()]), "{:?}", last());
    }
    running.stop().await;
}

/// Clients that hang up at any moment: whatever they began has its ids in the log, and every line has an end.
#[tokio::test(flavor = "multi_thread")]
async fn impatient_clients_are_written_down_with_what_they_began() {
    let latency = Latency::fixed(std::time::Duration::from_millis(300));
    let server = audited(Script::default().taking(Operation::Create, latency), ApiSettings::default()).await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    let running = Running::start(&server);
    let orchestrator = server.state.orchestrator();
    let made =
        || -> BTreeSet<String> { orchestrator.instances(true).iter().map(|it| it.id.to_string()).collect() };
    for number in 0..40 {
        let before = made().len();
        let mut client = Client::connect(&running).await;
        client.write("POST /instantiations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}").await;
        if number < 30 {
            tokio::time::sleep(std::time::Duration::from_micros(number * 250)).await;
        } else {
            // However slow the disk is that it is written down on first: some have begun something.
            until("something more is being made", || made().len() > before).await;
        }
    }
    until("all lines have ends, with all instances", || {
        // In this order: what is made later than it is looked for in the log would be missing there.
        let made = made();
        let asked: Vec<_> =
            events(&server).into_iter().filter(|it| it.beginning.path == "/instantiations").collect();
        let noted = asked.iter().flat_map(|it| it.objects.get("instance").cloned().unwrap_or_default());
        asked.iter().all(|it| it.ended_at.is_some()) && noted.collect::<BTreeSet<_>>() == made
    })
    .await;
    assert!(made().len() >= 10, "{} of 40", made().len());
    running.stop().await;
}

/// What a capture looks at is on disk before the first frame is sent: the path does not tell it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_captured_is_written_down_before_it_is() {
    let server = audited(Script::default(), ApiSettings::default()).await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    let made = server.post("/instantiations", "{}").await.json();
    let id = made["service_instance_uuid"].as_str().unwrap();
    let running = Running::start(&server);
    let interface = json!({ "instance": id, "container": "vnf0", "interface": "output" });
    for (body, objects) in [
        (interface, json!({ "instance": [id], "interface": ["vnf0.vdu01.0:output"] })),
        (json!({ "link": "dc1-dc2" }), json!({ "link": ["dc1-dc2"], "end": ["dc1"] })),
    ] {
        let mut client = Client::connect(&running).await;
        let body = body.to_string();
        let head = "POST /api/llcm/v1/captures HTTP/1.1\r\nHost: localhost";
        server.world.forget_calls();
        server.world.add_fault(Fault::hang(Operation::Capture));
        client.write(&format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await;
        let is_asked = || server.world.calls().iter().any(|call| call.operation == Operation::Capture);
        until("the driver is asked", is_asked).await;
        let last = events(&server).pop().unwrap();
        assert_eq!((last.status, json!(last.objects)), (None, objects));
        server.world.clear_faults();
        drop(client);
    }
    // What is not there is refused before.
    server.world.forget_calls();
    let wrong = server.post("/api/llcm/v1/captures", json!({ "link": "nowhere" }).to_string()).await;
    assert_eq!(wrong.status, 404);
    assert!(server.world.calls().iter().all(|call| call.operation != Operation::Capture));
    running.stop().await;
}
