//! An engine in a directory of its own, taken away with all its containers afterwards.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use llcm_engine::{Engine, ExecOutput, ExecSpec, Exit, Options, PublishVia, Spec, Status};

pub(crate) struct Fixture {
    engine: Option<Engine>,
    pub(crate) directory: tempfile::TempDir,
    cgroup: String,
    log_bytes: u64,
    via: PublishVia,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(1 << 20, PublishVia::Auto)
    }

    pub(crate) fn with_logs_of(log_bytes: u64) -> Self {
        Self::with(log_bytes, PublishVia::Auto)
    }

    /// One that publishes ports in the given way.
    pub(crate) fn publishing(via: PublishVia) -> Self {
        Self::with(1 << 20, via)
    }

    fn with(log_bytes: u64, via: PublishVia) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let cgroup = format!("llcm-test-{}-{number}", std::process::id());
        let directory = tempfile::tempdir().unwrap();
        let mut fixture = Self { engine: None, directory, cgroup, log_bytes, via };
        fixture.open();
        fixture
    }

    pub(crate) fn options(&self) -> Options {
        let options = options(self.directory.path().join("state"), &self.cgroup);
        Options { log_bytes: self.log_bytes, publish: self.via, ..options }
    }

    pub(crate) fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// Opens the engine again, as a program that starts anew.
    pub(crate) fn open(&mut self) {
        self.close();
        self.engine = Some(Engine::open(self.options()).unwrap());
    }

    pub(crate) fn close(&mut self) {
        drop(self.engine.take());
    }

    /// Creates and starts a container of the host's programs.
    pub(crate) fn run(&self, name: &str, script: &str) {
        self.run_spec(Spec { command: shell(script), ..Spec::new(name, "host") });
    }

    pub(crate) fn run_spec(&self, spec: Spec) {
        let name = spec.name.clone();
        self.create(spec).unwrap();
        self.start(&name).unwrap();
    }

    /// Runs a script to its end, gives its code and output, and removes the container.
    pub(crate) fn output(&self, spec: Spec, script: &str) -> (Exit, String) {
        let name = spec.name.clone();
        self.run_spec(Spec { command: shell(script), ..spec });
        let exit = self.ends(&name);
        let log = self.log(&name);
        self.remove(&name).unwrap();
        (exit, log)
    }

    pub(crate) fn ends(&self, name: &str) -> Exit {
        let exit = self.wait(name, Some(Duration::from_secs(20))).unwrap();
        exit.unwrap_or_else(|| panic!("{name} still runs; its log: {}", self.log(name)))
    }

    pub(crate) fn log(&self, name: &str) -> String {
        String::from_utf8(self.logs(name, 1 << 20).unwrap()).unwrap()
    }

    pub(crate) fn sh(&self, name: &str, script: &str) -> ExecOutput {
        self.exec(name, &ExecSpec::new(shell(script))).unwrap()
    }

    pub(crate) fn pid(&self, name: &str) -> i32 {
        match self.inspect(name).unwrap().unwrap().status {
            Status::Running { pid } => pid,
            other => panic!("{name} does not run: {other:?}"),
        }
    }
}

impl Deref for Fixture {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let Ok(engine) = self.engine.take().map_or_else(|| Engine::open(self.options()), Ok) else { return };
        for container in engine.list().unwrap_or_default() {
            if let Err(error) = engine.remove(&container.spec.name) {
                println!("left behind: {error}");
            }
        }
        engine.remove_leftovers();
    }
}

pub(crate) fn options(state_dir: PathBuf, cgroup: &str) -> Options {
    Options { cgroup: cgroup.to_owned(), ..Options::new(state_dir) }
}

/// Does something while other threads remove leftovers over and over.
pub(crate) fn while_leftovers_are_removed(engine: &Engine, work: impl FnOnce()) {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    engine.remove_leftovers();
                }
            });
        }
        // Also when it panics: the scope waits for the threads.
        let _done = Done(&is_done);
        work();
    });
}

/// Runs a part of the tests that needs a process of its own, until it writes the word; it ends with its input.
pub(crate) fn start_part(arguments: &[&OsStr], word: &str) -> Child {
    let mut child = Command::new("/proc/self/exe")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), word);
    child
}

pub(crate) fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap().trim()
}
