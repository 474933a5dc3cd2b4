//! Further processes in a running container.

use std::time::{Duration, Instant};

use llcm_engine::{EngineError, ExecSpec, Spec};

use crate::containers::wait_until;
use crate::kit::{Fixture, shell, text};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("exec_gives_output_and_exit_code", exec_gives_output_and_exit_code),
    ("exec_as_another_user", exec_as_another_user),
    ("exec_is_inside", exec_is_inside),
    ("exec_ends_in_time", exec_ends_in_time),
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
    let output = it.sh("a", "ls /proc/self/fd | tr '\\n' ' '; ls -d /proc/[0-9]* | wc -l");
    assert_eq!(
        text(&output.stdout),
        "0 1 2 3 4",
        "the listing's own descriptor is 3; sleep, sh, ls and wc run"
    );
}

fn exec_ends_in_time() {
    let it = Fixture::new();
    it.run_spec(Spec::new("a", "host"));
    let mut spec = ExecSpec::new(shell("echo begun; exec sleep 1000"));
    spec.timeout = Duration::from_millis(300);
    let start = Instant::now();
    let output = it.exec("a", &spec).unwrap();
    assert_eq!((output.code, text(&output.stdout)), (None, "begun"));
    // What goes to the background does not keep the caller.
    assert_eq!(it.sh("a", "sleep 1000 & echo begun").code, Some(0));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(text(&it.sh("a", "pgrep -c sleep").stdout), "1");
}
