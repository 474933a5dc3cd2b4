//! Looks at containers and the kernel with `docker`, `nsenter`, `ping` and `ip`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId};
use llcm_runtime::contract::{Probe, SeenInterface};
use llcm_testkit::look;

/// What is seen on this host.
pub(crate) struct HostProbe {
    pub(crate) socket: PathBuf,
}

impl HostProbe {
    /// The container's first process, if it runs.
    fn pid(&self, container: &EngineName) -> Option<u32> {
        let output = docker(&self.socket, &["inspect", "--format", "{{.State.Pid}}", container.as_str()]);
        String::from_utf8_lossy(&output.stdout).trim().parse().ok().filter(|pid| *pid != 0)
    }

    fn inside(&self, container: &EngineName, arguments: &[&str]) -> Option<Output> {
        let net = format!("--net=/proc/{}/ns/net", self.pid(container)?);
        Some(run(Command::new("nsenter").arg(net).args(arguments)))
    }
}

#[async_trait]
impl Probe for HostProbe {
    async fn ping(&self, from: &EngineName, to: IpAddr) -> Option<bool> {
        let output = self.inside(from, &["ping", "-n", "-c", "1", "-i", "0.2", "-w", "1", &to.to_string()]);
        Some(output.is_some_and(|output| output.status.success()))
    }

    async fn interfaces(&self, container: &EngineName) -> Option<Vec<SeenInterface>> {
        let output = self.inside(container, &["ip", "-json", "address", "show"]).expect("the container runs");
        let all = serde_json::from_slice(&output.stdout).expect("ip prints JSON");
        // Loopback and the engine's own interface are not the suite's business.
        Some(look::interfaces(&all, &["lo", "eth0"]))
    }

    async fn leftovers(&self, installation: &InstallationId) -> Option<Vec<String>> {
        let label = format!("label=llcm.installation={installation}");
        let output = docker(&self.socket, &["ps", "--all", "--quiet", "--filter", &label]);
        let ids = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut left: Vec<_> = ids.split_whitespace().map(|id| format!("container {id}")).collect();
        let namespaces = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let names = namespaces.map(|entry| entry.file_name().to_string_lossy().into_owned());
        left.extend(
            names.filter(|name| name.contains(installation.as_str())).map(|it| format!("netns {it}")),
        );
        Some(left)
    }
}

/// An image of nothing but busybox, whose own process says a line, waits, and ends when asked.
pub(crate) fn make_image(socket: &Path, directory: &Path, tag: &str, line: &str) {
    let tree = directory.join("image");
    std::fs::create_dir_all(tree.join("bin")).unwrap();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("busybox is installed (scripts/setup-dev)");
    std::fs::copy(busybox, tree.join("bin/busybox")).unwrap();
    for applet in ["sh", "sleep", "echo", "true"] {
        std::os::unix::fs::symlink("busybox", tree.join("bin").join(applet)).unwrap();
    }
    let archive = directory.join("image.tar");
    let output = run(Command::new("tar").arg("-C").arg(&tree).arg("-cf").arg(&archive).arg("."));
    assert!(output.status.success(), "tar: {}", String::from_utf8_lossy(&output.stderr));
    let script = format!("trap 'exit 0' TERM; echo {line}; while :; do sleep 1000 & wait; done");
    let command = format!("CMD {}", serde_json::to_string(&["/bin/sh", "-c", &script]).unwrap());
    let output = docker(socket, &["import", "--change", &command, &archive.display().to_string(), tag]);
    assert!(output.status.success(), "docker import: {}", String::from_utf8_lossy(&output.stderr));
}

fn docker(socket: &Path, arguments: &[&str]) -> Output {
    run(Command::new("docker").arg("--host").arg(format!("unix://{}", socket.display())).args(arguments))
}

fn run(command: &mut Command) -> Output {
    let output = tokio::task::block_in_place(|| command.stdin(std::process::Stdio::null()).output());
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}
