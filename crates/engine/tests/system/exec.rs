//! Further processes in a running container.

use std::time::{Duration, Instant};

use std::io::{BufRead as _, BufReader, Read as _};

use llcm_engine::{EngineError, ExecSpec, Spec};

use crate::containers::wait_until;
use crate::kit::{Fixture, shell, text};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("exec_gives_output_and_exit_code", exec_gives_output_and_exit_code),
    ("exec_as_another_user", exec_as_another_user),
    ("exec_is_inside", exec_is_inside),
    ("exec_ends_in_time", exec_ends_in_time),
    ("output_comes_as_it_is_written", output_comes_as_it_is_written),
    ("what_nobody_reads_goes_on", what_nobody_reads_goes_on),
    ("a_terminal_is_one", a_terminal_is_one),
    ("a_terminal_is_hung_up_on", a_terminal_is_hung_up_on),
    ("a_command_outlives_its_helper", a_command_outlives_its_helper),
];

fn exec_gives_output_and_exit_code() {
    let it = Fixture::new();
    let environment = [("A".to_owned(), "of the container".to_owned())].into();
    it.run_spec(Spec { environment, ..Spec::new("a", "host") });
    let output = it.sh("a", "echo out; echo err >&2; exit 3");
    assert_eq!((output.code, text(&output.stdout), text(&output.stderr)), (Some(3), "out", "err"));
    assert_eq!(it.sh("a", "kill -TERM $$").code, Some(128 + 15));
    let mut spec = ExecSpec::new(shell("echo $A $B; pwd; cat"));
    spec.environment.insert("B".to_owned(), "of the call".to_owned());
    spec.working_dir = Some("/usr".into());
    assert_eq!(text(&it.exec("a", &spec).unwrap().stdout), "of the container of the call\n/usr");
    let error = it.exec("a", &ExecSpec::new(["no-such-program"])).unwrap_err().to_string();
    assert!(error.contains("there is no program `no-such-program`"), "{error}");
    let mut spec = ExecSpec::new(shell("head -c 3000000 /dev/zero; echo -n end >&2"));
    spec.output_limit = 1000;
    let output = it.exec("a", &spec).unwrap();
    assert_eq!((output.code, output.stdout.len(), text(&output.stderr)), (Some(0), 1000, "end"));
    it.kill("a").unwrap();
    assert!(matches!(it.exec("a", &spec), Err(EngineError::Conflict { .. } | EngineError::Start { .. })));
    assert!(matches!(it.exec("b", &spec), Err(EngineError::NotFound { .. })));
}

fn exec_as_another_user() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    let exec = ExecSpec { user: Some("nobody".to_owned()), ..ExecSpec::new(shell("id -u")) };
    assert_eq!(text(&it.exec("a", &exec).unwrap().stdout), "65534");
}

fn exec_is_inside() {
    let it = Fixture::new();
    it.run("a", "echo mark > /tmp/mark; exec sleep 1000");
    let command = format!("/proc/{}/cmdline", it.pid("a"));
    wait_until("the shell has become the program", || {
        std::fs::read_to_string(&command).unwrap().starts_with("sleep")
    });
    let output = it.sh("a", "cat /tmp/mark; hostname; tr '\\0' ' ' < /proc/1/cmdline; grep -E 'CapBnd|NoNew|Seccomp:' /proc/self/status");
    let shown = text(&output.stdout);
    assert!(shown.starts_with("mark\na\nsleep 1000"), "{shown}");
    assert!(shown.contains("NoNewPrivs:\t1\nSeccomp:\t2"), "{shown}");
    for namespace in ["net", "mnt", "pid", "uts", "ipc", "cgroup"] {
        let script = format!("readlink /proc/1/ns/{namespace} /proc/self/ns/{namespace} | uniq | wc -l");
        assert_eq!(text(&it.sh("a", &script).stdout), "1", "{namespace}");
    }
    // Neither the helper nor its descriptors are seen from inside.
    let output = it.sh("a", "ls /proc/self/fd | tr '\\n' ' '; set -- /proc/[0-9]*; echo $#");
    assert_eq!(text(&output.stdout), "0 1 2 3 2", "the listing's own descriptor is 3; sleep and sh run");
}

fn exec_ends_in_time() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    let mut spec = ExecSpec::new(shell("echo begun; exec sleep 1000"));
    spec.timeout = Duration::from_secs(3);
    let start = Instant::now();
    let output = it.exec("a", &spec).unwrap();
    assert_eq!((output.code, text(&output.stdout)), (None, "begun"));
    // What goes to the background does not keep the caller.
    assert_eq!(it.sh("a", "sleep 1000 & echo begun").code, Some(0));
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!(text(&it.sh("a", "pgrep -c sleep").stdout), "1");
}

fn output_comes_as_it_is_written() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    let script = "echo first; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo err >&2; exit 3";
    let mut session = it.spawn("a", &ExecSpec::new(shell(script))).unwrap();
    let mut output = BufReader::new(session.take_output().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    assert_eq!(session.wait(Some(Duration::from_millis(50))).unwrap(), None);
    it.sh("a", "touch /tmp/go");
    assert_eq!(session.wait(Some(Duration::from_secs(10))).unwrap(), Some(3));
    let mut errors = String::new();
    session.take_errors().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "err\n");
    // What could not be started is told at once.
    let error = it.spawn("a", &ExecSpec::new(["/etc/hostname"])).unwrap_err().to_string();
    assert!(error.contains("Permission denied"), "{error}");
}

fn what_nobody_reads_goes_on() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    // A daemon of a start script: more than a pipe holds, long after its caller has gone.
    let chatter =
        |file: &str| format!("i=0; while :; do i=$((i+1)); head -c 4096 /dev/zero; echo $i > {file}; done");
    let mut spec = ExecSpec::new(shell(&format!("{{ {} ; }} & echo begun", chatter("/tmp/left"))));
    spec.output_limit = 100;
    assert_eq!(it.exec("a", &spec).unwrap().code, Some(0));
    // A caller that hangs up, with standard output closed by the process and standard error in use.
    let script = format!("exec 1>&2; {}", chatter("/tmp/hung-up"));
    drop(it.spawn("a", &ExecSpec::new(shell(&script))).unwrap());
    for file in ["/tmp/left", "/tmp/hung-up"] {
        let count = || text(&it.sh("a", &format!("cat {file}")).stdout).parse::<u32>().unwrap_or(0);
        wait_until("it has written more than a pipe holds", || count() > 64);
    }
    // The helpers end with the container, and cost no time while they wait.
    it.kill("a").unwrap();
    wait_until("no helper is left", || helpers().is_empty());
}

/// The helpers of this program's commands.
fn helpers() -> Vec<i32> {
    let own = format!("PPid:\t{}\n", std::process::id());
    let is_helper = |path: &std::path::Path| {
        std::fs::read_to_string(path.join("status")).is_ok_and(|it| it.contains(&own))
            && std::fs::read(path.join("cmdline")).is_ok_and(|it| it.windows(5).any(|it| it == b"enter"))
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| is_helper(&entry.path()));
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn a_terminal_is_one() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    let script = "test -t 1 && test -t 2 && exec 3<>/dev/tty && echo terminal >&3; echo err >&2; exit 4";
    let mut spec = ExecSpec::new(shell(script));
    spec.terminal = true;
    let output = it.exec("a", &spec).unwrap();
    assert_eq!((output.code, text(&output.stdout), text(&output.stderr)), (Some(4), "terminal\r\nerr", ""));
    // What cannot be started says why.
    let error = it.exec("a", &ExecSpec { command: vec!["/etc/hostname".to_owned()], ..spec }).unwrap_err();
    assert!(error.to_string().contains("cannot execute /etc/hostname: Permission denied"), "{error}");
}

fn a_terminal_is_hung_up_on() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    let hang_up = |script: &str| {
        let spec = ExecSpec { terminal: true, ..ExecSpec::new(shell(script)) };
        let mut session = it.spawn("a", &spec).unwrap();
        let mut line = String::new();
        BufReader::new(session.take_output().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "begun\r\n");
    };
    // Without those that have ended and that the container's first process does not care for.
    let processes = |name: &str| {
        let script = format!("ps -eo stat=,comm= | grep -v ^Z | grep -c {name}");
        text(&it.sh("a", &script).stdout).parse::<u32>().unwrap()
    };
    hang_up("echo begun; sleep 1000; exit 3");
    wait_until("the command has ended", || processes("sleep") == 0);
    wait_until("its helper has ended", || helpers().is_empty());
    // Whoever does not mind goes on.
    hang_up("trap '' HUP; echo begun; tail -f /dev/null; exit 3");
    hang_up("trap '' HUP; echo begun; exec tail -f /dev/null");
    wait_until("both commands are at work", || processes("tail") == 2);
    wait_until("they have their helpers", || helpers().len() == 2);
    it.remove("a").unwrap();
    wait_until("no helper is left", || helpers().is_empty());
}

/// Whoever kills a helper - the kernel, for want of memory, say - leaves a command without a parent of its own.
fn a_command_outlives_its_helper() {
    let mut it = Fixture::new();
    for name in ["removed", "ends", "adopted"] {
        it.run(name, "while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 5");
        let mut session = it.spawn(name, &ExecSpec::new(["tail", "-f", "/dev/null"])).unwrap();
        for helper in helpers() {
            let helper = rustix::process::Pid::from_raw(helper).unwrap();
            rustix::process::kill_process(helper, rustix::process::Signal::KILL).unwrap();
        }
        wait_until("the helper has ended", || helpers().is_empty());
        assert_eq!(session.wait(Some(Duration::ZERO)).unwrap(), None, "the command goes on");
    }
    it.remove("removed").unwrap();
    it.sh("ends", "touch /tmp/end");
    assert_eq!(it.ends("ends").code, Some(5));
    it.open();
    it.remove("adopted").unwrap();
}
