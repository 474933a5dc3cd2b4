//! The tools in a container of the embedded engine: on the real kernel, as start scripts use them.

use std::path::PathBuf;

use llcm_engine::image::HostTools;
use llcm_engine::{Engine, ExecSpec, Helper, Options, Spec};

use crate::run::is_root;

const NAMES: [&str; 5] = ["ping", "web-server", "tcp-relay", "fetch", "interfaces"];

/// An engine with one container; both gone when dropped.
struct Bed {
    engine: Engine,
    _directory: tempfile::TempDir,
}

impl Bed {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_llcm"));
        let options = Options {
            helper: Helper { program: program.clone(), arguments: vec!["engine-init".to_owned()] },
            cgroup: format!("llcm-tools-{}", std::process::id()),
            host_tools: Some(HostTools { program, names: NAMES.map(str::to_owned).to_vec() }),
            ..Options::new(directory.path().join("state"))
        };
        let engine = Engine::open(options).unwrap();
        engine.create(Spec::new("vnf", "host")).unwrap();
        engine.start("vnf").unwrap();
        Self { engine, _directory: directory }
    }

    /// Exit code, and standard output and error together.
    fn sh(&self, script: &str) -> (Option<i32>, String) {
        let script = format!("exec 2>&1; {script}");
        let ran = self.engine.exec("vnf", &ExecSpec::new(["sh", "-c", &script])).unwrap();
        (ran.code, String::from_utf8(ran.stdout).unwrap())
    }

    #[track_caller]
    fn expect(&self, script: &str, code: i32, texts: &[&str]) {
        let (ended, told) = self.sh(script);
        assert_eq!(ended, Some(code), "{script}: {told}");
        for text in texts {
            assert!(told.contains(text), "{script}: `{text}` is missing in: {told}");
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if let Err(error) = self.engine.remove("vnf") {
            eprintln!("left behind: {error}");
        }
        self.engine.remove_leftovers();
    }
}

#[test]
fn tools_work_in_containers_of_the_built_in_image() {
    if !is_root() {
        return;
    }
    let it = Bed::new();
    let before = std::fs::read(env!("CARGO_BIN_EXE_llcm")).unwrap();

    // Servers: the command ends when they can be used, and they go on until they are ended.
    it.expect("web-server 80 \"hello from $HOSTNAME\"x; tcp-relay 81 127.0.0.1:80", 0, &[]);
    it.expect("fetch http://127.0.0.1:81/", 0, &["hello from "]);
    it.expect("web-server 80 again", 1, &["web-server: cannot listen on 80: Address already in use"]);
    // It takes a moment to end.
    it.expect(
        "kill $(cat /run/tcp-relay-81.pid); tries=0; while [ $tries -lt 100 ]; do \
         told=$(fetch http://127.0.0.1:81/ 2>&1); code=$?; case $told in *cannot*) break;; esac; \
         tries=$((tries + 1)); sleep 0.1; done; echo \"$told\"; exit $code",
        1,
        &["fetch: cannot"],
    );
    it.expect("fetch http://127.0.0.1/", 0, &["hello from "]);
    it.expect("mkdir /tmp/www; echo page > /tmp/www/a; web-server 82 /tmp/www", 0, &[]);
    it.expect("fetch http://127.0.0.1:82/a", 0, &["page\n"]);
    it.expect("fetch http://127.0.0.1:82/b", 1, &["404 Not Found"]);
    it.expect("fetch", 2, &["usage: fetch http://"]);

    // The host may have another ping.
    let ping = "/opt/llcm/bin/ping";
    let replies = [
        "64 bytes from 127.0.0.1: icmp_seq=2 ttl=64 time=",
        "2 packets transmitted, 2 received, 0% packet loss",
    ];
    it.expect(&format!("{ping} -c 2 -i 0.1 -W 2 127.0.0.1"), 0, &replies);
    it.expect(
        &format!("{ping} -c 1 -W 2 -I lo 127.0.0.1"),
        0,
        &["from 127.0.0.1 lo: 56(84) bytes", "1 received"],
    );
    it.expect(&format!("{ping} -c 1 -W 0.2 -I lo 192.0.2.1"), 1, &["0 received, 100% packet loss"]);
    it.expect(
        &format!("{ping} -c 1 192.0.2.1"),
        2,
        &["ping: cannot reach 192.0.2.1: Network is unreachable"],
    );
    it.expect(&format!("{ping} -c 1 -I none 127.0.0.1"), 2, &["interface `none`"]);
    it.expect("interfaces", 0, &["lo: ", "    address 127.0.0.1/8\n", "    received "]);
    it.expect("interfaces none", 1, &["no interface `none`"]);

    // They are there, the host's own come first, and the program cannot be changed.
    it.expect("for name in web-server tcp-relay fetch interfaces; do command -v $name; done", 0, &[
        "/opt/llcm/bin/web-server\n/opt/llcm/bin/tcp-relay\n/opt/llcm/bin/fetch\n/opt/llcm/bin/interfaces\n",
    ]);
    it.expect("echo $PATH", 0, &["/bin:/opt/llcm/bin\n"]);
    it.expect("echo x > /opt/llcm/bin/llcm", 2, &["Read-only file system"]);
    it.expect("rm -f /opt/llcm/bin/llcm", 1, &["busy"]);
    let (_, mounts) = it.sh("cut -d' ' -f5,6 /proc/self/mountinfo");
    let of_llcm: Vec<_> = mounts.lines().filter(|line| line.contains("llcm")).collect();
    assert!(of_llcm.len() == 1 && of_llcm[0].starts_with("/opt/llcm/bin/llcm ro"), "{of_llcm:?}");
    assert!(std::fs::read(env!("CARGO_BIN_EXE_llcm")).unwrap() == before, "the program was changed");
}
