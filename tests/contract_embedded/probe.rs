//! Looks at containers and the kernel with `nsenter`, `ping`, `ip` and the kernel's own files.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, Weak};
use std::time::Duration;

use async_trait::async_trait;
use llcm_engine::{Engine, Spec};
use llcm_names::{EngineName, InstallationId, Port};
use llcm_runtime::contract::{Probe, SeenInterface, SeenLimits};
use llcm_testkit::{look, process};
use serde_json::Value;

use crate::IMAGE;

/// What is seen on this host.
pub(crate) struct HostProbe {
    /// The engine that the drivers share, for making containers without the driver.
    pub(crate) engine: Mutex<Weak<Engine>>,
    pub(crate) state_dir: PathBuf,
    /// The engine's group of control groups.
    pub(crate) cgroup: String,
    /// Where the data centers' namespaces are.
    pub(crate) netns_dir: PathBuf,
}

impl HostProbe {
    /// The container's first process, if it runs, as the engine's files say.
    fn pid(&self, container: &EngineName) -> Option<u32> {
        let file = self.state_dir.join("containers").join(container.as_str()).join("state.json");
        let state: Value = serde_json::from_slice(&std::fs::read(file).ok()?).expect("the state is JSON");
        let pid = u32::try_from(state["running"]["pid"].as_u64()?).expect("a process's number");
        std::path::Path::new(&format!("/proc/{pid}/ns/net")).exists().then_some(pid)
    }

    /// A command in the container's namespaces, with the host's programs.
    fn inside(&self, container: &EngineName, arguments: &[&str]) -> Option<Command> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.pid(container)?)).args(arguments);
        command.stdin(std::process::Stdio::null());
        Some(command)
    }

    fn engine(&self) -> std::sync::Arc<Engine> {
        self.engine.lock().unwrap().upgrade().expect("a driver has the engine")
    }
}

#[async_trait]
impl Probe for HostProbe {
    async fn ping(&self, from: &EngineName, to: IpAddr) -> Option<bool> {
        let command = self.inside(from, &["ping", "-n", "-c", "1", "-i", "0.2", "-w", "1", &to.to_string()]);
        let ping = |mut ping: Command| ping.output().unwrap().status.success();
        Some(tokio::task::block_in_place(|| command.is_some_and(ping)))
    }

    async fn interfaces(&self, container: &EngineName) -> Option<Vec<SeenInterface>> {
        let mut command =
            self.inside(container, &["ip", "-json", "address", "show"]).expect("the container runs");
        let all = serde_json::from_slice(&command.output().unwrap().stdout).expect("ip prints JSON");
        // Loopback and the engine's own interface are not the suite's business.
        Some(look::interfaces(&all, &["lo", "pub0"]))
    }

    async fn environment(&self, container: &EngineName) -> Option<BTreeMap<String, String>> {
        Some(process::environment(self.pid(container).expect("the container runs")))
    }

    async fn limits(&self, container: &EngineName) -> Option<SeenLimits> {
        Some(process::limits(self.pid(container).expect("the container runs")))
    }

    async fn listen(&self, container: &EngineName, port: Port) -> Option<()> {
        let port = port.to_string();
        // In the container's PID namespace, too: it ends with the container.
        let pid = format!("--pid=/proc/{}/ns/pid", self.pid(container)?);
        let mut command = self.inside(container, &[&pid, "busybox", "httpd", "-h", "/etc", "-p", &port])?;
        assert!(command.status().unwrap().success(), "httpd in {container}");
        Some(())
    }

    async fn connects(&self, host_port: Port) -> Option<bool> {
        let answers = look::answers_http(host_port.get(), "/passwd", Duration::from_secs(1));
        Some(tokio::task::block_in_place(|| answers))
    }

    async fn make_foreign(&self, name: &EngineName) -> Option<()> {
        self.engine().create(Spec::new(name.as_str(), IMAGE)).unwrap();
        self.engine().start(name.as_str()).unwrap();
        Some(())
    }

    async fn remove_foreign(&self, name: &EngineName) -> Option<bool> {
        let ran = self.pid(name).is_some();
        self.engine().remove(name.as_str()).unwrap();
        Some(ran)
    }

    async fn kill(&self, container: &EngineName) -> Option<()> {
        let pid = self.pid(container).expect("the container runs").to_string();
        assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success(), "kill {pid}");
        Some(())
    }

    async fn leftovers(&self, installation: &InstallationId) -> Option<Vec<String>> {
        let names = |directory: PathBuf| {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let containers = self.state_dir.join("containers");
        let there = names(containers.clone());
        let is_marked = |name: &String| {
            let text = std::fs::read_to_string(containers.join(name).join("spec.json")).unwrap_or_default();
            text.contains(&format!("\"llcm.installation\": \"{installation}\""))
        };
        let mut left: Vec<_> = there.iter().filter(|name| is_marked(name)).cloned().collect();
        let namespaces = names(self.netns_dir.clone()).into_iter();
        left.extend(namespaces.filter(|name| name.contains(installation.as_str())));
        // What nobody's container accounts for, whatever the engine's files say.
        let is_nobodys = |name: &str| !there.iter().any(|known| known == name);
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let inside = points.filter_map(|point| point.strip_prefix(containers.to_str()?)?.split('/').nth(1));
        left.extend(inside.filter(|name| is_nobodys(name)).map(|name| format!("a mount of {name}")));
        for hierarchy in names("/sys/fs/cgroup".into()) {
            let directory = PathBuf::from("/sys/fs/cgroup").join(hierarchy).join(&self.cgroup);
            let groups = names(directory.clone()).into_iter();
            let groups = groups.filter(|name| directory.join(name).is_dir() && is_nobodys(name));
            left.extend(groups.map(|name| format!("a cgroup of {name}")));
        }
        Some(left)
    }
}
