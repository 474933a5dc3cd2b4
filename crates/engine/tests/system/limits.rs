//! Limits are seen to bite.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

use llcm_engine::{EngineError, ExecSpec, Limits, Spec};

use crate::kit::{Fixture, shell, while_leftovers_are_removed};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("memory_is_limited", memory_is_limited),
    ("processes_are_limited", processes_are_limited),
    ("cpu_time_and_cpus_are_limited", cpu_time_and_cpus_are_limited),
    ("limits_hold_for_exec_and_go_with_the_container", limits_hold_for_exec_and_go_with_the_container),
    ("limits_go_while_output_is_not_read", limits_go_while_output_is_not_read),
    ("limits_are_set_while_leftovers_are_removed", limits_are_set_while_leftovers_are_removed),
];

fn with(name: &str, limits: Limits) -> Spec {
    Spec { limits, ..Spec::new(name, "host") }
}

fn memory_is_limited() {
    let it = Fixture::new();
    let limit = |bytes| Limits { memory_bytes: Some(bytes), ..Limits::default() };
    // The shell becomes the program that is killed: it is process 1.
    let (exit, _) =
        it.output(with("a", limit(32 << 20)), "exec awk 'BEGIN { x = \"x\"; while (1) x = x x }'");
    assert_eq!((exit.code, exit.out_of_memory), (Some(137), true));
    let (exit, _) =
        it.output(with("b", limit(512 << 20)), "head -c 20000000 /dev/zero | tail -c 20000000 | wc -c");
    assert_eq!((exit.code, exit.out_of_memory), (Some(0), false));
}

fn processes_are_limited() {
    let it = Fixture::new();
    let limits = Limits { pids: Some(5), ..Limits::default() };
    let script = "exec 2>&1; for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & done; echo all";
    let (exit, log) = it.output(with("a", limits), script);
    assert!(exit.code != Some(0) && log.to_lowercase().contains("fork"), "{exit:?} {log}");
}

fn cpu_time_and_cpus_are_limited() {
    let it = Fixture::new();
    let limits = Limits { cpu_quota_us: Some(10_000), cpuset: Some("1".to_owned()), ..Limits::default() };
    // Clock ticks of user and system time of children that have ended: fields 16 and 17 of its own stat.
    let script = "nproc; timeout 2 sh -c 'while :; do :; done'; cut -d' ' -f16,17 /proc/$$/stat";
    let (_, log) = it.output(with("a", limits), script);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines[0], "1");
    let ticks: u64 = lines[1].split(' ').map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    // A tenth of two seconds is 20 ticks of 10 ms; without the limit it would be up to 200.
    assert!((5..=60).contains(&ticks), "{ticks} ticks");
    let error = it.create(with("b", Limits { cpuset: Some("0;rm".to_owned()), ..Limits::default() }));
    assert!(matches!(error, Err(EngineError::Invalid(_))));
    it.create(with("c", Limits { cpuset: Some("4000".to_owned()), ..Limits::default() })).unwrap();
    let error = it.start("c").unwrap_err().to_string();
    assert!(error.starts_with("cannot set limit ") && error.ends_with("cpuset.cpus"), "{error}");
}

fn limits_hold_for_exec_and_go_with_the_container() {
    let it = Fixture::new();
    it.run_spec(with("a", Limits { pids: Some(3), ..Limits::default() }));
    let output = it.sh("a", "for i in 1 2 3 4; do sleep 100 & done");
    assert!(output.code != Some(0), "{output:?}");
    let group = find_group(it.cgroup(), "a");
    assert!(group.is_some());
    it.remove("a").unwrap();
    assert_eq!(find_group(it.cgroup(), "a"), None);
}

/// The helper of a command stands by until its output is read, and is in the group.
fn limits_go_while_output_is_not_read() {
    let it = Fixture::new();
    it.run_spec(with("a", Limits { pids: Some(50), ..Limits::default() }));
    let mut session = it.spawn("a", &ExecSpec::new(shell("sleep 1000 & echo begun"))).unwrap();
    assert_eq!(session.wait(Some(Duration::from_secs(20))).unwrap(), Some(0));
    it.kill("a").unwrap();
    assert_eq!(find_group(it.cgroup(), "a"), None);
    // It is there to be read all the same.
    let mut output = String::new();
    session.take_output().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(output, "begun\n");
}

/// Who has removed its last container does not know of those that others are just making.
fn limits_are_set_while_leftovers_are_removed() {
    let it = Fixture::new();
    let limits = Limits { pids: Some(50), cpuset: Some("0".to_owned()), ..Limits::default() };
    while_leftovers_are_removed(&it, || {
        for _ in 0..60 {
            it.run_spec(with("a", limits.clone()));
            assert!(find_group(it.cgroup(), "a").is_some());
            it.remove("a").unwrap();
        }
    });
}

/// The container's cgroup, in whichever hierarchy it is.
fn find_group(parent: &str, name: &str) -> Option<std::path::PathBuf> {
    let root = std::path::Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).unwrap().map(|it| it.unwrap().path()).chain([root.to_path_buf()]);
    hierarchies.map(|it| it.join(parent).join(name)).find(|path| path.is_dir())
}
