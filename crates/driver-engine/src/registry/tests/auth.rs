//! Registries that want to know who asks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llcm_runtime::ErrorKind;

use super::super::Registry;
use super::server::{Reply, Server};
use super::{options, options_for, pull, pull_with, usual, vnf};
use crate::source::ImageSource as _;

/// Docker's file with `user` and `secret` for a registry.
pub(super) fn docker_config(directory: &Path, registry: &str) -> PathBuf {
    let file = directory.join("config.json");
    let auth = STANDARD.encode("user:secret");
    let text = serde_json::json!({"auths": {registry: {"auth": auth}}});
    std::fs::write(&file, text.to_string()).unwrap();
    file
}

/// A registry whose token server, on the same address, wants `authorization` and gives out tokens that hold for
/// `uses` requests each.
async fn with_tokens(authorization: Option<String>, uses: usize) -> (Server, String) {
    let (repository, _, config) = usual();
    let own: Arc<Mutex<String>> = Arc::default();
    let address = Arc::clone(&own);
    let (mut issued, mut left) = (0, 0);
    let server = Server::start(move |asked| {
        if asked.path.starts_with("/token?") {
            assert_eq!(asked.path, "/token?scope=repository%3Avnf%3Apull&service=the+service");
            if asked.header("authorization") != authorization.as_deref() {
                return Reply::status(401, "UNAUTHORIZED", "incorrect username or password");
            }
            (issued, left) = (issued + 1, uses);
            return Reply::ok(format!(r#"{{"token": "token{issued}", "expires_in": 1}}"#));
        }
        if left == 0 || asked.header("authorization") != Some(&format!("Bearer token{issued}")) {
            let address = address.lock().unwrap();
            let challenge = format!(
                r#"WWW-Authenticate: Bearer realm="http://{address}/token",service="the service",scope="repository:vnf:pull""#
            );
            return Reply::status(401, "UNAUTHORIZED", "authentication required").with(&challenge);
        }
        left -= 1;
        repository.reply(asked)
    })
    .await;
    *own.lock().unwrap() = server.address.to_string();
    (server, config)
}

#[tokio::test]
async fn a_token_is_fetched_anonymously() {
    let (server, config) = with_tokens(None, 100).await;
    assert_eq!(pull(&vnf(&server)).await.loaded("vnf").0, config);
    assert_eq!(server.asked().iter().filter(|it| it.path.starts_with("/token")).count(), 1);
}

#[tokio::test]
async fn a_token_that_has_run_out_is_replaced() {
    // Manifest, configuration and two layers: the second token is needed in the middle.
    let (server, config) = with_tokens(None, 2).await;
    assert_eq!(pull(&vnf(&server)).await.loaded("vnf").0, config);
    assert_eq!(server.asked().iter().filter(|it| it.path.starts_with("/token")).count(), 2);
}

#[tokio::test]
async fn credentials_go_to_the_token_server_only() {
    let basic = format!("Basic {}", STANDARD.encode("user:secret"));
    let (server, config) = with_tokens(Some(basic.clone()), 100).await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = options();
    options.docker_config = Some(docker_config(directory.path(), &server.address.to_string()));
    assert_eq!(pull_with(options.clone(), &vnf(&server)).await.loaded("vnf").0, config);
    for asked in server.asked() {
        let is_token = asked.path.starts_with("/token");
        assert_eq!(asked.header("authorization") == Some(&basic), is_token, "{asked:?}");
    }
    // Those of another registry are not sent.
    options.docker_config = Some(docker_config(directory.path(), "127.0.0.1:1"));
    let pulled = pull_with(options, &vnf(&server)).await;
    assert_eq!(pulled.error().0, ErrorKind::Denied);
    assert!(pulled.error().1.contains("incorrect username or password"), "{:?}", pulled.error());
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_not_fetched_again_and_again() {
    let (server, _) = with_tokens(None, 0).await;
    let pulled = pull(&vnf(&server)).await;
    assert_eq!(pulled.error().0, ErrorKind::Denied);
    assert!(pulled.error().1.contains("authentication required"), "{:?}", pulled.error());
    assert_eq!(server.asked().len(), 3, "refused, token, refused: {:?}", server.asked());
}

#[tokio::test]
async fn basic_credentials_are_sent_when_asked_for() {
    let (repository, _, config) = usual();
    let basic = format!("Basic {}", STANDARD.encode("user:secret"));
    let server = Server::start(move |asked| match asked.header("authorization") {
        Some(sent) if sent == basic => repository.reply(asked),
        _ => Reply::status(401, "UNAUTHORIZED", "").with("WWW-Authenticate: Basic realm=\"x\""),
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = options();
    options.docker_config = Some(docker_config(directory.path(), &server.address.to_string()));
    assert_eq!(pull_with(options.clone(), &vnf(&server)).await.loaded("vnf").0, config);
    assert_eq!(pull(&vnf(&server)).await.error().0, ErrorKind::Denied);
    options.docker_config = Some(directory.path().join("none.json"));
    assert_eq!(pull_with(options.clone(), &vnf(&server)).await.error().0, ErrorKind::Denied);
    options.docker_config = Some(directory.path().to_path_buf());
    assert_eq!(pull_with(options, &vnf(&server)).await.error().0, ErrorKind::Invalid);
}

#[tokio::test]
async fn whom_a_registry_redirects_to_cannot_ask_for_credentials() {
    let thief = Server::start(|_| {
        Reply::status(401, "UNAUTHORIZED", "").with("WWW-Authenticate: Basic realm=\"mine\"")
    })
    .await;
    let to = format!("http://{}/v2/", thief.address);
    let server = Server::start(move |_| Reply::redirect(307, &to)).await;
    let directory = tempfile::tempdir().unwrap();
    let mut options = options();
    options.docker_config = Some(docker_config(directory.path(), &server.address.to_string()));
    assert_eq!(pull_with(options, &vnf(&server)).await.error().0, ErrorKind::Denied);
    assert!(thief.asked().iter().all(|it| it.header("authorization").is_none()));
}

#[tokio::test]
async fn answers_of_token_servers_are_bounded_and_never_quoted() {
    for (reply, expected) in [
        (Reply::endless(200), "longer than"),
        (Reply::ok(r#"{"token": 5, "secret": "hush"}"#), "what is no token"),
        (Reply::ok("{}"), "without a token"),
        (Reply::ok(r#"{"token": "a\nb"}"#), "control characters"),
        (Reply::status(404, "X", ""), "no token is to be had"),
    ] {
        let own: Arc<Mutex<String>> = Arc::default();
        let address = Arc::clone(&own);
        let server = Server::start(move |asked| {
            if asked.path.starts_with("/token") {
                return reply.clone();
            }
            let realm =
                format!("WWW-Authenticate: Bearer realm=\"http://{}/token\"", address.lock().unwrap());
            Reply::status(401, "UNAUTHORIZED", "").with(&realm)
        })
        .await;
        *own.lock().unwrap() = server.address.to_string();
        let pulled = pull(&vnf(&server)).await;
        let (kind, message) = pulled.error();
        assert!(kind == ErrorKind::Failed && message.contains(expected), "{expected}: {message}");
        assert!(!message.contains("hush"), "{message}");
    }
}

#[tokio::test]
async fn what_registries_answer_has_a_meaning() {
    for (reply, kind, words) in [
        (Reply::status(404, "NAME_UNKNOWN", "repository name not known"), ErrorKind::NotFound, "not known"),
        (Reply::status(401, "UNAUTHORIZED", "who are you"), ErrorKind::Denied, "who are you"),
        (Reply::status(403, "DENIED", "not you"), ErrorKind::Denied, "not you"),
        (
            Reply::status(429, "TOOMANYREQUESTS", ""),
            ErrorKind::Unavailable,
            "TOOMANYREQUESTS; try again later",
        ),
        (Reply::status(500, "X", "a\u{1b}[31m\nb"), ErrorKind::Unavailable, "status 500: a [31m b"),
        (Reply::status(503, "", ""), ErrorKind::Unavailable, "status 503"),
        (Reply::status(418, "", ""), ErrorKind::Failed, "status 418"),
        (Reply::endless(500), ErrorKind::Unavailable, "status 500"),
        (Reply::silence(), ErrorKind::Unavailable, "has said nothing"),
        (Reply::ok("<html>"), ErrorKind::Failed, "cannot be understood"),
        (Reply::ok(r#"{"schemaVersion": 1}"#), ErrorKind::Unsupported, "schema 1"),
    ] {
        let options = options_for(&reply);
        let server = Server::start(move |_| reply.clone()).await;
        let pulled = pull_with(options.clone(), &vnf(&server)).await;
        let (found, message) = pulled.error();
        assert!(found == kind && message.contains(words), "{kind:?} {words}: {found:?} {message}");
        let asked = Registry::new(options).unwrap().digest(&vnf(&server)).await;
        match kind {
            ErrorKind::NotFound => assert_eq!(asked.unwrap(), None),
            kind => assert_eq!(asked.unwrap_err().kind, kind),
        }
    }
    // Nobody is there.
    let address = Server::start(|_| Reply::silence()).await.address;
    let pulled = pull(&format!("{address}/vnf")).await;
    assert_eq!(pulled.error().0, ErrorKind::Unavailable);
    assert!(pulled.error().1.contains("cannot be reached"), "{:?}", pulled.error());
    assert_eq!(pull("../containers").await.error().0, ErrorKind::Invalid);
}
