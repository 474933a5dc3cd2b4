//! An installation of the network driver, with namespaces in the place of containers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use llcm_driver_linux::{LinuxNetwork, Options};
use llcm_names::{
    DcName, EngineName, IfName, InstallationId, InstanceId, LinkGroup, MacAddr, Owner, PortId, SegmentId,
};
use llcm_runtime::{
    AttachPoint, DriverError, NetworkDriver, PortSpec, SegmentEnd, SegmentKind, SegmentSpec, TreeRole,
};
use uuid::Uuid;

/// An installation; dropped, it leaves nothing.
pub(crate) struct Bed {
    network: Option<LinuxNetwork>,
    installation: InstallationId,
    run_dir: tempfile::TempDir,
    containers: Vec<String>,
}

impl Bed {
    /// Without data centers yet. `number` tells those of one process apart.
    pub(crate) fn new(number: u32) -> Result<Self> {
        let installation = InstallationId::from_bits(std::process::id() << 8 | number);
        let run_dir = tempfile::tempdir()?;
        let options = Options { run_dir: run_dir.path().to_owned(), ..Options::default() };
        let network = Some(LinuxNetwork::new(installation.clone(), options)?);
        Ok(Self { network, installation, run_dir, containers: Vec::new() })
    }

    /// The driver.
    pub(crate) fn network(&self) -> Result<&LinuxNetwork> {
        self.network.as_ref().context("the driver could not be opened again")
    }

    /// The same installation by a new driver, as after a restart of the program.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.network = None;
        let options = Options { run_dir: self.run_dir.path().to_owned(), ..Options::default() };
        self.network = Some(LinuxNetwork::new(self.installation.clone(), options)?);
        Ok(())
    }

    /// Makes a namespace that plays a container.
    pub(crate) fn container(&mut self, name: &str) -> Result<()> {
        let netns = self.netns(name);
        run("ip", &["netns", "add", &netns])?;
        self.containers.push(netns);
        Ok(())
    }

    /// The name of a container's namespace.
    pub(crate) fn netns(&self, container: &str) -> String {
        format!("llcmbench-{}-{container}", self.installation)
    }

    /// The n-th instance.
    pub(crate) fn owner(&self, number: u32) -> Owner {
        let instance = InstanceId::new(Uuid::from_u128(u128::from(number) + 1));
        Owner { installation: self.installation.clone(), instance }
    }

    /// Makes a segment of the n-th instance between ports of data centers.
    pub(crate) async fn segment(
        &self,
        instance: u32,
        id: u32,
        kind: SegmentKind,
        ends: &[(u32, DcName)],
    ) -> Result<()> {
        let end = |(port, datacenter): &(u32, DcName)| SegmentEnd {
            port: PortId::new(*port),
            datacenter: datacenter.clone(),
            role: TreeRole::Root,
        };
        let spec = SegmentSpec {
            owner: self.owner(instance),
            id: SegmentId::try_from(id)?,
            group: LinkGroup::try_from(instance + 1)?,
            kind,
            ends: ends.iter().map(end).collect(),
        };
        Ok(self.network()?.ensure_segment(&spec).await?)
    }

    /// Attaches a port of the n-th instance to a segment; its interface is `d<port>`.
    pub(crate) async fn port(
        &self,
        instance: u32,
        (port, datacenter): (u32, &DcName),
        segment: u32,
        (container, address, mtu): (&str, &str, u32),
    ) -> Result<()> {
        let owner = self.owner(instance);
        let ifname = format!("d{port}");
        let spec = PortSpec {
            id: PortId::new(port),
            group: LinkGroup::try_from(instance + 1)?,
            datacenter: datacenter.clone(),
            container: EngineName::parse(container)?,
            mac: MacAddr::derive(owner.instance, &ifname),
            ifname: IfName::parse(&ifname)?,
            addresses: address.split_whitespace().map(str::parse).collect::<Result<_, _>>()?,
            mtu,
            segments: vec![SegmentId::try_from(segment)?],
            neighbours: Vec::new(),
            host: None,
            owner,
        };
        let netns = Path::new("/run/netns").join(self.netns(container));
        self.network()?.attach(&spec, &AttachPoint { netns: Some(netns), engine: None, run: None }).await?;
        Ok(())
    }

    /// Takes an instance down.
    pub(crate) async fn remove(&self, instance: u32) -> Result<()> {
        let all =
            |errors: Vec<DriverError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        self.network()?
            .remove_instance(&self.owner(instance))
            .await
            .map_err(|errors| anyhow::anyhow!(all(errors)))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let prefix = format!("llcm-{}-", self.installation);
        let names = std::fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.filter(|name| name.starts_with(&prefix)).chain(self.containers.drain(..)) {
            drop(Command::new("ip").args(["netns", "del", &name]).output());
        }
    }
}

/// Runs a program that must succeed, and returns what it said.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| program.to_owned())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {errors}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
