//! An ordinary user: a number that nobody has, or whoever runs the tests; and the tests that such a user runs in
//! namespaces.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use llcm_engine::Helper;
use llcm_engine::rootless::{self, RootlessOptions};

/// Tests of what only root of the machine can do. What becomes of it otherwise is tested in `refused`.
const OF_ROOT: &[&str] = &[
    "users_by_number_and_name",
    "exec_as_another_user",
    "capabilities_are_those_given",
    "memory_is_limited",
    "processes_are_limited",
    "cpu_time_and_cpus_are_limited",
    "limits_hold_for_exec_and_go_with_the_container",
    "limits_go_while_output_is_not_read",
    "limits_are_set_while_leftovers_are_removed",
];

/// The user's number: of this program's own, so that all of its processes can be told from others.
pub(crate) fn user() -> u32 {
    let own = rustix::process::geteuid();
    if own.is_root() { 1_000_000 + std::process::id() } else { own.as_raw() }
}

/// This program, to be run as the ordinary user.
pub(crate) fn program(part: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(part);
    if rustix::process::geteuid().is_root() {
        command.uid(user()).gid(user());
    }
    command
}

/// A directory of the ordinary user's, taken away afterwards.
pub(crate) fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        chown(directory.path(), Some(user()), Some(user())).unwrap();
    }
    directory
}

/// Ends what a test that failed has left running. The user is nobody else's.
pub(crate) fn end_processes() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for line in processes() {
        println!("left running: {line}");
        let pid = line.split_whitespace().next().and_then(|pid| pid.parse().ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw).unwrap();
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// The processes of the ordinary user that are left, with their command lines; those that have ended and that the
/// machine's first process has not taken notice of are not counted.
pub(crate) fn processes() -> Vec<String> {
    let output = Command::new("ps").args(["-o", "pid=,args=", "-u", &user().to_string()]).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter(|line| !line.ends_with("<defunct>")).map(str::to_owned).collect()
}

pub(crate) fn options(directory: &Path) -> RootlessOptions {
    RootlessOptions {
        state_dir: directory.join("rootless"),
        helper: Helper::default(),
        run_dir: directory.join("run"),
    }
}

/// The part of the program that is an ordinary user: runs the tests in namespaces.
pub(crate) fn run(directory: &OsStr, filter: Option<&str>) -> ExitCode {
    let rootless = rootless::enter(&options(Path::new(directory))).unwrap();
    let chosen = crate::all().into_iter().chain(crate::refused::TESTS.iter().copied());
    let failed = crate::run(chosen.filter(|(name, _)| !OF_ROOT.contains(name)), filter, " (ordinary user)");
    if let Err(error) = rootless.end() {
        let all = Command::new("ps").args(["-eo", "pid,ppid,stat,lstart,args", "--forest"]).output().unwrap();
        panic!("{error}\n{}", String::from_utf8_lossy(&all.stdout));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
