//! The program is killed: what rules carry goes on, and the next program takes the ports over.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ExitCode};
use std::time::Duration;

use llcm_engine::{Engine, Options, PublishVia, Spec};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::containers::wait_until;
use crate::kit::{Fixture, options, start_part};
use crate::outsider::{HOST, Outside};
use crate::publish::{at, local, serve, tcp, tcp_peer, udp, udp_peer};
use crate::rules::rules;
use crate::server::server;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("publish_nft_goes_on_without_the_program", || goes_on_without_the_program(PublishVia::Nft)),
    ("publish_proxy_is_restored_by_the_next_program", || goes_on_without_the_program(PublishVia::Proxy)),
    ("publish_problems_are_told", problems_are_told),
];

/// The part of the program that is killed.
pub(crate) fn supervise(directory: &Path, cgroup: &str, via: &str) -> ExitCode {
    let via = if via == "nft" { PublishVia::Nft } else { PublishVia::Proxy };
    let options = Options { publish: via, ..options(directory.join("state"), cgroup) };
    let engine = Engine::open(options).unwrap();
    let publish = vec![tcp(8080), udp(8080)];
    engine.create(Spec { publish, ..server("a", "0.0.0.0:80") }).unwrap();
    engine.start("a").unwrap();
    println!("ready");
    std::io::stdout().flush().unwrap();
    // Ends with the test at the latest.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    ExitCode::SUCCESS
}

fn start_supervisor(it: &Fixture, via: PublishVia) -> Child {
    let via = OsStr::new(if via == PublishVia::Nft { "nft" } else { "proxy" });
    let arguments = ["publish".as_ref(), it.directory.path().as_os_str(), it.cgroup().as_ref(), via];
    start_part(&arguments, "ready")
}

fn goes_on_without_the_program(via: PublishVia) {
    let outside = Outside::new();
    let mut it = Fixture::publishing(via);
    it.close();
    // Otherwise the orphans would come to this program, which is the supervisor's parent.
    rustix::process::set_child_subreaper(None).unwrap();
    let mut supervisor = start_supervisor(&it, via);
    wait_until("the server listens", || tcp_peer(local(8080)).is_ok());
    let mut inside = TcpStream::connect(local(8080)).unwrap();
    let mut remote = outside.visit(|| TcpStream::connect((HOST, 8080)).unwrap());
    let again = |stream: &mut TcpStream, word: &[u8]| -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(word)?;
        let mut back = vec![0; word.len()];
        stream.read_exact(&mut back)?;
        assert_eq!(back, word);
        Ok(())
    };
    for stream in [&mut inside, &mut remote] {
        stream.write_all(b"e").unwrap();
        again(stream, b"before").unwrap();
    }
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    let is_nft = via == PublishVia::Nft;
    for stream in [&mut inside, &mut remote] {
        assert_eq!(again(stream, b"meanwhile").is_ok(), is_nft);
    }
    assert_eq!(tcp_peer(local(8080)).is_ok(), is_nft);
    assert_eq!(udp_peer(local(8080)).is_ok(), is_nft);
    assert_eq!(outside.visit(|| tcp_peer(at(HOST, 8080))).is_ok(), is_nft);
    it.open();
    assert_eq!(it.publishing().problems, Vec::<String>::new());
    for stream in [&mut inside, &mut remote] {
        assert_eq!(again(stream, b"afterwards").is_ok(), is_nft, "{stream:?} {}", rules());
    }
    tcp_peer(local(8080)).unwrap();
    udp_peer(local(8080)).unwrap();
    outside.visit(|| tcp_peer(at(HOST, 8080))).unwrap();
    // By the proxy of the new program: there are no rules for IPv6.
    tcp_peer("[::1]:8080".parse().unwrap()).unwrap();
    // The port is held again.
    TcpListener::bind("0.0.0.0:8080").unwrap_err();
    it.remove("a").unwrap();
    tcp_peer(local(8080)).unwrap_err();
    assert_eq!(rules(), "");
    // Ended while no program was there: nothing is published any more.
    it.close();
    rustix::process::set_child_subreaper(None).unwrap();
    let mut supervisor = start_supervisor(&it, via);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    let state = fs::read_to_string(it.directory.path().join("state/containers/a/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let pid = i32::try_from(state["running"]["pid"].as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    pidfd_send_signal(&process, Signal::KILL).unwrap();
    let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap();
    assert_eq!(ended, 1, "it has ended");
    it.open();
    assert_eq!(rules(), "");
    drop(TcpListener::bind("0.0.0.0:8080").unwrap());
}

/// Somebody took the port while no program was there: the engine opens all the same and says so.
fn problems_are_told() {
    let mut it = Fixture::publishing(PublishVia::Nft);
    serve(&it, "a", vec![tcp(8080)]);
    it.close();
    let thief = TcpListener::bind("0.0.0.0:8080").unwrap();
    it.open();
    let problems = it.publishing().problems;
    assert!(problems.len() == 1 && problems[0].starts_with("a: port `tcp 8080` is in use"), "{problems:?}");
    drop(thief);
    it.open();
    assert_eq!(it.publishing().problems, Vec::<String>::new());
    tcp_peer(local(8080)).unwrap();
}
