//! What every case starts from: fresh drivers, owners, and specs that are ready but for what a case is about.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use ipnetwork::IpNetwork;
use llcm_names::{
    DcName, EngineName, IfName, InstallationId, InstanceId, LinkGroup, MacAddr, Owner, PortId, SegmentId,
};

use super::report::{Stop, ensure};
use super::{Drivers, Factory, Host, Probe, SeenInterface, seconds};
use crate::{
    AttachPoint, ContainerDriver, ContainerSpec, CpuLimit, DriverResult, ErrorKind, NetworkDriver, PortSpec,
    PullPolicy, SegmentEnd, SegmentKind, SegmentSpec, TreeRole,
};

/// The surroundings of one case.
pub(super) struct Bed<'a> {
    pub(super) factory: &'a dyn Factory,
    /// `None` only while the program is being restarted.
    drivers: Option<Drivers>,
    stranger_came: bool,
    /// An instance.
    pub(super) owner: Owner,
    /// Another instance of the same installation.
    pub(super) other: Owner,
    /// An instance of another installation, which has the same drivers' kind on the same host.
    pub(super) stranger: Owner,
}

impl<'a> Bed<'a> {
    /// Fresh drivers with prepared data centers.
    pub(super) async fn make(factory: &'a dyn Factory) -> Result<Self, Stop> {
        static CASES: AtomicU32 = AtomicU32::new(0);
        // Unlike that of any other run on this host, as far as process ids are.
        let bits = std::process::id().rotate_left(12) ^ CASES.fetch_add(2, Ordering::Relaxed);
        let owner = |bits: u32, instance: u8| Owner {
            installation: InstallationId::from_bits(bits),
            instance: instance_id(instance),
        };
        let (owner, other, stranger) = (owner(bits, 1), owner(bits, 2), owner(bits ^ 1, 1));
        let drivers = factory.drivers(&owner.installation).await?;
        let bed = Self { factory, drivers: None, stranger_came: false, owner, other, stranger };
        bed.prepare(&drivers).await?;
        Ok(Self { drivers: Some(drivers), ..bed })
    }

    async fn prepare(&self, drivers: &Drivers) -> Result<(), Stop> {
        if let Some(network) = &drivers.network {
            let report = network.prepare(&self.host().topology).await?;
            ensure!(
                report.not_emulated.is_empty(),
                "the factory's topology asks for more than this host can emulate: {:?}",
                report.not_emulated
            );
        }
        Ok(())
    }

    /// Drivers of the other installation, prepared.
    pub(super) async fn stranger_drivers(&mut self) -> Result<Drivers, Stop> {
        self.stranger_came = true;
        let drivers = self.factory.drivers(&self.stranger.installation).await?;
        self.prepare(&drivers).await?;
        Ok(drivers)
    }

    /// The program is restarted: new drivers for the same installation.
    pub(super) async fn restart(&mut self) -> Result<(), Stop> {
        self.drivers = None;
        let drivers = self.factory.drivers(&self.owner.installation).await?;
        self.prepare(&drivers).await?;
        self.drivers = Some(drivers);
        Ok(())
    }

    pub(super) fn host(&self) -> &Host {
        self.factory.host()
    }

    pub(super) fn probe(&self) -> &dyn Probe {
        self.factory.probe()
    }

    pub(super) fn containers(&self) -> &dyn ContainerDriver {
        self.drivers.as_ref().expect("the restart is over").containers.as_ref()
    }

    /// The network driver. Cases that need one are only run when there is one.
    pub(super) fn network(&self) -> Result<&dyn NetworkDriver, Stop> {
        let missing = || Stop::NotSeen("the factory brings no network driver".to_owned());
        self.drivers.as_ref().and_then(|drivers| drivers.network.as_deref()).ok_or_else(missing)
    }

    pub(super) fn near(&self) -> DcName {
        self.host().topology.datacenters[0].name.clone()
    }

    pub(super) fn far(&self) -> DcName {
        let datacenters = &self.host().topology.datacenters;
        datacenters[datacenters.len() - 1].name.clone()
    }

    /// A name in the engine that no other case uses.
    pub(super) fn name(&self, short: &str) -> EngineName {
        EngineName::parse(&format!("mn.ct{}.{short}", self.owner.installation)).expect("made of valid parts")
    }

    /// A container with nothing special.
    pub(super) fn container(&self, short: &str) -> ContainerSpec {
        ContainerSpec {
            owner: self.owner.clone(),
            name: self.name(short),
            logical_name: short.to_owned(),
            datacenter: self.near(),
            image: self.host().image.clone(),
            environment: BTreeMap::from([("VNF_NAME".to_owned(), short.to_owned())]),
            cpu: CpuLimit::default(),
            memory_bytes: None,
            exposed: Vec::new(),
            published: Vec::new(),
            binds: Vec::new(),
            devices: Vec::new(),
            cap_add: Vec::new(),
            ipc_mode: None,
            interfaces: Vec::new(),
            management: None,
        }
    }

    pub(super) async fn fetch(&self) -> Result<(), Stop> {
        self.containers().ensure_image(&self.host().image, PullPolicy::IfMissing, &()).await?;
        Ok(())
    }

    /// Fetches the image, creates and starts.
    pub(super) async fn run(&self, spec: &ContainerSpec) -> Result<AttachPoint, Stop> {
        self.fetch().await?;
        self.containers().create(spec).await?;
        Ok(self.containers().start(&spec.owner, &spec.name).await?)
    }

    /// A running container in a data center, with what is needed to attach interfaces to it.
    pub(super) async fn vnf(&self, short: &str, datacenter: DcName) -> Result<Vnf, Stop> {
        self.vnf_of(&self.owner, short, datacenter).await
    }

    /// A running container of another instance.
    pub(super) async fn vnf_of(&self, owner: &Owner, short: &str, datacenter: DcName) -> Result<Vnf, Stop> {
        let spec = ContainerSpec { owner: owner.clone(), datacenter, ..self.container(short) };
        let point = self.run(&spec).await?;
        Ok(Vnf { spec, point })
    }

    /// Attaches a port, which must succeed.
    pub(super) async fn plug(&self, vnf: &Vnf, port: &PortSpec) -> Result<(), Stop> {
        let view = self.network()?.attach(port, &vnf.point).await?;
        ensure!(view.id == port.id, "attach of port {} returned port {}", port.id, view.id);
        Ok(())
    }

    pub(super) async fn ping(&self, from: &Vnf, to: &str) -> Result<bool, Stop> {
        let to: IpAddr = to.parse().expect("the suite's addresses are valid");
        let cannot = || Stop::NotSeen("the probe cannot ping".to_owned());
        self.probe().ping(&from.spec.name, to).await.ok_or_else(cannot)
    }

    /// The interface of that name that the probe sees in a container.
    pub(super) async fn interface(&self, vnf: &Vnf, name: &str) -> Result<Option<SeenInterface>, Stop> {
        let cannot = || Stop::NotSeen("the probe cannot see interfaces".to_owned());
        let all = self.probe().interfaces(&vnf.spec.name).await.ok_or_else(cannot)?;
        Ok(all.into_iter().find(|interface| interface.name.as_str() == name))
    }

    /// Removes everything of both installations; what cannot be removed or is left fails the case.
    pub(super) async fn clean(self) -> Result<(), Stop> {
        let Self { factory, drivers, stranger_came, owner, stranger, .. } = self;
        let drivers = match drivers {
            Some(drivers) => drivers,
            None => factory.drivers(&owner.installation).await?,
        };
        clean(factory, drivers, &owner.installation).await?;
        if stranger_came {
            let drivers = factory.drivers(&stranger.installation).await?;
            clean(factory, drivers, &stranger.installation).await?;
        }
        Ok(())
    }
}

async fn clean(factory: &dyn Factory, drivers: Drivers, installation: &InstallationId) -> Result<(), Stop> {
    let containers = drivers.containers.as_ref();
    for view in containers.list_owned(installation).await? {
        let Some(owner) = &view.owner else { continue };
        containers.remove(owner, &view.name).await?;
    }
    if let Some(network) = &drivers.network {
        for object in network.list_owned(installation).await? {
            if let Err(errors) = network.remove_instance(object.owner()).await {
                let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
                return Err(Stop::Failed(format!("clean-up: {}", lines.join("; "))));
            }
        }
        let left = network.list_owned(installation).await?;
        ensure!(left.is_empty(), "clean-up leaves {left:?}");
        network.teardown().await?;
    }
    containers.cleanup(installation).await?;
    let left = containers.list_owned(installation).await?;
    ensure!(left.is_empty(), "clean-up leaves {left:?}");
    drop(drivers);
    let left = factory.probe().leftovers(installation).await.unwrap_or_default();
    ensure!(left.is_empty(), "clean-up leaves {left:?}");
    Ok(())
}

/// A running container and the way to it.
pub(super) struct Vnf {
    pub(super) spec: ContainerSpec,
    pub(super) point: AttachPoint,
}

impl Vnf {
    /// A port of this container with one interface. `address` is in CIDR form, empty for none.
    pub(super) fn port(&self, id: u32, ifname: &str, address: &str, segments: &[u32]) -> PortSpec {
        let owner = self.spec.owner.clone();
        let addresses: Vec<IpNetwork> = address
            .split_whitespace()
            .map(|text| text.parse().expect("the suite's addresses are valid"))
            .collect();
        PortSpec {
            mac: MacAddr::derive(owner.instance, &format!("{}/{ifname}", self.spec.logical_name)),
            group: group(&owner),
            owner,
            id: PortId::new(id),
            datacenter: self.spec.datacenter.clone(),
            container: self.spec.name.clone(),
            ifname: IfName::parse(ifname).expect("the suite's interfaces have valid names"),
            addresses,
            mtu: 1500,
            segments: segments.iter().map(|&id| segment_id(id)).collect(),
            neighbours: Vec::new(),
            host: None,
        }
    }

    /// An end of a segment at a port of this container.
    pub(super) fn end(&self, port: u32) -> SegmentEnd {
        let datacenter = self.spec.datacenter.clone();
        SegmentEnd { port: PortId::new(port), datacenter, role: TreeRole::Root }
    }

    /// A leaf's end of an E-Tree.
    pub(super) fn leaf(&self, port: u32) -> SegmentEnd {
        SegmentEnd { role: TreeRole::Leaf, ..self.end(port) }
    }
}

pub(super) fn segment(owner: &Owner, id: u32, kind: SegmentKind, ends: Vec<SegmentEnd>) -> SegmentSpec {
    SegmentSpec { owner: owner.clone(), id: segment_id(id), group: group(owner), kind, ends }
}

/// A bidirectional E-Line.
pub(super) const E_LINE: SegmentKind = SegmentKind::ELine { bidirectional: true };

pub(super) fn segment_id(id: u32) -> SegmentId {
    SegmentId::try_from(id).expect("the suite's segments have valid ids")
}

fn group(owner: &Owner) -> LinkGroup {
    let last = owner.instance.uuid().into_bytes()[15];
    LinkGroup::try_from(0x1000 + u32::from(last)).expect("within 31 bits")
}

fn instance_id(last: u8) -> InstanceId {
    let text = format!("c0417ac7-0000-4000-8000-0000000000{last:02x}");
    text.parse().expect("the suite's instances have valid ids")
}

/// The call must have been refused with this kind.
pub(super) fn refused<T: std::fmt::Debug>(
    result: DriverResult<T>,
    kind: ErrorKind,
    what: &str,
) -> Result<(), Stop> {
    match result {
        Err(error) if error.kind == kind => Ok(()),
        Err(error) => Err(Stop::Failed(format!("{what}: expected {kind:?}, got {:?} ({error})", error.kind))),
        Ok(value) => Err(Stop::Failed(format!("{what}: expected {kind:?}, but it succeeded with {value:?}"))),
    }
}

/// Waits until a condition holds, at most thirty seconds: the kernel takes apart namespaces one after the other.
pub(super) async fn eventually<F>(what: &str, mut holds: impl FnMut() -> F) -> Result<(), Stop>
where
    F: Future<Output = Result<bool, Stop>>,
{
    let deadline = tokio::time::Instant::now() + seconds(30);
    while !holds().await? {
        ensure!(tokio::time::Instant::now() < deadline, "{what}: not within thirty seconds");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Drives all futures at once and returns their results in order, or the first error in that order.
pub(super) async fn together<T, F>(futures: impl IntoIterator<Item = F>) -> Result<Vec<T>, Stop>
where
    F: Future<Output = Result<T, Stop>>,
{
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, done) in &mut running {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(result) => *done = Some(result),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}
