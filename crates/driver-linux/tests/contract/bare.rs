//! Containers that are nothing but a network namespace.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::{
    AttachPoint, BuildSpec, ContainerDriver, ContainerSpec, ContainerState, ContainerView, DriverError,
    DriverResult, EngineId, EngineInfo, ErrorKind, ImageView, Offers, Progress, PullPolicy,
};

use crate::ip;

/// All containers; clones share them, as drivers of one engine do.
#[derive(Clone, Default)]
pub(crate) struct BareContainers(Arc<Mutex<BTreeMap<EngineName, Container>>>);

struct Container {
    spec: ContainerSpec,
    state: ContainerState,
}

/// The namespace of a container.
pub(crate) fn netns(name: &EngineName) -> String {
    format!("llcmtest-{name}")
}

fn point(name: &EngineName) -> AttachPoint {
    AttachPoint { netns: Some(Path::new("/run/netns").join(netns(name))), engine: None, run: None }
}

fn run(command: &str) -> DriverResult<()> {
    ip(command).map(|_| ()).map_err(|error| DriverError::new(ErrorKind::Failed, "run ip", command, error))
}

impl Container {
    fn stop(&mut self) -> DriverResult<()> {
        if self.state == ContainerState::Running {
            run(&format!("netns del {}", netns(&self.spec.name)))?;
            self.state = ContainerState::Exited { code: Some(0) };
        }
        Ok(())
    }
}

#[async_trait]
impl ContainerDriver for BareContainers {
    fn offers(&self) -> Offers {
        Offers { netns: true, netns_before_start: false, management: false, engine: EngineId::new("bare") }
    }

    async fn info(&self) -> DriverResult<EngineInfo> {
        Ok(EngineInfo {
            name: "bare".to_owned(),
            version: String::new(),
            cpus: Vec::new(),
            memory_bytes: 0,
            networks: Vec::new(),
            warnings: Vec::new(),
            ..EngineInfo::default()
        })
    }

    async fn ensure_image(
        &self,
        reference: &str,
        _policy: PullPolicy,
        _progress: &dyn Progress,
    ) -> DriverResult<ImageView> {
        Ok(ImageView { id: reference.to_owned(), ..ImageView::default() })
    }

    async fn build_image(&self, spec: &BuildSpec, _progress: &dyn Progress) -> DriverResult<ImageView> {
        Err(DriverError::new(ErrorKind::Unsupported, "build image", &spec.tag, "a namespace has no image"))
    }

    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>> {
        let mut containers = self.0.lock().unwrap();
        let made = Container { spec: spec.clone(), state: ContainerState::Created };
        containers.entry(spec.name.clone()).or_insert(made);
        Ok(None)
    }

    async fn start(&self, _owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint> {
        let mut containers = self.0.lock().unwrap();
        let container = containers
            .get_mut(name)
            .ok_or_else(|| DriverError::new(ErrorKind::NotFound, "start", name.as_str(), "not created"))?;
        if container.state != ContainerState::Running {
            run(&format!("netns add {}", netns(name)))?;
            run(&format!("-n {} link set lo up", netns(name)))?;
            container.state = ContainerState::Running;
        }
        Ok(point(name))
    }

    async fn stop(&self, _owner: &Owner, name: &EngineName, _grace: Duration) -> DriverResult<()> {
        self.0.lock().unwrap().get_mut(name).map_or(Ok(()), Container::stop)
    }

    async fn remove(&self, _owner: &Owner, name: &EngineName) -> DriverResult<()> {
        self.0.lock().unwrap().remove(name).map_or(Ok(()), |mut container| container.stop())
    }

    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>> {
        Ok(self.0.lock().unwrap().get(name).map(view))
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>> {
        let containers = self.0.lock().unwrap();
        let owned = containers.values().filter(|it| it.spec.owner.installation == *installation);
        Ok(owned.map(view).collect())
    }
}

impl Drop for Container {
    /// For a suite that panics: no namespace stays.
    fn drop(&mut self) {
        drop(self.stop());
    }
}

fn view(container: &Container) -> ContainerView {
    let running = container.state == ContainerState::Running;
    ContainerView {
        name: container.spec.name.clone(),
        id: netns(&container.spec.name),
        owner: Some(container.spec.owner.clone()),
        datacenter: Some(container.spec.datacenter.clone()),
        image: container.spec.image.clone(),
        state: container.state,
        attach: running.then(|| point(&container.spec.name)),
        management_address: None,
    }
}
