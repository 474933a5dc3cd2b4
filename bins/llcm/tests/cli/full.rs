//! A disk that is really full: a small file system in a mount namespace of the server's own.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::run::{Server, alone, demo_package, is_root};

/// One HTTP exchange: status and body.
fn exchange(url: &str, args: &[&str]) -> (u16, Value) {
    let mut curl = Command::new("curl");
    let out = alone(curl.args(["-sS", "--max-time", "60", "-w", "\n%{http_code}"]).args(args).arg(url));
    let out = out.output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{url}: {text}"));
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn requests_fail_while_the_disk_is_full_and_work_again_when_it_is_not() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o size=6m tmpfs \"$1\" && \
                  exec \"$0\" serve --listen 127.0.0.1:0 --engine simulated --min-free-disk 0 --data-dir \"$1\"";
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
    let server = Server::of(alone(command.arg(env!("CARGO_BIN_EXE_llcm")).arg(&data)).spawn().unwrap());
    let inside = PathBuf::from(format!("/proc/{}/root{}", server.pid(), data.display()));
    let package = demo_package(dir.path());
    server.llcm(&["up", &package]).expect(0);

    let filler = inside.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    let full = loop {
        match file.write_all(&[0; 4096]) {
            Ok(()) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");

    let upload = format!("package=@{package}");
    let (status, body) = exchange(&format!("{}/packages", server.url), &["-F", &upload]);
    assert_eq!((status, &body["code"]), (507, &Value::from("disk-full")), "{body}");
    // What the store's file has free inside is used up first.
    let mut made = 0;
    let (status, body) = loop {
        let reply = exchange(&format!("{}/instantiations", server.url), &["-d", "{}"]);
        if reply.0 != 201 || made > 200 {
            break reply;
        }
        made += 1;
    };
    println!("{made} instances went into the store's free pages");
    assert_eq!((status, &body["code"]), (507, &Value::from("disk-full")), "{body}");

    // It answers, and what runs is what it says.
    let listed = server.llcm(&["ps", "--output", "json"]).json();
    let states: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!(states, vec!["running"; made + 1]);
    assert_eq!(server.llcm(&["services", "--output", "json"]).json().as_array().unwrap().len(), 1);
    assert_eq!(fs::read_dir(inside.join("staging")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(inside.join("packages")).unwrap().count(), 1);

    drop(file);
    fs::remove_file(&filler).unwrap();
    server.llcm(&["up", "demo-chain"]).expect(0);
    server.llcm(&["push", &package]).expect(0);
    server.llcm(&["down", "--all"]).expect(0);
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json(), serde_json::json!([]));
    assert_eq!(server.stop(), Some(0));
}
