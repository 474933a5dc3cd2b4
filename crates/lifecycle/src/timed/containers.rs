//! A container driver with deadlines.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::{
    AttachPoint, BuildSpec, ContainerDriver, ContainerSpec, ContainerView, ContainerWatch, DriverResult,
    EngineInfo, Exec, ImageView, LogOptions, Logs, Offers, OutputChunk, OutputSink, Progress, PullPolicy,
    Taken,
};
use tokio::sync::watch;

use super::{Moving, Timing};

/// See [`crate::timed`]. Commands have no deadline: they take as long as they take, and whoever runs one gives it up.
pub(super) struct TimedContainers {
    inner: Arc<dyn ContainerDriver>,
    timing: Timing,
}

impl TimedContainers {
    pub(super) fn new(inner: Arc<dyn ContainerDriver>, timing: Timing) -> Self {
        Self { inner, timing }
    }
}

#[async_trait]
impl ContainerDriver for TimedContainers {
    fn offers(&self) -> Offers {
        self.inner.offers()
    }

    async fn info(&self) -> DriverResult<EngineInfo> {
        let engine = self.inner.offers().engine;
        self.timing.look("ask engine", &engine.0, self.inner.info()).await
    }

    async fn ensure_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> DriverResult<ImageView> {
        let (moved, moves) = watch::channel(());
        let moving = Moving { to: progress, moved };
        let call = self.inner.ensure_image(reference, policy, &moving);
        self.timing.moving("fetch image", reference, moves, call).await
    }

    async fn build_image(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<ImageView> {
        let (moved, moves) = watch::channel(());
        let moving = Moving { to: progress, moved };
        let call = self.inner.build_image(spec, &moving);
        self.timing.moving("build image", &spec.tag, moves, call).await
    }

    async fn check(&self, spec: &ContainerSpec) -> DriverResult<()> {
        self.timing.look("check container", spec.name.as_str(), self.inner.check(spec)).await
    }

    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>> {
        let call = self.inner.create(spec);
        let name = spec.name.as_str();
        self.timing.change(&spec.owner, "create container", name, Duration::ZERO, call).await
    }

    async fn start(&self, owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint> {
        let call = self.inner.start(owner, name);
        self.timing.change(owner, "start container", name.as_str(), Duration::ZERO, call).await
    }

    async fn stop(&self, owner: &Owner, name: &EngineName, grace: Duration) -> DriverResult<()> {
        let call = self.inner.stop(owner, name, grace);
        self.timing.change(owner, "stop container", name.as_str(), grace, call).await
    }

    async fn remove(&self, owner: &Owner, name: &EngineName) -> DriverResult<()> {
        let call = self.inner.remove(owner, name);
        self.timing.change(owner, "remove container", name.as_str(), Duration::ZERO, call).await
    }

    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>> {
        self.timing.look("inspect container", name.as_str(), self.inner.inspect(name)).await
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>> {
        let call = self.inner.list_owned(installation);
        self.timing.look("list containers", installation.as_str(), call).await
    }

    async fn taken(&self, installation: &InstallationId) -> DriverResult<Taken> {
        let call = self.inner.taken(installation);
        self.timing.look("ask what is taken", installation.as_str(), call).await
    }

    async fn cleanup(&self, installation: &InstallationId) -> DriverResult<()> {
        let call = self.inner.cleanup(installation);
        self.timing.network("clean up", installation.as_str(), call).await
    }

    fn watch(&self, installation: &InstallationId) -> Option<Box<dyn ContainerWatch>> {
        self.inner.watch(installation)
    }

    fn exec(&self) -> Option<&dyn Exec> {
        self.inner.exec()
    }

    fn logs(&self) -> Option<&dyn Logs> {
        self.inner.logs().map(|_| self as &dyn Logs)
    }
}

#[async_trait]
impl Logs for TimedContainers {
    /// Output that is followed may be silent for as long as it likes.
    async fn logs(
        &self,
        owner: &Owner,
        name: &EngineName,
        options: LogOptions,
        sink: &mut dyn OutputSink,
    ) -> DriverResult<()> {
        let Some(logs) = self.inner.logs() else { return Ok(()) };
        if options.follow {
            return logs.logs(owner, name, options, sink).await;
        }
        let (moved, moves) = watch::channel(());
        let mut sink = MovingSink { to: sink, moved };
        let call = logs.logs(owner, name, options, &mut sink);
        self.timing.moving("read output of container", name.as_str(), moves, call).await
    }
}

/// As [`Moving`], for output.
struct MovingSink<'a> {
    to: &'a mut dyn OutputSink,
    moved: watch::Sender<()>,
}

#[async_trait]
impl OutputSink for MovingSink<'_> {
    async fn write(&mut self, chunk: OutputChunk) -> bool {
        self.moved.send_replace(());
        self.to.write(chunk).await
    }
}
