//! What wiring costs: makes the given number of E-Lines within a data center, as many across two, and as
//! many E-LANs, each with two ports in namespaces made for it, and prints the time per segment and the time
//! to take all down. Needs root.
//!
//! `cargo run --release --example wiring -p llcm-driver-linux -- 100`

#![expect(clippy::print_stdout, reason = "an example that measures prints")]

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use llcm_driver_linux::{LinuxNetwork, Options};
use llcm_names::{
    DcName, EngineName, IfName, InstallationId, InstanceId, LinkGroup, MacAddr, Owner, PortId, SegmentId,
};
use llcm_runtime::{AttachPoint, NetworkDriver, PortSpec, SegmentEnd, SegmentKind, SegmentSpec, TreeRole};
use llcm_topology::{Capacity, DataCenter, Link, LinkEnd, LinkProperties, Topology};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The two namespaces that play containers; removed when dropped.
struct Containers([String; 2]);

impl Drop for Containers {
    fn drop(&mut self) {
        for name in &self.0 {
            drop(Command::new("ip").args(["netns", "del", name]).output());
        }
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let count: u32 = std::env::args().nth(1).map_or(Ok(100), |text| text.parse())?;
    let installation = InstallationId::from_bits(std::process::id());
    let run_dir = tempfile::tempdir()?;
    let options = Options { run_dir: run_dir.path().to_owned(), ..Options::default() };
    let network = LinuxNetwork::new(installation.clone(), options)?;
    let start = Instant::now();
    network.prepare(&topology()?).await?;
    println!("prepare two data centers and a link: {:?}", start.elapsed());
    let containers = Containers(["a", "b"].map(|end| format!("llcmwiring-{installation}-{end}")));
    for name in &containers.0 {
        Command::new("ip").args(["netns", "add", name]).status()?;
    }
    let line = SegmentKind::ELine { bidirectional: true };
    for (number, (what, kind, far)) in (1..).zip([
        ("E-Lines within a data center", line, "dc1"),
        ("E-Lines across data centers", line, "dc2"),
        ("E-LANs within a data center", SegmentKind::ELan, "dc1"),
        ("E-LANs across data centers", SegmentKind::ELan, "dc2"),
    ]) {
        let instance = InstanceId::new(uuid::Uuid::from_u128(u128::from(number)));
        let owner = Owner { installation: installation.clone(), instance };
        let start = Instant::now();
        for index in 0..count {
            join(&network, &owner, number * count + index, kind, far, &containers).await?;
        }
        let up = start.elapsed();
        let start = Instant::now();
        network.remove_instance(&owner).await.map_err(|mut errors| errors.remove(0))?;
        let down = start.elapsed();
        println!(
            "{count} {what}: {:.2} ms each with both ports, down {:.2} ms each",
            each(up, count),
            each(down, count)
        );
    }
    let start = Instant::now();
    network.teardown().await?;
    println!("tear down: {:?}", start.elapsed());
    Ok(())
}

fn each(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1000.0 / f64::from(count.max(1))
}

/// Makes a segment and attaches its two ports.
async fn join(
    network: &LinuxNetwork,
    owner: &Owner,
    number: u32,
    kind: SegmentKind,
    far: &str,
    containers: &Containers,
) -> Outcome<()> {
    let group = LinkGroup::try_from(u32::try_from(owner.instance.uuid().as_u128())?)?;
    let id = SegmentId::try_from(number + 1)?;
    let sites = [DcName::parse("dc1")?, DcName::parse(far)?];
    let ports = [PortId::new(number * 2), PortId::new(number * 2 + 1)];
    let end = |index: usize| SegmentEnd {
        port: ports[index],
        datacenter: sites[index].clone(),
        role: TreeRole::Root,
    };
    let mut ends = vec![end(0), end(1)];
    if kind == SegmentKind::ELan {
        // With a third end, which stays empty, an E-LAN is made of bridges.
        ends.push(SegmentEnd { port: PortId::new(u32::MAX - number), ..end(1) });
    }
    let segment = SegmentSpec { owner: owner.clone(), id, group, kind, ends };
    network.ensure_segment(&segment).await?;
    for index in 0..2 {
        let ifname = format!("d{number}");
        let spec = PortSpec {
            owner: owner.clone(),
            id: ports[index],
            group,
            datacenter: sites[index].clone(),
            container: EngineName::parse(&format!("c{index}"))?,
            ifname: IfName::parse(&ifname)?,
            mac: MacAddr::derive(owner.instance, &format!("{index}:{ifname}")),
            addresses: Vec::new(),
            mtu: 1500,
            segments: vec![id],
            neighbours: Vec::new(),
            host: None,
        };
        let netns = Path::new("/run/netns").join(&containers.0[index]);
        network.attach(&spec, &AttachPoint { netns: Some(netns), engine: None, run: None }).await?;
    }
    Ok(())
}

fn topology() -> Outcome<Topology> {
    let datacenter = |name| -> Outcome<DataCenter> {
        let (metadata, capacity) = (std::collections::BTreeMap::new(), Capacity::default());
        Ok(DataCenter { name: DcName::parse(name)?, metadata, capacity, engine: None })
    };
    let end = |name| -> Outcome<LinkEnd> {
        Ok(LinkEnd { dc: DcName::parse(name)?, egress: LinkProperties::default() })
    };
    let link = Link { name: "dc1-dc2".to_owned(), a: end("dc1")?, b: end("dc2")?, up: true };
    Ok(Topology { datacenters: vec![datacenter("dc1")?, datacenter("dc2")?], links: vec![link] })
}
