//! A test's own installation, with network namespaces in the place of containers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use llcm_driver_linux::{LinuxNetwork, Options};
use llcm_names::{
    DcName, EngineName, IfName, InstallationId, InstanceId, LinkGroup, MacAddr, Owner, PortId, SegmentId,
};
use llcm_runtime::{
    AttachPoint, NetworkDriver, PortSpec, PortView, SegmentEnd, SegmentKind, SegmentSpec, TreeRole,
};
use llcm_topology::{Capacity, DataCenter, Link, LinkEnd, LinkProperties, Topology};
use uuid::Uuid;

pub(crate) const E_LINE: SegmentKind = SegmentKind::ELine { bidirectional: true };

/// A test's world. Dropped, it leaves nothing.
pub(crate) struct Bed {
    pub(crate) id: InstallationId,
    network: Option<LinuxNetwork>,
    run_dir: tempfile::TempDir,
    containers: Vec<String>,
}

/// An instance of the bed's installation.
#[derive(Clone)]
pub(crate) struct Instance {
    pub(crate) owner: Owner,
    pub(crate) group: LinkGroup,
}

/// A port to be attached: the container, the interface, its address, its segments.
pub(crate) struct Plug<'a> {
    pub(crate) port: u32,
    pub(crate) dc: &'a str,
    pub(crate) container: &'a str,
    pub(crate) ifname: &'a str,
    pub(crate) address: &'a str,
    pub(crate) segments: &'a [u32],
}

impl Bed {
    /// A prepared installation, or `None` where system tests cannot run.
    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    pub(crate) async fn new(topology: &Topology) -> Option<Self> {
        if let Err(missing) = can_run() {
            assert!(std::env::var_os("LLCM_REQUIRE_SYSTEM_TESTS").is_none(), "system tests need {missing}");
            println!("skipped: needs {missing}");
            return None;
        }
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let bits = std::process::id() << 12 | NEXT.fetch_add(1, Ordering::Relaxed);
        let id = InstallationId::from_bits(bits);
        let run_dir = tempfile::tempdir().unwrap();
        let network = open(&id, run_dir.path()).unwrap();
        let bed = Self { id, network: Some(network), run_dir, containers: Vec::new() };
        let report = bed.network().prepare(topology).await.unwrap();
        assert_eq!(report.not_emulated, []);
        Some(bed)
    }

    /// Opens the installation anew, as after a restart of the program.
    pub(crate) fn restart(&mut self) {
        self.network = None;
        self.network = Some(open(&self.id, self.run_dir.path()).unwrap());
    }

    /// Closes the driver for good.
    pub(crate) fn close(&mut self) {
        self.network = None;
    }

    pub(crate) fn network(&self) -> &LinuxNetwork {
        self.network.as_ref().unwrap()
    }

    pub(crate) fn run_dir(&self) -> &Path {
        self.run_dir.path()
    }

    /// The n-th instance.
    pub(crate) fn instance(&self, number: u32) -> Instance {
        let instance = InstanceId::new(Uuid::from_u128(u128::from(number) + 1));
        let owner = Owner { installation: self.id.clone(), instance };
        Instance { owner, group: LinkGroup::try_from(number + 1).unwrap() }
    }

    /// A namespace that plays a container.
    pub(crate) fn container(&mut self, name: &str) -> String {
        let netns = self.netns(name);
        run("ip", &["netns", "add", &netns]);
        self.containers.push(netns.clone());
        // As container engines do; and it keeps the interfaces silent.
        let silence =
            "for scope in all default; do echo 1 > /proc/sys/net/ipv6/conf/$scope/disable_ipv6; done";
        exec_ok(&netns, &["sh", "-c", silence]);
        run("ip", &["-n", &netns, "link", "set", "lo", "up"]);
        netns
    }

    /// Ends a container, as if its process had died.
    pub(crate) fn kill(&mut self, name: &str) {
        let netns = self.netns(name);
        run("ip", &["netns", "del", &netns]);
        self.containers.retain(|container| *container != netns);
    }

    pub(crate) fn netns(&self, container: &str) -> String {
        format!("llcmtest-{}-{container}", self.id)
    }

    pub(crate) fn dc_netns(&self, dc: &str) -> String {
        format!("llcm-{}-{dc}", self.id)
    }

    pub(crate) fn segment(
        &self,
        instance: &Instance,
        id: u32,
        kind: SegmentKind,
        ends: &[(u32, &str, TreeRole)],
    ) -> SegmentSpec {
        SegmentSpec {
            owner: instance.owner.clone(),
            id: segment_id(id),
            group: instance.group,
            kind,
            ends: ends
                .iter()
                .map(|(port, name, role)| SegmentEnd {
                    port: PortId::new(*port),
                    datacenter: dc(name),
                    role: *role,
                })
                .collect(),
        }
    }

    pub(crate) async fn ensure(
        &self,
        instance: &Instance,
        id: u32,
        kind: SegmentKind,
        ends: &[(u32, &str)],
    ) -> SegmentSpec {
        let ends: Vec<_> = ends.iter().map(|(port, dc)| (*port, *dc, TreeRole::Root)).collect();
        let spec = self.segment(instance, id, kind, &ends);
        self.network().ensure_segment(&spec).await.unwrap();
        spec
    }

    pub(crate) fn port(&self, instance: &Instance, plug: &Plug<'_>) -> PortSpec {
        PortSpec {
            owner: instance.owner.clone(),
            id: PortId::new(plug.port),
            group: instance.group,
            datacenter: dc(plug.dc),
            container: EngineName::parse(plug.container).unwrap(),
            ifname: IfName::parse(plug.ifname).unwrap(),
            mac: MacAddr::derive(instance.owner.instance, &format!("{}:{}", plug.container, plug.ifname)),
            addresses: plug.address.split_whitespace().map(|address| address.parse().unwrap()).collect(),
            mtu: 1500,
            segments: plug.segments.iter().map(|id| segment_id(*id)).collect(),
            neighbours: Vec::new(),
            host: None,
        }
    }

    pub(crate) fn point(&self, container: &str) -> AttachPoint {
        AttachPoint { netns: Some(netns_path(&self.netns(container))), engine: None, run: None }
    }

    pub(crate) async fn attach(&self, instance: &Instance, plug: &Plug<'_>) -> PortView {
        let spec = self.port(instance, plug);
        self.network().attach(&spec, &self.point(plug.container)).await.unwrap()
    }

    /// Whether an echo request is answered.
    #[track_caller]
    pub(crate) fn pings(&self, from: &str, to: &str) -> bool {
        let netns = self.netns(from);
        let output = exec(&netns, &["ping", "-n", "-c", "1", "-i", "0.2", "-w", "1", to]);
        output.status.success()
    }

    #[track_caller]
    pub(crate) fn reaches(&self, from: &str, to: &str) {
        // On a machine that is busy with other things the first answer may be late.
        assert!((0..20).any(|_| self.pings(from, to)), "{from} does not reach {to}\n{}", self.describe());
    }

    #[track_caller]
    pub(crate) fn not_reaches(&self, from: &str, to: &str) {
        assert!(!self.pings(from, to), "{from} reaches {to}\n{}", self.describe());
    }

    /// Keeps an interface called `data` from asking and answering for addresses of its own accord, so that
    /// its packets can be counted.
    pub(crate) fn silence(&self, container: &str) {
        run("ip", &["-n", &self.netns(container), "link", "set", "data", "arp", "off"]);
    }

    /// What `ip` and `tc` show in all namespaces of the bed, for failure messages.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        let names = namespaces(&format!("llcm-{}-", self.id)).into_iter().chain(self.containers.clone());
        for name in names {
            for command in ["ip -br link", "ip -br addr", "ip route", "bridge fdb show"] {
                let mut words = command.split(' ');
                let program = words.next().unwrap();
                let words: Vec<&str> = words.collect();
                let output = Command::new(program).args(["-n", &name]).args(words).output().unwrap();
                writeln!(text, "{name}: {command}\n{}", String::from_utf8_lossy(&output.stdout)).unwrap();
            }
        }
        text
    }

    /// Index and name of every device of a namespace: what changes when one is made anew.
    pub(crate) fn indexes(&self, netns: &str) -> Vec<String> {
        let output = run("ip", &["-n", netns, "-o", "link", "show"]);
        let words = |line: &str| line.split_whitespace().take(2).collect::<String>();
        output.lines().map(words).collect()
    }

    /// Device names in a namespace, without `lo`.
    pub(crate) fn devices(&self, netns: &str) -> Vec<String> {
        let output = run("ip", &["-n", netns, "-o", "link", "show"]);
        let names = output.lines().filter_map(|line| line.split_whitespace().nth(1));
        let names = names.map(|name| name.trim_end_matches(':').split('@').next().unwrap().to_owned());
        names.filter(|name| name != "lo").collect()
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.network = None;
        let ours = namespaces(&format!("llcm-{}-", self.id));
        for name in self.containers.iter().chain(&ours) {
            drop(Command::new("ip").args(["netns", "del", name]).output());
        }
    }
}

/// Opens a driver whose records are in a directory of the test's.
pub(crate) fn open(id: &InstallationId, run_dir: &Path) -> llcm_runtime::DriverResult<LinuxNetwork> {
    LinuxNetwork::new(id.clone(), Options { run_dir: run_dir.to_owned(), ..Options::default() })
}

fn can_run() -> Result<(), &'static str> {
    if !rustix::process::geteuid().is_root() {
        return Err("root");
    }
    for (tool, argument, missing) in [
        ("ip", "-V", "iproute2"),
        ("tc", "-V", "iproute2"),
        ("ping", "-V", "ping"),
        ("python3", "-V", "python3"),
    ] {
        if !Command::new(tool).arg(argument).output().is_ok_and(|output| output.status.success()) {
            return Err(missing);
        }
    }
    Ok(())
}

/// The named namespaces that begin with a prefix.
pub(crate) fn namespaces(prefix: &str) -> Vec<String> {
    let output = run("ip", &["netns", "list"]);
    let names = output.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

fn netns_path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Runs a program that must succeed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program in a namespace.
pub(crate) fn exec(netns: &str, command: &[&str]) -> Output {
    Command::new("ip").args(["netns", "exec", netns]).args(command).output().unwrap()
}

/// Runs a program in a namespace; it must succeed.
#[track_caller]
pub(crate) fn exec_ok(netns: &str, command: &[&str]) -> String {
    let output = exec(netns, command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{netns}: {}: {errors}", command.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn dc(name: &str) -> DcName {
    DcName::parse(name).unwrap()
}

pub(crate) fn segment_id(id: u32) -> SegmentId {
    SegmentId::try_from(id).unwrap()
}

/// A topology of data centers and links between them, each with the same properties both ways.
pub(crate) fn topology(names: &[&str], links: &[(&str, &str, LinkProperties)]) -> Topology {
    let datacenter = |name: &&str| DataCenter {
        name: dc(name),
        metadata: BTreeMap::new(),
        capacity: Capacity::default(),
        engine: None,
    };
    let end = |name: &str, egress| LinkEnd { dc: dc(name), egress };
    let link = |(a, b, properties): &(&str, &str, LinkProperties)| Link {
        name: format!("{a}-{b}"),
        a: end(a, *properties),
        b: end(b, *properties),
        up: true,
    };
    Topology { datacenters: names.iter().map(datacenter).collect(), links: links.iter().map(link).collect() }
}

/// dc1 - dc2 - dc3.
pub(crate) fn line() -> Topology {
    let plain = LinkProperties::default();
    topology(&["dc1", "dc2", "dc3"], &[("dc1", "dc2", plain), ("dc2", "dc3", plain)])
}

/// One data center.
pub(crate) fn single() -> Topology {
    topology(&["dc1"], &[])
}
