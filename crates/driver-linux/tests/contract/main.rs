//! The contract suite of all drivers, run against this one and containers that are bare network namespaces.
//!
//! Skipped without root or tools; with `LLCM_REQUIRE_SYSTEM_TESTS=1` that is a failure.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod bare;

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use bare::{BareContainers, netns};
use llcm_driver_linux::{LinuxNetwork, Options};
use llcm_names::{EngineName, IfName, InstallationId, MacAddr};
use llcm_runtime::contract::{self, Drivers, Factory, Host, Probe, SeenInterface};

struct Bare {
    containers: BareContainers,
    host: Host,
    run_dir: tempfile::TempDir,
}

#[async_trait]
impl Factory for Bare {
    async fn drivers(&self, installation: &InstallationId) -> Result<Drivers, String> {
        let options = Options { run_dir: self.run_dir.path().to_owned(), ..Options::default() };
        let network = LinuxNetwork::new(installation.clone(), options).map_err(|error| error.to_string())?;
        Ok(Drivers { containers: Arc::new(self.containers.clone()), network: Some(Arc::new(network)) })
    }

    fn host(&self) -> &Host {
        &self.host
    }

    fn probe(&self) -> &dyn Probe {
        self
    }
}

#[async_trait]
impl Probe for Bare {
    async fn ping(&self, from: &EngineName, to: IpAddr) -> Option<bool> {
        let command = format!("netns exec {} ping -n -c 1 -i 0.2 -w 1 {to}", netns(from));
        Some(tokio::task::block_in_place(|| ip(&command).is_ok()))
    }

    async fn interfaces(&self, container: &EngineName) -> Option<Vec<SeenInterface>> {
        let shown = ip(&format!("-n {} -j addr show", netns(container))).unwrap();
        let shown: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
        let seen = |interface: &serde_json::Value| SeenInterface {
            name: IfName::parse(interface["ifname"].as_str().unwrap()).unwrap(),
            mac: MacAddr::parse(interface["address"].as_str().unwrap()).unwrap(),
            mtu: u32::try_from(interface["mtu"].as_u64().unwrap()).unwrap(),
            addresses: (interface["addr_info"].as_array().unwrap().iter())
                .filter(|address| address["scope"] == "global")
                .map(|address| {
                    format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"])
                        .parse()
                        .unwrap()
                })
                .collect(),
            up: interface["flags"].as_array().unwrap().contains(&"UP".into()),
        };
        Some(shown.iter().filter(|interface| interface["ifname"] != "lo").map(seen).collect())
    }

    async fn leftovers(&self, installation: &InstallationId) -> Option<Vec<String>> {
        let listed = ip("netns list").unwrap();
        let names = listed.lines().filter(|line| line.contains(installation.as_str()));
        let mut left: Vec<String> = names.map(|name| format!("network namespace {name}")).collect();
        let devices = ip("-o link show").unwrap();
        let marked = devices.lines().filter(|line| line.contains(&format!("llcm:{installation}")));
        left.extend(marked.map(|line| format!("device {line}")));
        if self.run_dir.path().join(installation.as_str()).exists() {
            left.push("run directory".to_owned());
        }
        Some(left)
    }
}

/// Runs `ip`; the error is what it says.
fn ip(command: &str) -> Result<String, String> {
    let output = Command::new("ip").args(command.split(' ')).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let tools = ["ip", "ping"].iter().all(|tool| Command::new(tool).arg("-V").output().is_ok());
    if !rustix::process::geteuid().is_root() || !tools {
        let required = std::env::var_os("LLCM_REQUIRE_SYSTEM_TESTS").is_some();
        assert!(!required, "the contract suite needs root, ip and ping");
        println!("skipped: needs root, ip and ping");
        return;
    }
    let factory: Arc<dyn Factory> = Arc::new(Bare {
        containers: BareContainers::default(),
        host: Host::with_image("bare"),
        run_dir: tempfile::tempdir().unwrap(),
    });
    // The cases on containers alone and on commands are about engines, and a namespace is none.
    let parts = ["networks::", "segments::", "chains::", "traffic::", "world::"];
    let report = contract::run_at_once(vec![factory; 4], &parts).await;
    println!("{report}");
    report.verdict(&[]).unwrap();
}
