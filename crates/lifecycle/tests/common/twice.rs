//! Drivers that do everything twice: what the contract calls repeatable must be, at every call that the
//! life-cycle makes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{DcName, EngineName, InstallationId, Owner, PortId, SegmentId};
use llcm_runtime::simulated::{SimulatedContainers, SimulatedNetwork, World};
use llcm_runtime::{
    AttachPoint, Backend, BuildSpec, ContainerDriver, ContainerSpec, ContainerView, ContainerWatch,
    DriverError, DriverResult, EngineInfo, Exec, ImageView, LinkView, Logs, Needs, NetworkDriver,
    NetworkObject, Offers, PortSpec, PortView, PrepareReport, Progress, PullPolicy, SegmentSpec, Taken,
};
use llcm_topology::Topology;

struct Twice<T>(T);

/// The simulated drivers, twice.
pub(crate) fn backend(world: &Arc<World>, installation: &InstallationId) -> Backend {
    let containers = Twice(SimulatedContainers::new(Arc::clone(world)));
    let network = Twice(SimulatedNetwork::new(Arc::clone(world), installation.clone()));
    Backend::pair(Arc::new(containers), Arc::new(network)).expect("they go together")
}

#[async_trait]
impl ContainerDriver for Twice<SimulatedContainers> {
    fn offers(&self) -> Offers {
        self.0.offers()
    }

    async fn info(&self) -> DriverResult<EngineInfo> {
        self.0.info().await
    }

    async fn ensure_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> DriverResult<ImageView> {
        self.0.ensure_image(reference, policy, progress).await?;
        self.0.ensure_image(reference, policy, progress).await
    }

    async fn build_image(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<ImageView> {
        self.0.build_image(spec, progress).await?;
        self.0.build_image(spec, progress).await
    }

    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>> {
        self.0.create(spec).await?;
        self.0.create(spec).await
    }

    async fn start(&self, owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint> {
        self.0.start(owner, name).await?;
        self.0.start(owner, name).await
    }

    async fn check(&self, spec: &ContainerSpec) -> DriverResult<()> {
        self.0.check(spec).await?;
        self.0.check(spec).await
    }

    async fn stop(&self, owner: &Owner, name: &EngineName, grace: Duration) -> DriverResult<()> {
        self.0.stop(owner, name, grace).await?;
        self.0.stop(owner, name, grace).await
    }

    async fn remove(&self, owner: &Owner, name: &EngineName) -> DriverResult<()> {
        self.0.remove(owner, name).await?;
        self.0.remove(owner, name).await
    }

    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>> {
        self.0.inspect(name).await
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>> {
        self.0.list_owned(installation).await
    }

    async fn taken(&self, installation: &InstallationId) -> DriverResult<Taken> {
        self.0.taken(installation).await?;
        self.0.taken(installation).await
    }

    fn watch(&self, installation: &InstallationId) -> Option<Box<dyn ContainerWatch>> {
        self.0.watch(installation)
    }

    fn exec(&self) -> Option<&dyn Exec> {
        ContainerDriver::exec(&self.0)
    }

    fn logs(&self) -> Option<&dyn Logs> {
        ContainerDriver::logs(&self.0)
    }
}

#[async_trait]
impl NetworkDriver for Twice<SimulatedNetwork> {
    fn needs(&self) -> Needs {
        self.0.needs()
    }

    async fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        self.0.prepare(topology).await?;
        self.0.prepare(topology).await
    }

    async fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()> {
        self.0.ensure_segment(spec).await?;
        self.0.ensure_segment(spec).await
    }

    async fn attach(&self, spec: &PortSpec, point: &AttachPoint) -> DriverResult<PortView> {
        self.0.attach(spec, point).await?;
        self.0.attach(spec, point).await
    }

    async fn detach(&self, owner: &Owner, datacenter: &DcName, port: PortId) -> DriverResult<()> {
        self.0.detach(owner, datacenter, port).await?;
        self.0.detach(owner, datacenter, port).await
    }

    async fn set_port(&self, owner: &Owner, datacenter: &DcName, port: PortId, up: bool) -> DriverResult<()> {
        self.0.set_port(owner, datacenter, port, up).await?;
        self.0.set_port(owner, datacenter, port, up).await
    }

    async fn remove_segment(&self, owner: &Owner, segment: SegmentId) -> DriverResult<()> {
        self.0.remove_segment(owner, segment).await?;
        self.0.remove_segment(owner, segment).await
    }

    async fn remove_instance(&self, owner: &Owner) -> Result<(), Vec<DriverError>> {
        self.0.remove_instance(owner).await?;
        self.0.remove_instance(owner).await
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>> {
        self.0.list_owned(installation).await
    }

    async fn links(&self) -> DriverResult<Vec<LinkView>> {
        self.0.links().await
    }

    async fn teardown(&self) -> DriverResult<()> {
        self.0.teardown().await?;
        self.0.teardown().await
    }
}
