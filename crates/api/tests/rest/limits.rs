//! What is beyond a limit is refused, in time, and leaves nothing.

use std::time::{Duration, Instant};

use llcm_api::{Access, ApiSettings};
use llcm_lifecycle::Settings;
use llcm_runtime::simulated::{Operation, Script};
use llcm_testkit::demo_chain;

use crate::common::Server;
use crate::wire::{Client, Gate, Running, until};

/// What takes moments may take this long on a busy machine.
const BUSY: Duration = Duration::from_secs(30);

fn quick() -> ApiSettings {
    ApiSettings {
        header_timeout: Duration::from_secs(1),
        body_timeout: Duration::from_millis(600),
        upload_idle: Duration::from_millis(600),
        upload_deadline: Duration::from_millis(1500),
        ..ApiSettings::default()
    }
}

async fn server(settings: ApiSettings) -> Server {
    Server::with(Script::default(), settings).await
}

/// A limit was kept: not at once, and not much later than it says, as far as a busy machine lets one tell. `begun` is
/// before the server can have begun to count.
fn assert_took(begun: Instant, limit: Duration) {
    let took = begun.elapsed();
    assert!(took >= limit.mul_f32(0.8) && took < BUSY, "{took:?} for {limit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let server = server(quick()).await;
    let running = Running::start(&server);
    let mut longest = Duration::ZERO;
    for head in ["", "GET /packages HTTP/1.1\r\nHost: local", "GET /packages HTTP/1.1\r\nHost: localhost\r\n"]
    {
        let begun = Instant::now();
        let mut client = Client::connect(&running).await;
        client.write(head).await;
        let reply = client.rest().await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408 "), "{head}: {reply}");
        assert!(begun.elapsed() < BUSY, "{head}: {:?}", begun.elapsed());
        longest = longest.max(begun.elapsed());
    }
    // The library counts from a time that is up to half a second old, and older on a busy machine.
    assert!(longest > Duration::from_millis(400), "{longest:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for_either() {
    let server = server(quick()).await;
    let running = Running::start(&server);
    for first in ["", "GET /api/llcm/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut client = Client::connect(&running).await;
        client.write(first).await;
        if !first.is_empty() {
            assert!(client.reply().await.starts_with("HTTP/1.1 200 "));
        }
        let begun = Instant::now();
        let head = "GET /packages HTTP/1.1\r\nX: ".bytes().chain(std::iter::repeat(b'x'));
        let mut ended = false;
        for byte in head.take(600) {
            use tokio::io::AsyncWriteExt as _;
            if client.stream.write_all(&[byte]).await.is_err() {
                ended = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(ended, "the server listens to it for {:?}; after {first:?}", begun.elapsed());
        // What is kept alive may be idle for five seconds.
        assert!(begun.elapsed() < BUSY, "{:?}", begun.elapsed());
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = server(quick()).await;
    let running = Running::start(&server);
    for (request, code) in [
        ("POST /instantiations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{", "body-timeout"),
        (
            "POST /api/llcm/v1/instances HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            "body-timeout",
        ),
        ("POST /packages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nPK", "upload-timeout"),
    ] {
        let begun = Instant::now();
        let mut client = Client::connect(&running).await;
        client.write(request).await;
        let reply = client.reply().await;
        assert!(reply.starts_with("HTTP/1.1 408 ") && reply.contains(code), "{request}: {reply}");
        assert_took(begun, Duration::from_millis(600));
        // Nor is the rest of it, once it is answered.
        client.rest().await;
        assert!(begun.elapsed() < BUSY, "{:?}", begun.elapsed());
    }
    server.assert_empty().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_nobody_reads_does_not_hold_the_connection() {
    let server = server(quick()).await;
    let running = Running::start(&server);
    for head in ["DELETE /packages/x", "PUT /packages", "POST /nothing", "GET /packages"] {
        let mut client = Client::connect(&running).await;
        let begun = Instant::now();
        client
            .write(&format!("{head} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000000\r\n\r\nx"))
            .await;
        assert!(client.reply().await.starts_with("HTTP/1.1 "), "{head}");
        client.rest().await;
        assert!(begun.elapsed() < BUSY, "{head}: {:?}", begun.elapsed());
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_trickles_ends_at_its_deadline() {
    let server = server(quick()).await;
    let running = Running::start(&server);
    let begun = Instant::now();
    let mut client = Client::connect(&running).await;
    client.write("POST /packages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\nPK").await;
    let (mut reader, mut writer) = client.stream.into_split();
    let trickle = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut reply = vec![0; 4096];
    let count = tokio::io::AsyncReadExt::read(&mut reader, &mut reply).await.unwrap();
    let reply = String::from_utf8_lossy(&reply[..count]).into_owned();
    assert!(reply.starts_with("HTTP/1.1 408 ") && reply.contains("upload_deadline"), "{reply}");
    assert_took(begun, Duration::from_millis(1500));
    drop(reader);
    trickle.await.unwrap();
    server.assert_empty().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let server = server(ApiSettings::default()).await;
    let running = Running::start(&server);
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    let long = format!("X: {}\r\n", "y".repeat(200_000));
    for headers in [many, long] {
        let mut client = Client::connect(&running).await;
        client.write(&format!("GET /packages HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")).await;
        let reply = client.reply().await;
        assert!(reply.starts_with("HTTP/1.1 4"), "{reply}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let workers = std::thread::available_parallelism().unwrap().get();
    let server = server(ApiSettings { max_connections: 2 * workers, ..ApiSettings::default() }).await;
    let running = Running::start(&server);
    let get = "GET /api/llcm/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut streams = Vec::new();
    for _ in 0..2 * workers {
        let mut client = Client::connect(&running).await;
        client.write("GET /api/llcm/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert!(client.reply().await.starts_with("HTTP/1.1 200 "));
        streams.push(client);
    }
    let mut late = Client::connect(&running).await;
    late.write(get).await;
    let answered = tokio::time::timeout(Duration::from_millis(800), late.reply()).await;
    assert!(answered.is_err(), "it is served beside the others: {answered:?}");
    streams.pop();
    assert!(late.reply().await.starts_with("HTTP/1.1 200 "));
    drop((late, streams));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_instantiations_come_back_later_and_too_many_instances_do_not() {
    let lifecycle =
        Settings { instantiations: 1, instantiation_queue: 0, max_instances: 2, ..Settings::default() };
    let server =
        Server::build(Script::default(), ApiSettings::default(), lifecycle, |_| Access::default()).await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    // The first one is being made until the others are refused.
    let gate = Gate::closed(&server, Operation::Start);
    let first = server.post("/api/llcm/v1/instances", "{\"service\": \"latest\"}").await;
    assert_eq!(first.status, 202);
    for uri in ["/instantiations", "/api/v3/requests"] {
        let reply = server.post(uri, "{}").await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (429, Some("too-busy")), "{uri}");
        assert_eq!(reply.header("retry-after"), Some("5"));
    }
    gate.open();
    let orchestrator = server.state.orchestrator();
    let running = |count: usize| {
        let instances = orchestrator.instances(true);
        instances.len() == count && instances.iter().all(|it| format!("{:?}", it.state) == "Running")
    };
    until("the first one runs", || running(1)).await;
    assert_eq!(server.post("/instantiations", "{}").await.status, 201);
    let reply = server.post("/instantiations", "{}").await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (409, Some("too-many-instances")));
    assert_eq!(reply.header("retry-after"), None);
    assert!(running(2));
    assert_eq!(server.containers().len(), 6);
}

#[tokio::test]
async fn an_upload_that_the_disk_has_no_room_for_is_refused() {
    let lifecycle = Settings { min_free_disk: u64::MAX / 2, ..Settings::default() };
    let server =
        Server::build(Script::default(), ApiSettings::default(), lifecycle, |_| Access::default()).await;
    for uri in ["/packages", "/api/llcm/v1/packages"] {
        let reply = server.post(uri, demo_chain().build()).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (507, Some("disk-full")), "{uri}");
    }
    server.assert_empty().await;
}
