//! What happens to a program in namespaces, and to those namespaces.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use llcm_engine::EngineError;
use llcm_engine::rootless::{self, RootlessOptions};

use crate::containers::wait_until;
use crate::ordinary::{self, options, processes};
use crate::outside::{Outside, cgroup, pause};

pub(crate) const TESTS: &[crate::Test] = &[
    ("the_program_stays_in_the_hosts_network", the_program_stays_in_the_hosts_network),
    ("killed_and_joined", killed_and_joined),
    ("killed_at_any_instant", killed_at_any_instant),
    ("killed_while_it_ends", killed_while_it_ends),
    ("a_directory_that_is_gone", a_directory_that_is_gone),
    ("lost_namespaces", lost_namespaces),
    ("an_end_too_early_is_refused", an_end_too_early_is_refused),
    ("an_end_waits_for_what_is_just_ending", an_end_waits_for_what_is_just_ending),
    ("a_pause_process_that_nobody_told_to_stay", a_pause_process_that_nobody_told_to_stay),
    ("what_cannot_be_entered", what_cannot_be_entered),
    ("files_of_a_strange_group", files_of_a_strange_group),
    ("groups_of_others_are_left_alone", groups_of_others_are_left_alone),
];

fn kill_process(pid: &serde_json::Value) {
    let number = i32::try_from(pid.as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(number).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    wait_until("it has ended", || !is_alive(number));
}

fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn pid_in(said: &serde_json::Value) -> i32 {
    let digits: String = said["status"].as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// Waits for a few lines of the container's output, each with a process of its own before.
fn goes_on(directory: &Path) {
    let log = directory.join("state/containers/stays/log");
    let before = fs::metadata(&log).unwrap().len();
    wait_until("the container has gone on", || fs::metadata(&log).unwrap().len() > before + 20);
}

fn the_program_stays_in_the_hosts_network() {
    let directory = ordinary::directory();
    let program = Outside::start(directory.path());
    let mut stream = TcpStream::connect(program.address("api")).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside");
    // Its container is in a network of its own, and what it mounts is seen by nobody else.
    assert_eq!((&program.said["reaches_host"], &program.said["interfaces"]), (&true.into(), &1.into()));
    assert_eq!(fs::read_dir(directory.path().join("run")).unwrap().count(), 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(directory.path().to_str().unwrap()), "{mounts}");
    program.end(directory.path());
}

fn killed_and_joined() {
    let directory = ordinary::directory();
    let mut first = Outside::start(directory.path());
    assert_eq!(first.said["joined"], false);
    assert_eq!(first.ask("exec"), "stays\nmark");
    let second = Outside::start(directory.path());
    let error = second.said["error"].as_str().unwrap();
    assert!(error.contains("is used by another program"), "{error}");
    drop(second);
    let pid = pid_in(&first.said);
    let kept = pause(directory.path());
    assert_eq!(kept["held"], true);
    first.kill();
    goes_on(directory.path());
    let mut again = Outside::start(directory.path());
    assert_eq!((&again.said["joined"], &again.said["run_dir"]), (&true.into(), &true.into()));
    assert_eq!((pid_in(&again.said), &again.said["here"]), (pid, &"/usr".into()));
    assert_eq!(again.ask("exec"), "stays\nmark");
    assert_eq!(pause(directory.path()), kept);
    let mut stream = TcpStream::connect(again.address("api")).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside");
    // Ctrl-C at a terminal goes to the program's process group; the pause process is in another session.
    let session = |pid: &str| {
        let output = Command::new("ps").args(["-o", "sid=", "-p", pid]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let held = kept["pause"]["pid"].to_string();
    assert_eq!(session(&held), held);
    // It holds no pipe or socket open that somebody reads to the end.
    for descriptor in fs::read_dir(format!("/proc/{held}/fd")).unwrap() {
        assert_eq!(fs::read_link(descriptor.unwrap().path()).unwrap(), Path::new("/dev/null"));
    }
    again.end(directory.path());
}

/// Whatever the program was doing when it was killed, the next one goes on, and in the end nothing is left.
fn killed_at_any_instant() {
    let directory = ordinary::directory();
    for milliseconds in 0..40 {
        let mut command = ordinary::program("rootless");
        command.arg(directory.path()).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let paused = || processes().iter().filter(|it| it.contains("engine-init")).count();
    wait_until("at most one pause process is left", || paused() <= 1);
    Outside::start(directory.path()).end(directory.path());
}

/// Likewise while it removes everything.
fn killed_while_it_ends() {
    let directory = ordinary::directory();
    for milliseconds in (0..60).step_by(4) {
        let mut program = Outside::start(directory.path());
        program.tell("end");
        std::thread::sleep(Duration::from_millis(milliseconds));
        program.kill();
    }
    Outside::start(directory.path()).end(directory.path());
}

/// Somebody removes the directory for files of namespaces: the pause process is found all the same, again and again.
fn a_directory_that_is_gone() {
    let directory = ordinary::directory();
    let first = Outside::start(directory.path());
    let (pid, kept) = (pid_in(&first.said), pause(directory.path()));
    first.kill();
    for _ in 0..2 {
        fs::remove_dir(directory.path().join("run")).unwrap();
        let again = Outside::start(directory.path());
        assert_eq!((&again.said["joined"], &again.said["run_dir"]), (&true.into(), &false.into()));
        assert_eq!((pid_in(&again.said), pause(directory.path())), (pid, kept.clone()));
        // What is in it is seen inside only, as before.
        wait_until("it has made its mark", || again.has_mark(directory.path()));
        assert_eq!(fs::read_dir(directory.path().join("run")).unwrap().count(), 0);
        again.kill();
    }
    Outside::start(directory.path()).end(directory.path());
}

/// Somebody kills the pause process, too: what ran is out of reach and is ended, not forgotten.
fn lost_namespaces() {
    let directory = ordinary::directory();
    let first = Outside::start(directory.path());
    let pid = pid_in(&first.said);
    first.kill();
    kill_process(&pause(directory.path())["pause"]["pid"]);
    assert!(is_alive(pid));
    let again = Outside::start(directory.path());
    assert_eq!((&again.said["joined"], &again.said["run_dir"]), (&false.into(), &false.into()));
    assert_eq!(again.said["status"], "Ended(Exit { code: None, out_of_memory: false })");
    assert!(!is_alive(pid));
    again.end(directory.path());
}

fn an_end_too_early_is_refused() {
    let directory = ordinary::directory();
    let mut program = Outside::start(directory.path());
    let pid = pid_in(&program.said);
    // As when the numbers have come to their end: later processes of the container have lower ones. Root alone may.
    let _ = fs::write("/proc/sys/kernel/ns_last_pid", "300");
    goes_on(directory.path());
    let answer = program.ask("end with everything still running");
    // The oldest one.
    assert_eq!(
        answer["error"],
        format!("process `{pid}` still runs in the namespaces: remove the containers first")
    );
    assert!(!program.child.wait().unwrap().success());
    let again = Outside::start(directory.path());
    assert_eq!((&again.said["joined"], pid_in(&again.said)), (&true.into(), pid));
    again.end(directory.path());
}

fn an_end_waits_for_what_is_just_ending() {
    let directory = ordinary::directory();
    let mut program = Outside::start(directory.path());
    program.tell("leave something behind that ends soon");
    program.end(directory.path());
}

/// The program dies while it starts the pause process.
fn a_pause_process_that_nobody_told_to_stay() {
    let directory = ordinary::directory();
    let start = || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut command = ordinary::program("engine-init");
        command.arg("pause").arg(r#"{"program": "/proc/self/exe", "arguments": ["engine-init"]}"#);
        (command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap(), ours)
    };
    // Before the word it ends by itself.
    let (mut child, ours) = start();
    drop(ours);
    assert!(child.wait().unwrap().success());
    // After it, it stays; being written down as not held, it is ended by the next program, which does not join.
    let (mut child, mut ours) = start();
    ours.write_all(b"go\n").unwrap();
    let mut line = String::new();
    BufReader::new(&ours).read_line(&mut line).unwrap();
    assert_eq!(line, format!("{{\"pid\":{}}}\n", child.id()));
    drop(ours);
    std::thread::sleep(Duration::from_millis(50));
    assert!(child.try_wait().unwrap().is_none());
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let start_time: u64 =
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let kept = serde_json::json!({
        "version": 1, "held": false, "run_dir": directory.path().join("run"), "made_run_dir": true,
        "pause": {"pid": child.id(), "start_time": start_time, "boot": boot.trim()},
    });
    fs::create_dir(directory.path().join("rootless")).unwrap();
    let file = directory.path().join("rootless/rootless.json");
    fs::write(&file, kept.to_string()).unwrap();
    if rustix::process::geteuid().is_root() {
        for path in [&directory.path().join("rootless"), &file] {
            chown(path, Some(ordinary::user()), Some(ordinary::user())).unwrap();
        }
    }
    let program = Outside::start(directory.path());
    assert_eq!(program.said["joined"], false);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    program.end(directory.path());
}

fn what_cannot_be_entered() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    // With a second thread, and all else in order.
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || receiver.recv());
    let Err(EngineError::Invalid(text)) = rootless::enter(&options) else { panic!("it was entered") };
    assert!(text.contains("before the program has threads"), "{text}");
    drop(sender);
    thread.join().unwrap().unwrap_err();
    let inside = RootlessOptions { state_dir: options.run_dir.join("state"), ..options.clone() };
    let error = rootless::enter(&inside).unwrap_err().to_string();
    assert!(error.contains("would hide"), "{error}");
    let shared = directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let shared = RootlessOptions { state_dir: shared, ..options };
    let error = rootless::enter(&shared).unwrap_err();
    assert!(matches!(error, EngineError::Conflict { .. }), "{error}");
    assert_eq!(rustix::process::geteuid(), rustix::process::getuid(), "nothing was entered");
}

/// Below a directory with the set-group-id bit, files get a group that is nobody's in the user namespace.
fn files_of_a_strange_group() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: it takes root to give such a directory to somebody");
        return;
    }
    let directory = ordinary::directory();
    chown(directory.path(), Some(ordinary::user()), Some(12)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o2755)).unwrap();
    let mut program = Outside::start(directory.path());
    assert_eq!(program.ask("exec"), "stays\nmark");
    program.end(directory.path());
    assert!(!directory.path().join("state/containers/stays").exists());
}

/// Root's engine may have a container of the same name, and with a cgroup.
fn groups_of_others_are_left_alone() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: it takes root to make a cgroup that others may not write to");
        return;
    }
    let directory = ordinary::directory();
    let program = Outside::start(directory.path());
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).unwrap().map(|it| it.unwrap().path()).chain([root.to_path_buf()]);
    let groups: Groups = hierarchies
        .filter(|hierarchy| hierarchy.join("cgroup.procs").exists())
        .map(|hierarchy| hierarchy.join(cgroup(directory.path())))
        .filter(|group| fs::create_dir_all(group.join("stays")).is_ok())
        .collect();
    assert!(!groups.0.is_empty());
    program.end(directory.path());
    assert!(groups.0.iter().all(|group| group.join("stays").is_dir()));
}

/// Cgroups that are taken away afterwards.
struct Groups(Vec<PathBuf>);

impl FromIterator<PathBuf> for Groups {
    fn from_iter<T: IntoIterator<Item = PathBuf>>(groups: T) -> Self {
        Self(groups.into_iter().collect())
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for group in &self.0 {
            let _ = fs::remove_dir(group.join("stays"));
            let _ = fs::remove_dir(group);
        }
    }
}
