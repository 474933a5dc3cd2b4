//! Looks at containers through the engine's own client and the kernel's files.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Port};
use llcm_runtime::contract::{Probe, SeenLimits};
use llcm_testkit::{look, process};

use crate::bed::{IMAGE, docker, pid, try_docker};

/// What is seen on this host.
#[derive(Debug)]
pub(crate) struct HostProbe;

#[async_trait]
impl Probe for HostProbe {
    async fn environment(&self, container: &EngineName) -> Option<BTreeMap<String, String>> {
        Some(process::environment(pid(container)))
    }

    async fn limits(&self, container: &EngineName) -> Option<SeenLimits> {
        Some(process::limits(pid(container)))
    }

    async fn listen(&self, container: &EngineName, port: Port) -> Option<()> {
        docker(&[
            "exec",
            "--detach",
            container.as_str(),
            "httpd",
            "-f",
            "-h",
            "/etc",
            "-p",
            &port.to_string(),
        ]);
        Some(())
    }

    async fn connects(&self, host_port: Port) -> Option<bool> {
        Some(answers(host_port.get()).await)
    }

    async fn make_foreign(&self, name: &EngineName) -> Option<()> {
        docker(&["run", "--detach", "--name", name.as_str(), IMAGE]);
        Some(())
    }

    async fn remove_foreign(&self, name: &EngineName) -> Option<bool> {
        let running = try_docker(&["inspect", "--format", "{{.State.Running}}", name.as_str()]);
        docker(&["rm", "--force", name.as_str()]);
        Some(running.stdout == b"true\n")
    }

    async fn kill(&self, container: &EngineName) -> Option<()> {
        let pid = pid(container).to_string();
        let killed = std::process::Command::new("kill").args(["-KILL", &pid]).status();
        assert!(killed.unwrap().success(), "kill {pid}");
        Some(())
    }

    async fn restart(&self, container: &EngineName) -> Option<()> {
        docker(&["restart", "--time", "1", container.as_str()]);
        Some(())
    }

    async fn pause(&self, container: &EngineName, paused: bool) -> Option<()> {
        docker(&[if paused { "pause" } else { "unpause" }, container.as_str()]);
        Some(())
    }

    async fn remove(&self, container: &EngineName) -> Option<()> {
        docker(&["rm", "--force", container.as_str()]);
        Some(())
    }

    async fn leftovers(&self, installation: &InstallationId) -> Option<Vec<String>> {
        let label = format!("label=llcm.installation={installation}");
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &label]);
        Some(ids.split_whitespace().map(|id| format!("container {id}")).collect())
    }
}

/// Whether somebody behind a published port answers a request within a second.
pub(crate) async fn answers(port: u16) -> bool {
    let ask = move || look::answers_http(port, "/passwd", Duration::from_secs(1));
    tokio::task::spawn_blocking(ask).await.unwrap()
}
