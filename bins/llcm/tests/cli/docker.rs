//! The demo on a real engine and the real kernel: inside the network namespace of a private engine only.

use std::process::Command;

use crate::run::{command, finish, root};

#[test]
fn the_demo_shows_traffic() {
    let (Ok(socket), Ok(engine)) = (std::env::var("LLCM_TEST_ENGINE"), std::env::var("LLCM_TEST_NETNS"))
    else {
        assert!(
            std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_err(),
            "run this within `scripts/private-engine exec`: LLCM_TEST_ENGINE and LLCM_TEST_NETNS are not set"
        );
        eprintln!("skipped: needs a private engine (scripts/test brings one)");
        return;
    };
    let made = Command::new(root().join("scripts/private-engine"))
        .args(["image", &engine, "llcm-demo:latest"])
        .status()
        .unwrap();
    assert!(made.success());

    let mut demo = command(&["demo", "--docker-host", &format!("unix://{socket}")]);
    demo.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let told = finish(demo.spawn().unwrap()).expect(0);
    for expected in [
        "3 packets transmitted, 3 packets received, 0% packet loss",
        "hello from server.du.0",
        "1 packets transmitted, 0 packets received, 100% packet loss",
        "-inst.0 terminated",
        "): 0 containers, 0 ports and segments",
    ] {
        assert!(told.contains(expected), "`{expected}` is missing in:\n{told}");
    }
    let installation = told.split_once("(installation ").unwrap().1.split_once(')').unwrap().0;
    let namespaces = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let namespaces = String::from_utf8_lossy(&namespaces.stdout).into_owned();
    assert!(!namespaces.contains(installation), "data centers were left: {namespaces}");
}
