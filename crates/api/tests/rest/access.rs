//! Who is let in: tokens, on every route of every dialect, and what pages of other origins get.

use std::path::Path;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::test::TestRequest;
use llcm_access::{NewToken, TokenFile};
use llcm_api::{Access, ApiSettings, resources_of};
use llcm_lifecycle::{Dialect, Settings};
use llcm_runtime::simulated::Script;
use llcm_testkit::demo_chain;

use crate::common::{Reply, Server};
use crate::wire::{Client, Running};

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];

pub(crate) fn tokens(dir: &Path) -> TokenFile {
    TokenFile::at(dir.join("tokens.json"))
}

/// Makes a token; its secret.
pub(crate) fn token(server: &Server, name: &str, read_only: bool) -> String {
    let wanted = NewToken { name: Some(name), read_only, created_at: "2026-01-31T12:00:00.000Z" };
    tokens(server.dir.path()).create(&wanted).unwrap().1.expose().to_owned()
}

/// A server that wants a token everywhere.
async fn locked() -> Server {
    let settings = ApiSettings { require_tokens: true, ..ApiSettings::default() };
    guarded(settings).await
}

pub(crate) async fn guarded(settings: ApiSettings) -> Server {
    Server::build(Script::default(), settings, Settings::default(), |dir| Access {
        tokens: Some(Arc::new(tokens(dir))),
        ..Access::default()
    })
    .await
}

fn concrete(path: &str) -> String {
    ["{id}", "{uuid}", "{name}"].into_iter().fold(path.to_owned(), |path, name| path.replace(name, "x"))
}

async fn ask(server: &Server, method: &str, path: &str, authorization: &[&str]) -> Reply {
    let mut request = TestRequest::default().method(method.parse().unwrap()).uri(&concrete(path));
    for value in authorization {
        request = request.append_header(("authorization", *value));
    }
    server.call(request.set_payload("{}")).await
}

fn is_open(method: &str, path: &str) -> bool {
    path == "/api/llcm/v1/health" && matches!(method, "GET" | "HEAD")
}

#[tokio::test]
async fn without_a_token_only_whether_it_lives_is_told() {
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        let mut server = locked().await;
        server.speak(dialect);
        let good = token(&server, "good", false);
        let wrong = format!("Bearer {}x", &good[..47]);
        let shown: [(&[&str], &str, Option<&str>); 5] = [
            (&[], "unauthorized", None),
            (&[&wrong], "bad-token", Some("invalid_token")),
            (&[&good], "bad-token", Some("invalid_token")),
            (&["Basic bGxjbTpsbGNt"], "bad-token", Some("invalid_token")),
            (&[&format!("Bearer {good}"), &wrong], "bad-token", Some("invalid_token")),
        ];
        let paths = resources_of(dialect).into_iter().map(|(path, _)| path).chain(["/nothing".to_owned()]);
        let mut refused = 0;
        for path in paths {
            for method in METHODS.into_iter().filter(|method| !is_open(method, &path)) {
                for (headers, code, challenge) in &shown {
                    let reply = ask(&server, method, &path, headers).await;
                    assert_eq!(reply.status, 401, "{method} {path} {headers:?}");
                    let header = reply.header("www-authenticate").unwrap();
                    assert!(header.starts_with("Bearer realm=\"llcm\""), "{header}");
                    assert!(challenge.is_none_or(|error| header.contains(error)), "{header}");
                    assert_eq!(reply.json()["code"], *code);
                    assert_eq!(reply.header("access-control-allow-origin"), None);
                    refused += 1;
                }
            }
        }
        assert!(refused > 400, "{refused}");
        let reply = ask(&server, "GET", "/api/llcm/v1/health", &[]).await;
        assert_eq!((reply.status, reply.json()), (200, serde_json::json!({ "status": "ok" })));
        for odd in [
            "/api/llcm/v1/health/",
            "/api/llcm/v1//health",
            "/api/llcm/v1/health%2f..%2fversion",
            "/x/api/llcm/v1/health",
        ] {
            assert_eq!(ask(&server, "GET", odd, &[]).await.status, 401, "{odd}");
        }
        assert_eq!(server.exits.load(std::sync::atomic::Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_token_for_reading_reads_and_changes_nothing() {
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        let mut server = locked().await;
        server.speak(dialect);
        let full = format!("Bearer {}", token(&server, "full", false));
        let reading = format!("Bearer {}", token(&server, "reading", true));
        let upload = TestRequest::post().uri("/packages").insert_header(("authorization", full.as_str()));
        assert_eq!(server.call(upload.set_payload(demo_chain().build())).await.status, 201);
        let started = ask(&server, "POST", "/instantiations", &[&full]).await;
        assert_eq!(started.status, 201, "{started:?}");
        let before = server.containers();
        assert_eq!(before.len(), 3);
        for (path, allow) in resources_of(dialect) {
            // A reply without an end would hold up the test.
            for method in allow.split(", ").filter(|_| !path.ends_with("/events")) {
                let reply = ask(&server, method, &path, &[&reading]).await;
                if !matches!(method, "GET" | "HEAD" | "OPTIONS")
                    || path.ends_with("/audit") && method != "OPTIONS"
                {
                    assert_eq!(reply.status, 403, "{method} {path}");
                    if method != "HEAD" {
                        assert_eq!(reply.json()["code"], "read-only-token");
                    }
                } else {
                    assert!(!matches!(reply.status, 401 | 403), "{method} {path}: {reply:?}");
                }
            }
        }
        assert_eq!(server.containers(), before);
        assert_eq!(server.exits.load(std::sync::atomic::Ordering::SeqCst), 0);
        // As a control, the other token does.
        assert_eq!(ask(&server, "DELETE", "/instantiations", &[&full]).await.status, 200);
        assert!(server.containers().is_empty());
    }
}

#[tokio::test]
async fn on_the_loopback_interface_foreign_credentials_mean_nothing_and_own_ones_count() {
    let server = guarded(ApiSettings::default()).await;
    for header in ["Bearer of-some-gatekeeper", "Basic bGxjbTpsbGNt"] {
        assert_eq!(ask(&server, "DELETE", "/instantiations", &[header]).await.status, 404, "{header}");
    }
    let reading = format!("Bearer {}", token(&server, "reading", true));
    assert_eq!(ask(&server, "DELETE", "/instantiations", &[&reading]).await.status, 403);
}

#[tokio::test]
async fn a_file_of_tokens_that_cannot_be_read_lets_nobody_in() {
    let server = locked().await;
    let good = format!("Bearer {}", token(&server, "good", false));
    assert_eq!(ask(&server, "GET", "/packages", &[&good]).await.status, 200);
    std::fs::write(tokens(server.dir.path()).path(), "{}").unwrap();
    let reply = ask(&server, "GET", "/packages", &[&good]).await;
    assert_eq!((reply.status, reply.json()["code"].as_str()), (503, Some("tokens-unreadable")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_for_others_wants_a_token_and_one_that_is_removed_is_refused_at_once() {
    let server = guarded(ApiSettings::default()).await;
    let running = Running::start_at(&server, "0.0.0.0:0", None);
    let mut client = Client::connect(&running).await;
    let host = running.address;
    client.write(&format!("GET /packages HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
    let reply = client.reply().await;
    assert!(reply.starts_with("HTTP/1.1 401 ") && reply.contains("www-authenticate: Bearer"), "{reply}");
    let name = token(&server, "soon-gone", false);
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {name}\r\n\r\n");
    client.write(&get("/packages")).await;
    assert!(client.reply().await.starts_with("HTTP/1.1 200 "));
    let mut events = Client::connect(&running).await;
    events.write(&get("/api/llcm/v1/events")).await;
    assert!(events.reply().await.starts_with("HTTP/1.1 200 "));

    tokens(server.dir.path()).remove("soon-gone").unwrap();
    client.write(&get("/packages")).await;
    assert!(client.reply().await.starts_with("HTTP/1.1 401 "), "the same connection, the same token");
    // The stream that was opened with it tells nothing any more.
    assert_eq!(server.post("/packages", demo_chain().build()).await.status, 201);
    let rest = events.rest().await;
    assert!(!rest.contains("event") && !rest.ends_with("0\r\n\r\n"), "{rest}");
    running.stop().await;
}

#[tokio::test]
async fn pages_of_configured_origins_may_what_the_caller_may() {
    let lab = "https://lab.example:8443";
    let settings =
        ApiSettings { origins: vec![lab.to_owned()], require_tokens: true, ..ApiSettings::default() };
    let server = guarded(settings).await;
    let full = format!("Bearer {}", token(&server, "full", false));
    let from = |method: Method, origin: &str| {
        TestRequest::default()
            .method(method)
            .uri("/api/llcm/v1/instances")
            .append_header(("origin", origin.to_owned()))
    };
    // What a browser asks first: it sends no token with that.
    let ask = |origin: &str| {
        from(Method::OPTIONS, origin)
            .insert_header(("access-control-request-method", "POST"))
            .insert_header(("access-control-request-headers", "authorization"))
    };
    let reply = server.call(ask(lab)).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, Some(lab)));
    assert!(reply.header("access-control-allow-headers").unwrap().contains("authorization"));
    let foreign = server.call(ask("https://evil.example")).await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (401, None));

    let with_token = |request: TestRequest| request.insert_header(("authorization", full.as_str()));
    let own = server.call(with_token(from(Method::POST, lab)).set_payload("{\"service\": \"x\"}")).await;
    assert_eq!((own.status, own.header("access-control-allow-origin")), (404, Some(lab)));
    assert_eq!(server.call(from(Method::POST, lab)).await.status, 401, "an origin is no token");
    let evil = with_token(from(Method::POST, "https://evil.example")).set_payload("{\"service\": \"x\"}");
    assert_eq!(server.call(evil).await.status, 403, "a token is no origin");
    for reply in [reply, foreign, own] {
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn what_is_not_for_foreign_pages_is_not_even_made_for_them() {
    let server = Server::start().await;
    let get = |path: &str, pairs: &[(&'static str, &'static str)]| {
        let mut request = TestRequest::get().uri(path).insert_header(("host", "localhost:5000"));
        for pair in pairs {
            request = request.insert_header(*pair);
        }
        request
    };
    let cross = ("sec-fetch-site", "cross-site");
    for (pairs, status) in [
        (&[][..], 200),
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")], 200),
        (&[cross, ("sec-fetch-mode", "navigate")], 200),
        (&[cross, ("sec-fetch-mode", "no-cors")], 403),
        (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], 403),
        (&[("origin", "http://localhost:5001")], 403),
        (&[("origin", "null"), ("sec-fetch-mode", "navigate")], 403),
    ] {
        assert_eq!(server.call(get("/api/llcm/v1/instances", pairs)).await.status, status, "{pairs:?}");
        assert_eq!(
            server.call(get("/instantiations", pairs)).await.status,
            200,
            "the emulators' lists: {pairs:?}"
        );
    }
}
