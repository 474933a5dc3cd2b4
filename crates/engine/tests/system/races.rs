//! Calls on a container that wait while others go on: what they kill and remove is what they found.

use std::fs;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llcm_engine::{EngineError, Spec};
use rustix::process::{Pid, Signal, kill_process};

use crate::containers::wait_until;
use crate::kit::{Fixture, shell, text};

pub(crate) const TESTS: &[crate::Test] = &[
    ("removals_at_once_spare_the_next_container", removals_at_once_spare_the_next_container),
    (
        "removals_of_a_damaged_one_spare_the_next_container",
        removals_of_a_damaged_one_spare_the_next_container,
    ),
    ("stops_spare_the_next_run", stops_spare_the_next_run),
];

/// So many calls wait for the same end.
const CALLS: usize = 16;
const ROUNDS: usize = 4;

/// Keeps a container from ending: it ends when the last process in it is reaped, and the parent of one is stopped.
struct Held(Child);

impl Held {
    fn new(it: &Fixture, name: &str) -> Self {
        let target = it.pid(name).to_string();
        let mut command = Command::new("nsenter");
        let child = command.args(["--target", &target, "--pid", "sleep", "1000"]).spawn().unwrap();
        let pid = child.id().to_string();
        let has_child = || Command::new("pgrep").args(["-P", &pid]).output().unwrap().status.success();
        wait_until("it has a process in the container", has_child);
        let held = Self(child);
        held.send(Signal::STOP);
        // Until then it may take notice of an end.
        let stat = format!("/proc/{pid}/stat");
        wait_until("it is stopped", || fs::read_to_string(&stat).unwrap().contains(") T "));
        held
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.send(Signal::CONT);
        self.0.wait().unwrap();
    }
}

/// Makes `CALLS` calls that wait for a container's end, and once it has ended, makes another run of that name.
fn with_a_successor(held: Held, call: impl Fn() + Sync, successor: impl Fn() -> Result<(), EngineError>) {
    let begun = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let make = || {
            begun.fetch_add(1, Ordering::SeqCst);
            call();
        };
        let calls: Vec<_> = (0..CALLS).map(|_| scope.spawn(make)).collect();
        wait_until("all calls have begun", || begun.load(Ordering::SeqCst) == CALLS);
        // All of them wait for the old one by now.
        std::thread::sleep(Duration::from_millis(500));
        assert!(calls.iter().all(|call| !call.is_finished()));
        drop(held);
        wait_until("there is another one", || match successor() {
            Ok(()) => true,
            Err(EngineError::Conflict { .. } | EngineError::NotFound { .. }) => false,
            Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
        });
    });
}

/// Nobody has touched it.
fn is_whole(it: &Fixture) {
    let log = it.inspect("a").unwrap().unwrap().log;
    assert!(log.exists(), "its directory is gone");
    marked(it);
}

/// Waits for its mark.
fn marked(it: &Fixture) {
    wait_until("it has made its mark", || text(&it.sh("a", "cat /root/mark").stdout) == "another one");
}

fn spec() -> Spec {
    Spec { command: shell("echo another one > /root/mark; exec sleep 1000"), ..Spec::new("a", "host") }
}

/// Creates and starts one; the name may be taken for now.
fn another(it: &Fixture) -> Result<(), EngineError> {
    it.create(spec())?;
    it.start("a").unwrap();
    marked(it);
    Ok(())
}

fn removals_at_once_spare_the_next_container() {
    let it = Fixture::new();
    for _ in 0..ROUNDS {
        it.run("a", "exec sleep 1000");
        with_a_successor(Held::new(&it, "a"), || it.remove("a").unwrap(), || another(&it));
        is_whole(&it);
        it.remove("a").unwrap();
    }
}

fn removals_of_a_damaged_one_spare_the_next_container() {
    let mut it = Fixture::new();
    for _ in 0..ROUNDS {
        it.run("a", "exec sleep 1000");
        let directory = it.inspect("a").unwrap().unwrap().log.parent().unwrap().to_path_buf();
        let held = Held::new(&it, "a");
        it.close();
        fs::write(directory.join("spec.json"), "{").unwrap();
        it.open();
        with_a_successor(held, || it.remove("a").unwrap(), || another(&it));
        is_whole(&it);
        it.remove("a").unwrap();
    }
}

fn stops_spare_the_next_run() {
    let it = Fixture::new();
    let script =
        "trap 'rm /root/mark; exit 0' TERM; echo another one > /root/mark; while :; do sleep 0.01; done";
    for _ in 0..ROUNDS {
        it.run("a", script);
        // The trap is set.
        marked(&it);
        let held = Held::new(&it, "a");
        with_a_successor(held, || it.stop("a", Duration::from_secs(60)).unwrap(), || it.start("a"));
        is_whole(&it);
        it.remove("a").unwrap();
    }
}
