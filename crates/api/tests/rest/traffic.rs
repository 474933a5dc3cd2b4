//! Counters and captures.

use std::time::Duration;

use actix_web::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llcm_api::CaptureLine;
use llcm_runtime::Direction;
use llcm_testkit::demo_chain;
use serde_json::{Value, json};

use crate::common::{Reply, Server};
use crate::wire::{Client, Running, until};

const V1: &str = "/api/llcm/v1";

/// Runs the sample service; its instance.
async fn running(server: &Server) -> Value {
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    let reply = server.post("/instantiations", "{}").await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let id = reply.json()["service_instance_uuid"].as_str().unwrap().to_owned();
    server.get(&format!("{V1}/instances/{id}")).await
}

/// The address of a VNF's interface.
fn address(instance: &Value, vnf: usize, interface: &str) -> std::net::IpAddr {
    let address = instance["containers"][vnf]["interfaces"][interface][0].as_str().unwrap();
    address.split('/').next().unwrap().parse().unwrap()
}

/// Captures while the first VNF pings the second one again and again.
async fn captured(server: &Server, instance: &Value, body: Value) -> Reply {
    let from = instance["containers"][0]["engine_name"].as_str().unwrap().parse().unwrap();
    let to = address(instance, 1, "input");
    let path = format!("{V1}/captures");
    let capture = server.post(&path, body.to_string());
    let speaking = async {
        loop {
            assert!(server.world.ping(&from, to), "an answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        reply = capture => reply,
        () = speaking => panic!("nobody stops speaking"),
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("the capture does not end"),
    }
}

fn lines(reply: &Reply) -> Vec<CaptureLine> {
    let text = std::str::from_utf8(&reply.body).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_interfaces_sent_and_received_is_told() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let path = format!("{V1}/instances/{}/stats", instance["id"].as_str().unwrap());
    let nothing = json!({ "packets": 0, "bytes": 0, "dropped": 0 });
    let stats = server.get(&path).await;
    assert_eq!(stats.as_array().unwrap().len(), 9, "three interfaces of each VNF: {stats}");
    assert!(stats.as_array().unwrap().iter().all(|one| one["sent"] == nothing && one["received"] == nothing));
    let from = instance["containers"][0]["engine_name"].as_str().unwrap().parse().unwrap();
    for _ in 0..3 {
        assert!(server.world.ping(&from, address(&instance, 1, "input")));
    }
    let counts = json!({ "packets": 3, "bytes": 294, "dropped": 0 });
    let stats = server.get(&path).await;
    let seen: Vec<_> = stats.as_array().unwrap().iter().filter(|one| one["sent"] != nothing).collect();
    let names: Vec<_> =
        seen.iter().map(|one| (&one["vnf_id"], &one["interface"], &one["datacenter"])).collect();
    let (vnf0, vnf1) = (json!("vnf0"), json!("vnf1"));
    assert_eq!(names, [(&vnf0, &json!("output"), &json!("dc1")), (&vnf1, &json!("input"), &json!("dc2"))]);
    assert!(seen.iter().all(|one| one["sent"] == counts && one["received"] == counts), "{seen:?}");
    let links = server.get(&format!("{V1}/stats/links")).await;
    let ways: Vec<_> = links.as_array().unwrap().iter().map(|one| (&one["from"], &one["to"])).collect();
    assert_eq!(ways, [(&json!("dc1"), &json!("dc2")), (&json!("dc2"), &json!("dc1"))]);
    assert_eq!(links[0]["packets"], 0);
    let absent = server.send(Method::GET, &format!("{V1}/instances/nobody/stats"), "").await;
    assert_eq!((absent.status, absent.json()["code"].as_str()), (404, Some("instance-not-found")));
}

#[tokio::test]
async fn frames_are_sent_as_they_pass_until_there_are_enough() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let mut body = json!({
        "instance": instance["id"], "container": "vnf0", "interface": "output", "count": 4, "snap_length": 42
    });
    let reply = captured(&server, &instance, body.clone()).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/x-ndjson"));
    let seen = lines(&reply);
    assert_eq!(seen.first(), Some(&CaptureLine::Began { capturing: true }));
    assert_eq!(seen.last(), Some(&CaptureLine::Ended { frames: 4, dropped: 0 }));
    let mut last = 0;
    let mut kinds = Vec::new();
    for line in &seen[1..seen.len() - 1] {
        let CaptureLine::Frame { at_ns, direction, length, data, dropped: None } = line else {
            panic!("{line:?}")
        };
        let bytes = STANDARD.decode(data).unwrap();
        assert_eq!((*length, bytes.len()), (98, 42));
        assert!(*at_ns >= last && *at_ns > 1_600_000_000_000_000_000, "{at_ns}");
        last = *at_ns;
        kinds.push((*direction, bytes[34]));
    }
    // Beginning with either, an echo request that was sent and an answer that was received, in turn.
    for pair in kinds.windows(2) {
        assert!(
            pair.contains(&(Direction::Sent, 8)) && pair.contains(&(Direction::Received, 0)),
            "{kinds:?}"
        );
    }
    // The same by the container's name, for a time; at an interface where nothing passes.
    body["container"] = json!("vnf0.vdu01.0");
    body["interface"] = json!("mgmt");
    body["seconds"] = json!(1);
    let seen = lines(&captured(&server, &instance, body).await);
    assert_eq!(seen[1..], [CaptureLine::Ended { frames: 0, dropped: 0 }]);
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused_with_what_there_is() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let id = instance["id"].as_str().unwrap();
    let interface = |instance: &str, container: &str, interface: &str| json!({ "instance": instance, "container": container, "interface": interface });
    for (body, status, code, words) in [
        (interface(id, "vnf0", "nothing"), 404, "point-not-found", "; it has vnf0.vdu01.0:mgmt"),
        (interface(id, "vnf7", "mgmt"), 404, "point-not-found", "has no interface vnf7:mgmt"),
        (interface("nobody", "vnf0", "mgmt"), 404, "instance-not-found", "nobody"),
        (json!({ "link": "nowhere" }), 404, "point-not-found", "; there are dc1-dc2"),
        (json!({ "link": "dc1-dc2", "end": "dc7" }), 404, "point-not-found", "joins dc1 and dc2, not dc7"),
        (json!({ "link": "dc1-dc2", "end": "/" }), 400, "bad-request", "`end`"),
        (json!({ "link": "dc1-dc2", "instance": id }), 400, "bad-request", "name `instance`"),
        (json!({}), 400, "bad-request", "or `link`"),
        (json!({ "link": "dc1-dc2", "filter": "icmp" }), 400, "bad-request", "filter"),
    ] {
        let reply = server.post(&format!("{V1}/captures"), body.to_string()).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{body}: {reply:?}");
        assert!(reply.json()["error"].as_str().unwrap().contains(words), "{body}: {reply:?}");
    }
}

#[tokio::test]
async fn of_links_that_are_looked_for_where_there_is_none_it_is_said() {
    let server = Server::start().await;
    assert_eq!(server.send(Method::DELETE, &format!("{V1}/links/dc1-dc2"), "").await.status, 204);
    let reply = server.post(&format!("{V1}/captures"), json!({ "link": "dc1-dc2" }).to_string()).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (404, Some("point-not-found")), "{reply:?}");
    assert_eq!(reply.json()["error"], "there is no link \"dc1-dc2\": there are none");
}

/// A container that does not run has no interfaces: it is told so, in names that users know.
#[tokio::test]
async fn what_is_not_there_now_is_refused_by_its_name() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let name = instance["containers"][0]["engine_name"].as_str().unwrap().parse().unwrap();
    assert!(server.world.exit(&name, 1));
    let id = instance["id"].as_str().unwrap();
    until("its end is seen", || {
        let all = server.state.orchestrator().instances(false);
        !all[0].reasons.is_empty()
    })
    .await;
    let body = json!({ "instance": id, "container": "vnf0", "interface": "output" });
    let reply = server.post(&format!("{V1}/captures"), body.to_string()).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (409, Some("wrong-state")), "{reply:?}");
    let words = "interface vnf0.vdu01.0:output is not there now: its container does not run";
    assert_eq!(reply.json()["error"], words);
}

/// Begins a capture at the first VNF's `output` over a connection; returns when frames are looked at.
async fn begun(running: &Running, instance: &Value) -> Client {
    let mut client = Client::connect(running).await;
    let body = json!({ "instance": instance["id"], "container": "vnf0", "interface": "output" }).to_string();
    let head = format!("POST {V1}/captures HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}", body.len());
    client.write(&format!("{head}\r\n\r\n{body}")).await;
    let mut said = String::new();
    while !said.contains("{\"capturing\":true}") {
        let more = client.reply().await;
        assert!(!more.is_empty(), "{said}");
        said.push_str(&more);
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_sixteen_at_most_and_a_client_that_hangs_up_makes_room() {
    let server = Server::start().await;
    let instance = running(&server).await;
    let running = Running::start(&server);
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(begun(&running, &instance).await);
    }
    // One that ends at once where it may begin.
    let body = json!({ "instance": instance["id"], "container": "vnf0", "interface": "output", "count": 0 });
    let one_more = async || server.post(&format!("{V1}/captures"), body.to_string()).await;
    let refused = one_more().await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("too-busy")), "{refused:?}");
    clients.pop();
    let room = async {
        while one_more().await.status != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), room).await.expect("the place is free again");
    drop(clients);
    running.stop().await;
}

/// A client that does not read misses frames, and is told how many: with the next frame, and at the end.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_slow_client_misses_is_counted() {
    const PINGS: u64 = 60_000;
    let server = Server::start().await;
    let instance = running(&server).await;
    let running = Running::start(&server);
    let mut client = begun(&running, &instance).await;
    let from = instance["containers"][0]["engine_name"].as_str().unwrap().parse().unwrap();
    let to = address(&instance, 1, "input");
    for _ in 0..PINGS {
        assert!(server.world.ping(&from, to));
    }
    // What is looked at goes: that is the end of the capture, and not the one that was asked for.
    let path = format!("{V1}/instances/{}", instance["id"].as_str().unwrap());
    assert_eq!(server.send(Method::DELETE, &path, "").await.status, 202);
    let mut said = String::new();
    while !said.ends_with("}\n\r\n0\r\n\r\n") {
        let more = client.reply().await;
        assert!(!more.is_empty(), "{}", said.len());
        said.push_str(&more);
    }
    // Lines begin with a brace, the lengths of chunks do not.
    let lines = said.lines().filter(|line| line.starts_with('{'));
    let lines: Vec<CaptureLine> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let Some(CaptureLine::Failed { error, code, dropped: Some(dropped) }) = lines.last() else {
        panic!("{:?}", lines.last())
    };
    let words = "the capture has ended early: interface vnf0.vdu01.0:output is not there any more";
    assert_eq!((error.as_str(), code.as_str()), (words, "point-not-found"));
    let frames = lines.iter().filter(|line| matches!(line, CaptureLine::Frame { .. })).count();
    assert_eq!(frames as u64 + dropped, 2 * PINGS);
    let told: Vec<u64> = lines
        .iter()
        .filter_map(|line| match line {
            CaptureLine::Frame { dropped, .. } => *dropped,
            _ => None,
        })
        .collect();
    assert!(*dropped > 0 && !told.is_empty() && told.is_sorted() && told.last() <= Some(dropped), "{told:?}");
    running.stop().await;
}
