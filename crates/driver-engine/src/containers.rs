//! The container driver's trait.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use llcm_engine::{Damaged, Status};
use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::{
    AttachPoint, Bind, BuildSpec, ContainerDriver, ContainerSpec, ContainerView, ContainerWatch,
    DriverResult, EngineInfo, ErrorKind, Exec, ImageView, Logs, Offers, Progress, PullPolicy, Taken, host,
    labels,
};

use crate::driver::{EngineContainers, attach_point, damaged_view, held_by, owner_of, view};
use crate::map_error::Attempt;
use crate::watch::EngineWatch;
use crate::{images, spec};

#[async_trait]
impl ContainerDriver for EngineContainers {
    fn offers(&self) -> Offers {
        Offers { netns: true, netns_before_start: true, management: false, engine: Self::id() }
    }

    async fn info(&self) -> DriverResult<EngineInfo> {
        let limits = self.engine.powers().limits.iter();
        let missing = limits.filter_map(|(name, power)| Some((name.clone(), power.clone().err()?)));
        Ok(EngineInfo {
            name: Self::ENGINE.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cpus: host::cpus().unwrap_or_default(),
            memory_bytes: host::memory_bytes().unwrap_or_default(),
            // Of published ports: the engine's own addresses.
            networks: vec![llcm_engine::PUBLISH_NETWORK.to_owned()],
            warnings: self.engine.damaged().iter().map(damaged_warning).collect(),
            missing_limits: missing.collect(),
        })
    }

    async fn ensure_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> DriverResult<ImageView> {
        images::ensure(self, reference, policy, progress).await
    }

    async fn build_image(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<ImageView> {
        images::build(self, spec, progress).await
    }

    async fn check(&self, spec: &ContainerSpec) -> DriverResult<()> {
        let attempt = Attempt::new("check container", spec.name.as_str());
        let wanted = spec::engine_spec(spec, self.meant(&spec.image))?;
        let first = host::first_free_port();
        let reserved = spec.published.iter().find(|port| port.host.get() < first);
        if let Some(port) = reserved.filter(|_| !self.engine.powers().root) {
            let message = format!(
                "port {} of the host is reserved for root: publish from {first} on, or run this as root",
                port.host
            );
            return Err(attempt.error(ErrorKind::Denied, message));
        }
        self.call(attempt, move |engine| engine.check(&wanted)).await
    }

    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>> {
        let attempt = Attempt::new("create container", spec.name.as_str());
        let meant = self.meant(&spec.image).to_owned();
        let wanted = spec::engine_spec(spec, &meant)?;
        make_binds(attempt, &spec.binds).await?;
        match self.call(attempt, move |engine| engine.create(wanted)).await {
            Ok(made) => Ok(Some(attach_point(made.network, &spec.name, &made.status))),
            Err(error) => {
                // Perhaps the name is taken: by the same container already, or by another one?
                let Some(found) = self.look(attempt, &spec.name).await? else { return Err(error) };
                let holder = owner_of(&found);
                if holder.as_ref() != Some(&spec.owner) {
                    return Err(attempt.error(ErrorKind::Conflict, held_by(holder.as_ref())));
                }
                if found.spec.labels.get(labels::SPEC) != Some(&labels::digest(spec)) {
                    let message = "exists already and was created with another specification";
                    return Err(attempt.error(ErrorKind::Conflict, message));
                }
                let text = spec.name.to_string();
                let network = self.call(attempt, move |engine| engine.network(&text)).await?;
                Ok(Some(attach_point(network, &spec.name, &found.status)))
            }
        }
    }

    async fn start(&self, owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint> {
        let attempt = Attempt::new("start container", name.as_str());
        let absent = || attempt.error(ErrorKind::NotFound, "there is no container of that name");
        let found = self.owned(attempt, owner, name).await?.ok_or_else(absent)?;
        if !is_running(&found.status) {
            let text = name.to_string();
            let started = self.call(attempt, move |engine| engine.start(&text)).await;
            if let Err(error) = started {
                // Somebody else may have been faster.
                let now = self.look(attempt, name).await?;
                if !now.is_some_and(|now| is_running(&now.status)) {
                    return Err(error);
                }
            }
        }
        let found = self.owned(attempt, owner, name).await?.ok_or_else(absent)?;
        Ok(attach_point(found.network, name, &found.status))
    }

    async fn stop(&self, owner: &Owner, name: &EngineName, grace: Duration) -> DriverResult<()> {
        let attempt = Attempt::new("stop container", name.as_str());
        if self.owned(attempt, owner, name).await?.is_none() {
            return Ok(());
        }
        let text = name.to_string();
        absent_is_fine(self.call(attempt, move |engine| engine.stop(&text, grace)).await)
    }

    async fn remove(&self, owner: &Owner, name: &EngineName) -> DriverResult<()> {
        let attempt = Attempt::new("remove container", name.as_str());
        if self.is_damaged(attempt, owner, name)? {
            let text = name.to_string();
            return self.call(attempt, move |engine| engine.remove_damaged(&text).map(drop)).await;
        }
        if self.owned(attempt, owner, name).await?.is_none() {
            return Ok(());
        }
        let text = name.to_string();
        absent_is_fine(self.call(attempt, move |engine| engine.remove(&text)).await)
    }

    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>> {
        let found = self.look(Attempt::new("inspect container", name.as_str()), name).await?;
        let damaged =
            || self.engine.damaged().iter().find(|it| it.name == name.as_str()).and_then(damaged_view);
        Ok(found.as_ref().and_then(view).or_else(damaged))
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>> {
        let attempt = Attempt::new("list containers", installation.as_str());
        let all = self.call(attempt, |engine| engine.list()).await?;
        let is_ours =
            |view: &ContainerView| view.owner.as_ref().is_some_and(|it| it.installation == *installation);
        let damaged = self.engine.damaged();
        Ok(all
            .iter()
            .filter_map(view)
            .chain(damaged.iter().filter_map(damaged_view))
            .filter(is_ours)
            .collect())
    }

    async fn taken(&self, installation: &InstallationId) -> DriverResult<Taken> {
        let attempt = Attempt::new("ask what is taken", Self::ENGINE);
        let all = self.call(attempt, |engine| engine.list()).await?;
        let others = all.iter().filter(|it| owner_of(it).is_none_or(|it| it.installation != *installation));
        let others: Vec<_> = others.map(|it| it.spec.name.clone()).collect();
        // Nobody can give such a name away until it is removed.
        let damaged = self.engine.damaged().into_iter().map(|it| it.name);
        let names =
            others.into_iter().chain(damaged).filter_map(|name| EngineName::parse(&name).ok()).collect();
        let failed = |error: tokio::task::JoinError| attempt.error(ErrorKind::Failed, error.to_string());
        let ports = tokio::task::spawn_blocking(host::listening).await.map_err(failed)??;
        Ok(Taken { names, ports })
    }

    async fn cleanup(&self, installation: &InstallationId) -> DriverResult<()> {
        let attempt = Attempt::new("clean up after", installation.as_str());
        self.call(attempt, |engine| {
            // Nobody asks for those by an instance.
            for damaged in engine.damaged().iter().filter(|it| it.labels.is_none()) {
                engine.remove_damaged(&damaged.name)?;
            }
            if engine.list()?.is_empty() && engine.damaged().is_empty() {
                engine.remove_leftovers();
            }
            Ok(())
        })
        .await
    }

    fn watch(&self, installation: &InstallationId) -> Option<Box<dyn ContainerWatch>> {
        Some(Box::new(EngineWatch::new(self, installation)))
    }

    fn exec(&self) -> Option<&dyn Exec> {
        Some(self)
    }

    fn logs(&self) -> Option<&dyn Logs> {
        Some(self)
    }
}

fn damaged_warning(damaged: &Damaged) -> String {
    let Damaged { name, reason, .. } = damaged;
    format!("container {name} is damaged and can only be removed: {reason}")
}

fn is_running(status: &Status) -> bool {
    matches!(status, Status::Running { .. })
}

/// Somebody else has removed it meanwhile.
fn absent_is_fine(result: DriverResult<()>) -> DriverResult<()> {
    match result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Makes the directories of the host that are to be bound and are not there.
async fn make_binds(attempt: Attempt<'_>, binds: &[Bind]) -> DriverResult<()> {
    let missing: Vec<PathBuf> =
        binds.iter().map(|bind| bind.host.clone()).filter(|path| path.is_absolute()).collect();
    for path in missing {
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            continue;
        }
        let made = tokio::fs::create_dir_all(&path).await;
        made.map_err(|error| attempt.io(&format!("make directory {}", path.display()), &error))?;
    }
    Ok(())
}
