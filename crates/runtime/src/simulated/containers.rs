//! The simulated container driver.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Owner};
use sha2::{Digest, Sha256};

use super::faults::Operation;
use super::state::{Container, Refusal, State, held_by, refuse};
use super::watch::SimulatedWatch;
use super::world::World;
use crate::{
    AttachPoint, BuildSpec, ContainerDriver, ContainerSpec, ContainerView, ContainerWatch, DriverResult,
    EngineId, EngineInfo, ErrorKind, Exec, ImageView, Logs, Offers, Progress, ProgressEvent, PullPolicy,
    Taken,
};

/// Runs containers in a [`World`]. Several engines may share one: each has containers and images of its own, and
/// does not see those of the others.
#[derive(Debug, Clone)]
pub struct SimulatedContainers {
    pub(super) world: Arc<World>,
    pub(super) engine: EngineId,
    early: bool,
}

impl SimulatedContainers {
    /// The name of the engine, unless it is given another one.
    pub const ENGINE: &str = "sim";

    /// A driver that, as most engines, makes a container's network namespace at `start`.
    #[must_use]
    pub fn new(world: Arc<World>) -> Self {
        Self { world, engine: Self::default_engine(), early: false }
    }

    /// A driver that makes the network namespace at `create` already, so that interfaces can be attached
    /// before `start`.
    #[must_use]
    pub fn with_early_namespace(world: Arc<World>) -> Self {
        Self { world, engine: Self::default_engine(), early: true }
    }

    /// The same as an engine of another name.
    #[must_use]
    pub fn named(mut self, engine: &str) -> Self {
        self.engine = EngineId::new(engine);
        self
    }

    /// The world.
    #[must_use]
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    pub(super) fn default_engine() -> EngineId {
        EngineId::new(Self::ENGINE)
    }

    /// As [`World::perform`], as a call of this engine.
    pub(super) async fn perform<T>(
        &self,
        operation: Operation,
        target: &str,
        effect: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> DriverResult<T> {
        self.world.perform(Some(&self.engine), operation, target, effect).await
    }
}

#[async_trait]
impl ContainerDriver for SimulatedContainers {
    fn offers(&self) -> Offers {
        Offers { netns: false, netns_before_start: self.early, management: true, engine: self.engine.clone() }
    }

    async fn info(&self) -> DriverResult<EngineInfo> {
        let info = |state: &mut State| {
            Ok(EngineInfo {
                name: "simulated".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                cpus: state.script.cpus.clone(),
                memory_bytes: state.script.memory_bytes,
                networks: Vec::new(),
                warnings: Vec::new(),
                missing_limits: state.script.missing_limits.clone(),
            })
        };
        self.perform(Operation::Info, &self.engine.0, info).await
    }

    async fn ensure_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> DriverResult<ImageView> {
        let report = |status: &str| {
            let (subject, status) = (reference.to_owned(), status.to_owned());
            progress.report(ProgressEvent { subject, status, bytes: None });
        };
        let present = self.world.lock().image(&self.engine, reference).is_some();
        let fetches = policy == PullPolicy::Always || (policy == PullPolicy::IfMissing && !present);
        if fetches {
            report("Pulling");
        }
        let fetch = |state: &mut State| ensure_image(state, &self.engine, reference, policy);
        let image = self.perform(Operation::EnsureImage, reference, fetch).await?;
        if fetches {
            report("Pulled");
        }
        Ok(image)
    }

    async fn build_image(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<ImageView> {
        let dockerfile = spec.context.join(&spec.dockerfile);
        let build = |state: &mut State| {
            if !dockerfile.is_file() {
                return refuse(ErrorKind::Failed, format!("there is no file {}", dockerfile.display()));
            }
            let image = make_image(state, &spec.tag);
            state.images.insert((self.engine.clone(), spec.tag.clone()), image.clone());
            Ok(image)
        };
        let image = self.perform(Operation::BuildImage, &spec.tag, build).await?;
        progress.report(ProgressEvent { subject: spec.tag.clone(), status: "Built".to_owned(), bytes: None });
        Ok(image)
    }

    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>> {
        let create = |state: &mut State| create(state, &self.engine, spec, self.early);
        let point = self.perform(Operation::Create, spec.name.as_str(), create).await?;
        Ok(point.filter(|_| self.early))
    }

    async fn start(&self, owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint> {
        let at = self.world.time();
        let start = |state: &mut State| start(state, &self.engine, owner, name, at);
        self.perform(Operation::Start, name.as_str(), start).await
    }

    async fn stop(&self, owner: &Owner, name: &EngineName, _grace: Duration) -> DriverResult<()> {
        let stop = |state: &mut State| {
            if let Some(container) = state.owned(&self.engine, owner, name)?
                && container.is_live()
            {
                // 128 + SIGTERM: what a process that ends when asked leaves.
                container.end(143);
            }
            Ok(())
        };
        self.perform(Operation::Stop, name.as_str(), stop).await
    }

    async fn remove(&self, owner: &Owner, name: &EngineName) -> DriverResult<()> {
        let remove = |state: &mut State| {
            if state.owned(&self.engine, owner, name)?.is_some() {
                state.containers.remove(name);
            }
            Ok(())
        };
        self.perform(Operation::Remove, name.as_str(), remove).await
    }

    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>> {
        let inspect = |state: &mut State| {
            let found = state.containers.get(name).filter(|container| container.engine == self.engine);
            Ok(found.map(|container| container.view(name)))
        };
        self.perform(Operation::Inspect, name.as_str(), inspect).await
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>> {
        let ours = |container: &Container| {
            container.engine == self.engine
                && container.owner().is_some_and(|owner| owner.installation == *installation)
        };
        let list = |state: &mut State| {
            let owned = state.containers.iter().filter(|(_, container)| ours(container));
            Ok(owned.map(|(name, container)| container.view(name)).collect())
        };
        self.perform(Operation::ListContainers, installation.as_str(), list).await
    }

    async fn taken(&self, installation: &InstallationId) -> DriverResult<Taken> {
        let list = |state: &mut State| Ok(state.taken(&self.engine, installation));
        self.perform(Operation::Taken, installation.as_str(), list).await
    }

    async fn check(&self, spec: &ContainerSpec) -> DriverResult<()> {
        self.perform(Operation::Check, spec.name.as_str(), |_| Ok(())).await
    }

    async fn cleanup(&self, installation: &InstallationId) -> DriverResult<()> {
        self.perform(Operation::Cleanup, installation.as_str(), |_| Ok(())).await
    }

    fn watch(&self, installation: &InstallationId) -> Option<Box<dyn ContainerWatch>> {
        Some(Box::new(SimulatedWatch::new(&self.world, &self.engine, installation)))
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }
}

fn ensure_image(
    state: &mut State,
    engine: &EngineId,
    reference: &str,
    policy: PullPolicy,
) -> Result<ImageView, Refusal> {
    if reference.is_empty() || reference.contains(char::is_whitespace) {
        return refuse(ErrorKind::Invalid, "this is no image reference: expected name[:tag] without blanks");
    }
    let present = state.image(engine, reference).cloned();
    match (policy, present) {
        (PullPolicy::IfMissing | PullPolicy::Never, Some(image)) => Ok(image),
        (PullPolicy::Never, None) => {
            refuse(ErrorKind::NotFound, "the engine does not have it, and fetching is turned off")
        }
        _ if state.script.lacks_image(reference) => {
            refuse(ErrorKind::NotFound, "no registry has it: check the name and the tag")
        }
        _ => {
            let image = make_image(state, reference);
            state.images.insert((engine.clone(), reference.to_owned()), image.clone());
            Ok(image)
        }
    }
}

fn make_image(state: &State, reference: &str) -> ImageView {
    let scripted = state.script.image(reference).cloned().unwrap_or_default();
    let digest: String =
        Sha256::digest(reference.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    ImageView {
        id: format!("sha256:{digest}"),
        environment: scripted.environment,
        entrypoint: scripted.entrypoint,
        command: scripted.command,
    }
}

fn create(
    state: &mut State,
    engine: &EngineId,
    spec: &ContainerSpec,
    early: bool,
) -> Result<Option<AttachPoint>, Refusal> {
    if let Some(container) = state.containers.get_mut(&spec.name) {
        if container.engine != *engine {
            // Ports of the network know their container by its name alone.
            let message = format!("engine {} has a container of that name", container.engine);
            return refuse(ErrorKind::Conflict, message);
        }
        return match &container.spec {
            Some(known) if known == spec => {
                // An ended one gets a new namespace for its next start.
                container.prepared = early && !container.is_live();
                Ok(Some(container.attach_point(&spec.name)))
            }
            Some(known) if known.owner == spec.owner => {
                refuse(ErrorKind::Conflict, "exists already and was created with another specification")
            }
            _ => refuse(ErrorKind::Conflict, held_by(container.owner())),
        };
    }
    if state.image(engine, &spec.image).is_none() {
        return refuse(ErrorKind::NotFound, format!("the engine has no image {}", spec.image));
    }
    state.next_container += 1;
    let mut container = Container::new(state.next_container, engine, &spec.image, Some(spec.clone()));
    container.prepared = early;
    let point = container.attach_point(&spec.name);
    state.containers.insert(spec.name.clone(), container);
    Ok(Some(point))
}

fn start(
    state: &mut State,
    engine: &EngineId,
    owner: &Owner,
    name: &EngineName,
    at: Duration,
) -> Result<AttachPoint, Refusal> {
    let Some(container) = state.owned(engine, owner, name)? else {
        return refuse(ErrorKind::NotFound, "there is no container of that name");
    };
    if container.is_live() {
        return Ok(container.attach_point(name));
    }
    let Some(spec) = container.spec.clone() else {
        return refuse(ErrorKind::Conflict, held_by(None));
    };
    if let Some(device) =
        spec.devices.iter().find(|device| state.script.missing_devices.contains(&device.host))
    {
        return refuse(ErrorKind::Failed, format!("the host has no device {}", device.host.display()));
    }
    for binding in &spec.published {
        if let Some(holder) = state.holder_of(binding, name) {
            let (protocol, port) = (binding.protocol, binding.host);
            return refuse(
                ErrorKind::Conflict,
                format!("port {port}/{protocol} of the host is in use by {holder}"),
            );
        }
    }
    let Some(container) = state.containers.get_mut(name) else {
        return refuse(ErrorKind::NotFound, "there is no container of that name");
    };
    container.run();
    let point = container.attach_point(name);
    state.begin_process(name, at);
    Ok(point)
}
