//! The program that supervises is killed; what runs goes on, and the next program takes it over.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::WaitOptions;

use llcm_engine::{Engine, ExecSpec, Exit, Limits, Lost, Spec, Status};

use crate::containers::wait_until;
use crate::kit::{Fixture, options, shell, text};
use crate::orphans::{Custodian, expect_code};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("killed_program_and_adoption", killed_program_and_adoption),
    ("a_start_that_nobody_finishes_runs_nothing", a_start_that_nobody_finishes_runs_nothing),
    ("what_was_not_finished_is_removed", what_was_not_finished_is_removed),
    (
        "what_cannot_be_read_of_one_is_no_matter_for_others",
        what_cannot_be_read_of_one_is_no_matter_for_others,
    ),
    (
        "containers_whose_directory_is_gone_are_found_and_ended",
        containers_whose_directory_is_gone_are_found_and_ended,
    ),
    ("a_process_of_the_same_number_is_not_adopted", a_process_of_the_same_number_is_not_adopted),
];

/// The part of the program that is killed: starts containers, says so, and waits for its end.
pub(crate) fn supervise(directory: &OsStr, cgroup: &OsStr) -> ExitCode {
    let (directory, cgroup) = (Path::new(directory), cgroup.to_str().unwrap());
    let engine = Engine::open(options(directory.join("state"), cgroup)).unwrap();
    for (name, script) in [
        ("stays", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"),
        ("ends", "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 4"),
        ("over", "exit 9"),
        ("killed", "exec sleep 1000"),
    ] {
        engine.create(Spec { command: shell(script), ..Spec::new(name, "host") }).unwrap();
        engine.start(name).unwrap();
    }
    engine.create(Spec::new("created", "host")).unwrap();
    engine.wait("over", Some(Duration::from_secs(10))).unwrap();
    // A start script that is still at work.
    let script = "i=0; while :; do i=$((i+1)); echo $i; echo $i > /tmp/script; sleep 0.01; done";
    let _session = engine.spawn("stays", &ExecSpec::new(shell(script))).unwrap();
    println!("ready");
    std::io::stdout().flush().unwrap();
    // Ends with the test at the latest.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    ExitCode::SUCCESS
}

fn killed_program_and_adoption() {
    let mut it = Fixture::new();
    it.close();
    // It reaps the orphans, as init does.
    let _custodian = Custodian::of_a_killed_program(&it, true);
    it.open();
    let before = it.log("stays").lines().count();
    let pid = it.pid("stays");
    wait_until("the container has gone on", || it.log("stays").lines().count() > before + 2);
    assert_eq!(text(&it.sh("stays", "hostname").stdout), "stays");
    let script = || text(&it.sh("stays", "cat /tmp/script").stdout).parse::<u32>().unwrap_or(0);
    let before = script();
    wait_until("the script has gone on", || script() > before + 10);
    assert_eq!(it.inspect("created").unwrap().unwrap().status, Status::Created);
    let over = Exit { code: Some(9), out_of_memory: false };
    assert_eq!(it.inspect("over").unwrap().unwrap().status, Status::Ended(over));
    // Its code is told to somebody else, too.
    it.sh("ends", "touch /tmp/end");
    expect_code(it.ends("ends"), 4);
    it.start("created").unwrap();
    it.start("over").unwrap();
    assert_eq!(it.ends("over").code, Some(9));
    // Adopted once more, within one program, and then ended.
    it.open();
    assert_eq!(it.pid("stays"), pid);
    it.stop("stays", Duration::from_secs(1)).unwrap();
    assert!(matches!(it.inspect("stays").unwrap().unwrap().status, Status::Ended(_)));
}

/// The engine dies between the start of the container's process and its being written down.
fn a_start_that_nobody_finishes_runs_nothing() {
    let it = Fixture::new();
    it.run("a", "echo ran");
    it.ends("a");
    assert_eq!(it.log("a"), "ran\n");
    let directory = it.inspect("a").unwrap().unwrap().log.parent().unwrap().to_path_buf();
    it.network("a").unwrap();
    // What the engine does, up to the answer with the process's number.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut helper = Command::new("/proc/self/exe")
        .args(["engine-init", "first"])
        .arg(&directory)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(&ours).read_line(&mut line).unwrap();
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    let pid = i32::try_from(report["pid"].as_i64().unwrap()).unwrap();
    assert!(helper.wait().unwrap().success());
    drop(ours);
    // It ends by itself, as a child of this subreaper, and has run nothing.
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let (_, status) = rustix::process::waitpid(Some(pid), WaitOptions::empty()).unwrap().unwrap();
    assert!(status.exited(), "{status:?}");
    let mut output = String::new();
    helper.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(output, "");
}

fn what_was_not_finished_is_removed() {
    let mut it = Fixture::new();
    it.run("a", "exec sleep 1000");
    let containers = it.inspect("a").unwrap().unwrap().log.parent().unwrap().parent().unwrap().to_path_buf();
    let scratch = it.scratch_dir();
    std::fs::create_dir_all(scratch.join("image-1")).unwrap();
    it.close();
    std::fs::create_dir_all(containers.join(".b.new/upper")).unwrap();
    std::fs::create_dir_all(containers.join("c/upper")).unwrap();
    it.open();
    assert_eq!(it.list().unwrap().len(), 1);
    assert!(!containers.join(".b.new").exists() && !containers.join("c").exists() && !scratch.exists());
    it.pid("a");
}

fn a_process_of_the_same_number_is_not_adopted() {
    let mut it = Fixture::new();
    it.run("a", "exec sleep 1000");
    let state = it.inspect("a").unwrap().unwrap().log.with_file_name("state.json");
    it.kill("a").unwrap();
    it.close();
    // This test's own number, with another start time.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let own = std::process::id();
    let text = format!(r#"{{"running":{{"pid":{own},"start_time":1,"boot":"{}"}}}}"#, boot.trim());
    std::fs::write(state, text).unwrap();
    it.open();
    let status = it.inspect("a").unwrap().unwrap().status;
    assert_eq!(status, Status::Ended(Exit { code: None, out_of_memory: false }));
}

fn what_cannot_be_read_of_one_is_no_matter_for_others() {
    let mut it = Fixture::new();
    let labels = std::collections::BTreeMap::from([("whose".to_owned(), "mine".to_owned())]);
    for name in ["whole", "one", "other", "newer"] {
        let spec =
            Spec { command: shell("exec sleep 1000"), labels: labels.clone(), ..Spec::new(name, "host") };
        it.create(spec).unwrap();
        it.start(name).unwrap();
    }
    let pids = ["whole", "one", "other", "newer"].map(|name| it.pid(name));
    let containers = it.state_dir().join("containers");
    it.close();
    std::fs::write(containers.join("one/spec.json"), "{\"version\": 1, \"spe").unwrap();
    for file in ["spec.json", "state.json", "labels.json"] {
        std::fs::write(containers.join("other").join(file), [0xff; 10]).unwrap();
    }
    let text = std::fs::read_to_string(containers.join("newer/spec.json")).unwrap();
    std::fs::write(containers.join("newer/spec.json"), text.replace("\"version\": 1", "\"version\": 9"))
        .unwrap();
    it.open();
    assert_eq!(it.pid("whole"), pids[0], "it was adopted");
    assert_eq!(it.list().unwrap().len(), 1);
    let damaged = it.damaged();
    let names: Vec<_> = damaged.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["newer", "one", "other"]);
    assert!(damaged[0].reason.contains("version 9"), "{damaged:?}");
    assert!(
        damaged[1].reason.contains("spec.json") && damaged[1].labels.as_ref() == Some(&labels),
        "{damaged:?}"
    );
    assert_eq!(damaged[2].labels, None);
    let error = it.create(Spec::new("one", "host")).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    for name in names {
        it.remove(name).unwrap();
        assert!(!containers.join(name).exists());
    }
    let runs =
        |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|it| !it.contains(") Z "));
    assert!(runs(&pids[0]), "others go on");
    wait_until("the processes of damaged ones end", || !pids[1..].iter().any(runs));
    assert!(it.damaged().is_empty());
    it.create(Spec::new("one", "host")).unwrap();
}

fn containers_whose_directory_is_gone_are_found_and_ended() {
    let mut it = Fixture::new();
    // Limits are not an ordinary user's to set.
    let has_limits = it.powers().limits["memory"].is_ok();
    for name in ["kept", "plain", "limited"] {
        let limits = match name {
            "limited" if has_limits => Limits { memory_bytes: Some(64 << 20), ..Limits::default() },
            _ => Limits::default(),
        };
        it.create(Spec { command: shell("sleep 1000 & exec sleep 1000"), limits, ..Spec::new(name, "host") })
            .unwrap();
        it.start(name).unwrap();
    }
    let pids = ["kept", "plain", "limited"].map(|name| it.pid(name));
    let look = |directory: &Path, cgroup: &str| {
        let lost = Lost::look(directory, cgroup).unwrap();
        lost.iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()
    };
    let (directory, cgroup) = (it.state_dir().to_owned(), it.cgroup().to_owned());
    assert_eq!(look(&directory, &cgroup), Vec::<String>::new());
    it.close();
    for name in ["plain", "limited"] {
        std::fs::remove_dir_all(directory.join("containers").join(name)).unwrap();
    }
    assert_eq!(look(&directory, &cgroup), ["limited", "plain"]);
    // Another directory's: what has limits is known by its group, but only as long as it has no directory anywhere.
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(look(elsewhere.path(), &cgroup), if has_limits { vec!["limited"] } else { Vec::new() });
    assert_eq!(look(elsewhere.path(), "llcm-somebody-else"), Vec::<String>::new());
    // A program in a container may have the same path, for another directory: its mark is another one.
    assert_eq!(look(&directory, "llcm-somebody-else"), Vec::<String>::new());

    for lost in Lost::look(&directory, &cgroup).unwrap() {
        lost.end().unwrap();
    }
    assert_eq!(look(&directory, &cgroup), Vec::<String>::new());
    let runs =
        |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|it| !it.contains(") Z "));
    wait_until("the processes end", || !pids[1..].iter().any(runs));
    it.open();
    assert_eq!(it.pid("kept"), pids[0], "it goes on");
    it.create(Spec::new("plain", "host")).unwrap();
}
