//! Ends of containers are noticed without anybody looking, and told.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use llcm_engine::{Ended, Exit, Spec};
use rustix::process::{Pid, Signal, kill_process};

use crate::containers::wait_until;
use crate::kit::{Fixture, shell};
use crate::publish::{settled, tcp};

pub(crate) const TESTS: &[crate::Test] = &[
    ("an_end_that_nobody_looks_at", an_end_that_nobody_looks_at),
    ("an_end_after_adoption_that_nobody_looks_at", an_end_after_adoption_that_nobody_looks_at),
    ("fifty_ends_at_once", fifty_ends_at_once),
    ("each_end_is_told_once", each_end_is_told_once),
    ("an_end_that_cannot_be_written_down", an_end_that_cannot_be_written_down),
    (
        "a_closed_engine_leaves_no_thread_and_no_descriptor",
        a_closed_engine_leaves_no_thread_and_no_descriptor,
    ),
];

const LONG: Duration = Duration::from_secs(20);

fn exit(code: i32) -> Exit {
    Exit { code: Some(code), out_of_memory: false }
}

fn state_file(it: &Fixture, name: &str) -> PathBuf {
    it.inspect(name).unwrap().unwrap().log.with_file_name("state.json")
}

fn written(code: i32) -> serde_json::Value {
    serde_json::json!({"ended": {"code": code, "out_of_memory": false}})
}

fn read(file: &PathBuf) -> serde_json::Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// A port that nobody has, and another one's attempt to take it.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn is_taken(port: u16) -> bool {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::AddrInUse => true,
        Err(error) => panic!("{error}"),
    }
}

/// Runs a container with a published port and a second to live; gives the port and the file of its state.
fn short_lived(it: &Fixture) -> (u16, PathBuf) {
    let port = free_port();
    let command = shell("while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 5");
    it.run_spec(Spec { command, publish: vec![tcp(port)], ..Spec::new("a", "host") });
    (port, state_file(it, "a"))
}

/// From here on, only the kernel is asked.
fn ends_unseen(it: &Fixture, port: u16, state: &PathBuf) {
    assert!(is_taken(port));
    it.sh("a", "touch /tmp/end");
    wait_until("its port is free", || !is_taken(port));
    wait_until("its end is written down", || read(state) == written(5));
}

fn an_end_that_nobody_looks_at() {
    let it = Fixture::new();
    let (port, state) = short_lived(&it);
    let ends = it.subscribe();
    ends_unseen(&it, port, &state);
    let told = ends.recv_timeout(LONG).unwrap();
    assert_eq!(told, Ended { name: "a".to_owned(), exit: exit(5) });
    assert_eq!(ends.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
}

fn an_end_after_adoption_that_nobody_looks_at() {
    let mut it = Fixture::new();
    let (port, state) = short_lived(&it);
    it.open();
    ends_unseen(&it, port, &state);
}

fn fifty_ends_at_once() {
    let it = Fixture::new();
    let names: Vec<_> = (0..50).map(|number| format!("c{number}")).collect();
    for name in &names {
        it.run(name, "exec sleep 1000");
    }
    let pids: Vec<_> = names.iter().map(|name| it.pid(name)).collect();
    let states: Vec<_> = names.iter().map(|name| state_file(&it, name)).collect();
    let (ends, others) = (it.subscribe(), it.subscribe());
    drop(others);
    pids.into_iter().for_each(kill);
    let start = Instant::now();
    let mut told: Vec<_> = names.iter().map(|_| ends.recv_timeout(LONG).unwrap()).collect();
    println!("  50 ends noticed after {:.2?}", start.elapsed());
    told.sort_by(|one, other| one.name.cmp(&other.name));
    let mut expected: Vec<_> =
        names.iter().map(|name| Ended { name: name.clone(), exit: exit(128 + 9) }).collect();
    expected.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(told, expected);
    // What is told is written down already.
    assert!(states.iter().all(|state| read(state) == written(128 + 9)));
}

/// While calls on the same containers go on.
fn each_end_is_told_once() {
    const ROUNDS: usize = 16;
    let it = Fixture::new();
    let ends = it.subscribe();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let it = &it;
            scope.spawn(move || {
                let name = format!("c{number}");
                for round in 0..ROUNDS {
                    if it.inspect(&name).unwrap().is_none() {
                        let command = shell("exec sleep 1000");
                        it.create(Spec { command, ..Spec::new(&*name, "host") }).unwrap();
                    }
                    it.start(&name).unwrap();
                    kill(it.pid(&name));
                    match round % 4 {
                        0 => it.kill(&name).unwrap(),
                        1 => assert_eq!(it.ends(&name), exit(128 + 9)),
                        2 => it.remove(&name).unwrap(),
                        _ => it.stop(&name, Duration::from_secs(5)).unwrap(),
                    }
                }
            });
        }
    });
    let mut told = BTreeMap::new();
    while let Ok(ended) = ends.recv_timeout(Duration::from_millis(50)) {
        assert_eq!(ended.exit, exit(128 + 9));
        *told.entry(ended.name).or_insert(0) += 1;
    }
    let expected: BTreeMap<_, _> = (0..4).map(|number| (format!("c{number}"), ROUNDS)).collect();
    assert_eq!(told, expected);
}

/// Nobody hears of it when it happens, but whoever looks; and the port is free all the same.
fn an_end_that_cannot_be_written_down() {
    let it = Fixture::new();
    let (port, state) = short_lived(&it);
    let ends = it.subscribe();
    // A new state is written beside the old one first.
    let staged = state.with_extension("new");
    fs::create_dir(&staged).unwrap();
    it.sh("a", "touch /tmp/end");
    assert_eq!(ends.recv_timeout(LONG).unwrap().exit, exit(5));
    assert!(!is_taken(port));
    for _ in 0..2 {
        it.inspect("a").unwrap_err();
    }
    assert!(it.start("a").is_err());
    fs::remove_dir(&staged).unwrap();
    assert_eq!(it.ends("a"), exit(5));
    assert_eq!(read(&state), written(5));
    assert_eq!(ends.recv_timeout(Duration::from_millis(20)), Err(RecvTimeoutError::Timeout));
}

fn a_closed_engine_leaves_no_thread_and_no_descriptor() {
    let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    let before = (settled(|| count("task")), settled(|| count("fd")));
    let mut it = Fixture::new();
    let (port, _) = short_lived(&it);
    it.run("b", "exec sleep 1000");
    it.run("c", "exit 3");
    it.ends("c");
    let ends = it.subscribe();
    assert!(count("task") >= before.0 + 2 && count("fd") > before.1);
    it.close();
    assert_eq!(ends.recv(), Err(std::sync::mpsc::RecvError));
    assert!(!is_taken(port));
    drop(ends);
    wait_until("its descriptors are closed", || count("fd") == before.1);
    // A thread that was joined is in the list until the kernel has done with it.
    wait_until("its threads are gone", || count("task") == before.0);
}
