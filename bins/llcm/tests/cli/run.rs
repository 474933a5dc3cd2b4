//! Runs the program as its users do, with time limits on everything.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a command may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Asserts the exit code and returns what it wrote to standard output.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        self.out
    }

    /// Asserts that it failed and returns what it wrote to standard error.
    #[track_caller]
    pub(crate) fn expect_error(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", self.out, self.err);
        self.err
    }

    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.expect(0)).unwrap()
    }
}

/// The program, looking at nothing of its surroundings.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llcm"));
    alone(command.args(args));
    command
}

/// Lets a command look at nothing of its surroundings.
pub(crate) fn alone(command: &mut Command) -> &mut Command {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/nonexistent");
    command.env("LLCM_CONFIG", "/dev/null");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// Whether tests that need root can run here; panics where they must and cannot.
pub(crate) fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    let required = std::env::var_os("LLCM_REQUIRE_SYSTEM_TESTS").is_some_and(|value| value == "1");
    assert!(is_root || !required, "LLCM_REQUIRE_SYSTEM_TESTS=1, but this is not root");
    if !is_root {
        eprintln!("skipped: needs root");
    }
    is_root
}

/// Runs the program to its end.
#[track_caller]
pub(crate) fn llcm(args: &[&str]) -> Ran {
    finish(command(args).spawn().unwrap())
}

/// Waits for a process and collects what it wrote.
#[track_caller]
pub(crate) fn finish(mut child: Child) -> Ran {
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let collect_out = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).map(|_| text)
    });
    let collect_err = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let code = wait(&mut child);
    Ran { code, out: collect_out.join().unwrap().unwrap(), err: collect_err.join().unwrap().unwrap() }
}

/// Waits for a process; one that takes too long is killed, and the test fails.
#[track_caller]
fn wait(child: &mut Child) -> Option<i32> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the program does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running server; ended when dropped.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) url: String,
    /// What it logged before it listened.
    pub(crate) begun: Vec<String>,
    log: mpsc::Receiver<String>,
}

impl Server {
    /// Starts a server on a free port with the simulated engine.
    pub(crate) fn start(data_dir: &Path, args: &[&str]) -> Self {
        let data_dir = data_dir.to_str().unwrap();
        let mut all =
            vec!["serve", "--listen", "127.0.0.1:0", "--engine", "simulated", "--data-dir", data_dir];
        all.extend_from_slice(args);
        Self::of(command(&all).spawn().unwrap())
    }

    /// The server that a process is, or is going to be.
    pub(crate) fn of(mut child: Child) -> Self {
        let (sender, log) = mpsc::channel();
        let err = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { child: Some(child), url: String::new(), begun: Vec::new(), log };
        let (begun, line) = server.log_until("listening on ");
        server.url = line[line.find("http").unwrap()..].to_owned();
        server.begun = begun;
        server
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Waits for a line of the log that contains a text.
    #[track_caller]
    pub(crate) fn log_line(&self, text: &str) -> String {
        self.log_until(text).1
    }

    /// The lines of the log before one that contains a text, and that one.
    #[track_caller]
    fn log_until(&self, text: &str) -> (Vec<String>, String) {
        let end = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        while let Ok(line) = self.log.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return (seen, line);
            }
            seen.push(line);
        }
        panic!("no `{text}` in the log:\n{}", seen.join("\n"));
    }

    /// Runs a client command against this server.
    #[track_caller]
    pub(crate) fn llcm(&self, args: &[&str]) -> Ran {
        finish(command(args).env("LLCM_SERVER", &self.url).spawn().unwrap())
    }

    /// Asks the server to end; returns its exit code.
    #[track_caller]
    pub(crate) fn stop(mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        signal("TERM", &child);
        wait(&mut child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended; the test has its result.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal.
pub(crate) fn signal(name: &str, child: &Child) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Packs the package of `examples/demo-chain` into a directory.
pub(crate) fn demo_package(directory: &Path) -> String {
    let file = directory.join("demo-chain.tgo").to_str().unwrap().to_owned();
    let source = root().join("examples/demo-chain");
    llcm(&["pack", source.to_str().unwrap(), "--to", &file]).expect(0);
    file
}
