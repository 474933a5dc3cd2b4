//! Looks at containers through the engine's own client and the kernel's files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Port};
use llcm_runtime::CpuLimit;
use llcm_runtime::contract::{Probe, SeenLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bed::{IMAGE, docker, pid, try_docker};

/// What is seen on this host.
#[derive(Debug)]
pub(crate) struct HostProbe;

#[async_trait]
impl Probe for HostProbe {
    async fn environment(&self, container: &EngineName) -> Option<BTreeMap<String, String>> {
        Some(environment(container))
    }

    async fn limits(&self, container: &EngineName) -> Option<SeenLimits> {
        Some(limits(container))
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

    async fn leftovers(&self, installation: &InstallationId) -> Option<Vec<String>> {
        let label = format!("label=llcm.installation={installation}");
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &label]);
        Some(ids.split_whitespace().map(|id| format!("container {id}")).collect())
    }
}

/// Whether somebody behind a published port answers a request within a second.
pub(crate) async fn answers(port: u16) -> bool {
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET /passwd HTTP/1.0\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"))
    };
    matches!(tokio::time::timeout(Duration::from_secs(1), ask).await, Ok(Ok(true)))
}

/// The environment of the container's first process.
pub(crate) fn environment(container: &EngineName) -> BTreeMap<String, String> {
    let bytes = std::fs::read(format!("/proc/{}/environ", pid(container))).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The limits in the container's control groups, of either version.
pub(crate) fn limits(container: &EngineName) -> SeenLimits {
    let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", pid(container))).unwrap();
    let directory = |controller: &str| -> Option<PathBuf> {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (names, path) = (parts.next()?, parts.next()?);
            let here = names.split(',').any(|name| name == controller);
            here.then(|| Path::new("/sys/fs/cgroup").join(names).join(path.trim_start_matches('/')))
        })
    };
    let read = |directory: &Path, file: &str| {
        let path = directory.join(file);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        text.trim().to_owned()
    };
    if let (Some(cpu), Some(set), Some(memory)) = (directory("cpu"), directory("cpuset"), directory("memory"))
    {
        let bytes: u64 = read(&memory, "memory.limit_in_bytes").parse().unwrap();
        return SeenLimits {
            cpu: CpuLimit {
                period_us: read(&cpu, "cpu.cfs_period_us").parse().ok(),
                quota_us: read(&cpu, "cpu.cfs_quota_us").parse().ok(),
                cpuset: Some(read(&set, "cpuset.cpus")),
            },
            // The kernel's way of saying "no limit" is the largest number of whole pages.
            memory_bytes: (bytes < 1 << 60).then_some(bytes),
        };
    }
    let unified = directory("").expect("there are control groups");
    let max = read(&unified, "cpu.max");
    let (quota, period) = max.split_once(' ').unwrap();
    SeenLimits {
        cpu: CpuLimit {
            period_us: period.parse().ok(),
            quota_us: quota.parse().ok(),
            cpuset: Some(read(&unified, "cpuset.cpus")),
        },
        memory_bytes: read(&unified, "memory.max").parse().ok(),
    }
}
