//! A server that is killed leaves everything running, and the next one goes on with it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::engine::{On, USER, on_each_engine};
use crate::lab::{Lab, Server};
use crate::look::{assert_nothing_left, pings};
use crate::native::{self, address, container, exec, instantiate_timed, until};
use crate::packages::{Unit, chain};

const NEAR: &str = "mn.vnf0.vdu01.0";
const FAR: &str = "mn.vnf1.vdu01.0";
const URL: &str = "http://127.0.0.1:8080/";
/// A web server, and words for as long as the container is there.
const START: &str = "  vm_cmd_start: \"mkdir /www && hostname > /www/index.html && httpd -p 80 -h /www && \
                     while :; do echo tick; echo tick >> /ticks; sleep 0.1; done\"\n";
const POINTS: &[&str] = &["{id: web, interface: ipv4, type: external, port: 80, publish: {80: 8080}}"];

on_each_engine!(everything_goes_on_and_the_next_server_has_it);

fn everything_goes_on_and_the_next_server_has_it(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let units = [
        Unit { extra: START, points: POINTS, ..Unit::new("vnf0", "example/vnf:1") },
        Unit::new("vnf1", "example/vnf:1"),
    ];
    let package = chain(lab.dir.path(), "killed", &units);
    let _orphans = Orphans(&lab);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    let instance = instantiate_timed(&server, &service, &format!("two VNFs in different places, {on:?}"));
    until("the port answers", 30, || answers(&lab));
    let before = native::instance(&server, &instance);
    assert_eq!(before["state"], "running", "{before}");
    assert_ne!(container(&before, "vnf0")["datacenter"], container(&before, "vnf1")["datacenter"]);

    let pings = Pings::begin(&lab, NEAR, &["-I", "output", &address(&before, "vnf1", "input")]);
    processes_are_found(&lab);
    let ticks = ticks(&lab);
    server.kill();
    while_nobody_serves(&lab, ticks);
    let server = lab.serve(&[]);
    pings.none_is_lost();

    same_as_before(&server, &instance, &before);
    assert_eq!(exec(&server, &instance, "vnf1", "hostname").trim(), "vnf1.vdu01.0");
    until("the port answers again", 30, || answers(&lab));
    let ticks = self::ticks(&lab);
    until("the start script goes on", 30, || self::ticks(&lab) > ticks);
    a_new_instance_stands_beside_it(&server, &service);

    // Killed once more, and those that follow are killed while they start.
    let pings = Pings::begin(&lab, NEAR, &["-I", "output", &address(&before, "vnf1", "input")]);
    server.kill();
    for lived in [1, 3, 10, 20, 30, 40, 60, 80, 120] {
        let mut next = lab.serve_command(lab.own_engine(), &lab.docker_host, &[]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(lived));
        next.kill().unwrap();
        next.wait().unwrap();
    }
    let server = lab.serve(&[]);
    pings.none_is_lost();
    same_as_before(&server, &instance, &before);
    assert_eq!(exec(&server, &instance, "vnf0", "hostname").trim(), "vnf0.vdu01.0");

    // And once more, and one of the containers ends.
    server.kill();
    end_process(&lab, FAR);
    let server = lab.serve(&[]);
    the_ended_one_is_shown(&server, &instance);

    server.terminate(&instance);
    assert_nothing_left(&server);
    server.stop();
    assert_eq!(processes(&lab), Vec::<String>::new(), "processes");
}

/// Asks the web server at its published port; whether it was the right one that answered.
fn answers(lab: &Lab) -> bool {
    let out = lab.run(&["curl", "-sf", "--max-time", "10", URL]);
    out.status.success() && String::from_utf8_lossy(&out.stdout).trim() == "vnf0.vdu01.0"
}

fn while_nobody_serves(lab: &Lab, ticks: usize) {
    assert!(!lab.run(&["curl", "-s", "http://127.0.0.1:5000/"]).status.success(), "the server is gone");
    until("the start script goes on without a server", 30, || self::ticks(lab) > ticks + 5);
    match lab.on {
        // By the kernel, or by Docker.
        On::Embedded | On::Docker => assert!(answers(lab), "the port answers without a server"),
        // The program itself listened.
        On::User => assert!(!answers(lab), "who answers?"),
    }
}

fn same_as_before(server: &Server<'_>, id: &str, before: &Value) {
    let listed = server.get("/api/llcm/v1/instances");
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    let now = native::instance(server, id);
    for key in ["state", "name", "ssiid", "created_at", "links", "errors", "service_id"] {
        assert_eq!(now[key], before[key], "{key}");
    }
    let script = &container(&now, "vnf0")["scripts"][0];
    assert!(script["error"].to_string().contains("server was stopped while the script ran"), "{script}");
    for vnf in ["vnf0", "vnf1"] {
        for key in ["name", "engine_name", "datacenter", "state", "ports", "interfaces", "image"] {
            assert_eq!(container(&now, vnf)[key], container(before, vnf)[key], "{vnf}: {key}");
        }
    }
}

/// The next server gives the new one a number, addresses and ports that the adopted one does not have.
fn a_new_instance_stands_beside_it(server: &Server<'_>, service: &str) {
    let lab = server.lab;
    let second = instantiate_timed(server, service, "beside an adopted one");
    let instance = native::instance(server, &second);
    assert_eq!(instance["ssiid"], 1, "{instance}");
    assert!(pings(lab, "mn.vnf0.vdu01.1", &[&address(&instance, "vnf1", "input")]));
    let out = || lab.run(&["curl", "-sf", "--max-time", "10", "http://127.0.0.1:9080/"]);
    until("its port answers", 30, || String::from_utf8_lossy(&out().stdout).trim() == "vnf0.vdu01.1");
    server.terminate(&second);
    assert!(answers(lab), "the adopted one is as it was");
}

/// Ends a container's first process from outside.
fn end_process(lab: &Lab, container: &str) {
    let pid = lab.pid(container);
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    let process = Path::new("/proc").join(&pid);
    until("the process ends", 30, || {
        let state = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    });
}

fn the_ended_one_is_shown(server: &Server<'_>, id: &str) {
    let instance = native::instance(server, id);
    let (near, far) = (&container(&instance, "vnf0")["state"], &container(&instance, "vnf1")["state"]);
    assert_eq!(near["state"], "running", "{instance}");
    assert_eq!(far["state"], "exited", "{instance}");
    match server.lab.on {
        On::Docker => assert_eq!(far["code"], 137, "{instance}"),
        // Not every kernel tells one that is not the parent; what is told is right.
        On::Embedded | On::User => assert!(far["code"].is_null() || far["code"] == 137, "{instance}"),
    }
}

/// How often the start script has gone round.
fn ticks(lab: &Lab) -> usize {
    lab.sh(NEAR, "cat /ticks").lines().count()
}

/// What a killed server has left when the test fails before the next one: another server takes it down.
pub(crate) struct Orphans<'lab>(pub(crate) &'lab Lab);

impl Drop for Orphans<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let lab = self.0;
        if let Ok(mut server) = lab.serve_command(lab.own_engine(), &lab.docker_host, &[]).spawn() {
            std::thread::sleep(Duration::from_secs(5));
            let _ = Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }
}

/// `ping` from a container all the while.
pub(crate) struct Pings {
    child: Child,
    begun: Instant,
}

impl Pings {
    pub(crate) fn begin(lab: &Lab, container: &str, args: &[&str]) -> Self {
        let mut argv = vec!["ping", "-n", "-i", "0.05"];
        argv.extend(args);
        let child = lab.in_container(container, &argv).stdout(Stdio::piped()).spawn().unwrap();
        // Some before it begins.
        std::thread::sleep(Duration::from_millis(300));
        Self { child, begun: Instant::now() }
    }

    pub(crate) fn none_is_lost(mut self) {
        std::thread::sleep(Duration::from_millis(300));
        let lasted = self.begun.elapsed();
        assert!(self.child.try_wait().unwrap().is_none(), "ping goes on");
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.child.wait().unwrap();
        let numbers: BTreeSet<usize> = said.lines().filter_map(sequence_number).collect();
        let last = numbers.last().copied().unwrap_or_default();
        println!("{last} pings in {} ms over the kill and the next start", lasted.as_millis());
        let lost: Vec<_> = (1..=last).filter(|number| !numbers.contains(number)).collect();
        assert!(lost.is_empty(), "lost: {lost:?} of {last}\n{said}");
        // Those of the last ones may have been on their way, which where the process behind a slow link waits for its
        // turn is longer than the link is slow. What was lost from the kill on would be many more.
        let sent = said.lines().find_map(|line| line.split_once(" packets transmitted")).unwrap().0;
        assert!(sent.parse::<usize>().unwrap() <= last + 4, "{said}");
        // Nothing stood still either: at a rate of 20, most have been sent.
        assert!(last as u128 * 100 > lasted.as_millis(), "{last} in {lasted:?}");
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `64 bytes from 20.0.0.2: icmp_seq=7 ttl=64 time=0.05 ms`.
fn sequence_number(line: &str) -> Option<usize> {
    line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok()
}

/// That [`processes`] finds none would say nothing if it never did.
fn processes_are_found(lab: &Lab) {
    if lab.on == On::Docker {
        return;
    }
    let found = processes(lab);
    for container in [NEAR, FAR] {
        let beginning = format!("/proc/{} ", lab.pid(container));
        assert!(found.iter().any(|line| line.starts_with(&beginning)), "{container} in {found:?}");
    }
    let pauses = found.iter().filter(|line| line.contains("pause")).count();
    assert_eq!(pauses, usize::from(lab.on == On::User), "{found:?}");
}

/// What runs that is of the lab's server or its containers, each in words: the program, the process that holds an
/// ordinary user's namespaces, helpers, and all that see the engine's files.
fn processes(lab: &Lab) -> Vec<String> {
    let (data, copy) = (lab.data(), lab.dir.path().join("llcm"));
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter(|it| it.file_name().to_string_lossy().parse::<u32>().is_ok());
    let is_ours = |process: &Path| {
        let is_copy = std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == copy);
        let read = |name: &str| std::fs::read_to_string(process.join(name)).unwrap_or_default();
        let is_user = read("status").lines().any(|line| line.starts_with(&format!("Uid:\t{USER}\t")));
        let names = |text: &str| text.contains(data.to_str().unwrap());
        is_copy || names(&read("mountinfo")) || (is_user && names(&read("cmdline")))
    };
    let command = |process: &Path| std::fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    processes
        .map(|it| it.path())
        .filter(|path| is_ours(path))
        .map(|path| format!("{} {}", path.display(), command(&path).replace('\0', " ")))
        .collect()
}
