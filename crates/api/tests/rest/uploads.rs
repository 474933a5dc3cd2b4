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
use llcm_testkit::{PackageBuilder, demo_chain, package};
use serde_json::json;
use tokio::sync::mpsc;

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() / 2);
    bytes
}

/// Replaces a name, of the same length, in a finished archive.
fn renamed(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut found = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found >= 2, "a name stands in the entry's header and in the directory");
    bytes
}

/// Changes the directory's entry of the last file of a finished archive.
fn patched(bytes: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    change(&mut bytes[at..]);
    bytes
}

/// Letters that do not compress well, so that no other limit hits first.
fn noise(length: usize) -> String {
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + u8::try_from((state >> 24) % 26).unwrap())
    };
    (0..length).map(|_| letter()).collect()
}

/// What is uploaded, by what is wrong with it.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let chain = demo_chain;
    let with = |path: &str, text: &str| chain().file(path, text).build();
    let padded = chain().file("Definitions/x1234", "x").build();
    let zeros = vec![0; 16 * 1024 * 1024];
    let deep = format!("a: {}{}", "[".repeat(5000), "]".repeat(5000));
    let many: Vec<String> = (0..20_000).map(|number| format!("Definitions/{number}")).collect();
    let aliases = format!("a: &a {}\nb:\n{}", noise(1_000_000), "- *a\n".repeat(3000));
    vec![
        ("not a zip", b"this is no archive".to_vec()),
        ("a zip's first bytes only", b"PK\x03\x04".to_vec()),
        ("truncated", cut(chain().build())),
        ("no manifest", package::zip([("README", b"hello".as_slice())])),
        ("all below one top folder", package::zip([("p/TOSCA-Metadata/NAPD.yaml", b"name: x".as_slice())])),
        ("no NSD", PackageBuilder::tgo("//- /Definitions/a-vnfd.yaml\nname: a\n").build()),
        ("unknown VNFD", chain().replace("vnf_name: demo-vnf", "vnf_name: other-vnf").build()),
        ("broken YAML", with("Definitions/nsd.yaml", "name: [unclosed\n")),
        ("a descriptor that is no mapping", with("Definitions/nsd.yaml", "- 1\n")),
        (
            "a unit that is no container",
            chain().replace("vm_image_format: docker", "vm_image_format: qcow2").build(),
        ),
        ("wrong hash", chain().file("TOSCA-Metadata/NAPD.yaml", wrong_hash()).build()),
        ("an alias bomb", with("Definitions/nsd.yaml", &aliases)),
        ("deep nesting", with("Definitions/nsd.yaml", &deep)),
        ("a bomb by ratio", package::zip([("a", zeros.as_slice())])),
        ("an escaping path", renamed(&padded, "Definitions/x1234", "../../../../x1234")),
        ("an absolute path", renamed(&padded, "Definitions/x1234", "/efinitions/x1234")),
        ("a bomb by count", package::zip(many.iter().map(|path| (path.as_str(), b"x".as_slice())))),
        ("an encrypted entry", patched(&padded, |central| central[8] |= 1)),
        (
            "a symlink",
            patched(&padded, |central| {
                central[5] = 3;
                central[38..42].copy_from_slice(&(0o120_777_u32 << 16).to_le_bytes());
            }),
        ),
        (
            "a duplicate name",
            renamed(&chain().file("Definitions/nsd.yamm", "x").build(), "nsd.yamm", "nsd.yaml"),
        ),
    ]
}

fn wrong_hash() -> String {
    let manifest = String::from_utf8(demo_chain().files()["TOSCA-Metadata/NAPD.yaml"].clone()).unwrap();
    let at = manifest.find("hash: ").unwrap() + 6;
    format!("{}{}{}", &manifest[..at], "0".repeat(64), &manifest[at + 64..])
}

#[tokio::test]
async fn every_hostile_package_is_refused_with_a_reason_and_leaves_nothing() {
    let server = Server::start().await;
    let mut log = Transcript::of(&server);
    for (what, bytes) in hostile() {
        let reply = server.post("/packages", bytes.clone()).await;
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
        let body = reply.json();
        assert_eq!(
            (&body["service_uuid"], &body["size"], &body["sha1"]),
            (&json!(null), &json!(0), &json!(null))
        );
        assert!(body["error"].as_str().is_some_and(|text| text.len() > 10), "{what}: {body}");
        log.note(&format!("POST /packages <{what}>"), &reply);
        server.assert_empty().await;

        let (kind, form) = multipart("package", &bytes);
        let request = TestRequest::post().uri("/api/v3/packages").insert_header(("content-type", kind));
        let again = server.call(request.set_payload(form)).await;
        assert_eq!((again.status, again.json()), (reply.status, body.clone()), "{what}");

        let native = server.post("/api/llcm/v1/packages", bytes).await;
        assert_eq!(
            (native.status, native.json()["code"].clone()),
            (reply.status, body["code"].clone()),
            "{what}"
        );
        server.assert_empty().await;
    }
    insta::assert_snapshot!(log.into_text());
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
        assert!(body["error"].as_str().unwrap().contains("`max_upload`"), "{body}");
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
    drop(sender);
    server.assert_empty().await;
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
}
