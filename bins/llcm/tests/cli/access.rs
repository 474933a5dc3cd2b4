//! Tokens, TLS and the audit log, as those see them who run and use a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::certificates::Authority;
use crate::run::{Ran, Server, alone, command, demo_package, finish, llcm};

/// Makes a token; its secret.
fn token(data: &Path, args: &[&str]) -> String {
    let data = data.to_str().unwrap();
    let all: Vec<_> =
        ["token", "create", "--data-dir", data].into_iter().chain(args.iter().copied()).collect();
    llcm(&all).expect(0).trim().to_owned()
}

/// A client command with variables.
fn with(server: &str, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut client = command(args);
    client.env("LLCM_SERVER", server).envs(variables.iter().copied());
    finish(client.spawn().unwrap())
}

fn curl(args: &[&str]) -> Ran {
    let mut curl = Command::new("curl");
    alone(&mut curl).args(["--silent", "--show-error", "--max-time", "20"]).args(args);
    finish(curl.stdin(Stdio::null()).spawn().unwrap())
}

#[test]
fn a_token_opens_the_server_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let full = token(&data, &["--name", "lab"]);
    let reading = token(&data, &["--read-only"]);
    assert!(full.starts_with("llcm_") && full.len() == 48, "{full}");
    let file = data.join("tokens.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains(&full[5..]));
    let listed = llcm(&["token", "ls", "--data-dir", data.to_str().unwrap()]).expect(0);
    assert!(listed.contains("lab") && listed.contains("token-1") && listed.contains("read"), "{listed}");
    assert!(!listed.contains(&full[5..]));

    let server = Server::start(&data, &["--require-tokens"]);
    let error = server.llcm(&["ps"]).expect_error(1);
    assert!(error.contains("llcm token create"), "{error}");
    let error = with(&server.url, &[("LLCM_TOKEN", "llcm_wrong")], &["ps"]).expect_error(1);
    assert!(error.contains("none of this server's"), "{error}");
    let package = demo_package(dir.path());
    let as_reader = |args: &[&str]| with(&server.url, &[("LLCM_TOKEN", &reading)], args);
    let as_owner = |args: &[&str]| with(&server.url, &[("LLCM_TOKEN", &full)], args);
    as_owner(&["up", &package]).expect(0);
    assert!(as_reader(&["ps"]).expect(0).contains("running"));
    for args in [&["up", &package][..], &["down", "--all"], &["exec", "client", "--", "true"]] {
        let error = as_reader(args).expect_error(1);
        assert!(error.contains("is for reading"), "{args:?}: {error}");
    }
    assert!(as_reader(&["audit"]).expect_error(1).contains("is for reading"));
    let secret = dir.path().join("secret");
    fs::write(&secret, format!("{full}\n")).unwrap();
    let by_file = ["ps", "--token-file", secret.to_str().unwrap()];
    assert!(with(&server.url, &[], &by_file).expect(0).contains("running"));
    fs::write(&secret, "two words").unwrap();
    assert!(with(&server.url, &[], &by_file).expect_error(1).contains("holds no token"));

    llcm(&["token", "rm", "lab", "--data-dir", data.to_str().unwrap()]).expect(0);
    let error = as_owner(&["down", "--all"]).expect_error(1);
    assert!(error.contains("may have been removed"), "{error}");
    assert!(as_reader(&["ps"]).expect(0).contains("running"), "the other one is there still");
    let error = llcm(&["token", "rm", "lab", "--data-dir", data.to_str().unwrap()]).expect_error(1);
    assert!(error.contains("there is no token `lab`"), "{error}");
}

#[test]
fn the_audit_log_tells_who_changed_what() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let lab = token(&data, &["--name", "lab"]);
    let server = Server::start(&data, &[]);
    let package = demo_package(dir.path());
    with(&server.url, &[("LLCM_TOKEN", &lab)], &["up", &package]).expect(0);
    let instance = server.llcm(&["ps", "--output", "json"]).json()[0]["id"].as_str().unwrap().to_owned();
    server.llcm(&["down", "--all"]).expect(0);
    let events = server.llcm(&["audit", "--instance", &instance[..8], "--output", "json"]).json();
    let shown: Vec<_> = events
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let words = ["by", "method", "route"].map(|key| event[key].as_str().unwrap().to_owned());
            (words.join(" "), event["status"].as_u64())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("token:lab POST /api/llcm/v1/instances".to_owned(), Some(202)),
            ("loopback DELETE /api/llcm/v1/instances/{id}".to_owned(), Some(202)),
        ]
    );
    let table = server.llcm(&["audit", "--since", "1h"]).expect(0);
    assert!(
        table.contains("token create") && table.contains("user:") && table.contains(&instance),
        "{table}"
    );
    assert_eq!(
        server.llcm(&["audit", "--since", "2999-01-01T00:00:00Z", "--output", "json"]).json(),
        serde_json::json!([])
    );
    assert_eq!(server.stop(), Some(0));
    // Without a server, and nothing in it opens anything.
    let read = ["audit", "--data-dir", data.to_str().unwrap()];
    assert_eq!(llcm(&read).expect(0).lines().count(), table.lines().count());
    let text = fs::read_to_string(data.join("audit.log")).unwrap();
    assert!(!text.contains(&lab[5..]), "{text}");
    assert!(llcm(&["audit", "--since", "yesterday"]).expect_error(2).contains("30m"));
}

/// What went wrong with a command is told to whoever gave it; the log has the word that programs know.
#[test]
fn commands_that_fail_have_an_error_code_in_the_audit_log() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    token(&data, &["--name", "lab"]);
    let data = data.to_str().unwrap();
    for (args, told) in [
        (&["create", "--name", "lab"][..], "there is a token `lab` already"),
        (&["create", "--name", "no name"], "is no name of a token"),
        (&["rm", "other"], "there is no token `other`"),
    ] {
        let error = llcm(&[&["token"], args, &["--data-dir", data]].concat()).expect_error(1);
        assert!(error.contains(told), "{error}");
    }
    fs::write(Path::new(data).join("tokens.json"), "garbage").unwrap();
    llcm(&["token", "create", "--data-dir", data]).expect_error(1);
    let events = llcm(&["audit", "--data-dir", data, "--output", "json"]).json();
    let codes: Vec<_> = events.as_array().unwrap().iter().map(|event| event["code"].clone()).collect();
    let expected =
        [None, Some("bad-request"), Some("bad-request"), Some("not-found"), Some("tokens-unreadable")];
    assert_eq!(codes, expected.map(serde_json::Value::from), "{events}");
}

#[test]
fn a_full_disk_of_the_audit_log_stops_changes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let package = demo_package(dir.path());
    let server = Server::start(&data, &[]);
    server.llcm(&["up", &package]).expect(0);
    let log = data.join("audit.log");
    fs::rename(&log, data.join("kept")).unwrap();
    std::os::unix::fs::symlink("/dev/full", &log).unwrap();
    for args in [&["push", &package][..], &["up", "latest"], &["down", "--all"]] {
        let error = server.llcm(args).expect_error(1);
        assert!(
            error.contains("nothing was changed") && error.contains("No space left"),
            "{args:?}: {error}"
        );
    }
    let error = llcm(&["token", "create", "--data-dir", data.to_str().unwrap()]).expect_error(1);
    assert!(error.contains("nothing was changed"), "{error}");
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json().as_array().unwrap().len(), 1);
    assert_eq!(server.llcm(&["services", "--output", "json"]).json().as_array().unwrap().len(), 1);
    fs::rename(data.join("kept"), &log).unwrap();
    server.llcm(&["down", "--all"]).expect(0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn other_machines_are_served_by_tls_with_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let authority = Authority::new(dir.path(), "ca");
    let (cert, key) = authority.issue("server", &["localhost", "127.0.0.1"]);
    let ca = dir.path().join("ca.pem");
    let ca = ca.to_str().unwrap();
    let tls = ["--listen", "0.0.0.0:0", "--tls-cert", &cert, "--tls-key", &key];
    let lab = token(&data, &["--name", "lab"]);
    // The later address is listened on beside the first one, of the loopback interface.
    let server = Server::start(&data, &tls);
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    let remote = server.log_line("listening on ");
    let remote = remote[remote.find("https://").unwrap()..].replace("127.0.0.1", "localhost");

    let url = format!("{remote}/packages");
    let bearer = format!("Authorization: Bearer {lab}");
    let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    let ask = |more: &[&str]| curl(&[&status[..], more, &[&url]].concat());
    assert_eq!(ask(&["--cacert", ca, "--header", &bearer]).expect(0), "200");
    assert_eq!(ask(&["--cacert", ca]).expect(0), "401");
    assert_eq!(ask(&["--header", &bearer]).code, Some(60), "an authority that nobody knows");
    for version in ["--tls-max 1.1", "--tls-max 1.0"] {
        let old: Vec<_> = version.split(' ').chain(["--cacert", ca]).collect();
        assert_eq!(ask(&old).code, Some(35), "{version}");
    }
    let plain = curl(&[&remote.replace("https", "http")]);
    assert_ne!(plain.code, Some(0), "plain HTTP is answered: {plain:?}");

    let client = |args: &[&str]| with(&remote, &[("LLCM_TOKEN", &lab)], args);
    client(&["ps", "--ca-file", ca]).expect(0);
    let error = client(&["ps"]).expect_error(1);
    assert!(error.contains("not to be trusted") || error.contains("--ca-file"), "{error}");
    Authority::new(dir.path(), "stranger");
    let stranger = dir.path().join("stranger.pem");
    let error = client(&["ps", "--ca-file", stranger.to_str().unwrap()]).expect_error(1);
    assert!(error.contains("not to be trusted"), "{error}");
    let error = client(&["ps", "--ca-file", &key]).expect_error(1);
    assert!(error.contains(&key) && error.contains("no certificate"), "{error}");
    let error = with(&server.url, &[], &["ps", "--ca-file", "absent.pem"]).expect_error(1);
    assert!(error.contains("absent.pem"), "{error}");
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_token_in_clear_text_has_to_be_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let lab = token(&data, &[]);
    let server = Server::start(&data, &["--listen", "0.0.0.0:0", "--insecure-plain-http"]);
    let remote = server.log_line("listening on ");
    let remote = &remote[remote.find("http://").unwrap()..];
    assert!(with(remote, &[], &["ps"]).expect_error(1).contains("no token was sent"));
    with(remote, &[("LLCM_TOKEN", &lab)], &["ps"]).expect(0);
    // The loopback listener of the same server wants none.
    server.llcm(&["ps"]).expect(0);
    // Where the token would leave this machine, the client says so, whether anybody is there or not.
    let error = with("http://192.0.2.1:1", &[("LLCM_TOKEN", &lab)], &["ps"]).expect_error(1);
    assert!(error.contains("in clear text"), "{error}");
}

#[test]
fn bad_certificates_and_keys_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let authority = Authority::new(dir.path(), "ca");
    let (cert, key) = authority.issue("one", &["localhost"]);
    let (_, other) = authority.issue("two", &["localhost"]);
    let garbage = dir.path().join("garbage.pem").to_str().unwrap().to_owned();
    fs::write(&garbage, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let absent = dir.path().join("absent.pem").to_str().unwrap().to_owned();
    for (chain, secret, named, why) in [
        (&absent, &key, &absent, "No such file"),
        (&cert, &absent, &absent, "No such file"),
        (&key, &key, &key, "no certificate"),
        (&cert, &cert, &cert, "private key"),
        (&garbage, &key, &garbage, "do not fit"),
        (&cert, &other, &other, "do not fit"),
    ] {
        let args = [
            "serve",
            "--engine",
            "simulated",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        let all: Vec<_> = args.into_iter().chain(["--tls-cert", chain, "--tls-key", secret]).collect();
        let error = llcm(&all).expect_error(1);
        assert!(error.contains(named.as_str()) && error.contains(why), "{chain} {secret}: {error}");
    }
    assert!(!data.join("store.redb").exists());
}
