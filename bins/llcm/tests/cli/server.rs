//! The program as processes: a server with the simulated engine, and its client commands.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use crate::run::{Server, command, demo_package, finish, llcm, root, signal};
use serde_json::Value;

fn nothing_runs(server: &Server) {
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json(), serde_json::json!([]));
}

#[test]
fn a_package_goes_up_and_comes_down() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let server = Server::start(&dir.path().join("data"), &[]);

    let up = server.llcm(&["up", &package]).expect(0);
    for expected in [
        "on-boarded: llcm.examples.demo-chain.1.0, 3 VNFs",
        "instance llcm.examples.demo-chain.1.0-inst.0 running",
        "client.du.0",
        "input=20.0.1.2/24",
        "8088:80/tcp",
        "chain-2  E-Line  20.0.1.0/24  relay.du.0:output server.du.0:input",
    ] {
        assert!(up.contains(expected), "{expected} is missing in:\n{up}");
    }

    let instances = server.llcm(&["ps", "--output", "json"]).json();
    let id = instances[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(instances[0]["state"], "running");
    assert!(server.llcm(&["ps"]).expect(0).contains(&id[..8]));
    let shown = server.llcm(&["ps", &id[..4]]).expect(0);
    assert!(shown.contains("relay.du.0"), "{shown}");
    let one = server.llcm(&["ps", &id, "--output", "json"]).json();
    assert_eq!(one["containers"].as_array().unwrap().len(), 3);

    let error = server.llcm(&["rm", "demo-chain"]).expect_error(1);
    assert!(error.contains("instance"), "{error}");

    assert!(server.llcm(&["down"]).expect(0).contains("-inst.0 terminated"));
    nothing_runs(&server);
    let services = server.llcm(&["services"]).expect(0);
    assert!(services.contains("llcm.examples.demo-chain.1.0"), "{services}");
    server.llcm(&["rm", "demo-chain"]).expect(0);
    assert_eq!(server.llcm(&["services", "--output", "json"]).json(), serde_json::json!([]));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn several_instances_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let server = Server::start(&dir.path().join("data"), &["--port-offset", "10"]);
    let pushed = server.llcm(&["push", &package, "--output", "json"]).json();
    assert_eq!(pushed["package"]["id"]["name"], "demo-chain");
    let up = server.llcm(&["up", "demo-chain", "--instances", "3", "--output", "json"]).json();
    let ports: Vec<&str> =
        up.as_array().unwrap().iter().map(|one| one["containers"][2]["ports"][0].as_str().unwrap()).collect();
    assert_eq!(ports, ["8088:80/tcp", "8098:80/tcp", "8108:80/tcp"]);

    let error = server.llcm(&["down"]).expect_error(1);
    assert!(error.contains("--all") && error.contains("-inst.2"), "{error}");
    let error = server.llcm(&["exec", "client", "--", "true"]).expect_error(1);
    assert!(error.contains("several instances"), "{error}");

    // The same package once more is another service, whose first instance wants the ports of the other's first.
    let error = server.llcm(&["up", &package]).expect_error(1);
    assert_eq!(error.matches("host port 8088/tcp is taken").count(), 1, "{error}");
    assert!(error.contains("Definitions/server-vnfd.yml") && error.contains("port_offset"), "{error}");

    let down = server.llcm(&["down", "--all", "--output", "json"]).json();
    assert_eq!(down["terminated"].as_array().unwrap().len(), 3);
    nothing_runs(&server);
}

const SCRIPT: &str = r"
commands:
  - {container: mn.client.*, argv: [greet], stdout: hello, stderr: psst, exit_code: 42}
output:
  - {container: mn.server.*, stdout: ready}
faults:
  - {operation: start, target: mn.relay.du.1, kind: failed}
";

#[test]
fn commands_and_logs_pass_through() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let script = dir.path().join("script.yml");
    fs::write(&script, SCRIPT).unwrap();
    let server = Server::start(&dir.path().join("data"), &["--simulated-script", script.to_str().unwrap()]);
    server.llcm(&["up", &package]).expect(0);

    let ran = server.llcm(&["exec", "client", "--", "greet"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(42), "hello", "psst"));
    assert_eq!(server.llcm(&["exec", "server.du.0", "--", "true"]).expect(0), "");
    assert_eq!(server.llcm(&["logs", "server"]).expect(0).trim_end(), "ready");
    let scripts = server.llcm(&["logs", "--scripts", "relay"]);
    assert!(scripts.err.contains("start script: ") && scripts.err.contains("exit code 0"), "{scripts:?}");
    let error = server.llcm(&["exec", "nobody", "--", "true"]).expect_error(1);
    assert!(error.contains("no container `nobody`") && error.contains("relay.du.0"), "{error}");

    // The second instance fails at a step, by the script: nothing of it stays, and the cause is told.
    let error = server.llcm(&["up", "latest"]).expect_error(1);
    assert!(error.contains("nothing of it is left") && error.contains("mn.relay.du.1"), "{error}");
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json().as_array().unwrap().len(), 1);
    let all = server.llcm(&["ps", "--all"]).expect(0);
    assert!(all.contains("failed"), "{all}");
}

#[test]
fn a_server_that_dies_while_a_command_runs_is_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let script = dir.path().join("script.yml");
    fs::write(&script, "commands: [{argv: [work], stdout: begun, takes: 3600s}]\n").unwrap();
    let server = Server::start(&dir.path().join("data"), &["--simulated-script", script.to_str().unwrap()]);
    server.llcm(&["up", &package]).expect(0);
    let mut exec = command(&["exec", "client", "--", "work"]);
    let mut exec = exec.env("LLCM_SERVER", &server.url).spawn().unwrap();
    let mut begun = [0; 5];
    exec.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    drop(server);
    let error = finish(exec).expect_error(1);
    assert_eq!(error, "error: the connection to the server ended before the command did\n");
}

/// The script that the page for readers shows, with a service that it has nothing against.
#[test]
fn the_documented_script_works_as_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(root().join("docs/adding-a-driver.md")).unwrap();
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let script = dir.path().join("script.yml");
    fs::write(&script, example).unwrap();
    let server = Server::start(&dir.path().join("data"), &["--simulated-script", script.to_str().unwrap()]);
    server.llcm(&["up", &demo_package(dir.path())]).expect(0);
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json()[0]["warnings"], serde_json::json!([]));
    assert_eq!(server.llcm(&["logs", "server"]).expect(0).trim_end(), "ready");
    server.llcm(&["down", "--all"]).expect(0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn what_cannot_be_removed_is_told_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let script = dir.path().join("script.yml");
    fs::write(
        &script,
        // The same container: one that was never created may fail to be removed without harm.
        "faults:\n  - {operation: start, target: mn.server.du.0, kind: failed}\n  \
         - {operation: remove, target: mn.server.du.0, kind: failed}\n",
    )
    .unwrap();
    // By itself it would be tried again, with success, while the commands below are being started.
    let later = ["--retry-first", "3600", "--retry-longest", "3600"];
    let flags = [&["--simulated-script", script.to_str().unwrap()], &later[..]].concat();
    let server = Server::start(&dir.path().join("data"), &flags);
    let error = server.llcm(&["up", &package]).expect_error(1);
    assert!(error.contains("not all of it could be removed: `llcm down "), "{error}");
    assert!(server.llcm(&["ps"]).expect(0).contains("stuck"));
    server.llcm(&["down"]).expect(0);
    nothing_runs(&server);
}

#[test]
fn refusals_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"), &["--max-upload", "1KiB"]);
    let text = dir.path().join("text.tgo");
    fs::write(&text, "no package").unwrap();
    let error = server.llcm(&["up", text.to_str().unwrap()]).expect_error(1);
    assert!(error.contains("not a zip archive"), "{error}");
    let large = dir.path().join("large.tgo");
    fs::write(&large, vec![7; 300_000]).unwrap();
    let error = server.llcm(&["push", large.to_str().unwrap()]).expect_error(1);
    assert!(error.contains("1024"), "{error}");
    for (args, expected) in [
        (&["up", "absent.tgo"][..], "there is no file absent.tgo"),
        (&["up", "absent"], "no service `absent`"),
        (&["push", dir.path().to_str().unwrap()], "is a directory: make a package of it with `llcm pack"),
        (&["down"], "error: nothing is running"),
        (&["down", "absent"], "no instance `absent`"),
        (&["rm", "absent"], "no service `absent`"),
        (&["exec", "vnf0", "--", "true"], "nothing is running"),
    ] {
        let error = server.llcm(args).expect_error(1);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn without_a_server_the_client_says_how_to_start_one() {
    // A port that was free a moment ago, on an address that nobody uses.
    let listener = std::net::TcpListener::bind("127.0.0.7:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = llcm(&["ps", "--server", &server]).expect_error(1);
    assert!(error.contains("start it with `llcm serve`"), "{error}");
    let error = llcm(&["ps", "--server", "ftp://127.0.0.1"]).expect_error(1);
    assert!(error.contains("http://"), "{error}");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    let address = server.url.strip_prefix("http://").unwrap();
    let simulated = ["serve", "--engine", "simulated", "--data-dir"];
    let other = dir.path().join("other");
    let run = |args: &[&str], data: &std::path::Path| {
        let all: Vec<&str> =
            simulated.iter().copied().chain([data.to_str().unwrap()]).chain(args.iter().copied()).collect();
        llcm(&all).expect_error(1)
    };
    let error = run(&["--listen", address], &other);
    assert!(error.contains("cannot listen on") && error.contains("--listen"), "{error}");
    let error = run(&["--listen", "127.0.0.1:0"], &data);
    assert!(error.contains("store"), "{error}");
    let error = run(&["--listen", "0.0.0.0:0"], &other);
    assert!(error.contains("--insecure-plain-http"), "{error}");
    let error = run(&["--listen", "0.0.0.0:0", "--insecure-plain-http"], &other);
    assert!(error.contains("`llcm token create`"), "{error}");
    let error = run(&["--require-tokens"], &other);
    assert!(error.contains("`llcm token create`"), "{error}");
    let bad = dir.path().join("config.yml");
    fs::write(&bad, "port_ofset: 1\n").unwrap();
    let error = run(&["--config", bad.to_str().unwrap()], &other);
    assert!(error.contains("config.yml") && error.contains("did you mean `port_offset`?"), "{error}");
    let error = run(&["--topology", "absent.yml"], &other);
    assert!(error.contains("absent.yml"), "{error}");
    let topology = dir.path().join("topology.yml");
    for (engine, expected) in [
        (
            "docker",
            "data center dc2 of the topology: engine docker cannot be wired to the server's own, simulated",
        ),
        ("podman", "there is no engine `podman`: choose among embedded, docker, simulated"),
    ] {
        let text =
            format!("datacenters: [{{name: dc1, engine: simulated}}, {{name: dc2, engine: {engine}}}]\n");
        fs::write(&topology, text).unwrap();
        let error = run(&["--topology", topology.to_str().unwrap()], &other);
        assert!(error.contains(expected), "{error}");
    }
    assert!(!other.join("store.redb").exists(), "a server that cannot start has begun to store");
}

#[test]
fn a_data_center_may_name_the_server_s_own_engine() {
    let dir = tempfile::tempdir().unwrap();
    let topology = dir.path().join("topology.yml");
    fs::write(&topology, "datacenters: [dc1, {name: dc2, engine: simulated}]\nlinks: [[dc1, dc2]]\n")
        .unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data, &["--topology", topology.to_str().unwrap()]);
    server.llcm(&["up", &demo_package(dir.path())]).expect(0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn settings_come_from_flag_variable_and_file_in_this_order() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.yml");
    fs::write(&config, "engine: simulated\n").unwrap();
    let start = |variables: &[(&str, &str)], flags: &[&str]| {
        let mut serve = command(&["serve", "--listen", "192.0.2.1:1", "--data-dir", "/nonexistent/llcm"]);
        serve.args(flags).env("LLCM_CONFIG", &config).envs(variables.iter().copied());
        finish(serve.spawn().unwrap()).expect_error(1)
    };
    // The address of documentation networks is refused unless the environment or a flag allows it.
    let (refused, variable) = ("say --insecure-plain-http", "LLCM_INSECURE_PLAIN_HTTP");
    assert!(start(&[], &[]).contains(refused));
    assert!(!start(&[(variable, "true")], &[]).contains(refused));
    assert!(start(&[(variable, "true")], &["--insecure-plain-http=false"]).contains(refused));
    fs::write(&config, "insecure_plain_http: true\n").unwrap();
    assert!(!start(&[], &[]).contains(refused));
    assert!(start(&[(variable, "false")], &[]).contains(refused));
}

#[test]
fn a_server_ends_when_asked_and_keeps_its_services() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let data = dir.path().join("data");
    let server = Server::start(&data, &[]);
    server.llcm(&["push", &package]).expect(0);
    assert_eq!(server.stop(), Some(0));

    let again = Server::start(&data, &["--stop-instances"]);
    let services = again.llcm(&["services", "--output", "json"]).json();
    assert_eq!(services.as_array().map(Vec::len), Some(1), "{services}");
    again.llcm(&["up", &package]).expect(0);
    assert_eq!(again.stop(), Some(0));

    let last = Server::start(&data, &[]);
    nothing_runs(&last);
}

#[test]
fn a_second_signal_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let script = dir.path().join("script.yml");
    fs::write(&script, "latency: {create: 30s}\n").unwrap();
    let data = dir.path().join("data");
    let mut serve = command(&["serve", "--engine", "simulated", "--listen", "127.0.0.1:0", "--data-dir"]);
    serve.arg(&data).arg("--simulated-script").arg(&script).stderr(Stdio::piped());
    let mut child = serve.spawn().unwrap();
    let mut log = std::io::BufReader::new(child.stderr.take().unwrap());
    let url = line_with(&mut log, "http://");
    let url = url[url.find("http://").unwrap()..].trim().to_owned();
    let client = |args: &[&str]| finish(command(args).env("LLCM_SERVER", &url).spawn().unwrap());
    client(&["push", &package]).expect(0);
    let up = command(&["up", "latest"]).env("LLCM_SERVER", &url).spawn().unwrap();
    loop {
        let list: Value = client(&["ps", "--output", "json"]).json();
        // Once containers are being made, ending takes as long as that.
        if list[0]["activity"].as_str().is_some_and(|activity| activity.contains("create")) {
            break;
        }
    }
    signal("INT", &child);
    line_with(&mut log, "SIGINT: finishing");
    signal("INT", &child);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("ending at once"), "{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(finish(up).code, Some(1));
}

fn line_with(log: &mut impl std::io::BufRead, text: &str) -> String {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the log ends without `{text}`");
    }
    line
}

#[test]
fn the_demo_runs_without_privileges() {
    let told = llcm(&["demo", "--engine", "simulated"]).expect(0);
    for expected in ["$ llcm up", "relay.du.0", "$ llcm down", "): 0 containers, 0 ports and segments"] {
        assert!(told.contains(expected), "{expected} is missing in:\n{told}");
    }
}
