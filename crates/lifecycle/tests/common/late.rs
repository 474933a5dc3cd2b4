//! Container drivers that are late: with one effect, or with images.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::simulated::{SimulatedContainers, SimulatedNetwork, World};
use llcm_runtime::{
    AttachPoint, Backend, BuildSpec, ContainerDriver, ContainerSpec, ContainerView, ContainerWatch,
    DriverResult, EngineInfo, Exec, ImageView, Logs, Offers, Progress, ProgressEvent, PullPolicy, Taken,
};

struct Late {
    inner: SimulatedContainers,
    /// The first creation takes so long, whether anybody waits for it or not.
    create: Duration,
    created: AtomicBool,
    /// Ten times in a row, an image moves on after so long.
    images: Duration,
}

/// The first container that is created comes so long after it was asked for.
pub(crate) fn backend(world: &Arc<World>, installation: &InstallationId, create: Duration) -> Backend {
    pair(world, installation, create, Duration::ZERO)
}

/// Images take ten times so long, and tell each time that they move on.
pub(crate) fn slow_images(world: &Arc<World>, installation: &InstallationId, images: Duration) -> Backend {
    pair(world, installation, Duration::ZERO, images)
}

fn pair(world: &Arc<World>, installation: &InstallationId, create: Duration, images: Duration) -> Backend {
    let inner = SimulatedContainers::new(Arc::clone(world));
    let containers = Late { inner, create, created: AtomicBool::new(create.is_zero()), images };
    let network = SimulatedNetwork::new(Arc::clone(world), installation.clone());
    Backend::pair(Arc::new(containers), Arc::new(network)).expect("they go together")
}

#[async_trait]
impl ContainerDriver for Late {
    fn offers(&self) -> Offers {
        self.inner.offers()
    }

    async fn info(&self) -> DriverResult<EngineInfo> {
        self.inner.info().await
    }

    async fn ensure_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> DriverResult<ImageView> {
        for _ in 0..10 {
            tokio::time::sleep(self.images).await;
            let event = ProgressEvent { subject: reference.to_owned(), status: "on".to_owned(), bytes: None };
            progress.report(event);
        }
        self.inner.ensure_image(reference, policy, progress).await
    }

    async fn build_image(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<ImageView> {
        self.inner.build_image(spec, progress).await
    }

    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>> {
        if self.created.swap(true, Ordering::SeqCst) {
            return self.inner.create(spec).await;
        }
        let (inner, spec, late) = (self.inner.clone(), spec.clone(), self.create);
        let created = tokio::spawn(async move {
            tokio::time::sleep(late).await;
            inner.create(&spec).await
        });
        created.await.expect("no panic")
    }

    async fn start(&self, owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint> {
        self.inner.start(owner, name).await
    }

    async fn stop(&self, owner: &Owner, name: &EngineName, grace: Duration) -> DriverResult<()> {
        self.inner.stop(owner, name, grace).await
    }

    async fn remove(&self, owner: &Owner, name: &EngineName) -> DriverResult<()> {
        self.inner.remove(owner, name).await
    }

    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>> {
        self.inner.inspect(name).await
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>> {
        self.inner.list_owned(installation).await
    }

    async fn taken(&self, installation: &InstallationId) -> DriverResult<Taken> {
        self.inner.taken(installation).await
    }

    fn watch(&self, installation: &InstallationId) -> Option<Box<dyn ContainerWatch>> {
        self.inner.watch(installation)
    }

    fn exec(&self) -> Option<&dyn Exec> {
        ContainerDriver::exec(&self.inner)
    }

    fn logs(&self) -> Option<&dyn Logs> {
        ContainerDriver::logs(&self.inner)
    }
}
