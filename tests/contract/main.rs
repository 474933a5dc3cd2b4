//! The contract suite on Docker containers and the kernel's network together: what each driver's own tests
//! leave out, because neither crate knows the other.
//!
//! Needs root and an engine (`scripts/private-engine run NAME -- cargo test -p llcm-tests`).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends at the first surprise, and shows its report"
)]

mod probe;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_driver_linux::{LinuxNetwork, Options};
use llcm_names::InstallationId;
use llcm_runtime::contract::{Drivers, Factory, Host, Probe, run_at_once};

use crate::probe::{HostProbe, make_image};

/// What its own process says when it starts.
const READY: &str = "ready";

struct RealFactory {
    docker: DockerOptions,
    linux: Options,
    host: Host,
    probe: HostProbe,
}

#[async_trait]
impl Factory for RealFactory {
    async fn drivers(&self, installation: &InstallationId) -> Result<Drivers, String> {
        let containers = DockerContainers::connect(&self.docker).await.map_err(|error| error.to_string())?;
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

/// The engine's socket, if system tests can run here; panics where they must and cannot.
fn socket() -> Option<PathBuf> {
    let required = std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|value| value == "1");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let is_root = status.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let missing = match std::env::var_os("LLCM_TEST_ENGINE") {
        Some(socket) if is_root => return Some(PathBuf::from(socket)),
        Some(_) => "needs root",
        None => "LLCM_TEST_ENGINE is not set: run it under scripts/private-engine",
    };
    assert!(!required, "LLCM_REQUIRE_SYSTEM_TESTS=1, but this test {missing}");
    println!("skipped: {missing}");
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept_together() {
    let Some(socket) = socket() else { return };
    let home = tempfile::tempdir().unwrap();
    let image = "llcm-contract:test";
    make_image(&socket, home.path(), image, READY);
    let mut host = Host::with_image(image);
    host.first_line = Some(READY.to_owned());
    let factory: Arc<dyn Factory> = Arc::new(RealFactory {
        docker: DockerOptions::new(socket.clone(), home.path().join("helper")),
        linux: Options { run_dir: home.path().join("run"), ..Options::default() },
        host,
        probe: HostProbe { socket },
    });
    let report = run_at_once(vec![factory; 4], &["networks::", "segments::", "gate::", "world::"]).await;
    println!("{report}");
    report.verdict(&[]).unwrap();
}
