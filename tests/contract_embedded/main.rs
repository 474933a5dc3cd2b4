//! The contract suite on the embedded engine and the kernel's network together, as root and as an ordinary user.
//!
//! A program of its own rather than a test harness: it is also the engine's helper. Needs root; without it, it says
//! so and passes unless `LLCM_REQUIRE_SYSTEM_TESTS` is 1. A word as argument selects cases by name.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program of tests ends at the first surprise, and shows its report"
)]

mod probe;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use llcm_driver_engine::{EngineContainers, EngineOptions};
use llcm_driver_linux::{LinuxNetwork, Options};
use llcm_engine::image::ImageConfig;
use llcm_engine::rootless::{self, RootlessOptions};
use llcm_engine::{Engine, Helper, PublishVia};
use llcm_names::{InstallationId, Port};
use llcm_runtime::contract::{self, Drivers, Factory, Host, Probe};

use crate::probe::HostProbe;

/// Nobody but the program itself restarts, pauses or removes containers of the engine in it.
const NOBODY_ELSE: &[&str] = &[
    "watch::a_restart_behind_its_back_is_told",
    "watch::pauses_are_told",
    "watch::a_removal_behind_its_back_is_told",
];

/// What the image's own process says when it starts.
const READY: &str = "ready";
const IMAGE: &str = "llcm-contract:test";

struct EmbeddedFactory {
    engine: llcm_engine::Options,
    linux: Options,
    host: Host,
    probe: HostProbe,
    excluded: Vec<(&'static str, &'static str)>,
}

#[async_trait]
impl Factory for EmbeddedFactory {
    async fn drivers(&self, installation: &InstallationId) -> Result<Drivers, String> {
        // One engine for all installations, as on a host; opened anew when nobody has it any more: a restart.
        let engine = {
            let mut shared = self.probe.engine.lock().unwrap();
            match shared.upgrade() {
                Some(engine) => engine,
                None => {
                    let opened = Engine::open(self.engine.clone()).map_err(|error| error.to_string())?;
                    let engine = Arc::new(opened);
                    *shared = Arc::downgrade(&engine);
                    engine
                }
            }
        };
        let containers = EngineContainers::new(engine, EngineOptions::default(), Vec::new());
        let network = LinuxNetwork::new(installation.clone(), self.linux.clone());
        let network = network.map_err(|error| error.to_string())?;
        Ok(Drivers { containers: Arc::new(containers), network: Some(Arc::new(network)) })
    }

    fn host(&self) -> &Host {
        &self.host
    }

    fn probe(&self) -> &dyn Probe {
        &self.probe
    }

    fn excluded(&self) -> Vec<(&'static str, &'static str)> {
        self.excluded.clone()
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|it| it == "engine-init").is_some() {
        return llcm_engine::helper::main(arguments);
    }
    let user = arguments.next_if(|it| it == "ordinary").and_then(|_| arguments.next());
    let part = arguments.map(|it| it.to_string_lossy().into_owned()).find(|it| !it.starts_with('-'));
    let part = part.unwrap_or_default();
    if let Some(directory) = user {
        return as_ordinary_user(Path::new(&directory), &part);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    if !status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
        let required = std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1");
        let outcome = if required { "FAILED" } else { "skipped" };
        println!("contract suite of the embedded engine: needs root: {outcome}");
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let home = tempfile::tempdir().unwrap();
    let run_dir = home.path().join("run");
    let linux = Options { run_dir, ..Options::default() };
    // Both at once: most of the time is spent waiting for what is not to arrive.
    let passed = std::thread::scope(|scope| {
        let user = scope.spawn(|| start_ordinary_user(&part));
        let who = Who { name: "root", publish: PublishVia::Auto, ports: 21_080, without: &[] };
        let passed = suite(&who, home.path(), linux, &part);
        let (user, said) = user.join().unwrap();
        print!("{said}");
        [passed, user]
    });
    if passed.iter().all(|passed| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs this program once more, as a user that nobody knows; whether all passed, and what it said.
fn start_ordinary_user(part: &str) -> (bool, String) {
    let home = tempfile::tempdir().unwrap();
    let user = 1_100_000 + std::process::id();
    std::os::unix::fs::chown(home.path(), Some(user), Some(user)).unwrap();
    let mut program = Command::new("/proc/self/exe");
    program.arg("ordinary").arg(home.path()).arg(part).uid(user).gid(user);
    let output = program.stderr(Stdio::inherit()).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

fn as_ordinary_user(home: &Path, part: &str) -> ExitCode {
    let run_dir = home.join("run");
    let options = RootlessOptions {
        state_dir: home.join("rootless"),
        helper: Helper::default(),
        run_dir: run_dir.clone(),
    };
    let rootless = rootless::enter(&options).unwrap();
    let linux =
        Options { netns_dir: run_dir.join("netns"), run_dir: run_dir.join("net"), ..Options::default() };
    // Limits are not an ordinary user's to set, where control groups are root's.
    let without = &["containers::limits_arrive"];
    let who = Who { name: "an ordinary user", publish: PublishVia::Proxy, ports: 21_090, without };
    let passed = suite(&who, home, linux, part);
    rootless.end().unwrap();
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Who runs the suite.
struct Who {
    name: &'static str,
    publish: PublishVia,
    /// The first of the host's ports that others leave alone, two for each engine.
    ports: u64,
    /// What cannot be had.
    without: &'static [&'static str],
}

/// How many cases go on at a time, each with an engine of its own: to open one anew is what a restart is.
const ENGINES: u64 = 4;

/// Runs the suite; whether it was passed.
fn suite(who: &Who, home: &Path, linux: Options, part: &str) -> bool {
    let Who { name: who, publish, ports, without } = *who;
    let engine = |number: u64| -> Arc<dyn Factory> {
        let engine = llcm_engine::Options {
            cgroup: format!("llcm-contract-{}-{number}", std::process::id()),
            publish,
            ..llcm_engine::Options::new(home.join(format!("engine{number}")))
        };
        make_image(home, &engine);
        let mut host = Host::with_image(IMAGE);
        host.first_line = Some(READY.to_owned());
        host.free_ports = [0, 1].map(|port| Port::try_from(ports + 2 * number + port).unwrap());
        let probe = HostProbe {
            engine: Mutex::new(Weak::new()),
            state_dir: engine.state_dir.clone(),
            cgroup: engine.cgroup.clone(),
            netns_dir: linux.netns_dir.clone(),
        };
        let excluded = without.iter().map(|name| (*name, "control groups are root's")).collect();
        Arc::new(EmbeddedFactory { linux: linux.clone(), host, probe, engine, excluded })
    };
    let engines = (0..ENGINES).map(engine).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(contract::run_at_once(engines, &[part]));
    println!("as {who}:\n{report}");
    let here = |name: &&&'static str| report.results.iter().any(|result| result.name == **name);
    let without: Vec<_> = without.iter().chain(NOBODY_ELSE).filter(here).copied().collect();
    let verdict = report.verdict(&without);
    let (outcome, counts) = match &verdict {
        Ok(()) => ("ok", format!("ok. {} passed; 0 failed; 0 ignored", report.results.len() - without.len())),
        Err(_) => ("FAILED", "FAILED. 0 passed; 1 failed; 0 ignored".to_owned()),
    };
    if let Err(error) = &verdict {
        println!("{error}");
    }
    println!("test contract_of_the_embedded_engine_as_{} ... {outcome}", who.replace(' ', "_"));
    println!("test result: {counts}");
    verdict.is_ok()
}

/// An image of nothing but busybox, whose own process says a line, waits, and ends when asked.
fn make_image(directory: &Path, options: &llcm_engine::Options) {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = std::fs::read(busybox.expect("busybox is installed (scripts/setup-dev)")).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    let header = || {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header
    };
    let mut file = header();
    file.set_size(busybox.len() as u64);
    archive.append_data(&mut file, "bin/busybox", busybox.as_slice()).unwrap();
    for applet in ["sh", "sleep", "echo", "true", "httpd"] {
        let mut link = header();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        archive.append_link(&mut link, format!("bin/{applet}"), "busybox").unwrap();
    }
    let file = directory.join("image.tar");
    std::fs::write(&file, archive.into_inner().unwrap()).unwrap();
    let script = format!("trap 'exit 0' TERM; echo {READY}; while :; do sleep 1000 & wait; done");
    let cmd = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    let engine = Engine::open(options.clone()).unwrap();
    engine.images().import(&file, IMAGE, ImageConfig { cmd, ..ImageConfig::default() }).unwrap();
}
