//! Links and data centers that change under a running service, on the real kernel: looked at by pings that go on.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, Server};
use crate::look::{assert_nothing_left, pings};
use crate::native::{self, address, container, until};
use crate::packages::{Unit, chain};

const RING: &str = "datacenters: [dc1, dc2, dc3]\nlinks: [[dc1, dc2], [dc2, dc3], [dc3, dc1]]\n";
const NEAR: &str = "mn.vnf0.vdu01.0";
const LINKS: &str = "/api/llcm/v1/links";
/// Between two pings.
const PACE: Duration = Duration::from_millis(20);

on_each_engine!(paths_follow_links_and_a_killed_server_keeps_them);

fn paths_follow_links_and_a_killed_server_keeps_them(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let units = ["vnf0", "vnf1"].map(|vnf| Unit::new(vnf, "example/vnf:1"));
    let package = chain(lab.dir.path(), "ring", &units);
    let topology = lab.dir.path().join("topology.yml");
    std::fs::write(&topology, RING).unwrap();
    lab.give(&topology);
    let args = ["--topology", topology.to_str().unwrap()];
    let server = lab.serve(&args);
    let service = server.upload(&package);
    let first = server.instantiate(&service);
    let instance = native::instance(&server, &first);
    assert_eq!(
        (&container(&instance, "vnf0")["datacenter"], &container(&instance, "vnf1")["datacenter"]),
        (&json!("dc1"), &json!("dc2"))
    );
    let target = address(&instance, "vnf1", "input");

    the_path_moves(&lab, &server, &target);
    without_any_path_it_is_dark(&lab, &server, &target);
    a_schedule_keeps_its_times(&lab, &server, &target);

    // A data center and a link more, and a service placed there.
    assert_eq!(server.post("/api/llcm/v1/datacenters", "dc4").status, 201);
    assert_eq!(server.post(LINKS, "{ends: [dc4, dc1], bandwidth: 50Mbps}").status, 201);
    let second = server.instantiate(&service);
    let other = native::instance(&server, &second);
    assert_eq!(
        (&container(&other, "vnf0")["datacenter"], &container(&other, "vnf1")["datacenter"]),
        (&json!("dc3"), &json!("dc4"))
    );
    let other_target = address(&other, "vnf1", "input");
    assert!(pings(&lab, "mn.vnf0.vdu01.1", &["-I", "output", &other_target]), "over dc1");
    let refused = server.curl(&["-X", "DELETE"], "/api/llcm/v1/datacenters/dc4");
    assert_eq!((refused.status, &refused.body["code"]), (409, &json!("topology-conflict")), "{refused:?}");

    // Killed, and the next one has it all.
    set(&server, "dc3-dc1", false);
    let before = server.get(LINKS);
    server.kill();
    let server = lab.serve(&args);
    assert_eq!(server.get(LINKS), before);
    assert_eq!(native::instance(&server, &second)["state"], "running");
    assert!(pings(&lab, NEAR, &["-I", "output", &target]), "dc1 to dc2");
    assert!(pings(&lab, "mn.vnf0.vdu01.1", &["-I", "output", &other_target]), "dc3 to dc4 by dc2 and dc1");
    set(&server, "dc2-dc3", false);
    assert!(!pings(&lab, "mn.vnf0.vdu01.1", &["-I", "output", &other_target]), "dc3 is cut off");
    set(&server, "dc2-dc3", true);

    server.terminate(&second);
    assert_eq!(server.curl(&["-X", "DELETE"], "/api/llcm/v1/datacenters/dc4").status, 204);
    assert!(pings(&lab, NEAR, &["-I", "output", &target]));
    server.terminate(&first);
    assert_nothing_left(&server);
}

fn set(server: &Server<'_>, link: &str, up: bool) {
    let body = json!({ "up": up }).to_string();
    let reply = server.curl(&["-X", "PATCH", "-d", &body], &format!("{LINKS}/{link}"));
    assert_eq!((reply.status, &reply.body["carries"]), (200, &json!(up)), "{reply:?}");
}

/// The direct link is cut and comes back: the path leads around, and next to nothing is lost. On a busy machine, where the
/// server may have to wait between cutting the link and changing the routes, that may take another try.
fn the_path_moves(lab: &Lab, server: &Server<'_>, target: &str) {
    let mut tries = Vec::new();
    while tries.len() < 4 {
        let pings = Pings::begin(lab, target);
        set(server, "dc1-dc2", false);
        std::thread::sleep(Duration::from_secs(1));
        set(server, "dc1-dc2", true);
        let (lost, sent) = pings.end();
        println!("{} of {sent} pings lost while the path moved away and back", lost.len());
        // What was on the link when it was cut, and what was sent before the routes had followed.
        if lost.len() <= 6 {
            return;
        }
        tries.push(lost);
    }
    panic!("lost: {tries:?}");
}

/// Pings are lost while all links of dc1 are cut, and only then.
fn without_any_path_it_is_dark(lab: &Lab, server: &Server<'_>, target: &str) {
    let pings = Pings::begin(lab, target);
    set(server, "dc3-dc1", false);
    let begun = Instant::now();
    set(server, "dc1-dc2", false);
    let cut = Instant::now();
    std::thread::sleep(Duration::from_secs(1));
    // Between the two requests it is dark in any case, and during them for as long as they take.
    let least = cut.elapsed();
    set(server, "dc1-dc2", true);
    let dark = begun.elapsed();
    let (lost, sent) = pings.end();
    println!("{} of {sent} pings lost in {} ms without a path", lost.len(), dark.as_millis());
    let (first, last) = (lost.first().copied().unwrap_or(0), lost.last().copied().unwrap_or(0));
    assert_eq!(lost.len(), last + 1 - first, "one gap: {lost:?}");
    let pings_in = |time: Duration| usize::try_from(time.as_millis() / PACE.as_millis()).unwrap();
    let (least, most) = (pings_in(least) / 2, pings_in(dark) + 3);
    assert!((least..=most).contains(&lost.len()), "{least} to {most}, not {}: {lost:?}", lost.len());
    set(server, "dc3-dc1", true);
}

/// Twenty cuts of 50 ms, made by the server.
fn a_schedule_keeps_its_times(lab: &Lab, server: &Server<'_>, target: &str) {
    set(server, "dc3-dc1", false);
    let schedule = "changes: [{at: 200ms, repeat: 20, every: 100ms, changes: [{at: 0, link: dc1-dc2, up: false}, \
                    {at: 50ms, link: dc1-dc2, up: true}]}]";
    let pings = Pings::begin(lab, target);
    let begun = server.post("/api/llcm/v1/schedules", schedule);
    assert_eq!(begun.status, 201, "{begun:?}");
    let path = format!("/api/llcm/v1/schedules/{}?wait=20", begun.body["id"].as_str().unwrap());
    let ended: Value = server.get(&path);
    let (lost, sent) = pings.end();
    assert_eq!((&ended["state"], &ended["made"]), (&json!("done"), &json!(40)), "{ended}");
    println!(
        "40 changes of a schedule: {} us after their times on average, {} us at worst; {} of {sent} pings lost",
        ended["mean_delay_us"],
        ended["worst_delay_us"],
        lost.len()
    );
    // Cut for half of the time.
    assert!((20..=90).contains(&lost.len()), "lost: {lost:?} of {sent}");
    set(server, "dc3-dc1", true);
    until("the path is back", 30, || crate::look::pings(lab, NEAR, &["-I", "output", target]));
}

/// Echo requests from vnf0, one after the other, whatever comes of them.
struct Pings(Child);

impl Pings {
    fn begin(lab: &Lab, target: &str) -> Self {
        let pace = format!("{}", PACE.as_secs_f32());
        let argv = ["ping", "-n", "-i", &pace, "-I", "output", target];
        let child = lab.in_container(NEAR, &argv).stdout(Stdio::piped()).spawn().unwrap();
        // Some before it begins.
        std::thread::sleep(Duration::from_millis(300));
        Self(child)
    }

    /// The numbers of those that were not answered, and how many were sent.
    fn end(mut self) -> (Vec<usize>, usize) {
        // Some after it is over.
        std::thread::sleep(Duration::from_millis(300));
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.wait().unwrap();
        let number = |line: &str| -> Option<usize> {
            line.split_once(" bytes from ")?;
            line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok()
        };
        let answered: BTreeSet<usize> = said.lines().filter_map(number).collect();
        let last = answered.last().copied().unwrap_or_default();
        assert!(last > 20, "{said}");
        ((1..=last).filter(|number| !answered.contains(number)).collect(), last)
    }
}

impl Drop for Pings {
    fn drop(&mut self) {
        // It may have ended; the test has its result.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
