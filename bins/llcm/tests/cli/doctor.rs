//! `llcm doctor` as root, as an ordinary user, and where something is missing. What needs root runs in network
//! namespaces without uplink, for published ports are tried with a packet.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use llcm_testkit::process::copy_program;
use serde_json::Value;

use crate::demo::Namespace;
use crate::run::{Ran, Server, alone, command, finish, is_root, llcm, signal};

/// A user that nobody is.
const USER: &str = "23458";
const AS_USER: [&str; 7] = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--"];

/// A place that every user can reach: the program, and a directory for temporary files that is empty afterwards.
struct Bed {
    place: tempfile::TempDir,
    namespace: Namespace,
}

impl Bed {
    fn new(name: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        copy_program(env!("CARGO_BIN_EXE_llcm").as_ref(), &place.path().join("llcm"));
        let temporary = place.path().join("tmp");
        std::fs::create_dir(&temporary).unwrap();
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o777)).unwrap();
        Self { place, namespace: Namespace::new(name) }
    }

    fn temporary(&self) -> PathBuf {
        self.place.path().join("tmp")
    }

    /// Runs `doctor` behind the words of other programs.
    fn doctor(&self, before: &[&str], args: &[&str]) -> Ran {
        let ran = finish(self.start(before, &[&["doctor"], args].concat()));
        self.nothing_is_left();
        ran
    }

    /// Starts the program behind the words of other programs, which become it.
    fn start(&self, before: &[&str], args: &[&str]) -> Child {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.namespace.0)).arg("--").args(before);
        command.arg(self.place.path().join("llcm")).args(args);
        alone(&mut command).env("TMPDIR", self.temporary()).spawn().unwrap()
    }

    /// No file, no interface, no process and no mount.
    #[track_caller]
    fn nothing_is_left(&self) {
        let left: Vec<_> = std::fs::read_dir(self.temporary()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        let links = crate::demo::ip(&["-n", &self.namespace.0, "-br", "link"]);
        assert_eq!(links.lines().count(), 1, "{links}");
        let place = self.place.path().to_str().unwrap();
        let looked = Command::new("grep").args(["-l", place]).args(files_of_processes()).output().unwrap();
        let looked = String::from_utf8_lossy(&looked.stdout).into_owned();
        assert!(looked.is_empty(), "still there: {looked}");
    }
}

/// What tells a process's program, arguments and mounts.
fn files_of_processes() -> Vec<PathBuf> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let is_process = |path: &Path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().is_ok();
    let others = processes.filter(|path| is_process(path) && !path.ends_with(&own));
    others.flat_map(|path| ["mountinfo", "cmdline", "maps"].map(|file| path.join(file))).collect()
}

fn json(ran: Ran, code: i32) -> Value {
    serde_json::from_str(&ran.expect(code)).unwrap()
}

#[track_caller]
fn row<'a>(report: &'a Value, key: &str) -> &'a Value {
    let rows = report["checks"].as_array().unwrap();
    rows.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("no {key} in {report:#}"))
}

#[test]
fn as_root() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-root");
    let data = bed.temporary().join("data");
    let args = ["--data-dir", data.to_str().unwrap(), "--docker-host", "unix:///nonexistent/docker.sock"];
    let told = bed.doctor(&[], &args).expect(0);
    for expected in ["user ", "yes      root", "engine.embedded", "published-ports", "not used yet"] {
        assert!(told.contains(expected), "`{expected}` is missing in:\n{told}");
    }
    let last = told.lines().last().unwrap();
    assert!(last.starts_with("`llcm serve` would run containers with engine embedded, as root"), "{last}");

    let report = json(bed.doctor(&[], &[&args[..], &["--output", "json"]].concat()), 0);
    assert_eq!(row(&report, "engine.docker")["verdict"], "no");
    assert_eq!(row(&report, "network")["verdict"], "yes");
    assert_eq!(row(&report, "network.bandwidth")["verdict"], "yes");
    assert_eq!(row(&report, "embedded.other-users")["verdict"], "yes");
}

#[test]
fn as_an_ordinary_user() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-user");
    let data = bed.temporary().join("data");
    let args = ["--data-dir", data.to_str().unwrap(), "--output", "json"];
    let report = json(bed.doctor(&AS_USER, &args), 0);
    assert_eq!(row(&report, "user")["verdict"], "limited");
    assert!(row(&report, "user")["reason"].as_str().unwrap().contains(USER));
    assert_eq!(row(&report, "engine.embedded")["verdict"], "limited");
    assert_eq!(row(&report, "embedded.other-users")["verdict"], "no");
    assert!(row(&report, "embedded.published-ports")["reason"].as_str().unwrap().contains("proxy"));
    // Tried in the user's own namespaces.
    assert_eq!(row(&report, "network")["verdict"], "yes");
    assert!(row(&report, "engine.docker")["reason"].as_str().unwrap().contains("without root"));
    assert_eq!(report["serve"]["possible"], true);

    // A directory that is root's.
    let root = bed.place.path().join("of-root");
    std::fs::create_dir(&root).unwrap();
    let told = bed.doctor(&AS_USER, &["--data-dir", root.to_str().unwrap()]).expect(1);
    assert!(told.lines().last().unwrap().contains("cannot be written by this user"), "{told}");
}

#[test]
fn where_namespaces_are_forbidden() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-none");
    let data = bed.temporary().join("data");
    // The setting is that of a user namespace around the program, in which it is not root.
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let user = ["unshare", "--user", "--map-user=1", "--map-group=1", "--keep-caps", "--"];
    let before = [&user[..], &["sh", "-c", forbid, "sh"]].concat();
    let args = ["--data-dir", data.to_str().unwrap()];
    let told = bed.doctor(&before, &args).expect(1);
    let last = told.lines().last().unwrap();
    for expected in ["would not start", "user.max_user_namespaces is 0", "--engine simulated"] {
        assert!(last.contains(expected), "`{expected}` is missing in:\n{told}");
    }
    let simulated = [&args[..], &["--engine", "simulated", "--output", "json"]].concat();
    let report = json(bed.doctor(&before, &simulated), 0);
    assert_eq!(row(&report, "engine.embedded")["verdict"], "no");
    assert_eq!(report["serve"]["engine"], "simulated");
}

#[test]
fn without_docker_it_says_what_to_do() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-docker");
    let data = bed.temporary().join("data");
    let args = ["--engine", "docker", "--docker-host", "unix:///nonexistent/docker.sock", "--data-dir"];
    let args = [&args[..], &[data.to_str().unwrap()]].concat();
    let told = bed.doctor(&[], &args).expect(1);
    let last = told.lines().last().unwrap();
    for expected in ["would not start", "/nonexistent/docker.sock", "start Docker", "--engine embedded"] {
        assert!(last.contains(expected), "`{expected}` is missing in:\n{told}");
    }
    // A data center of the topology that names it is no better.
    let topology = bed.place.path().join("topology.yml");
    std::fs::write(&topology, "datacenters: [dc1, {name: dc2, engine: docker}]\nlinks: [[dc1, dc2]]\n")
        .unwrap();
    let topology = ["--engine", "embedded", "--topology", topology.to_str().unwrap(), "-o", "json"];
    let report = json(bed.doctor(&[], &[&args[2..], &topology].concat()), 1);
    assert_eq!(report["datacenters"][0]["verdict"], row(&report, "engine.embedded")["verdict"]);
    assert_eq!(report["datacenters"][1]["engine"], "docker");
    assert_eq!(report["datacenters"][1]["verdict"], "no");
    assert!(row(&report, "topology")["reason"].as_str().unwrap().contains("dc2 with engine docker"));
}

#[test]
fn programs_find_the_same_keys() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-keys");
    let data = bed.temporary().join("data");
    let args = ["-o", "json", "--engine", "simulated", "--data-dir", data.to_str().unwrap()];
    let report = json(bed.doctor(&[], &args), 0);
    let keys: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    let expected = "user engine.embedded embedded.device-nodes embedded.other-users embedded.limits.cpu \
                    embedded.limits.cpuset embedded.limits.memory embedded.limits.pids embedded.tun \
                    embedded.published-ports engine.docker engine.simulated network network.bandwidth network.delay \
                    network.jitter network.loss topology data-directory data-directory.server \
                    data-directory.leftovers images.store images.docker";
    assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
    for row in report["checks"].as_array().unwrap() {
        let fields: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["key", "verdict", "reason", "advice"]);
    }
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&report), ["checks", "datacenters", "serve"]);
    assert_eq!(fields(&report["datacenters"][0]), ["name", "engine", "verdict", "reason"]);
    assert_eq!(fields(&report["serve"]), ["engine", "possible", "summary"]);
}

#[test]
fn a_server_is_seen_and_not_disturbed() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-server");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let args = ["--engine", "simulated", "--data-dir", data.to_str().unwrap(), "-o", "json"];
    let server = Server::start(&data, &[]);
    let report = json(bed.doctor(&[], &args), 0);
    assert_eq!(row(&report, "data-directory.server")["verdict"], "limited");
    let id = std::fs::read_to_string(data.join("installation")).unwrap();
    assert!(row(&report, "data-directory")["reason"].as_str().unwrap().ends_with(id.trim()));
    server.llcm(&["ps"]).expect(0);
    assert_eq!(server.stop(), Some(0));
    let report = json(bed.doctor(&[], &args), 0);
    assert_eq!(row(&report, "data-directory.server")["verdict"], "yes");
}

#[test]
fn what_a_killed_server_has_left_is_told_and_left_alone() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-left");
    let data = bed.temporary().join("data");
    let args = ["--data-dir", data.to_str().unwrap()];
    let serve = || {
        let mut server = bed.start(&AS_USER, &[&["serve", "--listen", "127.0.0.1:0"], &args[..]].concat());
        let mut log = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(log.any(|line| line.contains("listening on ")));
        // Whoever closes it early may end the server by its next word.
        (server, log)
    };
    let look = || {
        let args = [&["doctor", "-o", "json"], &args[..]].concat();
        json(finish(bed.start(&AS_USER, &args)), 0)
    };
    let key = "data-directory.leftovers";
    let (mut server, _log) = serve();
    let report = look();
    assert_eq!(row(&report, "data-directory.server")["verdict"], "limited");
    assert_eq!(row(&report, key)["verdict"], "yes");
    signal("KILL", &server);
    server.wait().unwrap();
    // Twice: the first look takes nothing away.
    for _ in 0..2 {
        let report = look();
        assert_eq!(row(&report, "data-directory.server")["verdict"], "yes");
        assert_eq!(row(&report, key)["verdict"], "limited");
        assert!(row(&report, key)["reason"].as_str().unwrap().contains("namespaces, held"), "{report:#}");
    }
    let (mut server, _log) = serve();
    signal("TERM", &server);
    assert!(server.wait().unwrap().success());
    assert_eq!(row(&look(), key)["verdict"], "yes");
    std::fs::remove_dir_all(&data).unwrap();
    bed.nothing_is_left();
}

#[test]
fn a_signal_leaves_nothing() {
    if !is_root() {
        return;
    }
    let bed = Bed::new("doctor-signal");
    // An engine that takes its time: the program is in its namespaces when it asks.
    let socket = bed.place.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777)).unwrap();
    let data = bed.temporary().join("data");
    let args = ["doctor", "--docker-host", socket.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    for before in [&AS_USER[..], &[]] {
        let doctor = bed.start(before, &args);
        let (_asked, _) = listener.accept().unwrap();
        assert_eq!(std::fs::read_dir(bed.temporary()).unwrap().count(), 1);
        signal("TERM", &doctor);
        assert!(finish(doctor).expect_error(1).contains("interrupted"));
        bed.nothing_is_left();
    }
}

#[test]
fn the_settings_are_those_of_the_server() {
    let error = llcm(&["doctor", "--config", "/nonexistent/config.yml"]).expect_error(1);
    assert!(error.contains("/nonexistent/config.yml"), "{error}");
    let mut doctor = command(&["doctor"]);
    let error = finish(doctor.env("LLCM_ENGINE", "podman").spawn().unwrap()).expect_error(2);
    assert!(error.contains("podman"), "{error}");
}
