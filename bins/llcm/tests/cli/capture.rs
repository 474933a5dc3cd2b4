//! `llcm capture` as its users see it: how it ends, and what it says then.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Command;

use llcm_testkit::process::copy_program;
use serde_json::{Value, json};

use crate::fake::{Answer, serve};
use crate::run::{command, finish, signal};

/// A server with frames of this many dropped ones each; its reply ends, unless the capture goes on.
fn server(dropped: &[Option<u64>], goes_on: bool) -> String {
    let mut lines = vec![json!({ "capturing": true })];
    for dropped in dropped {
        let mut frame = json!({ "at_ns": 1, "direction": "sent", "length": 60, "data": "AAAA" });
        if let Some(dropped) = dropped {
            frame["dropped"] = json!(dropped);
        }
        lines.push(frame);
    }
    if !goes_on {
        lines.push(json!({ "frames": dropped.len(), "dropped": 9 }));
    }
    let body = lines.iter().map(|line: &Value| format!("{line}\n")).collect::<String>();
    serve(vec![Answer { goes_on, ..Answer::new("POST /api/llcm/v1/captures", 200, body) }])
}

/// `llcm capture` at a link, with this script in the place of tcpdump.
fn capture(url: &str, dir: &Path, tcpdump: &str, args: &[&str]) -> Command {
    let script = dir.join("script");
    fs::write(&script, format!("#!/bin/sh\n{tcpdump}\n")).unwrap();
    copy_program(&script, &dir.join("tcpdump"));
    let mut command = command(&["capture", "--link", "backbone"]);
    command.args(args).env("LLCM_SERVER", url).env("PATH", format!("{}:/usr/bin:/bin", dir.display()));
    command
}

#[test]
fn a_tcpdump_that_fails_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for (dropped, goes_on) in [(vec![None; 20_000], false), (Vec::new(), true), (Vec::new(), false)] {
        let url = server(&dropped, goes_on);
        let mut command = capture(&url, dir.path(), "echo it is broken >&2; exit 3", &[]);
        let told = finish(command.spawn().unwrap()).expect_error(1);
        assert!(told.contains("it is broken\n"), "{told}");
        assert!(told.contains("error: tcpdump failed (exit status: 3): --plain shows"), "{told}");
    }
    // It is there, and is no program.
    let mut command = capture(&server(&[], false), dir.path(), "", &[]);
    fs::write(dir.path().join("tcpdump"), "").unwrap();
    let told = finish(command.spawn().unwrap()).expect_error(1);
    assert!(told.contains("cannot start tcpdump; --plain shows frames without it"), "{told}");
}

#[test]
fn a_tcpdump_that_takes_all_shows_what_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = capture(&server(&[None, Some(2)], false), dir.path(), "wc -c", &[]);
    let ran = finish(command.spawn().unwrap());
    assert!(ran.err.ends_with("2 frames, 9 more passed too fast to be taken\n"), "{}", ran.err);
    // The header of the file, and 16 bytes before each 3 of a frame.
    assert_eq!(ran.expect(0).trim(), (24 + 2 * 19).to_string());
}

/// As in `llcm capture ... | head -1`.
#[test]
fn that_nobody_reads_any_more_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' PIPE; while echo frame; do :; done 2> /dev/null; exit 14";
    let mut child = capture(&server(&[], true), dir.path(), script, &[]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "frame\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn interrupted_it_says_what_was_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        capture(&server(&[None, Some(7), None], true), dir.path(), "", &["--plain"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for _ in 0..3 {
        assert!(out.read_line(&mut String::new()).unwrap() > 0);
    }
    signal("INT", &child);
    let out = child.wait_with_output().unwrap();
    let told = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(0), "{told}");
    assert!(told.ends_with("3 frames, 7 more passed too fast to be taken, ended early\n"), "{told}");
}

/// What it looked at has gone, or the server ends: not the end that was asked for.
#[test]
fn an_end_that_nobody_asked_for_is_an_error_with_what_was_taken() {
    let lines = [
        json!({ "capturing": true }),
        json!({ "at_ns": 1, "direction": "sent", "length": 60, "data": "AAAA" }),
        json!({ "error": "interface a:b is not there any more", "code": "point-not-found", "dropped": 4 }),
    ];
    let body = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let url = serve(vec![Answer::new("POST /api/llcm/v1/captures", 200, body)]);
    let dir = tempfile::tempdir().unwrap();
    let told = finish(capture(&url, dir.path(), "", &["--plain"]).spawn().unwrap()).expect_error(1);
    let expected = "1 frames, 4 more passed too fast to be taken, ended early\n\
                    error: interface a:b is not there any more\n";
    assert!(told.ends_with(expected), "{told}");
}

#[test]
fn the_end_of_a_link_is_for_links_only() {
    for args in [&["capture", "--end", "dc3", "client:output"][..], &["capture", "--end", "dc3"]] {
        let told = finish(command(args).spawn().unwrap()).expect_error(2);
        assert!(told.contains("--end"), "{told}");
    }
}
