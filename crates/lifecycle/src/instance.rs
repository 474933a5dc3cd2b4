//! A live instance in memory: its record, what was last seen of its containers, and who may work on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llcm_names::{ContainerName, DcName, EngineName, InstanceId, Owner, ServiceId};
use llcm_runtime::{ContainerState, EngineId, ImageView};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::ServiceRecord;
use crate::error::{ErrorCode, LifecycleError};
use crate::journal::InstanceRecord;
use crate::known::it_has;
use crate::plan::{ContainerPlan, InstancePlan};
use crate::request::{InstanceState, InstanceView};
use crate::watching::{Watched, reasons};

mod view;

/// An instance and everything that goes on with it.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) plan: Arc<InstancePlan>,
    /// The engines of its data centers; one that is not named has the default one.
    pub(crate) engines: BTreeMap<DcName, EngineId>,
    /// Its service as it was when the instance was planned.
    pub(crate) service: Arc<ServiceRecord>,
    /// Held by the one task that makes it or takes it down.
    pub(crate) operation: Arc<tokio::sync::Mutex<()>>,
    /// Says to a creation in progress that it is not wanted any more.
    pub(crate) called_off: CancellationToken,
    /// The start scripts that run in the background.
    pub(crate) scripts: TaskTracker,
    /// Says to the start scripts' tasks that nobody waits for the scripts any more.
    pub(crate) scripts_over: CancellationToken,
    /// Woken when what is stuck is worth another try.
    pub(crate) retry_now: tokio::sync::Notify,
    memory: Mutex<Memory>,
}

/// What changes while an instance lives.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) record: InstanceRecord,
    /// What the engine last said of each container.
    pub(crate) seen: BTreeMap<EngineName, ContainerState>,
    /// How often those who work on the instance have changed what is known of it. Whoever only looks at it, beside
    /// them, does not put what it saw before in the place of what they know by now.
    pub(crate) changes: u64,
    /// The engine's own addresses of containers, as last told.
    pub(crate) management: BTreeMap<EngineName, String>,
    /// Steps done and in all, of what goes on now.
    pub(crate) progress: (usize, usize),
    /// The latest step that was begun, in words.
    pub(crate) activity: String,
    /// What is watched.
    pub(crate) watched: Watched,
    /// Ends the wait for the next try, when somebody else tries before.
    pub(crate) retry_over: CancellationToken,
}

impl Instance {
    pub(crate) fn new(record: InstanceRecord, service: Arc<ServiceRecord>) -> Self {
        Self {
            id: record.id(),
            plan: Arc::clone(&record.planned.plan),
            engines: record.planned.engines.clone(),
            service,
            operation: Arc::default(),
            called_off: CancellationToken::new(),
            scripts: TaskTracker::new(),
            scripts_over: CancellationToken::new(),
            retry_now: tokio::sync::Notify::new(),
            memory: Mutex::new(Memory {
                record,
                seen: BTreeMap::new(),
                changes: 0,
                management: BTreeMap::new(),
                progress: (0, 0),
                activity: String::new(),
                watched: Watched::default(),
                retry_over: CancellationToken::new(),
            }),
        }
    }

    /// What changes. Held for moments only, never across an await.
    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.plan.owner
    }

    pub(crate) fn service_id(&self) -> ServiceId {
        self.service.view.id
    }

    pub(crate) fn state(&self) -> InstanceState {
        self.memory().record.state
    }

    /// What is known of a container's image in its engine.
    pub(crate) fn image(&self, container: &ContainerPlan) -> Option<&ImageView> {
        let reference = &container.spec.image;
        match self.engines.get(container.datacenter()) {
            Some(engine) => self.service.image(engine, reference),
            None => self.service.images.get(reference),
        }
    }

    pub(crate) fn container(&self, name: &ContainerName) -> Result<&ContainerPlan, LifecycleError> {
        self.plan.containers.iter().find(|container| container.name == *name).ok_or_else(|| {
            let known: Vec<_> = self.plan.containers.iter().map(|c| c.name.as_str()).collect();
            LifecycleError::new(
                ErrorCode::ContainerNotFound,
                format!("instance {} has no container {name}{}", self.id, it_has(&known)),
            )
        })
    }

    /// What clients see.
    pub(crate) fn view(&self) -> InstanceView {
        view::view(self, &self.memory())
    }

    /// What clients see who have had its containers looked at just now: a running one that lacks some is degraded, though
    /// nobody may have written that down yet.
    pub(crate) fn view_now(&self) -> InstanceView {
        let memory = self.memory();
        let mut view = view::view(self, &memory);
        let runs = |state: Option<ContainerState>| state == Some(ContainerState::Running);
        if view.state == InstanceState::Running && !view.containers.iter().all(|it| runs(it.state)) {
            view.state = InstanceState::Degraded;
            view.reasons = reasons(&self.plan, &memory);
        }
        view
    }
}
