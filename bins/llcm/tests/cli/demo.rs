//! The demo on real engines and the real kernel: inside network namespaces without uplink only.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use llcm_testkit::process::copy_program;

use crate::run::{command, finish, is_root, root};

/// A network namespace of its own; gone when dropped.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        let namespace = Self(format!("llcm-demo-{name}-{}", std::process::id()));
        ip(&["netns", "add", &namespace.0]);
        ip(&["-n", &namespace.0, "link", "set", "lo", "up"]);
        namespace
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "delete", &self.0]);
    }
}

pub(crate) fn ip(words: &[&str]) -> String {
    let ran = Command::new("ip").args(words).output().unwrap();
    assert!(ran.status.success(), "ip {words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

/// What the demo must tell; nothing of it may be left.
#[track_caller]
fn check(told: &str, published: &str) {
    for expected in [
        "hello from server.du.0",
        "1 packets transmitted, 0 ",
        " 100% packet loss",
        "    address 20.0.1.1/24\n",
        published,
        "-inst.0 terminated",
        "): 0 containers, 0 ports and segments",
    ] {
        assert!(told.contains(expected), "`{expected}` is missing in:\n{told}");
    }
    let answered = told.matches("3 packets transmitted, 3 ").count();
    assert!(answered == 2 && told.matches(" 0% packet loss").count() == 2, "{told}");
    let installation = told.split_once("(installation ").unwrap().1.split_once(')').unwrap().0;
    let namespaces = ip(&["netns", "list"]);
    assert!(!namespaces.contains(installation), "data centers were left: {namespaces}");
    let processes = Command::new("sh")
        .args([
            "-c",
            &format!("grep -l llcm-{installation} /proc/[0-9]*/cgroup /proc/[0-9]*/mountinfo 2>/dev/null"),
        ])
        .output()
        .unwrap();
    let processes = String::from_utf8_lossy(&processes.stdout).into_owned();
    assert!(processes.is_empty(), "processes were left: {processes}");
}

#[test]
fn on_the_embedded_engine() {
    if !is_root() {
        return;
    }
    let namespace = Namespace::new("root");
    let mut demo = Command::new("nsenter");
    demo.arg(format!("--net=/run/netns/{}", namespace.0)).args(["--", env!("CARGO_BIN_EXE_llcm"), "demo"]);
    let told = finish(crate::run::alone(&mut demo).spawn().unwrap()).expect(0);
    check(&told, "$ fetch http://127.0.0.1:8088/\nhello from server.du.0\n");
}

#[test]
fn on_the_embedded_engine_as_an_ordinary_user() {
    if !is_root() {
        return;
    }
    let namespace = Namespace::new("user");
    // The build directory and the usual place for temporary files may be closed to other users.
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let program = place.path().join("llcm");
    copy_program(env!("CARGO_BIN_EXE_llcm").as_ref(), &program);
    let mut demo = Command::new("nsenter");
    demo.arg(format!("--net=/run/netns/{}", namespace.0)).args(["--", "setpriv", "--reuid", "23457"]);
    demo.args(["--regid", "23457", "--clear-groups", "--"]).arg(program).arg("demo");
    let told = finish(crate::run::alone(&mut demo).env("TMPDIR", place.path()).spawn().unwrap()).expect(0);
    check(&told, "$ fetch http://127.0.0.1:8088/\nhello from server.du.0\n");
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn on_docker() {
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

    let docker_host = format!("unix://{socket}");
    let demo = &mut command(&["demo", "--engine", "docker", "--docker-host", &docker_host]);
    let told = finish(demo.spawn().unwrap()).expect(0);
    check(&told, "$ fetch http://127.0.0.1:8088/\nhello from server.du.0\n");
}
