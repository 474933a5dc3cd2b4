//! How containers end whose program was killed: their parent is somebody else, who reaps them or does not.

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitCode};

use llcm_engine::{Exit, Status};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};

use crate::containers::wait_until;
use crate::kit::{Fixture, start_part};

pub(crate) const TESTS: &[crate::Test] = &[
    ("codes_of_adopted_containers_that_are_reaped", codes_of_adopted_containers_that_are_reaped),
    ("codes_of_adopted_containers_that_nobody_reaps", codes_of_adopted_containers_that_nobody_reaps),
];

/// What becomes the parent of the containers of a program that was killed.
pub(crate) struct Custodian {
    child: Child,
    input: Option<ChildStdin>,
}

impl Custodian {
    /// Runs `crash::supervise`, and kills it when it is ready. With `reaps`, its orphans are reaped as init would do;
    /// otherwise they stay as they ended until this is dropped.
    pub(crate) fn of_a_killed_program(it: &Fixture, reaps: bool) -> Self {
        let how = OsStr::new(if reaps { "reaps" } else { "waits" });
        let arguments = ["custody".as_ref(), how, it.directory.path().as_os_str(), it.cgroup().as_ref()];
        let mut child = start_part(&arguments, "killed");
        Self { input: child.stdin.take(), child }
    }
}

impl Drop for Custodian {
    fn drop(&mut self) {
        drop(self.input.take());
        // A custodian that failed has said why.
        let _ = self.child.wait();
    }
}

/// The part of the program that is a [`Custodian`].
pub(crate) fn custody(how: &OsStr, directory: &OsStr, cgroup: &OsStr) -> ExitCode {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let mut supervisor = start_part(&["supervise".as_ref(), directory, cgroup], "ready");
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    println!("killed");
    std::io::stdout().flush().unwrap();
    if how == "reaps" {
        // Until there is none left.
        std::thread::spawn(|| while wait(WaitOptions::empty()).is_ok() {});
    }
    // Ends with the test at the latest.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
    while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
    ExitCode::SUCCESS
}

/// Whether the kernel keeps exit statuses of what was reaped, as it tells of itself.
pub(crate) fn statuses_are_kept() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_str().unwrap();
    let mut numbers = release.split(|it: char| !it.is_ascii_digit()).map(|it| it.parse::<u32>().unwrap_or(0));
    let is_kept = (numbers.next(), numbers.next()) >= (Some(6), Some(15));
    if !is_kept {
        println!("Linux {release} does not keep exit statuses: those of reaped containers are not tested");
    }
    is_kept
}

/// Checks the code of a container that somebody else reaps. An older kernel may tell it, if it was asked in time.
pub(crate) fn expect_code(exit: Exit, code: i32) {
    assert!(!exit.out_of_memory);
    match exit.code {
        None => assert!(!statuses_are_kept(), "this kernel keeps exit statuses"),
        Some(found) => assert_eq!(found, code),
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

fn is_zombie(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

fn codes_of_adopted_containers_that_are_reaped() {
    let mut it = Fixture::new();
    it.close();
    let _custodian = Custodian::of_a_killed_program(&it, true);
    it.open();
    it.sh("ends", "touch /tmp/end");
    expect_code(it.ends("ends"), 4);
    kill(it.pid("killed"));
    expect_code(it.ends("killed"), 128 + 9);
    // While nobody holds a descriptor of it, it ends unseen.
    let pid = it.pid("stays");
    it.close();
    kill(pid);
    wait_until("it was reaped", || !Path::new(&format!("/proc/{pid}")).exists());
    it.open();
    let unknown = Exit { code: None, out_of_memory: false };
    assert_eq!(it.inspect("stays").unwrap().unwrap().status, Status::Ended(unknown));
}

fn codes_of_adopted_containers_that_nobody_reaps() {
    let mut it = Fixture::new();
    it.close();
    let _custodian = Custodian::of_a_killed_program(&it, false);
    it.open();
    let exit = |code| Exit { code: Some(code), out_of_memory: false };
    let pid = it.pid("ends");
    it.sh("ends", "touch /tmp/end");
    assert_eq!(it.ends("ends"), exit(4));
    assert!(is_zombie(pid), "somebody has reaped it");
    let pid = it.pid("killed");
    kill(pid);
    assert_eq!(it.ends("killed"), exit(128 + 9));
    assert!(is_zombie(pid), "somebody has reaped it");
    // It ends while nobody holds a descriptor of it, and is found so.
    let pid = it.pid("stays");
    it.close();
    kill(pid);
    wait_until("it has ended", || is_zombie(pid));
    it.open();
    assert_eq!(it.inspect("stays").unwrap().unwrap().status, Status::Ended(exit(128 + 9)));
    // Started again, it is a child of this program.
    it.start("ends").unwrap();
    assert_eq!(it.ends("ends"), exit(4));
}
