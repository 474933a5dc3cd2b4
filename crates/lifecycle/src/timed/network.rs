//! A network driver with deadlines.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{DcName, InstallationId, Owner, PortId, SegmentId};
use llcm_runtime::{
    AttachPoint, Capture, ChainSpec, Chains, Counters, DriverError, DriverResult, HostSide, LinkCounts,
    LinkView, Management, ManagementSpec, Needs, NetworkDriver, NetworkObject, PortCounts, PortSpec,
    PortView, PrepareReport, SegmentSpec,
};
use llcm_topology::Topology;

use super::Timing;

/// See [`crate::timed`].
pub(super) struct TimedNetwork {
    inner: Arc<dyn NetworkDriver>,
    timing: Timing,
}

impl TimedNetwork {
    pub(super) fn new(inner: Arc<dyn NetworkDriver>, timing: Timing) -> Self {
        Self { inner, timing }
    }

    async fn change<T>(
        &self,
        owner: &Owner,
        operation: &'static str,
        target: &str,
        call: impl Future<Output = DriverResult<T>>,
    ) -> DriverResult<T> {
        self.timing.change(owner, operation, target, Duration::ZERO, call).await
    }
}

#[async_trait]
impl NetworkDriver for TimedNetwork {
    fn needs(&self) -> Needs {
        self.inner.needs()
    }

    async fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        self.timing.network("prepare", "data centers", self.inner.prepare(topology)).await
    }

    async fn host_side(&self) -> DriverResult<HostSide> {
        self.timing.look("ask", "the host's network", self.inner.host_side()).await
    }

    async fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()> {
        let call = self.inner.ensure_segment(spec);
        self.change(&spec.owner, "create segment", &spec.id.to_string(), call).await
    }

    async fn attach(&self, spec: &PortSpec, point: &AttachPoint) -> DriverResult<PortView> {
        let target = format!("{}/{}", spec.container, spec.ifname);
        self.change(&spec.owner, "attach interface", &target, self.inner.attach(spec, point)).await
    }

    async fn detach(&self, owner: &Owner, datacenter: &DcName, port: PortId) -> DriverResult<()> {
        let call = self.inner.detach(owner, datacenter, port);
        self.change(owner, "detach port", &port.to_string(), call).await
    }

    async fn set_port(&self, owner: &Owner, datacenter: &DcName, port: PortId, up: bool) -> DriverResult<()> {
        let call = self.inner.set_port(owner, datacenter, port, up);
        self.change(owner, "set port", &port.to_string(), call).await
    }

    async fn remove_segment(&self, owner: &Owner, segment: SegmentId) -> DriverResult<()> {
        let call = self.inner.remove_segment(owner, segment);
        self.change(owner, "remove segment", &segment.to_string(), call).await
    }

    async fn remove_instance(&self, owner: &Owner) -> Result<(), Vec<DriverError>> {
        let target = owner.instance.to_string();
        let mut errors = Vec::new();
        let call = async {
            if let Err(several) = self.inner.remove_instance(owner).await {
                errors = several;
            }
            Ok(())
        };
        let timed = self.timing.network("remove network of instance", &target, call).await;
        errors.extend(timed.err());
        errors.iter().for_each(|error| self.timing.note(owner, Some(error)));
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>> {
        let call = self.inner.list_owned(installation);
        self.timing.look("list network objects", installation.as_str(), call).await
    }

    async fn links(&self) -> DriverResult<Vec<LinkView>> {
        self.timing.look("list links", "of all data centers", self.inner.links()).await
    }

    async fn teardown(&self) -> DriverResult<()> {
        self.timing.network("remove", "data centers", self.inner.teardown()).await
    }

    fn management(&self) -> Option<&dyn Management> {
        self.inner.management().map(|_| self as &dyn Management)
    }

    fn chains(&self) -> Option<&dyn Chains> {
        self.inner.chains().map(|_| self as &dyn Chains)
    }

    fn counters(&self) -> Option<&dyn Counters> {
        self.inner.counters().map(|_| self as &dyn Counters)
    }

    /// Without a deadline: it goes on for as long as somebody looks.
    fn capture(&self) -> Option<&dyn Capture> {
        self.inner.capture()
    }
}

#[async_trait]
impl Counters for TimedNetwork {
    async fn ports(&self, owner: &Owner) -> DriverResult<Vec<PortCounts>> {
        let Some(counters) = self.inner.counters() else { return Ok(Vec::new()) };
        self.timing.look("read counters of", &owner.instance.to_string(), counters.ports(owner)).await
    }

    async fn links(&self) -> DriverResult<Vec<LinkCounts>> {
        let Some(counters) = self.inner.counters() else { return Ok(Vec::new()) };
        self.timing.look("read counters of", "links", counters.links()).await
    }
}

#[async_trait]
impl Management for TimedNetwork {
    async fn name_management(&self, spec: &ManagementSpec, point: &AttachPoint) -> DriverResult<()> {
        let Some(management) = self.inner.management() else { return Ok(()) };
        let target = format!("{}/{}", spec.container, spec.ifname);
        let call = management.name_management(spec, point);
        self.change(&spec.owner, "name the engine's interface of container", &target, call).await
    }
}

#[async_trait]
impl Chains for TimedNetwork {
    async fn ensure_chain(&self, spec: &ChainSpec) -> DriverResult<()> {
        let Some(chains) = self.inner.chains() else { return Ok(()) };
        self.change(&spec.owner, "make chain", &spec.id.to_string(), chains.ensure_chain(spec)).await
    }

    async fn remove_chain(&self, owner: &Owner, chain: SegmentId) -> DriverResult<()> {
        let Some(chains) = self.inner.chains() else { return Ok(()) };
        self.change(owner, "remove chain", &chain.to_string(), chains.remove_chain(owner, chain)).await
    }
}
