//! `llcm clean`: a killed server whose records are lost, and everything of it goes; what is others' stays.

use serde_json::Value;

use crate::engine::{On, on_each_engine};
use crate::lab::{Lab, text};
use crate::look::assert_nothing_left;
use crate::native::until;
use crate::packages::{Unit, chain};

const POINTS: &[&str] = &["{id: web, interface: ipv4, type: external, port: 80, publish: {80: 8080}}"];

on_each_engine!(everything_goes_without_the_store_and_nothing_else);

/// Runs `llcm clean`; whether it succeeded, and what it said.
fn clean(lab: &Lab, more: &[&str]) -> (bool, String) {
    let mut command = lab.program();
    command.args(["clean", "--engine", lab.own_engine(), "--docker-host", &lab.docker_host, "--data-dir"]);
    let out = command.arg(lab.data()).args(more).output().unwrap();
    println!("clean {more:?}: {}", text(&out));
    (out.status.success(), text(&out))
}

/// Nothing of a failed test stays.
struct Cleaned<'lab>(&'lab Lab);

impl Drop for Cleaned<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            clean(self.0, &[]);
        }
    }
}

/// Devices of the lab's network namespace, by `ip`.
fn devices(lab: &Lab) -> Vec<String> {
    let links: Value = serde_json::from_str(&lab.ok(&["ip", "-j", "link"])).unwrap();
    let mut names: Vec<_> =
        links.as_array().unwrap().iter().map(|it| it["ifname"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Network namespaces with names, by `ip`.
fn namespaces(lab: &Lab, installation: &str) -> usize {
    let listed = lab.ok(&["ip", "netns", "list"]);
    listed.lines().filter(|line| line.starts_with(&format!("llcm-{installation}-"))).count()
}

fn everything_goes_without_the_store_and_nothing_else(on: On) {
    let Some(lab) = Lab::new(on) else { return };
    lab.image(&["example/vnf:1"]);
    let _cleaned = Cleaned(&lab);
    if on == On::Docker {
        lab.docker(&["run", "-d", "--name", "foreign", "example/vnf:1", "sleep", "1000"]);
    }
    lab.ok(&["ip", "link", "add", "foreign0", "type", "veth", "peer", "name", "foreign1"]);
    // Docker makes devices of its own for its containers.
    let before = devices(&lab);
    let units =
        [Unit { points: POINTS, ..Unit::new("vnf0", "example/vnf:1") }, Unit::new("vnf1", "example/vnf:1")];
    let package = chain(lab.dir.path(), "cleaned", &units);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    server.instantiate(&service);
    let installation = crate::look::installation(&lab);
    if on != On::User {
        assert!(namespaces(&lab, &installation) > 0, "there is something to be removed");
    }
    let (done, said) = clean(&lab, &[]);
    assert!(!done && said.contains("another server runs on this data directory"), "{said}");
    assert_eq!(lab.running().iter().filter(|it| it.name.starts_with("mn.")).count(), 2);

    server.kill();
    std::fs::remove_file(lab.data().join("store.redb")).unwrap();
    let (done, said) = clean(&lab, &["--dry-run"]);
    assert!(done, "{said}");
    for name in ["mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0"] {
        assert!(said.contains(&format!("would remove container {name}")), "{said}");
    }
    assert!(said.contains("ports and"), "{said}");
    assert!(!said.contains("foreign"), "{said}");
    let mine = || lab.running().iter().filter(|it| it.name.starts_with("mn.")).count();
    assert_eq!(mine(), 2, "it was only said");

    let (done, said) = clean(&lab, &[]);
    assert!(done && said.contains(&format!("nothing of installation {installation} is left")), "{said}");
    if on == On::Docker {
        assert_eq!(lab.docker(&["ps", "-a", "--format", "{{.Names}}"]).trim(), "foreign");
        assert_eq!(lab.docker(&["ps", "--format", "{{.Names}}"]).trim(), "foreign", "and it runs");
    } else {
        assert_eq!(lab.leftovers_of_containers(), Vec::<String>::new());
    }
    assert_eq!(namespaces(&lab, &installation), 0);
    until("the kernel has taken the devices apart", 30, || devices(&lab) == before);
    let rules = lab.run(&["nft", "list", "ruleset"]);
    assert!(!text(&rules).contains(&installation), "{}", text(&rules));

    let (done, said) = clean(&lab, &["--data"]);
    assert!(done && !lab.data().exists(), "{said}");
    if on == On::Docker {
        lab.docker(&["rm", "-f", "foreign"]);
    }
    std::fs::create_dir(lab.data()).unwrap();
}

/// The functions in whose root file systems there are processes, as the kernel lists their mounts.
fn inside(lab: &Lab) -> Vec<String> {
    let begin = format!("upperdir={}/engine/containers/mn.", lab.data().display());
    let mut found = std::collections::BTreeSet::new();
    for process in std::fs::read_dir("/proc").unwrap() {
        let mounts = std::fs::read_to_string(process.unwrap().path().join("mountinfo")).unwrap_or_default();
        let names = mounts.split(&begin).skip(1).filter_map(|rest| rest.split('.').next());
        found.extend(names.map(str::to_owned));
    }
    found.into_iter().collect()
}

/// The embedded engine's directory is lost, one container's alone or all of it, or the whole data directory: what runs is
/// found and ended.
#[test]
fn containers_go_without_their_directories() {
    without_directories(On::Embedded, &["engine/containers/mn.vnf0.vdu01.0", "engine", ""]);
}

#[test]
fn an_ordinary_users_containers_go_without_their_directories() {
    // A file in the engine's directory tells which process holds the namespaces: without it they stay.
    without_directories(On::User, &["engine/containers/mn.vnf0.vdu01.0"]);
}

fn without_directories(on: On, directories: &[&str]) {
    let Some(lab) = Lab::new(on) else { return };
    let _cleaned = Cleaned(&lab);
    let units =
        [Unit { points: POINTS, ..Unit::new("vnf0", "example/vnf:1") }, Unit::new("vnf1", "example/vnf:1")];
    let package = chain(lab.dir.path(), "lost", &units);
    for lost in directories {
        lab.image(&["example/vnf:1"]);
        let server = lab.serve(&[]);
        let service = server.upload(&package);
        server.instantiate(&service);
        let installation = crate::look::installation(&lab);
        server.kill();
        std::fs::remove_dir_all(lab.data().join(lost)).unwrap();
        assert_eq!(inside(&lab), ["vnf0", "vnf1"]);
        let id = ["--installation", &installation];
        let (done, said) = clean(&lab, &[&["--dry-run"], &id[..]].concat());
        assert!(done && said.contains("would remove container mn.vnf0.vdu01.0 in engine embedded"), "{said}");
        assert_eq!(inside(&lab), ["vnf0", "vnf1"], "it was only said");
        let (done, said) = clean(&lab, &[&["--data"], &id[..]].concat());
        assert!(done && said.contains(&format!("nothing of installation {installation} is left")), "{said}");
        assert_eq!(inside(&lab), Vec::<String>::new());
        let groups = lab.ok(&["sh", "-c", "ls -d /sys/fs/cgroup/*/llcm-* || true"]);
        assert!(!groups.contains(&installation), "{groups}");
        let rules = lab.run(&["nft", "list", "ruleset"]);
        assert!(!text(&rules).contains(&installation), "{}", text(&rules));
        assert!(!lab.data().exists(), "removed, or not made in the first place");
        std::fs::create_dir_all(lab.data()).unwrap();
        lab.give(&lab.data());
    }
}

/// A server that finds a container without its directory ends it, and shows its instance without it.
#[test]
fn a_server_ends_containers_without_their_directories() {
    let Some(lab) = Lab::new(On::Embedded) else { return };
    let _cleaned = Cleaned(&lab);
    lab.image(&["example/vnf:1"]);
    let units = [Unit::new("vnf0", "example/vnf:1"), Unit::new("vnf1", "example/vnf:1")];
    let package = chain(lab.dir.path(), "lost", &units);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    let instance = server.instantiate(&service);
    server.kill();
    std::fs::remove_dir_all(lab.data().join("engine/containers/mn.vnf0.vdu01.0")).unwrap();
    let server = lab.serve(&[]);
    let shown = crate::native::instance(&server, &instance);
    assert_eq!(shown["state"], "degraded", "{shown}");
    assert!(shown["errors"].to_string().contains("mn.vnf0.vdu01.0 is missing"), "{shown}");
    assert_eq!(inside(&lab), ["vnf1"]);
    server.terminate(&instance);
    assert_nothing_left(&server);
    server.stop();
}

/// The whole data directory is lost, the installation's id with it.
#[test]
fn everything_goes_without_the_data_directory() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    lab.image(&["example/vnf:1"]);
    let package = chain(lab.dir.path(), "lost", &[Unit::new("vnf0", "example/vnf:1")]);
    let server = lab.serve(&[]);
    let service = server.upload(&package);
    server.instantiate(&service);
    let installation = crate::look::installation(&lab);
    let (done, said) = clean(&lab, &["--installation", "0badc0de"]);
    assert!(!done && said.contains(&format!("is of installation {installation}, not 0badc0de")), "{said}");
    server.kill();
    std::fs::remove_dir_all(lab.data()).unwrap();
    let (done, said) = clean(&lab, &[]);
    assert!(done && said.contains("no server has ever run here"), "{said}");
    assert_eq!(lab.running().len(), 1);
    let marks = lab.docker(&["ps", "--format", "{{.Label \"llcm.installation\"}}"]);
    assert_eq!(marks.trim(), installation);
    let (done, said) = clean(&lab, &["--installation", &installation]);
    assert!(done && said.contains(&format!("nothing of installation {installation} is left")), "{said}");
    assert_eq!(lab.docker(&["ps", "-aq"]).trim(), "");
    assert_eq!(namespaces(&lab, &installation), 0);
    std::fs::create_dir_all(lab.data()).unwrap();
}
