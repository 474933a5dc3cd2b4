//! What shows only on a real connection: clients that hang up, bodies without an end, and the server's end.

use std::time::{Duration, Instant};

use crate::common::Server;
use crate::wire::{Client, Gate, Running, until};
use llcm_api::ApiSettings;
use llcm_runtime::simulated::{Latency, Operation, Script};
use llcm_testkit::demo_chain;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_is_refused_as_soon_as_it_is_announced() {
    let server = Server::start().await;
    let running = Running::start(&server);
    let mut client = Client::connect(&running).await;
    let length = 600 * 1024 * 1024;
    client
        .write(&format!("POST /packages HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"))
        .await;
    let reply = client.reply().await;
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(reply.contains("\"code\":\"too-large\""), "{reply}");
    server.assert_empty().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_an_announced_end_is_refused_at_the_limit() {
    let settings = ApiSettings { max_upload: 3 * 1024 * 1024, ..ApiSettings::default() };
    let server = Server::with(Script::default(), settings).await;
    let running = Running::start(&server);
    let mut client = Client::connect(&running).await;
    client.write("POST /packages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let mut sent = 0;
    let (mut reader, mut writer) = client.stream.into_split();
    let mut answer = vec![0; 4096];
    let got = loop {
        tokio::select! {
            got = reader.read(&mut answer) => break got.unwrap(),
            done = writer.write_all(chunk.as_bytes()) => { done.unwrap(); sent += 0x10000; }
        }
        assert!(sent < 600 * 1024 * 1024, "the server takes it all");
    };
    let reply = String::from_utf8_lossy(&answer[..got]);
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    server.assert_empty().await;
    drop((reader, writer));
    running.stop().await;
}

/// A body without an announced length that is cut off: it is said in words, not in those of a library.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_early_is_said_to() {
    let server = Server::start().await;
    let running = Running::start(&server);
    for (path, code, words) in [
        ("/packages", "upload-interrupted", "the upload is incomplete: it ended early"),
        ("/instantiations", "bad-request", "the body is incomplete: it ended early"),
    ] {
        let mut client = Client::connect(&running).await;
        let head = "HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked";
        client.write(&format!("POST {path} {head}\r\n\r\n10\r\nhalf")).await;
        client.stream.shutdown().await.unwrap();
        let reply = client.rest().await;
        assert!(reply.starts_with("HTTP/1.1 400 "), "{path}: {reply}");
        assert!(reply.contains(&format!("\"code\":\"{code}\"")), "{path}: {reply}");
        assert!(reply.contains(&format!("\"error\":\"{words}\"")), "{path}: {reply}");
    }
    server.assert_empty().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_in_an_upload_leaves_nothing() {
    let server = Server::start().await;
    let running = Running::start(&server);
    let mut client = Client::connect(&running).await;
    client.write("POST /packages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n").await;
    client.write(&"x".repeat(3_000_000)).await;
    until("the upload is being written", || !server.files().is_empty()).await;
    drop(client);
    until("its file is gone", || server.files().is_empty()).await;
    server.assert_empty().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_in_an_instantiation_changes_nothing() {
    let server = slow().await;
    let running = Running::start(&server);
    let mut client = Client::connect(&running).await;
    client.write("POST /instantiations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}").await;
    let orchestrator = server.state.orchestrator();
    until("the instance is being made", || !orchestrator.instances(false).is_empty()).await;
    drop(client);
    until("it runs", || {
        orchestrator.instances(false)[0].state == llcm_lifecycle::request::InstanceState::Running
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_waits_for_requests_in_flight_and_ends_what_has_no_end() {
    let server = Server::start().await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    let running = Running::start(&server);
    let gate = Gate::closed(&server, Operation::Start);
    let mut events = Client::connect(&running).await;
    events.write("GET /api/llcm/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut stream = events.reply().await;
    assert!(stream.contains("application/x-ndjson"), "{stream}");
    let mut client = Client::connect(&running).await;
    client.write("POST /instantiations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}").await;
    while !stream.contains("{\"event\":\"state\"") {
        let more = events.reply().await;
        assert!(!more.is_empty(), "the events ended early");
        stream.push_str(&more);
    }
    let address = running.address;
    let stopped = tokio::spawn(running.stop());
    while !stream.ends_with("0\r\n\r\n") {
        let more = events.reply().await;
        assert!(!more.is_empty(), "the events have no end");
        stream.push_str(&more);
    }
    // No container starts yet.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!stopped.is_finished(), "stopped before the request was done");
    gate.open();
    let reply = client.reply().await;
    assert!(reply.starts_with("HTTP/1.1 201 "), "{reply}");
    assert_eq!(events.rest().await, "");
    tokio::time::timeout(Duration::from_secs(30), stopped).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// With a service whose containers take their time to start.
async fn slow() -> Server {
    let latency = Latency::fixed(Duration::from_millis(300));
    let server =
        Server::with(Script::default().taking(Operation::Start, latency), ApiSettings::default()).await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_idle_connections() {
    let server = Server::start().await;
    let mut took = Vec::new();
    // They are kept for five seconds otherwise; a busy machine gets another try.
    while took.iter().all(|it| *it > Duration::from_secs(3)) {
        assert!(took.len() < 3, "{took:?}");
        let running = Running::start(&server);
        let mut client = Client::connect(&running).await;
        client.write("GET /api/llcm/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(client.reply().await.contains("{\"status\":\"ok\"}"));
        let begun = Instant::now();
        running.stop().await;
        took.push(begun.elapsed());
        assert_eq!(client.rest().await, "", "the connection is closed");
    }
}
