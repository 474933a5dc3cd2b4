//! The network of the tests: a namespace for the whole program, and one that stands for another machine.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use llcm_netlink::netns;

/// The program's address towards the other machine.
pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The other machine's.
pub(crate) const OUTSIDER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// Leaves the machine's network for one with nothing but loopback. Before there are threads.
#[expect(deprecated, reason = "its successor is an unsafe function for a flag that is not used")]
pub(crate) fn leave_the_machines_network() {
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).unwrap();
    ip("link set lo up");
}

/// Runs `ip` in the program's namespace and gives its output.
pub(crate) fn ip(arguments: &str) -> String {
    output(Command::new("ip").args(arguments.split(' ')))
}

pub(crate) fn output(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Another machine on the same network, for as long as it lives.
pub(crate) struct Outside {
    /// Keeps the namespace.
    child: Child,
    namespace: File,
}

impl Outside {
    pub(crate) fn new() -> Self {
        let child = Command::new("unshare").args(["--net", "sleep", "1000"]).spawn().unwrap();
        let pid = child.id();
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let path = format!("/proc/{pid}/ns/net");
        crate::containers::wait_until("it has its namespace", || std::fs::read_link(&path).unwrap() != own);
        let outside = Self { child, namespace: File::open(&path).unwrap() };
        ip(&format!("link add o0 type veth peer name o1 netns {pid}"));
        ip(&format!("addr add {HOST}/24 dev o0"));
        ip("link set o0 up");
        outside.ip("link set lo up");
        outside.ip(&format!("addr add {OUTSIDER}/24 dev o1"));
        outside.ip("link set o1 up");
        outside
    }

    pub(crate) fn namespace(&self) -> File {
        self.namespace.try_clone().unwrap()
    }

    /// Runs `work` on the other machine.
    pub(crate) fn visit<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        netns::visit(self.namespace.as_fd(), work).unwrap()
    }

    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.visit(|| ip(arguments))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        ip("link del o0");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
