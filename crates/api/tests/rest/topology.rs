//! Links, data centers and schedules that are changed over HTTP.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use llcm_access::{AuditLog, AuditOptions, Filter};
use llcm_api::native::topology_view::{Link, Schedule};
use llcm_api::{Access, ApiSettings};
use llcm_lifecycle::Settings;
use llcm_runtime::NotEmulated;
use llcm_runtime::simulated::{Fault, Operation, Script};
use llcm_testkit::demo_chain;
use serde_json::json;

use crate::access::{token, tokens};
use crate::common::Server;
use crate::transcript::Transcript;

const V1: &str = "/api/llcm/v1";

async fn running(server: &Server) {
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    assert_eq!(server.post("/instantiations", "{}").await.status, 201);
}

#[tokio::test]
async fn links_and_data_centers_change_while_a_service_runs() {
    let server = Server::start().await;
    let mut log = Transcript::of(&server);
    log.step(Method::GET, &format!("{V1}/links"), "").await;
    running(&server).await;
    let mut log_of =
        async |method, path: &str, body: &str| log.step(method, &format!("{V1}{path}"), body).await;
    log_of(Method::GET, "/links/dc1-dc2", "").await;
    log_of(Method::PATCH, "/links/dc1-dc2", "{\"up\": false}").await;
    let change = "{\"delay\": \"20ms\", \"loss\": 0.01, \"mtu\": 1500, \"from\": \"dc2\"}";
    log_of(Method::PATCH, "/links/dc1-dc2", change).await;
    log_of(Method::POST, "/datacenters", "{name: dc3, capacity: {cpu: 4}, metadata: {country: eu}}").await;
    log_of(Method::POST, "/links", "[dc2, dc3]").await;
    log_of(Method::POST, "/links", "{ends: [dc1, dc3], name: a/b c, backward: {bandwidth: 10Mbps}}").await;
    log_of(Method::GET, "/links/a%2Fb%20c", "").await;
    log_of(Method::GET, "/datacenters", "").await;
    log_of(Method::GET, "/datacenters/dc3", "").await;
    log_of(Method::DELETE, "/links/a%2Fb%20c", "").await;
    log_of(Method::DELETE, "/datacenters/dc3", "").await;
    log_of(Method::GET, "/links", "").await;
    insta::assert_snapshot!(log.into_text());
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let server = Server::start().await;
    running(&server).await;
    let mut log = Transcript::of(&server);
    for (method, path, body) in [
        (Method::GET, "/links/none", ""),
        (Method::PATCH, "/links/none", "{up: true}"),
        (Method::DELETE, "/links/none", ""),
        (Method::PATCH, "/links/dc1-dc2", "{dealy: 1ms,\n loss: much}"),
        (Method::PATCH, "/links/dc1-dc2", "{"),
        (Method::PATCH, "/links/dc1-dc2", ""),
        (Method::PATCH, "/links/dc1-dc2", "{jitter: 1ms}"),
        (Method::PATCH, "/links/dc1-dc2", "{mtu: 1400}"),
        (Method::PUT, "/links/dc1-dc2", "{}"),
        (Method::POST, "/links", "[dc1, dc9]"),
        (Method::POST, "/links", "{ends: [dc1, dc2], name: dc1-dc2}"),
        (Method::GET, "/datacenters/none", ""),
        (Method::GET, "/datacenters/_", ""),
        (Method::POST, "/datacenters", "dc1"),
        (Method::POST, "/datacenters", "{name: dc3, engine: docker}"),
        (Method::DELETE, "/datacenters/none", ""),
        (Method::DELETE, "/datacenters/dc1", ""),
        (Method::GET, "/schedules/x", ""),
        (Method::GET, "/schedules/0123abcd-0000-4000-8000-000000000000", ""),
        (Method::DELETE, "/schedules/0123abcd-0000-4000-8000-000000000000", ""),
        (Method::POST, "/schedules", "changes:\n- {at: soon, link: dc1-dc2, up: false}\n- {link: dc1-dc2}\n"),
        (Method::POST, "/schedules", "changes: [{at: 1s, link: none, up: false}]"),
    ] {
        log.step(method, &format!("{V1}{path}"), body).await;
    }
    server.world.set_script(Script {
        not_emulated: vec![NotEmulated {
            link: "dc1-dc2".to_owned(),
            what: "link dc1-dc2, dc1 to dc2: delay of 1000 us".to_owned(),
        }],
        ..Script::default()
    });
    log.step(Method::PATCH, &format!("{V1}/links/dc1-dc2"), "{delay: 1ms}").await;
    log.step(Method::GET, &format!("{V1}/links/dc1-dc2"), "").await;
    insta::assert_snapshot!(log.into_text());
}

#[tokio::test]
async fn a_schedule_is_played_by_the_server() {
    let server = Server::start().await;
    running(&server).await;
    let text =
        "name: flap\nchanges:\n- {at: 0, link: dc1-dc2, up: false}\n- {at: 30ms, link: dc1-dc2, up: true}\n";
    let begun = server.post(&format!("{V1}/schedules"), text).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let begun: Schedule = serde_json::from_slice(&begun.body).unwrap();
    assert_eq!((begun.state.as_str(), begun.total, begun.name.as_deref()), ("running", 2, Some("flap")));
    let ended = server.get(&format!("{V1}/schedules/{}?wait=10", begun.id)).await;
    let ended: Schedule = serde_json::from_value(ended).unwrap();
    assert_eq!((ended.state.as_str(), ended.made), ("done", 2));
    let [down, up] = ended.changes.as_slice() else { panic!("{ended:?}") };
    assert_eq!((down.change.as_str(), up.at_us), ("down", 30_000));
    assert!(up.made_us >= Some(30_000) && up.begun_us <= up.made_us, "{up:?}");
    assert_eq!(
        ended.worst_delay_us.unwrap(),
        [down, up].iter().map(|it| it.made_us.unwrap() - it.at_us).max().unwrap()
    );

    let long = "changes: [{at: 0, link: dc1-dc2, up: false}, {at: 1h, link: dc1-dc2, up: true}]";
    let begun: Schedule =
        serde_json::from_slice(&server.post(&format!("{V1}/schedules"), long).await.body).unwrap();
    let link: Link = serde_json::from_value(server.get(&format!("{V1}/links/dc1-dc2")).await).unwrap();
    assert_eq!(link.schedule, Some(begun.id));
    let conflict = server.post(&format!("{V1}/schedules"), text).await;
    assert_eq!((conflict.status, conflict.json()["code"].as_str()), (409, Some("topology-conflict")));
    let stopped = server.send(Method::DELETE, &format!("{V1}/schedules/{}", begun.id), "").await;
    assert_eq!((stopped.status, stopped.json()["state"].as_str()), (200, Some("stopped")));
    let listed = server.get(&format!("{V1}/schedules")).await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed[0].get("changes").is_none(), "{listed}");
    assert_eq!(server.send(Method::DELETE, &format!("{V1}/schedules/{}", begun.id), "").await.status, 200);
    assert_eq!(server.get(&format!("{V1}/schedules")).await.as_array().unwrap().len(), 1);
}

/// A client that is told of an error makes the change again, and a second link.
#[tokio::test]
async fn what_is_made_is_answered_whether_the_host_can_be_asked_or_not() {
    let server = Server::start().await;
    running(&server).await;
    server.world.add_fault(Fault::fail(Operation::Links).always());
    let made = server.post(&format!("{V1}/links"), "{ends: [dc1, dc2], delay: 1ms}").await;
    assert_eq!(made.status, 201, "{made:?}");
    let made: Link = serde_json::from_slice(&made.body).unwrap();
    assert_eq!((made.name.as_str(), made.carries), ("dc1-dc2.2", None));
    assert_eq!((made.directions[0].delay_us, made.directions[0].emulated_by.clone()), (1000, None));
    let changed = server.send(Method::PATCH, &format!("{V1}/links/dc1-dc2"), "{up: false}").await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let changed: Link = serde_json::from_slice(&changed.body).unwrap();
    assert_eq!((changed.up, changed.carries), (false, None));
    // Who only looks is told that it is not possible.
    assert!(server.send(Method::GET, &format!("{V1}/links/dc1-dc2"), "").await.status >= 500);
    server.world.clear_faults();
    assert_eq!(server.get(&format!("{V1}/links")).await.as_array().unwrap().len(), 2);
}

/// Changing needs a token for everything; who changed what is written down.
#[tokio::test]
async fn changes_are_guarded_and_written_down() {
    let log = |dir: &std::path::Path| AuditLog::in_dir(dir, AuditOptions::default());
    let settings = ApiSettings { require_tokens: true, ..ApiSettings::default() };
    let server = Server::build(Script::default(), settings, Settings::default(), |dir| Access {
        tokens: Some(Arc::new(tokens(dir))),
        audit: Some(Arc::new(log(dir))),
    })
    .await;
    let (all, reading) = (token(&server, "all", false), token(&server, "reading", true));
    let call = async |secret: &str, method: Method, path: &str, body: &'static str| {
        let request = TestRequest::default().method(method).uri(&format!("{V1}{path}"));
        let bearer = format!("Bearer {secret}");
        server.call(request.insert_header(("authorization", bearer)).set_payload(body)).await
    };
    assert_eq!(call(&reading, Method::GET, "/links", "").await.status, 200);
    for (method, path, body) in [
        (Method::PATCH, "/links/dc1-dc2", "{up: false}"),
        (Method::POST, "/links", "[dc1, dc2]"),
        (Method::DELETE, "/links/dc1-dc2", ""),
        (Method::POST, "/datacenters", "dc3"),
        (Method::DELETE, "/datacenters/dc3", ""),
        (Method::POST, "/schedules", "changes: [{at: 1h, link: dc1-dc2, up: false}]"),
    ] {
        assert_eq!(call(&reading, method, path, body).await.status, 403, "{path}");
    }
    assert_eq!(call(&all, Method::PATCH, "/links/dc1-dc2", "{up: false}").await.status, 200);
    assert_eq!(call(&all, Method::POST, "/datacenters", "dc3").await.status, 201);
    let changes = "changes: [{at: 1h, link: dc1-dc2, up: false}]";
    assert_eq!(call(&all, Method::POST, "/schedules", changes).await.status, 201);
    let events = log(server.dir.path()).read(&Filter::default()).unwrap();
    let done: Vec<_> =
        events.iter().filter(|event| event.status.is_some_and(|status| status < 300)).collect();
    let objects: Vec<_> = done.iter().map(|event| json!(event.objects)).collect();
    assert_eq!(objects[0], json!({ "link": ["dc1-dc2"] }));
    assert_eq!(objects[1], json!({ "datacenter": ["dc3"] }));
    assert!(objects[2]["schedule"].is_array() && objects[2]["link"] == json!(["dc1-dc2"]), "{objects:?}");

    // What was asked for, also where it was refused; of schedules what is begun, and not all of very many links.
    let same = "{ends: [dc1, dc2], name: dc1-dc2}";
    assert_eq!(call(&all, Method::POST, "/links", same).await.status, 409);
    for number in 0..101 {
        let link = format!("{{ends: [dc1, dc2], name: x{number}}}").leak();
        assert_eq!(call(&all, Method::POST, "/links", link).await.status, 201);
    }
    let nowhere = "changes: [{at: 1h, link: nowhere, up: false}]";
    assert_eq!(call(&all, Method::POST, "/schedules", nowhere).await.status, 404);
    let many: Vec<_> = (0..101).map(|number| format!("{{at: 1h, link: x{number}, up: false}}")).collect();
    let many = format!("changes: [{}]", many.join(", ")).leak();
    assert_eq!(call(&all, Method::POST, "/schedules", many).await.status, 201);
    let events = log(server.dir.path()).read(&Filter::default()).unwrap();
    let of = |status| {
        events
            .iter()
            .filter(|event| event.status == Some(status))
            .map(|event| json!(event.objects))
            .next_back()
    };
    assert_eq!(of(409), Some(json!({ "link": ["dc1-dc2"], "datacenter": ["dc1", "dc2"] })));
    assert_eq!(of(404), Some(json!({})));
    let last = of(201).unwrap();
    assert_eq!(
        (last["link"].as_array().unwrap().len(), last["schedule"].as_array().unwrap().len()),
        (100, 1)
    );
}
