//! Uploads that are no good: each with its status, its code and a message, and nothing left afterwards.

use std::pin::Pin;
use std::time::Duration;

use crate::common::{Reply, Server, multipart};
use crate::transcript::Transcript;
use actix_web::App;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::test::{self, TestRequest};
use bytes::Bytes;
use futures_util::{Stream, stream};
use llcm_api::{ApiSettings, configure};
use llcm_runtime::simulated::Script;
use llcm_testkit::{Hostile, demo_chain, hostile};
use serde_json::json;
use tokio::sync::mpsc;

#[tokio::test]
async fn every_hostile_package_is_refused_with_a_reason_and_leaves_nothing() {
    let server = Server::start().await;
    let mut count = 0;
    for Hostile { name, stage: _, status, code, says, bytes } in hostile() {
        let reply = server.post("/packages", bytes.clone()).await;
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        let body = reply.json();
        assert_eq!(
            (&body["service_uuid"], &body["size"], &body["sha1"]),
            (&json!(null), &json!(0), &json!(null))
        );
        let text = body["error"].as_str().unwrap();
        assert!(text.contains(says), "{name}: {says:?} is not in {text:?}");
        // One word for the reply's kind, a closer one for each finding.
        let kind = match (status, bytes.is_empty()) {
            (400, true) => "no-file",
            (400, false) => "not-a-package",
            (413, _) => "too-large",
            _ => "invalid-package",
        };
        assert_eq!(body["code"], kind, "{name}: {body}");
        if kind == "invalid-package" {
            let findings = body["diagnostics"].as_array().unwrap();
            assert!(findings.iter().any(|finding| finding["code"] == code), "{name}: {code:?} in {body}");
        }
        server.assert_empty().await;

        let (content_type, form) = multipart("package", &bytes);
        let request =
            TestRequest::post().uri("/api/v3/packages").insert_header(("content-type", content_type));
        let again = server.call(request.set_payload(form)).await;
        assert_eq!((again.status, again.json()), (status, body), "{name}");
        let native = server.post("/api/llcm/v1/packages", bytes).await;
        assert_eq!((native.status, native.json()["code"].clone()), (status, json!(kind)), "{name}");
        server.assert_empty().await;
        count += 1;
    }
    assert!(count > 40, "{count}");
}

#[tokio::test]
async fn uploads_without_a_file() {
    let server = Server::start().await;
    let mut log = Transcript::of(&server);
    let form = |kind: &str, body: Vec<u8>| {
        TestRequest::post()
            .uri("/packages")
            .insert_header(("content-type", kind.to_owned()))
            .set_payload(body)
    };
    let package = demo_chain().build();
    let (kind, named) = multipart("file", &package);
    let (_, empty) = multipart("package", b"");
    let (_, whole) = multipart("package", &package);
    let mut two = whole[..whole.len() - "--XyZ--\r\n".len()].to_vec();
    two.extend_from_slice(&whole);
    let (_, big) = multipart("file", &vec![1; 128 * 1024]);
    for (what, request) in [
        ("an empty body", TestRequest::post().uri("/packages")),
        ("an empty file", form(&kind, empty)),
        ("another field", form(&kind, named)),
        ("another field, large", form(&kind, big)),
        ("no field", form(&kind, b"--XyZ--\r\n".to_vec())),
        ("two packages", form(&kind, two)),
        ("cut off", form(&kind, whole[..whole.len() - 12].to_vec())),
        ("no boundary", form("multipart/form-data", whole.clone())),
        ("another boundary", form("multipart/form-data; boundary=other", whole)),
    ] {
        let reply = server.call(request).await;
        assert_eq!(reply.status, 400, "{what}: {reply:?}");
        log.note(&format!("POST /packages <{what}>"), &reply);
        server.assert_empty().await;
    }
    insta::assert_snapshot!(log.into_text());
}

#[tokio::test]
async fn the_limit_counts_what_arrives() {
    let package = demo_chain().build();
    let size = u64::try_from(package.len()).unwrap();
    let limited = |max_upload| ApiSettings { max_upload, ..ApiSettings::default() };
    let form = |headers: &[(&'static str, String)]| {
        let (kind, form) = multipart("package", &package);
        let mut request = TestRequest::post().uri("/packages").insert_header(("content-type", kind));
        for (name, value) in headers {
            request = request.insert_header((*name, value.clone()));
        }
        request.set_payload(form)
    };
    let server = Server::with(Script::default(), limited(size)).await;
    assert_eq!(server.post("/packages", package.clone()).await.status, 201);
    assert_eq!(server.call(form(&[])).await.status, 201);

    let server = Server::with(Script::default(), limited(size - 1)).await;
    let check = |reply: Reply| {
        assert_eq!(reply.status, 413, "{reply:?}");
        let body = reply.json();
        assert_eq!(body["code"], "too-large");
        let message = body["error"].as_str().unwrap();
        assert!(message.contains("`max_upload`"), "{body}");
        assert!(message.contains(&format!("KiB ({} bytes)", size - 1)), "{body}");
    };
    check(server.post("/packages", package.clone()).await);
    check(server.call(form(&[])).await);
    // Announced: refused before a byte of it is looked at.
    let request = TestRequest::post().uri("/packages").insert_header(("content-length", "600000000"));
    check(server.call(request).await);
    server.assert_empty().await;
}

#[tokio::test]
async fn further_uploads_wait_for_their_turn_and_then_give_up() {
    let idle = Duration::from_millis(200);
    let settings = ApiSettings { upload_concurrency: 1, upload_idle: idle, ..ApiSettings::default() };
    let server = Server::with(Script::default(), settings).await;
    // The first upload holds the only place and goes on, slowly, for as long as `sender` lives.
    let (sender, receiver) = mpsc::channel::<Result<Bytes, PayloadError>>(1);
    let body = stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async move {
        receiver.recv().await.map(|item| (item, receiver))
    });
    let state = server.state.clone();
    let app = test::init_service(App::new().configure(|config| configure(config, state))).await;
    let boxed: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(body);
    let (request, _) =
        TestRequest::post().uri("/packages").to_request().replace_payload(Payload::from(boxed));
    let mut first = Box::pin(test::call_service(&app, request));
    // Its pace is kept by a clock that goes on when all wait for it: on a busy machine, too, it is never silent too long.
    tokio::time::pause();
    let second = async {
        let feed = async {
            loop {
                sender.send(Ok(Bytes::from_static(b"x"))).await.unwrap();
                tokio::time::sleep(idle / 10).await;
            }
        };
        tokio::select! {
            () = feed => unreachable!("it has no end"),
            reply = server.post("/packages", demo_chain().build()) => reply,
        }
    };
    let second = tokio::select! {
        biased;
        first = &mut first => panic!("ended first: {first:?}"),
        second = second => second,
    };
    assert_eq!((second.status, second.header("retry-after")), (503, Some("5")), "{second:?}");
    assert_eq!(second.json()["code"], "too-many-uploads");
    // Silent from now on: it is given up too, and its place is free.
    assert_eq!(first.await.status().as_u16(), 408);
    tokio::time::resume();
    drop(sender);
    server.assert_empty().await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
}
