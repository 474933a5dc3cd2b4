//! The driver: what it holds, and how it finds containers and checks whose they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use llcm_engine::image::normal_reference;
use llcm_engine::{Damaged, Engine, EngineError, Exit, Inspected, Status};
use llcm_names::{EngineName, Owner};
use llcm_runtime::{AttachPoint, ContainerState, ContainerView, DriverResult, EngineId, ErrorKind, labels};

use crate::map_error::Attempt;
use crate::source::ImageSource;

/// How the driver works.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineOptions {
    /// Images to be taken in place of others, by the name that a package asks for: `ubuntu:trusty` -> `host`.
    pub image_map: BTreeMap<String, String>,
}

/// Runs containers with the embedded engine.
#[derive(Clone)]
pub struct EngineContainers {
    pub(crate) engine: Arc<Engine>,
    /// By their normal form, so that `ubuntu` and `ubuntu:latest` are one.
    pub(crate) image_map: Arc<BTreeMap<String, String>>,
    pub(crate) sources: Arc<[Arc<dyn ImageSource>]>,
}

impl std::fmt::Debug for EngineContainers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sources: Vec<_> = self.sources.iter().map(|source| source.name()).collect();
        f.debug_struct("EngineContainers").field("engine", &self.engine).field("sources", &sources).finish()
    }
}

impl EngineContainers {
    /// The name of the engine, for pairing with network drivers.
    pub const ENGINE: &str = "embedded";

    /// The driver of an engine. Images that the engine's store has not are looked for in `sources`, in order.
    #[must_use]
    pub fn new(engine: Arc<Engine>, options: EngineOptions, sources: Vec<Arc<dyn ImageSource>>) -> Self {
        let map = options.image_map.into_iter();
        let map = map.map(|(asked, taken)| (normal_reference(&asked), taken)).collect();
        Self { engine, image_map: Arc::new(map), sources: sources.into() }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn id() -> EngineId {
        EngineId::new(Self::ENGINE)
    }

    /// What an image name stands for.
    pub(crate) fn meant<'a>(&'a self, reference: &'a str) -> &'a str {
        self.image_map.get(&normal_reference(reference)).map_or(reference, String::as_str)
    }

    /// Calls the engine on a thread that may block. The call goes on to its end when the caller gives up.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        attempt: Attempt<'_>,
        work: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> DriverResult<T> {
        let engine = Arc::clone(&self.engine);
        match tokio::task::spawn_blocking(move || work(&engine)).await {
            Ok(result) => result.map_err(|error| attempt.engine(&error)),
            Err(error) => {
                Err(attempt.error(ErrorKind::Failed, format!("a thread ended abnormally: {error}")))
            }
        }
    }

    /// Looks at a container.
    pub(crate) async fn look(
        &self,
        attempt: Attempt<'_>,
        name: &EngineName,
    ) -> DriverResult<Option<Inspected>> {
        let name = name.to_string();
        self.call(attempt, move |engine| engine.inspect(&name)).await
    }

    /// The container of that name, if it is the owner's; `None` when there is none.
    ///
    /// # Errors
    /// `Conflict` when somebody else's container has the name.
    pub(crate) async fn owned(
        &self,
        attempt: Attempt<'_>,
        owner: &Owner,
        name: &EngineName,
    ) -> DriverResult<Option<Inspected>> {
        let Some(found) = self.look(attempt, name).await? else { return Ok(None) };
        let holder = owner_of(&found);
        if holder.as_ref() == Some(owner) {
            return Ok(Some(found));
        }
        Err(attempt.error(ErrorKind::Conflict, held_by(holder.as_ref())))
    }
}

impl EngineContainers {
    /// Whether there is a damaged container of that name which the owner may remove. One that has lost its marks may be
    /// removed by whoever knows its name: the engine's directory is one installation's alone.
    ///
    /// # Errors
    /// `Conflict` when it is somebody else's.
    pub(crate) fn is_damaged(
        &self,
        attempt: Attempt<'_>,
        owner: &Owner,
        name: &EngineName,
    ) -> DriverResult<bool> {
        let Some(found) = self.engine.damaged().into_iter().find(|it| it.name == name.as_str()) else {
            return Ok(false);
        };
        let holder = found.labels.and_then(|labels| labels::owner(|key| labels.get(key)));
        match holder {
            Some(holder) if holder != *owner => {
                Err(attempt.error(ErrorKind::Conflict, held_by(Some(&holder))))
            }
            _ => Ok(true),
        }
    }
}

/// A damaged container as the contract describes it: what its labels say.
pub(crate) fn damaged_view(found: &Damaged) -> Option<ContainerView> {
    let name = EngineName::parse(&found.name).ok()?;
    let label = |key: &str| found.labels.as_ref().and_then(|labels| labels.get(key));
    Some(ContainerView {
        id: found.name.clone(),
        owner: labels::owner(label),
        datacenter: labels::datacenter(label),
        image: label(labels::IMAGE).cloned().unwrap_or_default(),
        state: ContainerState::Damaged,
        attach: None,
        management_address: None,
        name,
    })
}

/// Whose a container is; `None` for one that another program has made in the engine.
pub(crate) fn owner_of(found: &Inspected) -> Option<Owner> {
    labels::owner(|key| found.spec.labels.get(key))
}

/// Who holds a name, in words.
pub(crate) fn held_by(owner: Option<&Owner>) -> String {
    match owner {
        Some(owner) => format!(
            "the name is held by a container of instance {} of installation {}",
            owner.instance, owner.installation
        ),
        None => {
            "the name is held by a container without a mark; it is left alone: rename or remove it".to_owned()
        }
    }
}

/// How network drivers reach a container.
pub(crate) fn attach_point(network: PathBuf, name: &EngineName, status: &Status) -> AttachPoint {
    let run = match status {
        Status::Running { pid } => Some(run(*pid)),
        Status::Created | Status::Ended(_) => None,
    };
    AttachPoint { netns: Some(network), engine: Some((EngineContainers::id(), name.to_string())), run }
}

/// A process, told from later ones of the same number by when it began (proc(5), field 22 of `stat`).
fn run(pid: i32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    format!("{pid}.{}", after_name.split_whitespace().nth(19).unwrap_or_default())
}

/// A container as the contract describes it; `None` for one whose name no driver gives.
pub(crate) fn view(found: &Inspected) -> Option<ContainerView> {
    let name = EngineName::parse(&found.spec.name).ok()?;
    let label = |key: &str| found.spec.labels.get(key);
    let state = match found.status {
        Status::Created => ContainerState::Created,
        Status::Running { .. } => ContainerState::Running,
        Status::Ended(Exit { code, .. }) => ContainerState::Exited { code: code.map(i64::from) },
    };
    let runs = state == ContainerState::Running;
    Some(ContainerView {
        id: found.spec.name.clone(),
        owner: owner_of(found),
        datacenter: labels::datacenter(label),
        image: label(labels::IMAGE).unwrap_or(&found.spec.image).clone(),
        state,
        attach: runs.then(|| attach_point(found.network.clone(), &name, &found.status)),
        management_address: found.management.map(|address| address.to_string()),
        name,
    })
}
