//! The life of a container: start, end, stop, start again, remove; what the caller asked for is there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use llcm_engine::{Bind, Device, Engine, EngineError, Spec, Status};

use crate::kit::{Fixture, shell, text};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("exit_codes_and_logs", exit_codes_and_logs),
    ("what_cannot_start_says_why", what_cannot_start_says_why),
    ("a_shell_without_input_stays_alive", a_shell_without_input_stays_alive),
    ("stop_asks_first_and_only_where_it_helps", stop_asks_first_and_only_where_it_helps),
    ("started_again_it_has_its_files_and_its_log", started_again_it_has_its_files_and_its_log),
    ("binds_devices_and_environment", binds_devices_and_environment),
    ("a_read_only_bind_has_no_writable_part", a_read_only_bind_has_no_writable_part),
    ("interfaces_are_there_before_the_first_instruction", interfaces_are_there_before_the_first_instruction),
    ("users_by_number_and_name", users_by_number_and_name),
    ("a_directory_of_others_is_refused", a_directory_of_others_is_refused),
    ("removal_leaves_nothing", removal_leaves_nothing),
    ("many_at_once", many_at_once),
];

fn exit_codes_and_logs() {
    let it = Fixture::new();
    let (exit, log) = it.output(Spec::new("a", "host"), "echo out; echo err >&2; exit 7");
    assert_eq!((exit.code, exit.out_of_memory, log.as_str()), (Some(7), false, "out\nerr\n"));
    it.run("b", "exec sleep 100");
    assert_eq!(it.wait("b", Some(Duration::from_millis(50))).unwrap(), None);
    it.kill("b").unwrap();
    assert_eq!(it.ends("b").code, Some(128 + 9));
    assert!(matches!(it.inspect("b").unwrap().unwrap().status, Status::Ended(_)));
    assert_eq!(it.inspect("c").unwrap(), None);
    it.run("d", "printf 0123456789");
    it.ends("d");
    assert_eq!(it.logs("d", 3).unwrap(), b"789");
}

fn what_cannot_start_says_why() {
    let it = Fixture::new();
    let refused = |spec: Spec| {
        let name = spec.name.clone();
        it.create(spec).unwrap();
        let error = it.start(&name).unwrap_err().to_string();
        assert_eq!(it.inspect(&name).unwrap().unwrap().status, Status::Created);
        error
    };
    let with =
        |name: &str, command: &str| Spec { command: vec![command.to_owned()], ..Spec::new(name, "host") };
    let error = refused(with("a", "no-such-program"));
    assert!(error.contains("there is no program `no-such-program`"), "{error}");
    let error = refused(with("b", "/etc/passwd"));
    assert!(error.contains("cannot execute /etc/passwd: Permission denied"), "{error}");
    let error = refused(Spec { user: Some("nobody-knows".to_owned()), ..Spec::new("c", "host") });
    assert!(error.contains("no user `nobody-knows`"), "{error}");
    let bind = Bind { host: "/no/such".into(), container: "/x".into(), read_only: true };
    let error = refused(Spec { binds: vec![bind], ..Spec::new("d", "host") });
    assert!(error.contains("cannot bind /no/such: No such file"), "{error}");
    assert!(matches!(it.create(Spec::new("a", "host")), Err(EngineError::Conflict { .. })));
    assert!(matches!(it.create(Spec::new("e", "no/image")), Err(EngineError::NotFound { .. })));
    assert!(matches!(it.create(Spec::new("../e", "host")), Err(EngineError::Invalid(_))));
    assert!(matches!(it.start("e"), Err(EngineError::NotFound { .. })));
    assert!(matches!(it.wait("a", None), Err(EngineError::Conflict { .. })));
    assert!(matches!(Engine::open(it.options()), Err(EngineError::InUse { .. })));
}

fn a_shell_without_input_stays_alive() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    assert_eq!(it.wait("a", Some(Duration::from_millis(200))).unwrap(), None);
    assert!(matches!(it.start("a"), Err(EngineError::Conflict { .. })));
}

fn stop_asks_first_and_only_where_it_helps() {
    let it = Fixture::new();
    it.run("a", "trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    wait_until("the trap is set", || it.log("a").contains("ready"));
    it.stop("a", Duration::from_secs(10)).unwrap();
    assert_eq!((it.ends("a").code, it.log("a").as_str()), (Some(5), "ready\nasked\n"));
    // Process 1 without a handler is not sent the signal: no use in waiting.
    it.run("b", "exec sleep 1000");
    let start = Instant::now();
    it.stop("b", Duration::from_secs(10)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(it.ends("b").code, Some(137));
    // One that handles it and goes on is killed.
    it.run("c", "trap : TERM; echo ready; while :; do sleep 0.01; done");
    wait_until("the trap is set", || it.log("c").contains("ready"));
    it.stop("c", Duration::from_millis(200)).unwrap();
    assert_eq!(it.ends("c").code, Some(137));
    it.stop("c", Duration::ZERO).unwrap();
}

fn started_again_it_has_its_files_and_its_log() {
    let it = Fixture::new();
    it.run("a", "echo x >> /root/count; wc -l < /root/count");
    it.ends("a");
    it.start("a").unwrap();
    it.ends("a");
    assert_eq!(it.log("a"), "1\n2\n");
}

fn binds_devices_and_environment() {
    let it = Fixture::new();
    let shared = it.directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("in"), "from the host\n").unwrap();
    let bind =
        |container: &str, read_only| Bind { host: shared.clone(), container: container.into(), read_only };
    let spec = Spec {
        binds: vec![bind("/new/rw", false), bind("/ro", true)],
        devices: vec![Device { host: "/dev/zero".into(), container: "/dev/made/zero".into() }],
        environment: [("COLOUR".to_owned(), "blue".to_owned())].into(),
        hostname: Some("router".to_owned()),
        working_dir: Some("/var/tmp".into()),
        ..Spec::new("a", "host")
    };
    let script = "cat /ro/in; echo back > /new/rw/out; touch /ro/no 2>/dev/null || echo read-only; \
                  head -c 3 /dev/made/zero | od -An -tx1; echo $COLOUR; hostname; cat /etc/hostname; pwd; echo $HOME";
    let (exit, log) = it.output(spec, script);
    assert_eq!(exit.code, Some(0), "{log}");
    assert_eq!(log, "from the host\nread-only\n 00 00 00\nblue\nrouter\nrouter\n/var/tmp\n/root\n");
    assert_eq!(fs::read_to_string(shared.join("out")).unwrap(), "back\n");
}

/// What is mounted below is left out, or read-only, too, where the kernel does not let it be left out.
fn a_read_only_bind_has_no_writable_part() {
    let it = Fixture::new();
    let bind = |read_only| Bind { host: "/dev".into(), container: "/srv/a b".into(), read_only };
    let script = "(: > '/srv/a b/shm/llcm-test') 2>/dev/null && echo written; rm -f '/srv/a b/shm/llcm-test'";
    let (_, log) = it.output(Spec { binds: vec![bind(false)], ..Spec::new("a", "host") }, script);
    assert_eq!(log, "written\n");
    let (_, log) = it.output(Spec { binds: vec![bind(true)], ..Spec::new("b", "host") }, script);
    assert_eq!(log, "");
}

fn interfaces_are_there_before_the_first_instruction() {
    let it = Fixture::new();
    let spec =
        Spec { command: shell("ip -br link show v0 && ip -br link show lo"), ..Spec::new("a", "host") };
    let created = it.create(spec).unwrap();
    let inside = |arguments: &[&str]| {
        let network = format!("--net={}", created.network.display());
        assert!(Command::new("nsenter").arg(network).arg("ip").args(arguments).status().unwrap().success());
    };
    inside(&["link", "add", "v0", "type", "veth", "peer", "name", "v1"]);
    inside(&["link", "set", "v0", "up"]);
    it.start("a").unwrap();
    assert_eq!(it.ends("a").code, Some(0), "{}", it.log("a"));
    assert!(it.log("a").contains("v0@v1") && it.log("a").contains("LOOPBACK,UP"), "{}", it.log("a"));
}

fn users_by_number_and_name() {
    let it = Fixture::new();
    let with = |name: &str, user: &str| Spec { user: Some(user.to_owned()), ..Spec::new(name, "host") };
    let script = "id -u; id -g; grep CapEff /proc/self/status; cat /root/x 2>&1 | grep -o denied";
    let (_, log) = it.output(with("a", "nobody"), script);
    assert_eq!(log, "65534\n65534\nCapEff:\t0000000000000000\ndenied\n");
    let (_, log) = it.output(with("b", "1234:7"), "id -u; id -g; id -G");
    assert_eq!(log, "1234\n7\n7\n");
}

fn a_directory_of_others_is_refused() {
    let it = Fixture::new();
    let shared = it.directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let options = llcm_engine::Options { state_dir: shared, ..it.options() };
    assert!(matches!(Engine::open(options), Err(EngineError::Conflict { .. })));
}

fn removal_leaves_nothing() {
    let it = Fixture::new();
    it.run("a", "sleep 1000 & sleep 1000");
    let directory = it.inspect("a").unwrap().unwrap().log.parent().unwrap().to_path_buf();
    let pid = it.pid("a");
    it.remove("a").unwrap();
    it.remove("a").unwrap();
    assert!(!directory.exists() && !fs::exists(format!("/proc/{pid}")).unwrap());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(directory.to_str().unwrap()), "{mounts}");
    assert!(it.list().unwrap().is_empty());
}

fn many_at_once() {
    let it = Fixture::new();
    // The image is made by the first of them.
    it.output(Spec::new("first", "host"), "true");
    let round = |count: usize, threads: usize| {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let it = &it;
                scope.spawn(move || {
                    for number in 0..count / threads {
                        let name = format!("c{thread}-{number}");
                        it.run(&name, "exec sleep 1000");
                    }
                });
            }
        });
        let up = start.elapsed() / u32::try_from(count).unwrap();
        assert_eq!(it.list().unwrap().len(), count);
        assert!(it.list().unwrap().iter().all(|it| matches!(it.status, Status::Running { .. })));
        let start = Instant::now();
        let output = it.sh("c0-0", "echo here");
        let exec = start.elapsed();
        assert_eq!(text(&output.stdout), "here");
        let start = Instant::now();
        for container in it.list().unwrap() {
            it.remove(&container.spec.name).unwrap();
        }
        let down = start.elapsed() / u32::try_from(count).unwrap();
        println!("  {count} by {threads}: up {up:.2?} down {down:.2?} each, exec {exec:.2?}");
    };
    round(20, 1);
    round(40, 8);
}

/// Asks until it is so, for at most ten seconds.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
