//! Docker hangs, dies, or answers nonsense, in the middle of something: what needs it fails cleanly, everything else goes
//! on, and nothing is left once it answers again.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::On;
use crate::lab::{Lab, Server};
use crate::look::assert_nothing_left;
use crate::native::{address, instance, until};
use crate::packages::{Unit, chain};

/// Deadlines that a test can wait for.
const QUICK: [&str; 8] = [
    "--look-deadline=2",
    "--change-deadline=3",
    "--network-deadline=10",
    "--retry-first=1",
    "--retry-longest=3",
    "--drain-limit=10",
    "--image-deadline=20",
    "--start-concurrency=1",
];

/// The lab's own Docker daemon.
pub(crate) struct Daemon<'lab> {
    lab: &'lab Lab,
    argv: Vec<String>,
}

impl<'lab> Daemon<'lab> {
    pub(crate) fn of(lab: &'lab Lab) -> Self {
        let cmdline = std::fs::read_to_string(format!("/proc/{}/cmdline", pid_of(lab))).unwrap();
        let argv: Vec<_> = cmdline.split_terminator('\0').map(str::to_owned).collect();
        assert!(argv.iter().any(|word| word.contains(&lab.name)), "{argv:?}");
        Self { lab, argv }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &pid_of(self.lab)]).status().unwrap();
        assert!(sent.success(), "kill {signal}");
    }

    fn kill(&self) {
        let process = PathBuf::from(format!("/proc/{}", pid_of(self.lab)));
        self.signal("-KILL");
        let gone = || !std::fs::read_to_string(process.join("stat")).is_ok_and(|it| !it.contains(") Z "));
        until("the daemon is dead", 10, gone);
    }

    fn start(&self) {
        // Nobody reaps it here, perhaps; then a new daemon takes the number for one that runs.
        let _ = std::fs::remove_file(pid_file(self.lab));
        let mut command = self.lab.command("setsid");
        let null = std::process::Stdio::null;
        let daemon = command.args(&self.argv).stdin(null()).stdout(null()).stderr(null()).spawn();
        let mut daemon = daemon.unwrap();
        // Reaped when it ends, which is with the lab.
        std::thread::spawn(move || daemon.wait());
        let answers = || self.lab.run(&["timeout", "5", "docker", "version"]).status.success();
        until("the daemon answers", 60, answers);
    }
}

impl Drop for Daemon<'_> {
    /// The lab is taken down with its help.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-CONT", &pid_of(self.lab)]).status();
    }
}

fn pid_file(lab: &Lab) -> String {
    format!("/run/llcm-engine/{}/dockerd.pid", lab.name)
}

fn pid_of(lab: &Lab) -> String {
    std::fs::read_to_string(pid_file(lab)).unwrap_or_default().trim().to_owned()
}

fn package(lab: &Lab) -> PathBuf {
    let names = ["vnf0", "vnf1", "vnf2", "vnf3"];
    chain(lab.dir.path(), "trouble", &names.map(|name| Unit::new(name, "example/vnf:1")))
}

/// Begins an instance, without waiting for it.
fn begin(server: &Server<'_>, service: &str) -> String {
    let reply = server.post("/api/llcm/v1/instances", &format!(r#"{{"service": "{service}"}}"#));
    assert!((200..300).contains(&reply.status), "{reply:?}");
    reply.body["instance_id"].as_str().unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

/// How an instance stands; `gone` when it is not listed, ended ones included.
fn state(server: &Server<'_>, id: &str) -> String {
    let list = server.get("/api/llcm/v1/instances?ended=true");
    let found = list.as_array().unwrap().iter().find(|it| it["id"] == id);
    found.map_or("gone", |it| it["state"].as_str().unwrap()).to_owned()
}

/// An instance in the list once it runs or is stuck. One that is stuck is soon taken down again by itself, and is neither
/// for as long as that takes.
fn settled(server: &Server<'_>, id: &str) -> Value {
    let mut found = Value::Null;
    until("it runs or is stuck", 30, || {
        let list = server.get("/api/llcm/v1/instances?ended=true");
        found = list.as_array().unwrap().iter().find(|it| it["id"] == id).cloned().unwrap_or_default();
        let state = found["state"].as_str().unwrap_or("gone");
        assert!(["running", "stuck", "unwinding"].contains(&state), "{found}");
        state != "unwinding"
    });
    found
}

/// The server answers at once what does not need the engine: asked again where the machine was busy, for what waits for
/// the engine takes two seconds each time.
fn answers_at_once(server: &Server<'_>) {
    let ask = || {
        let begun = Instant::now();
        server.get("/api/llcm/v1/instances");
        server.get("/packages");
        server.get("/api/llcm/v1/health");
        begun.elapsed()
    };
    let took: Vec<Duration> = (0..3).map(|_| ask()).collect();
    assert!(took.iter().any(|it| *it < Duration::from_millis(1900)), "{took:?}");
}

fn requests_have_ended(server: &Server<'_>) -> bool {
    let requests = server.get("/api/llcm/v1/requests");
    requests.as_array().unwrap().iter().all(|it| it["status"] == "READY" || it["status"] == "ERROR")
}

#[test]
fn a_daemon_that_hangs_in_the_middle() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/vnf:1"]);
    let daemon = Daemon::of(&lab);
    let server = lab.serve(&QUICK);
    let service = server.upload(&package(&lab));
    let stays = server.instantiate(&service);
    let before = instance(&server, &stays);
    let ask = address(&before, "vnf1", "input");
    // Docker cannot be asked for it while it hangs.
    let net = format!("--net=/proc/{}/ns/net", lab.pid("mn.vnf0.vdu01.0"));
    let hears = || {
        let mut ping = Command::new("nsenter");
        ping.args([&net, "--", "ping", "-c", "1", "-W", "1", "-I", "output", &ask]);
        ping.output().unwrap().status.success()
    };
    for millis in [0, 150, 400, 800, 1300] {
        let id = begin(&server, &service);
        std::thread::sleep(Duration::from_millis(millis));
        daemon.signal("-STOP");
        answers_at_once(&server);
        assert!(hears(), "what runs goes on");
        // It ends, one way or the other: it was made already, or it fails and nobody knows what is left.
        until("the request ends", 40, || requests_have_ended(&server));
        let now = settled(&server, &id);
        println!("stopped after {millis} ms: {}", now["state"]);
        answers_at_once(&server);
        // One that is asked for meanwhile fails, too, with a word about the engine.
        let reply = server.post("/api/llcm/v1/instances", &format!(r#"{{"service": "{service}"}}"#));
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(reply.body.to_string().contains("no answer within"), "{reply:?}");
        daemon.signal("-CONT");
        if now["state"] == "running" {
            server.terminate(&id);
        } else {
            until("it is taken down by itself", 40, || {
                ["failed", "gone"].contains(&state(&server, &id).as_str())
            });
        }
        // Nothing comes later either.
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(lab.containers().len(), 4, "{:?}", lab.containers());
        assert!(hears());
    }
    server.terminate(&stays);
    assert_nothing_left(&server);
    server.stop();
}

#[test]
fn a_daemon_that_dies_and_comes_back() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/vnf:1"]);
    let daemon = Daemon::of(&lab);
    let mut flags = QUICK.to_vec();
    flags.push("--heal");
    let server = lab.serve(&flags);
    let service = server.upload(&package(&lab));
    let stays = server.instantiate(&service);
    let ask = address(&instance(&server, &stays), "vnf1", "input");
    for millis in [100, 700] {
        let id = begin(&server, &service);
        std::thread::sleep(Duration::from_millis(millis));
        daemon.kill();
        answers_at_once(&server);
        until("the request ends", 40, || requests_have_ended(&server));
        println!("killed after {millis} ms: {}", state(&server, &id));
        // It takes the containers of its earlier life down.
        daemon.start();
        until("what could not be made is gone", 60, || {
            ["failed", "gone"].contains(&state(&server, &id).as_str())
        });
        // That it has ended may not be known yet when the daemon answers: what is asked is whether it works.
        until("what ran runs again, and its network carries", 60, || {
            let carries = lab.find_pid("mn.vnf0.vdu01.0").is_some_and(|pid| {
                let net = format!("--net=/proc/{pid}/ns/net");
                let ping = ["--", "ping", "-c", "1", "-W", "1", "-I", "output", &ask];
                Command::new("nsenter").arg(net).args(ping).output().unwrap().status.success()
            });
            carries && state(&server, &stays) == "running"
        });
        assert_eq!(lab.containers().len(), 4, "{:?}", lab.containers());
    }
    server.terminate(&stays);
    // A daemon that is killed while it makes a container leaves the pair of interfaces that it had begun with.
    let links: Value = serde_json::from_str(&lab.ok(&["ip", "-j", "link"])).unwrap();
    let names = links.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap());
    for name in names.filter(|name| name.starts_with("veth")) {
        lab.run(&["ip", "link", "delete", name]);
    }
    assert_nothing_left(&server);
    server.stop();
}

/// A socket before the daemon's, which answers everything with 500 when it is told to.
struct Proxy {
    socket: PathBuf,
    broken: Arc<AtomicBool>,
}

impl Proxy {
    fn start(directory: &Path, daemon: PathBuf) -> Self {
        let socket = directory.join("proxy.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let broken = Arc::new(AtomicBool::new(false));
        let is_broken = Arc::clone(&broken);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (daemon, is_broken) = (daemon.clone(), Arc::clone(&is_broken));
                std::thread::spawn(move || serve(stream, &daemon, &is_broken));
            }
        });
        Self { socket, broken }
    }
}

/// Passes one connection on, until the proxy is broken: then a request is answered with 500, and hung up on.
fn serve(mut client: UnixStream, daemon: &Path, broken: &AtomicBool) {
    let Ok(mut engine) = UnixStream::connect(daemon) else { return };
    let (mut from_engine, mut to_client) = (engine.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_engine, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let mut bytes = [0; 65536];
    while let Ok(length @ 1..) = client.read(&mut bytes) {
        if broken.load(Ordering::SeqCst) {
            let body = "{\"message\":\"the daemon has lost its mind\"}";
            let head = format!("HTTP/1.1 500 Internal Server Error\r\nContent-Length: {}\r\n", body.len());
            let _ =
                client.write_all(format!("{head}Content-Type: application/json\r\n\r\n{body}").as_bytes());
            break;
        }
        if engine.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    let _ = engine.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_daemon_that_answers_everything_with_500() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/vnf:1"]);
    let daemon = lab.docker_host.strip_prefix("unix://").unwrap();
    let proxy = Proxy::start(lab.dir.path(), daemon.into());
    let host = format!("unix://{}", proxy.socket.display());
    let server = lab.serve_on("docker", &host, &QUICK);
    let service = server.upload(&package(&lab));
    let stays = server.instantiate(&service);
    for millis in [0, 200, 600, 1000] {
        let id = begin(&server, &service);
        std::thread::sleep(Duration::from_millis(millis));
        proxy.broken.store(true, Ordering::SeqCst);
        until("the request ends", 40, || requests_have_ended(&server));
        let now = settled(&server, &id);
        println!("broken after {millis} ms: {}", now["state"]);
        answers_at_once(&server);
        if now["state"] == "stuck" {
            assert!(now["errors"].to_string().contains("lost its mind"), "{now}");
            assert_ne!(now["retry"], Value::Null, "{now}");
        }
        proxy.broken.store(false, Ordering::SeqCst);
        if now["state"] == "running" {
            server.terminate(&id);
        } else {
            until("it is taken down by itself", 40, || {
                ["failed", "gone"].contains(&state(&server, &id).as_str())
            });
        }
        assert_eq!(lab.containers().len(), 4, "{:?}", lab.containers());
    }
    server.terminate(&stays);
    assert_nothing_left(&server);
    server.stop();
}
