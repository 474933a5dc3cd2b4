//! The container driver's trait: which requests make up which step.

use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::{
    AttachPoint, BuildSpec, ContainerDriver, ContainerSpec, ContainerView, ContainerWatch, DriverResult,
    EngineInfo, ErrorKind, Exec, ImageView, Logs, Offers, Progress, PullPolicy, Taken, labels,
};

use crate::create_body::{Held, create_body, needs_gate};
use crate::driver::{DockerContainers, held_by};
use crate::gate::{self, Gate};
use crate::images;
use crate::map_error::Attempt;
use crate::watch::DockerWatch;

/// How many containers are looked at at a time.
const LOOKS: usize = 8;
/// The pause between two looks at a container that is being removed by somebody else.
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

#[async_trait]
impl ContainerDriver for DockerContainers {
    fn offers(&self) -> Offers {
        Offers { netns: true, netns_before_start: false, management: true, engine: Self::engine() }
    }

    async fn info(&self) -> DriverResult<EngineInfo> {
        crate::info::info(&self.client).await
    }

    async fn ensure_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> DriverResult<ImageView> {
        images::ensure(&self.client, reference, policy, progress).await
    }

    async fn build_image(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<ImageView> {
        crate::build::build(&self.client, spec, progress).await
    }

    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>> {
        let attempt = Attempt::new("create container", spec.name.as_str());
        let image = images::reference(attempt, &spec.image)?;
        let body = if spec.interfaces.is_empty() {
            create_body(spec, None)?
        } else {
            // Looked at each time: the name may stand for another image by now.
            let view = images::find(&self.client, &image).await?.ok_or_else(|| {
                attempt.error(ErrorKind::NotFound, format!("the engine has no image {}", spec.image))
            })?;
            if needs_gate(spec, &view) {
                let gate = self.gate(&spec.owner.installation);
                let gate = gate.ensure()?.display().to_string();
                create_body(spec, Some(&Held { image: &view, gate: &gate }))?
            } else {
                create_body(spec, None)?
            }
        };
        let options = CreateContainerOptionsBuilder::new().name(spec.name.as_str()).build();
        match self.client.call(attempt, |docker| docker.create_container(Some(options), body)).await {
            Ok(created) => {
                for warning in &created.warnings {
                    log::warn!("container {}: the engine says: {warning}", spec.name);
                }
                self.remember(&spec.name, &spec.owner, &created.id);
                Ok(None)
            }
            Err(error) if error.kind == ErrorKind::Conflict => {
                // The name is taken: by the same container already, or by another one?
                match self.look(attempt, spec.name.as_str()).await? {
                    Some(found) if found.owner.as_ref() != Some(&spec.owner) => {
                        Err(attempt.error(ErrorKind::Conflict, held_by(found.owner.as_ref())))
                    }
                    Some(found) if found.spec.as_deref() != Some(labels::digest(spec).as_str()) => {
                        let message = "exists already and was created with another specification";
                        Err(attempt.error(ErrorKind::Conflict, message))
                    }
                    Some(found) => {
                        self.remember(&spec.name, &spec.owner, &found.id);
                        Ok(None)
                    }
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    async fn start(&self, owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint> {
        let attempt = Attempt::new("start container", name.as_str());
        let absent = || attempt.error(ErrorKind::NotFound, "there is no container of that name");
        let owned = self.owned(attempt, owner, name).await?.ok_or_else(absent)?;
        let gate = self.gate(&owner.installation);
        let id = match self.start_id(attempt, owned.id, &gate).await {
            Err(error) if error.kind == ErrorKind::NotFound && owned.remembered => {
                // It was removed behind our back; perhaps there is a new one.
                let found = self.look_owned(attempt, owner, name).await?.ok_or_else(absent)?;
                self.start_id(attempt, found.id, &gate).await?
            }
            result => result?,
        };
        let found = self.look(attempt, &id).await?.ok_or_else(absent)?;
        let point = found.attach_point(&Self::engine(), name);
        if point.netns.is_none() && found.is_live() {
            return Err(attempt.error(
                ErrorKind::Unsupported,
                "the engine's processes cannot be seen from here: run this program on the engine's host, in \
                 its PID namespace (docker run --pid=host)",
            ));
        }
        Ok(point)
    }

    async fn stop(&self, owner: &Owner, name: &EngineName, grace: Duration) -> DriverResult<()> {
        let attempt = Attempt::new("stop container", name.as_str());
        // Never from memory: whether the process still waits at the gate decides how to stop it.
        let Some(found) = self.look_owned(attempt, owner, name).await? else { return Ok(()) };
        if !found.is_live() {
            return Ok(());
        }
        let waits = found.process_is_visible() && found.pid.is_some_and(gate::still_waits);
        let grace = if waits { Duration::ZERO } else { grace };
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let deadline = self.client.deadlines().request.saturating_add(grace);
        let stop = self
            .client
            .call_within(deadline, attempt, |docker| docker.stop_container(&found.id, Some(options)));
        match stop.await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    async fn remove(&self, owner: &Owner, name: &EngineName) -> DriverResult<()> {
        let attempt = Attempt::new("remove container", name.as_str());
        let Some(owned) = self.owned(attempt, owner, name).await? else { return Ok(()) };
        let removed = self.remove_id(attempt, &owned.id).await?;
        if !removed
            && owned.remembered
            && let Some(found) = self.look_owned(attempt, owner, name).await?
        {
            // What was remembered had gone already, and another one of ours has the name.
            self.remove_id(attempt, &found.id).await?;
        }
        self.forget(name);
        Ok(())
    }

    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>> {
        let found = self.look(Attempt::new("inspect container", name.as_str()), name.as_str()).await?;
        Ok(found.map(|found| found.view(&Self::engine(), name)))
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>> {
        let attempt = Attempt::new("list containers", installation.as_str());
        let label = format!("{}={installation}", Owner::LABEL_INSTALLATION);
        let options =
            ListContainersOptionsBuilder::new().all(true).filters(&[("label", vec![label])].into()).build();
        let listed = self.client.call(attempt, |docker| docker.list_containers(Some(options))).await?;
        let ids = listed.into_iter().filter_map(|container| container.id);
        let mut views: Vec<ContainerView> = stream::iter(ids)
            .map(|id| async move { self.look(attempt, &id).await })
            .buffer_unordered(LOOKS)
            .try_filter_map(|found| async move {
                // None: it went away since it was listed.
                Ok(found.and_then(|found| found.name().map(|name| found.view(&Self::engine(), &name))))
            })
            .try_collect()
            .await?;
        views.retain(|view| view.owner.as_ref().is_some_and(|owner| owner.installation == *installation));
        views.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(views)
    }

    async fn taken(&self, installation: &InstallationId) -> DriverResult<Taken> {
        crate::taken::taken(&self.client, installation).await
    }

    async fn cleanup(&self, installation: &InstallationId) -> DriverResult<()> {
        self.gate(installation).remove()
    }

    fn watch(&self, installation: &InstallationId) -> Option<Box<dyn ContainerWatch>> {
        Some(Box::new(DockerWatch::new(&self.client, installation)))
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }
}

impl DockerContainers {
    /// Starts a container by its id, and returns the id.
    async fn start_id(&self, attempt: Attempt<'_>, id: String, gate: &Gate) -> DriverResult<String> {
        let start = || self.client.call(attempt, |docker| docker.start_container(&id, None));
        match start().await {
            // Somebody has cleaned up since it was created.
            Err(error) if error.message.contains(&gate.name()) => {
                gate.ensure()?;
                start().await?;
            }
            result => result?,
        }
        Ok(id)
    }

    /// Removes a container by its id and waits until it is gone; `false`: it was gone already.
    async fn remove_id(&self, attempt: Attempt<'_>, id: &str) -> DriverResult<bool> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let remove = self.client.call(attempt, |docker| docker.remove_container(id, Some(options)));
        match remove.await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            // Somebody else removes it at this moment.
            Err(error) if error.kind == ErrorKind::Conflict => {
                let deadline = self.client.deadlines().request;
                let gone = async {
                    while self.look(attempt, id).await?.is_some() {
                        tokio::time::sleep(REMOVAL_PAUSE).await;
                    }
                    Ok(true)
                };
                tokio::time::timeout(deadline, gone).await.unwrap_or(Err(error))
            }
            result => result.map(|()| true),
        }
    }
}
