//! The driver itself: each operation on a thread that may block, within a deadline.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use llcm_delayline::Helper;
use llcm_names::{DcName, InstallationId, Owner, PortId, SegmentId};
use llcm_runtime::{
    AttachPoint, Capture, ChainSpec, Chains, Counters, DriverError, DriverResult, ErrorKind, HostSide,
    LinkView, Management, ManagementSpec, Needs, NetworkDriver, NetworkObject, PortSpec, PortView,
    PrepareReport, SegmentSpec,
};
use llcm_topology::Topology;

use crate::delay_lines;
use crate::host;
use crate::installation::{Installation, datacenter_names};
use crate::netns::NetnsDir;
use crate::underlay;

/// How long an operation on one object may take.
pub(crate) const SHORT: Duration = Duration::from_secs(60);
/// How long an operation on many objects may take.
const LONG: Duration = Duration::from_secs(300);

/// Where the driver keeps what it needs on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The directory of named network namespaces. Default `/run/netns`, which `ip netns` shows.
    pub netns_dir: PathBuf,
    /// The directory of lock files and records, emptied by a reboot as the kernel is. Default `/run/llcm`.
    pub run_dir: PathBuf,
    /// How the program is started as the process that delays frames where the kernel has no netem, so that traffic goes
    /// on when the program is started again. Default `None`: threads of this program do it.
    pub delay_line: Option<Helper>,
}

impl Default for Options {
    fn default() -> Self {
        Self { netns_dir: "/run/netns".into(), run_dir: "/run/llcm".into(), delay_line: None }
    }
}

/// Emulates data centers, links and segments with the kernel of this host.
#[derive(Debug, Clone)]
pub struct LinuxNetwork(Arc<Installation>);

impl LinuxNetwork {
    /// Opens an installation's network and holds its lock until the last clone is dropped. Nothing is made
    /// in the kernel before [`NetworkDriver::prepare`].
    ///
    /// # Errors
    /// `Conflict` while another driver holds the installation; `Denied` when the directories cannot be
    /// written.
    pub fn new(installation: InstallationId, options: Options) -> DriverResult<Self> {
        Installation::open(installation, options).map(|it| Self(Arc::new(it)))
    }

    /// The data centers of an installation that are in the kernel, made by this program or one before it. Nothing is
    /// locked, so it may be asked beside the program that drives the installation.
    ///
    /// # Errors
    /// When the directory of namespaces cannot be listed.
    pub fn find_datacenters(installation: &InstallationId, options: &Options) -> DriverResult<Vec<DcName>> {
        datacenter_names(&NetnsDir(options.netns_dir.clone()), installation)
    }

    /// Runs work that may block. The work goes on to its end when the caller gives up.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        target: String,
        limit: Duration,
        work: impl FnOnce(&Installation) -> T + Send + 'static,
    ) -> DriverResult<T> {
        let installation = self.0.clone();
        let running = tokio::task::spawn_blocking(move || work(&installation));
        match tokio::time::timeout(limit, running).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => {
                Err(DriverError::new(ErrorKind::Failed, operation, target, format!("worker: {error}")))
            }
            Err(_) => {
                let message = format!("the kernel did not answer within {} s", limit.as_secs());
                Err(DriverError::new(ErrorKind::Unavailable, operation, target, message))
            }
        }
    }
}

#[async_trait]
impl NetworkDriver for LinuxNetwork {
    fn needs(&self) -> Needs {
        Needs::NetNs
    }

    async fn host_side(&self) -> DriverResult<HostSide> {
        let target = self.0.id.to_string();
        self.run("look at the host for", target, SHORT, |_| host::side()).await?
    }

    async fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        let topology = topology.clone();
        let target = self.0.id.to_string();
        let report = self.run("prepare network of", target, LONG, move |it| it.prepare(&topology)).await??;
        delay_lines::watch(&self.0);
        Ok(report)
    }

    async fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()> {
        let spec = spec.clone();
        let target = spec.id.to_string();
        self.run("make segment", target, SHORT, move |it| it.ensure_segment(&spec)).await?
    }

    async fn attach(&self, spec: &PortSpec, point: &AttachPoint) -> DriverResult<PortView> {
        let (spec, point) = (spec.clone(), point.clone());
        let target = format!("{} of {}", spec.ifname, spec.container);
        self.run("attach port", target, SHORT, move |it| it.attach(&spec, &point)).await?
    }

    async fn detach(&self, owner: &Owner, datacenter: &DcName, port: PortId) -> DriverResult<()> {
        let (owner, datacenter) = (owner.clone(), datacenter.clone());
        let target = port.to_string();
        self.run("detach port", target, SHORT, move |it| it.detach(&owner, &datacenter, port)).await?
    }

    async fn set_port(&self, owner: &Owner, datacenter: &DcName, port: PortId, up: bool) -> DriverResult<()> {
        let (owner, datacenter) = (owner.clone(), datacenter.clone());
        let target = port.to_string();
        self.run("set port", target, SHORT, move |it| it.set_port(&owner, &datacenter, port, up)).await?
    }

    async fn remove_segment(&self, owner: &Owner, segment: SegmentId) -> DriverResult<()> {
        let owner = owner.clone();
        let target = segment.to_string();
        self.run("remove segment", target, SHORT, move |it| it.remove_segment(&owner, segment)).await?
    }

    async fn remove_instance(&self, owner: &Owner) -> Result<(), Vec<DriverError>> {
        let doomed = owner.clone();
        let target = owner.instance.to_string();
        self.run("remove instance", target, LONG, move |it| it.remove_instance(&doomed))
            .await
            .map_err(|error| vec![error])?
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>> {
        let installation = installation.clone();
        let target = installation.to_string();
        self.run("list objects of", target, SHORT, move |it| it.list_owned(&installation)).await?
    }

    async fn links(&self) -> DriverResult<Vec<LinkView>> {
        let target = self.0.id.to_string();
        self.run("list links of", target, SHORT, |it| underlay::views(&it.id, &it.all_datacenters()?)).await?
    }

    async fn teardown(&self) -> DriverResult<()> {
        let target = self.0.id.to_string();
        self.run("tear down network of", target, LONG, Installation::teardown).await?
    }

    fn management(&self) -> Option<&dyn Management> {
        Some(self)
    }

    fn chains(&self) -> Option<&dyn Chains> {
        Some(self)
    }

    fn counters(&self) -> Option<&dyn Counters> {
        Some(self)
    }

    fn capture(&self) -> Option<&dyn Capture> {
        Some(self)
    }
}

#[async_trait]
impl Chains for LinuxNetwork {
    async fn ensure_chain(&self, spec: &ChainSpec) -> DriverResult<()> {
        let spec = spec.clone();
        let target = spec.id.to_string();
        self.run("make chain", target, SHORT, move |it| it.ensure_chain(&spec)).await?
    }

    async fn remove_chain(&self, owner: &Owner, chain: SegmentId) -> DriverResult<()> {
        let owner = owner.clone();
        let target = chain.to_string();
        self.run("remove chain", target, SHORT, move |it| it.remove_chain(&owner, chain)).await?
    }
}

#[async_trait]
impl Management for LinuxNetwork {
    async fn name_management(&self, spec: &ManagementSpec, point: &AttachPoint) -> DriverResult<()> {
        let (spec, point) = (spec.clone(), point.clone());
        let target = format!("{} of {}", spec.ifname, spec.container);
        self.run("name interface", target, SHORT, move |it| it.name_management(&spec, &point)).await?
    }
}
