//! What is refused before any package or instance comes into it: for every resource.

use crate::common::Server;
use crate::transcript::Transcript;
use actix_web::http::Method;
use actix_web::test::TestRequest;
use llcm_api::{ApiSettings, resources};
use serde_json::json;

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

fn concrete(path: &str) -> String {
    let mut out = path.to_owned();
    for name in ["{id}", "{uuid}", "{name}"] {
        out = out.replace(name, "x");
    }
    out
}

#[tokio::test]
async fn every_resource_refuses_every_other_method() {
    let server = Server::start().await;
    let mut refused = 0;
    for (path, allow) in resources() {
        let known: Vec<_> = allow.split(", ").collect();
        for method in METHODS.into_iter().filter(|method| !known.contains(method)) {
            let reply = server.send(method.parse().unwrap(), &concrete(&path), "").await;
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), Some(allow.as_str()), "{method} {path}");
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
            let body = reply.json();
            assert_eq!(body["code"], "method-not-allowed");
            assert_eq!(body["details"]["allow"], json!(allow));
            refused += 1;
        }
        let reply = server.send(Method::OPTIONS, &concrete(&path), "").await;
        assert_eq!((reply.status, reply.header("allow")), (204, Some(allow.as_str())), "{path}");
    }
    assert!(refused > 100, "{refused}");
}

#[tokio::test]
async fn every_resource_is_documented() {
    let page = include_str!("../../../../docs/rest.md");
    for (path, allow) in resources() {
        let short = ["/api/llcm/v1", "/api/v2", "/api/v3"]
            .into_iter()
            .find_map(|prefix| path.strip_prefix(prefix))
            .unwrap_or(&path);
        for method in allow.split(", ").filter(|method| !matches!(*method, "HEAD" | "OPTIONS")) {
            let documented =
                [" ", "`", "["].iter().any(|end| page.contains(&format!("`{method} {short}{end}")));
            assert!(documented, "{method} {path} is not in docs/rest.md");
        }
    }
}

#[tokio::test]
async fn unknown_urls_are_json_too() {
    let server = Server::start().await;
    let mut transcript = Transcript::of(&server);
    for uri in [
        "/",
        "/nothing",
        "/api/v1/packages",
        "/api/llcm/v1",
        "/api/llcm/v1/nothing",
        "/packages/",
        "/%2e%2e/etc",
    ] {
        transcript.step(Method::GET, uri, "").await;
    }
    transcript.step(Method::POST, "/nothing", "{}").await;
    insta::assert_snapshot!(transcript.into_text());
}

#[tokio::test]
async fn malformed_and_oversized_json() {
    let server = Server::start().await;
    let mut transcript = Transcript::of(&server);
    for (method, uri) in [
        (Method::POST, "/instantiations"),
        (Method::DELETE, "/instantiations"),
        (Method::POST, "/api/v2/requests"),
        (Method::POST, "/api/llcm/v1/instances"),
    ] {
        for body in ["{", "[]", "latest", "{\"service_uuid\": 1}", "{\"service\": 1}"] {
            transcript.step(method.clone(), uri, body).await;
        }
    }
    transcript.step(Method::POST, "/api/llcm/v1/instances", "").await;
    transcript.step(Method::POST, "/api/llcm/v1/instances", "{\"service\": \"x\", \"more\": 1}").await;
    transcript.step(Method::GET, "/api/llcm/v1/instances?ended=perhaps", "").await;
    transcript.step(Method::GET, "/api/llcm/v1/instances?order=name", "").await;
    insta::assert_snapshot!(transcript.into_text());

    let long = format!("{{\"service_uuid\": \"{}\"}}", "x".repeat(64 * 1024));
    let reply = server.post("/instantiations", long).await;
    assert_eq!((reply.status, reply.json()["code"].clone()), (413, json!("too-large")));
}

#[tokio::test]
async fn bodies_are_read_whatever_their_content_type() {
    let server = Server::start().await;
    for kind in
        ["application/x-www-form-urlencoded", "text/plain", "application/json; charset=utf-8", "nonsense"]
    {
        let request = TestRequest::post().uri("/instantiations").insert_header(("content-type", kind));
        let reply = server.call(request.set_payload("{\"service_uuid\": \"x\"}")).await;
        assert_eq!((reply.status, reply.json()), (404, json!("Service not found")), "{kind}");
    }
}

#[tokio::test]
async fn foreign_pages_may_read_the_emulators_routes_and_change_nothing() {
    let server = Server::start().await;
    let from = |method: Method, uri: &str, origin: &str| {
        TestRequest::default()
            .method(method)
            .uri(uri)
            .insert_header(("host", "localhost:5000"))
            .insert_header(("origin", origin))
    };
    let mut changing = 0;
    for (path, allow) in resources() {
        for method in allow.split(", ").filter(|method| !matches!(*method, "GET" | "HEAD" | "OPTIONS")) {
            for origin in ["http://evil.example", "null", "http://localhost:5001"] {
                let request = from(method.parse().unwrap(), &concrete(&path), origin);
                let reply = server.call(request.set_payload("{}")).await;
                assert_eq!(reply.status, 403, "{method} {path} from {origin}");
                assert_eq!(reply.json()["code"], "foreign-origin");
                assert_eq!(reply.header("access-control-allow-origin"), None);
                changing += 1;
            }
        }
    }
    assert!(changing >= 3 * 15, "{changing}");
    assert_eq!(server.exits.load(std::sync::atomic::Ordering::SeqCst), 0);

    let reply = server.call(from(Method::GET, "/packages", "http://evil.example")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(reply.header("access-control-allow-methods"), Some("GET,OPTIONS"));
    let reply = server.call(from(Method::GET, "/api/llcm/v1/services", "http://evil.example")).await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (403, None));
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"));

    let own = from(Method::POST, "/instantiations", "http://localhost:5000").set_payload("{}");
    assert_eq!(server.call(own).await.status, 404);
}

#[tokio::test]
async fn foreign_host_names_are_refused_unless_configured() {
    let settings = ApiSettings { hosts: vec!["llcm.test".to_owned()], ..ApiSettings::default() };
    let server = Server::with(llcm_runtime::simulated::Script::default(), settings).await;
    let to = |host: &str| TestRequest::get().uri("/packages").insert_header(("host", host.to_owned()));
    for host in ["localhost:5000", "127.0.0.1", "llcm.test:5000"] {
        assert_eq!(server.call(to(host)).await.status, 200, "{host}");
    }
    let reply = server.call(to("evil.example")).await;
    assert_eq!((reply.status, reply.json()["code"].clone()), (403, json!("foreign-host")));
}
