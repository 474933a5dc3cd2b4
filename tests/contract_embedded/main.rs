//! The contract suite on the embedded engine and the kernel's network together.
//!
//! A program of its own rather than a test harness: it is also the engine's helper. Needs root; without it, it says
//! so and passes unless `LLCM_REQUIRE_SYSTEM_TESTS` is 1. A word as argument selects cases by name.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program of tests ends at the first surprise, and shows its report"
)]

mod probe;

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use llcm_driver_engine::{EngineContainers, EngineOptions};
use llcm_driver_linux::{LinuxNetwork, Options};
use llcm_engine::Engine;
use llcm_engine::image::ImageConfig;
use llcm_names::InstallationId;
use llcm_runtime::contract::{self, Drivers, Factory, Host, Probe};

use crate::probe::HostProbe;

/// What the image's own process says when it starts.
const READY: &str = "ready";
const IMAGE: &str = "llcm-contract:test";

struct EmbeddedFactory {
    engine: llcm_engine::Options,
    linux: Options,
    host: Host,
    probe: HostProbe,
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
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|it| it == "engine-init").is_some() {
        return llcm_engine::helper::main(arguments);
    }
    let part = arguments.map(|it| it.to_string_lossy().into_owned()).find(|it| !it.starts_with('-'));
    let part = part.unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    if !status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
        let required = std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1");
        println!(
            "contract suite of the embedded engine: needs root: {}",
            if required { "FAILED" } else { "skipped" }
        );
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let home = tempfile::tempdir().unwrap();
    let engine = llcm_engine::Options {
        cgroup: format!("llcm-contract-{}", std::process::id()),
        ..llcm_engine::Options::new(home.path().join("engine"))
    };
    make_image(home.path(), &engine);
    let mut host = Host::with_image(IMAGE);
    host.first_line = Some(READY.to_owned());
    let factory = EmbeddedFactory {
        linux: Options { run_dir: home.path().join("run"), ..Options::default() },
        host,
        probe: HostProbe { engine: Mutex::new(Weak::new()), state_dir: home.path().join("engine") },
        engine,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let report = runtime.block_on(contract::run_matching(&factory, &part));
    println!("{report}");
    match report.verdict(&[]) {
        Ok(()) => {
            println!("test contract_of_the_embedded_engine ... ok");
            println!("test result: ok. {} passed; 0 failed; 0 ignored", report.results.len());
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}\ntest contract_of_the_embedded_engine ... FAILED");
            ExitCode::FAILURE
        }
    }
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
