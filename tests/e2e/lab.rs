//! A network namespace without uplink, a private container engine in it, and the program under test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::On;

/// A Docker engine's address that nobody listens at.
pub(crate) const NO_DOCKER: &str = "unix:///run/llcm-no-docker.sock";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Whether system tests can run here; panics where they must and cannot.
pub(crate) fn possible() -> bool {
    let uid = std::fs::read_to_string("/proc/self/status").unwrap();
    let is_root = uid.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let required = std::env::var_os("LLCM_REQUIRE_SYSTEM_TESTS").is_some_and(|value| value == "1");
    assert!(is_root || !required, "LLCM_REQUIRE_SYSTEM_TESTS=1, but this is not root");
    if !is_root {
        eprintln!("skipped: needs root (a private engine in a network namespace)");
    }
    is_root
}

/// What a finished command printed, with its command line for messages.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub(crate) fn script(args: &[&str]) -> Output {
    Command::new(root().join("scripts/private-engine"))
        .args(args)
        .output()
        .expect("scripts/private-engine runs")
}

/// A network namespace without uplink, with a private Docker engine in it if the test is on Docker; gone when
/// dropped.
pub(crate) struct Lab {
    pub(crate) on: On,
    pub(crate) name: String,
    /// Empty where there is no Docker.
    pub(crate) docker_host: String,
    pub(crate) dir: tempfile::TempDir,
    /// The process of the latest server.
    server: Mutex<Option<u32>>,
}

impl Lab {
    /// A new lab, or `None` where there cannot be one (a message was printed).
    pub(crate) fn new(on: On) -> Option<Self> {
        if !possible() {
            return None;
        }
        let name = format!("t{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut docker_host = String::new();
        if on == On::Docker {
            let up = script(&["up", &name]);
            assert!(up.status.success(), "private engine: {}", text(&up));
            docker_host = String::from_utf8_lossy(&up.stdout)
                .lines()
                .find_map(|line| line.trim().strip_prefix("DOCKER_HOST=").map(str::to_owned))
                .expect("scripts/private-engine prints DOCKER_HOST=");
        } else {
            let made = Command::new("ip").args(["netns", "add", &name]).status().unwrap();
            assert!(made.success(), "ip netns add {name}");
            // What is on this machine is not the test's business.
            docker_host.push_str(NO_DOCKER);
        }
        let lab = Self { on, name, docker_host, dir: tempfile::tempdir().unwrap(), server: Mutex::default() };
        if on != On::Docker {
            lab.ok(&["ip", "link", "set", "lo", "up"]);
        }
        std::fs::create_dir(lab.data()).unwrap();
        lab.give(&lab.data());
        lab.give(lab.dir.path());
        Some(lab)
    }

    /// The root directory of the running server, in its mount namespace.
    pub(crate) fn server_root(&self) -> PathBuf {
        let pid = self.server.lock().unwrap().expect("a server runs");
        PathBuf::from(format!("/proc/{pid}/root"))
    }

    /// The server's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A command to be run in the lab's network namespace.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name)).arg("--").arg(program);
        command.env("DOCKER_HOST", &self.docker_host);
        command
    }

    /// Runs a command in the lab's network namespace.
    pub(crate) fn run(&self, argv: &[&str]) -> Output {
        self.command(argv[0]).args(&argv[1..]).output().unwrap()
    }

    /// Runs a command in the lab that must succeed; its standard output.
    pub(crate) fn ok(&self, argv: &[&str]) -> String {
        let out = self.run(argv);
        assert!(out.status.success(), "{argv:?}: {}", text(&out));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Runs `docker` against the lab's engine; its standard output.
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        let mut argv = vec!["docker"];
        argv.extend(args);
        self.ok(&argv)
    }

    /// A command in a container's network namespace, with the host's tools.
    pub(crate) fn in_container(&self, container: &str, argv: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid(container))).arg("--").args(argv);
        command
    }

    /// Starts `llcm serve` in the lab and waits until it answers.
    pub(crate) fn serve(&self, extra: &[&str]) -> Server<'_> {
        self.serve_on(self.own_engine(), &self.docker_host, extra)
    }

    /// The engine that a server has where nothing else is said.
    pub(crate) fn own_engine(&self) -> &'static str {
        if self.has_docker() { "docker" } else { "embedded" }
    }

    /// `llcm serve` in the lab.
    pub(crate) fn serve_command(&self, engine: &str, docker_host: &str, extra: &[&str]) -> Command {
        let mut serve = self.program();
        serve
            .args(["serve", "--listen", "127.0.0.1:5000", "--engine", engine, "--data-dir"])
            .arg(self.data())
            .args(["--docker-host", docker_host])
            // A test that fails half-way leaves nothing either.
            .arg("--stop-instances")
            .args(extra);
        serve
    }

    /// The same with an engine and a place of Docker that are not the lab's own.
    pub(crate) fn serve_on(&self, engine: &str, docker_host: &str, extra: &[&str]) -> Server<'_> {
        self.begin(self.serve_command(engine, docker_host, extra))
    }

    /// Starts `llcm serve` as users do who say nothing of their instances: they outlive it.
    pub(crate) fn serve_lasting(&self, extra: &[&str]) -> Server<'_> {
        let mut serve = self.program();
        serve.args(["serve", "--listen", "127.0.0.1:5000", "--engine", self.own_engine(), "--data-dir"]);
        serve.arg(self.data()).args(["--docker-host", &self.docker_host]).args(extra);
        self.begin(serve)
    }

    /// Starts a server and waits until it answers.
    fn begin(&self, mut serve: Command) -> Server<'_> {
        let child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        *self.server.lock().unwrap() = Some(child.id());
        let mut server = Server { lab: self, child, data: self.data() };
        server.keep_output();
        let end = Instant::now() + Duration::from_secs(60);
        while server.lab.run(&["curl", "-sf", "http://127.0.0.1:5000/api/llcm/v1/health"]).status.code()
            != Some(0)
        {
            if let Some(status) = server.child.try_wait().unwrap() {
                panic!("llcm serve ended: {status}");
            }
            assert!(Instant::now() < end, "llcm serve does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.on != On::Docker {
            let gone = Command::new("ip").args(["netns", "delete", &self.name]).status();
            assert!(std::thread::panicking() || gone.is_ok_and(|it| it.success()), "ip netns delete");
            return;
        }
        let down = script(&["down", &self.name]);
        if !down.status.success() && !std::thread::panicking() {
            panic!("private engine down: {}", text(&down));
        }
    }
}

/// A reply over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// `llcm serve` in a lab; ended when dropped.
pub(crate) struct Server<'lab> {
    pub(crate) lab: &'lab Lab,
    child: Child,
    pub(crate) data: PathBuf,
}

impl Server<'_> {
    /// Shows what the server prints, should the test fail.
    fn keep_output(&mut self) {
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(self.child.stdout.take().unwrap()), Box::new(self.child.stderr.take().unwrap())];
        for stream in streams {
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    println!("serve: {line}");
                }
            });
        }
    }

    /// One HTTP exchange by `curl`.
    pub(crate) fn curl(&self, args: &[&str], path: &str) -> Reply {
        let out = self
            .lab
            .command("curl")
            .args(["-sS", "--max-time", "120", "-w", "\n%{http_code}"])
            .args(args)
            .arg(format!("http://127.0.0.1:5000{path}"))
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&out.stdout).into_owned();
        let (body, status) =
            printed.rsplit_once('\n').unwrap_or_else(|| panic!("curl {path}: {}", text(&out)));
        let status = status.parse().unwrap_or_else(|_| panic!("curl {path}: {}", text(&out)));
        Reply { status, body: serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())) }
    }

    /// `GET`, which must succeed.
    pub(crate) fn get(&self, path: &str) -> Value {
        let reply = self.curl(&[], path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.body
    }

    /// `POST` of a JSON text without naming its content type, as the existing clients do it.
    pub(crate) fn post(&self, path: &str, json: &str) -> Reply {
        self.curl(&["-X", "POST", "-H", "Content-Type:", "-d", json], path)
    }

    /// Uploads a package file; the service's id.
    pub(crate) fn upload(&self, file: &Path) -> String {
        let reply = self.curl(&["-F", &format!("package=@{}", file.display())], "/packages");
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["service_uuid"].as_str().unwrap().to_owned()
    }

    /// Instantiates a service; the instance's id.
    pub(crate) fn instantiate(&self, service: &str) -> String {
        let reply = self.post("/instantiations", &format!(r#"{{"service_uuid": "{service}"}}"#));
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.body["service_instance_uuid"].as_str().unwrap().to_owned()
    }

    /// Terminates one instance.
    pub(crate) fn terminate(&self, instance: &str) {
        let body = format!(r#"{{"service_instance_uuid": "{instance}"}}"#);
        let reply = self.curl(&["-X", "DELETE", "-d", &body], "/instantiations");
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Kills the server, which has no time for anything then.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to end; its exit code, and how long that took.
    pub(crate) fn asked_to_end(mut self) -> (Option<i32>, Duration) {
        let begun = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        while begun.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), begun.elapsed());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("llcm serve did not end within 60 s of SIGTERM");
    }

    /// Asks the server to end and waits for it.
    pub(crate) fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            return;
        }
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().unwrap().is_none() {
            if Instant::now() > end {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                assert!(std::thread::panicking(), "llcm serve did not end within 60 s of SIGTERM");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
