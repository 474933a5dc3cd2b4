//! A program of an ordinary user that enters namespaces, from inside and from outside.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use llcm_engine::{Engine, ExecSpec, Spec, rootless};

use crate::containers::wait_until;
use crate::kit::{shell, text};
use crate::ordinary::{self, options, processes};

/// The program: enters, runs a container, and does what it reads line by line.
pub(crate) fn program(directory: &OsStr) -> ExitCode {
    let directory = Path::new(directory);
    // The interface of such a program is bound before.
    let api = TcpListener::bind("127.0.0.1:0").unwrap();
    let rootless = match rootless::enter(&options(directory)) {
        Ok(rootless) => rootless,
        Err(error) => {
            println!("{}", serde_json::json!({ "error": error.to_string() }));
            return ExitCode::FAILURE;
        }
    };
    let engine = Engine::open(crate::kit::options(directory.join("state"), &cgroup(directory))).unwrap();
    if engine.inspect("stays").unwrap().is_none() {
        let script = "echo mark > /root/mark; while :; do echo tick; sleep 0.05; done";
        engine.create(Spec { command: shell(script), ..Spec::new("stays", "host") }).unwrap();
        engine.start("stays").unwrap();
        wait_until("it ticks", || text(&engine.logs("stays", 100).unwrap()).contains("tick"));
    }
    let said = serde_json::json!({
        "joined": rootless.joined(),
        "status": format!("{:?}", engine.inspect("stays").unwrap().unwrap().status),
        "api": api.local_addr().unwrap(),
        "reaches_host": TcpStream::connect(api.local_addr().unwrap()).is_ok(),
        "interfaces": container_interfaces(&engine),
        "here": std::env::current_dir().unwrap(),
        "run_dir": fs::exists(directory.join("run/mark")).unwrap(),
    });
    println!("{said}");
    fs::write(directory.join("run/mark"), "").unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = api.accept() {
            let _ = stream.write_all(b"inside");
        }
    });
    for line in std::io::stdin().lines() {
        match line.unwrap().as_str() {
            "exec" => {
                let output = engine.exec("stays", &ExecSpec::new(shell("hostname; cat /root/mark"))).unwrap();
                println!("{}", serde_json::json!(text(&output.stdout)));
            }
            "leave something behind that ends soon" => {
                let mut child = Command::new("sleep").arg("0.7").spawn().unwrap();
                std::thread::spawn(move || child.wait());
            }
            "end" => {
                engine.remove("stays").unwrap();
                break;
            }
            // With everything still running.
            _ => break,
        }
    }
    match rootless.end() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", serde_json::json!({ "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// How many network interfaces the container sees, if it runs.
fn container_interfaces(engine: &Engine) -> Option<usize> {
    let output = engine.exec("stays", &ExecSpec::new(shell("cat /proc/net/dev"))).ok()?;
    text(&output.stdout).lines().count().checked_sub(2)
}

/// A name for the program's cgroup that no other program has.
pub(crate) fn cgroup(directory: &Path) -> String {
    format!("llcm-test-{}", directory.file_name().unwrap().to_str().unwrap().trim_start_matches('.'))
}

/// The program from outside.
pub(crate) struct Outside {
    pub(crate) child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What it said first.
    pub(crate) said: serde_json::Value,
}

impl Outside {
    pub(crate) fn start(directory: &Path) -> Self {
        let mut command = ordinary::program("rootless");
        command.arg(directory).current_dir("/usr").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut it = Self { child, input, output: BufReader::new(output), said: serde_json::Value::Null };
        it.said = it.hear();
        it
    }

    fn hear(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }

    pub(crate) fn ask(&mut self, word: &str) -> serde_json::Value {
        self.tell(word);
        self.hear()
    }

    pub(crate) fn tell(&mut self, word: &str) {
        self.input.write_all(format!("{word}\n").as_bytes()).unwrap();
    }

    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.said[name].as_str().unwrap().parse().unwrap()
    }

    /// Whether it has made its mark where only those inside see it.
    pub(crate) fn has_mark(&self, directory: &Path) -> bool {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(directory.strip_prefix("/").unwrap()).join("run/mark").exists()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// It removes everything, and nothing is left of it.
    pub(crate) fn end(mut self, directory: &Path) {
        self.tell("end");
        assert!(self.child.wait().unwrap().success(), "{:?}", self.output.lines().collect::<Vec<_>>());
        nothing_is_left(directory);
    }
}

/// Neither a process nor a file, but for the engine's images and empty directories.
fn nothing_is_left(directory: &Path) {
    let is_ours = |line: &String| line.contains("engine-init") || line.contains("tick");
    assert_eq!(processes().into_iter().filter(is_ours).collect::<Vec<_>>(), Vec::<String>::new());
    let left: Vec<_> =
        fs::read_dir(directory.join("rootless")).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!directory.join("run").exists());
}

pub(crate) fn pause(directory: &Path) -> serde_json::Value {
    let text = fs::read_to_string(directory.join("rootless/rootless.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}
