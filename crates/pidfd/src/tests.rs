//! Processes that a shell in between reaps, as init does with those whose parent is gone.

use std::io::{BufRead, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::*;

/// A process that is a child of a shell's, which waits for it.
struct Grandchild {
    shell: Child,
    /// It ends with code 7 when it reads a line.
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
    pidfd: OwnedFd,
}

impl Grandchild {
    fn new() -> Self {
        let script = "exec 3<&0; (read line <&3; exit 7) & echo $!; wait $!; echo reaped";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(shell.stdout.take().unwrap());
        let pid = Pid::from_raw(line(&mut output).parse().unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        Self { input: shell.stdin.take().unwrap(), shell, output, pidfd }
    }

    /// What the descriptor tells when the shell has reaped it.
    fn reaped(mut self) -> Option<ExitStatus> {
        assert_eq!(line(&mut self.output), "reaped");
        assert!(self.shell.wait().unwrap().success());
        exit_status(&self.pidfd).unwrap()
    }
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    line.trim().to_owned()
}

/// Whether the kernel keeps exit statuses, as it tells of itself: this crate's own answer would prove nothing.
fn is_kept() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_str().unwrap();
    let mut numbers = release.split(|it: char| !it.is_ascii_digit()).map(|it| it.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(6), Some(15))
}

/// Checks an answer; on a kernel that is older, one that knows it all the same is right, too.
fn expect(found: Option<ExitStatus>, expected: (Option<i32>, Option<i32>)) {
    match found {
        None if !is_kept() => println!("not tested: this kernel does not keep exit statuses"),
        found => {
            let found = found.unwrap();
            assert_eq!((found.code(), found.signal()), expected);
        }
    }
}

#[test]
fn the_code_of_a_process_that_somebody_else_has_reaped() {
    let mut it = Grandchild::new();
    assert_eq!(exit_status(&it.pidfd).unwrap(), None, "it still runs");
    it.input.write_all(b"end\n").unwrap();
    expect(it.reaped(), (Some(7), None));
}

#[test]
fn the_signal_that_killed_it() {
    let it = Grandchild::new();
    pidfd_send_signal(&it.pidfd, Signal::KILL).unwrap();
    expect(it.reaped(), (None, Some(9)));
}

#[test]
fn before_it_is_reaped_nothing_is_known() {
    let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None).unwrap();
    assert_eq!(exit_status(&pidfd).unwrap(), None);
    assert_eq!(child.wait().unwrap().code(), Some(3));
    expect(exit_status(&pidfd).unwrap(), (Some(3), None));
}

#[test]
fn other_descriptors_are_refused() {
    let file = std::fs::File::open("/proc/self/stat").unwrap();
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    for error in [exit_status(&file).unwrap_err(), exit_status(&ours).unwrap_err()] {
        assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()));
    }
}
