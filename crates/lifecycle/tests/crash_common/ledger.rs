//! What clients have asked for and been told: what a kill must not take back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use llcm_lifecycle::request::{InstanceState, ServiceRef, ServiceView};
use llcm_lifecycle::{Dialect, ErrorCode, LifecycleError, Orchestrator};
use llcm_names::{InstanceId, RequestId, ServiceId};
use llcm_runtime::simulated::{ContainerSnapshot, PortSnapshot, Snapshot, World};
use llcm_runtime::{ContainerState, SegmentSpec};

use crate::common::upload;

/// How far a removal or termination is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Ending {
    #[default]
    NotAsked,
    /// Asked for; no answer yet.
    Asked,
    /// Accepted: it will come to pass.
    Accepted,
    /// It has come to pass.
    Done,
}

#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) view: ServiceView,
    pub(crate) ending: Ending,
}

#[derive(Debug, Clone)]
pub(crate) struct Instance {
    pub(crate) request: RequestId,
    /// What the client was told came of it; `None`: nothing yet.
    pub(crate) made: Option<bool>,
    /// What it had in the world when it had been made.
    pub(crate) part: Option<Part>,
    pub(crate) ending: Ending,
    pub(crate) ending_request: Option<RequestId>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    pub(crate) services: BTreeMap<ServiceId, Service>,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    /// Uploads without an answer.
    pub(crate) pushing: usize,
    /// Instantiations without an answer.
    pub(crate) beginning: usize,
    /// Units of all instances whose planning was acknowledged.
    pub(crate) placed: u64,
    /// Whether the server makes service access points.
    pub(crate) saps: bool,
}

/// What an instance has in the world.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    pub(crate) containers: Vec<ContainerSnapshot>,
    pub(crate) ports: Vec<PortSnapshot>,
    pub(crate) segments: Vec<SegmentSpec>,
}

impl Part {
    pub(crate) fn of(snapshot: Snapshot, is_its: impl Fn(InstanceId) -> bool) -> Self {
        let mut part =
            Self { containers: snapshot.containers, ports: snapshot.ports, segments: snapshot.segments };
        part.containers.retain(|it| it.owner.as_ref().is_some_and(|owner| is_its(owner.instance)));
        part.ports.retain(|it| is_its(it.spec.owner.instance));
        part.segments.retain(|it| is_its(it.owner.instance));
        part
    }

    pub(crate) fn is_whole(&self) -> bool {
        let runs = |it: &ContainerSnapshot| it.state == ContainerState::Running && it.waiting_for.is_empty();
        self.containers.iter().all(runs) && self.ports.iter().all(|port| port.alive)
    }
}

/// A client that keeps the ledger.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) llcm: Arc<Orchestrator>,
    pub(crate) world: Arc<World>,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
}

impl Client {
    fn note<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        change(&mut self.ledger.lock().expect("nobody has panicked"))
    }

    fn noted(&self, id: InstanceId, change: impl FnOnce(&mut Instance)) {
        self.note(|ledger| change(ledger.instances.get_mut(&id).expect("it is known")));
    }

    pub(crate) async fn push(&self, package: &[u8]) -> Result<ServiceView, LifecycleError> {
        let upload = upload(&self.llcm, package);
        self.note(|ledger| ledger.pushing += 1);
        let told = self.llcm.onboard(upload, Dialect::Tango).await;
        self.note(|ledger| {
            ledger.pushing -= 1;
            if let Ok(view) = &told {
                let service = Service { view: view.clone(), ending: Ending::NotAsked };
                ledger.services.insert(view.id, service);
            }
        });
        told
    }

    pub(crate) async fn remove(&self, id: ServiceId) -> Result<(), LifecycleError> {
        let set = |ending| {
            self.note(|ledger| {
                if let Some(service) = ledger.services.get_mut(&id) {
                    service.ending = service.ending.max(ending);
                }
            });
        };
        set(Ending::Asked);
        let told = self.llcm.remove_service(id).await;
        match &told {
            Ok(()) => set(Ending::Done),
            // Refused, and nobody else has asked for it: clients of a service take turns here.
            Err(error) if error.code == ErrorCode::ServiceInUse => {
                self.note(|ledger| ledger.services.get_mut(&id).expect("known").ending = Ending::NotAsked);
            }
            Err(_) => {}
        }
        told
    }

    /// Begins an instance.
    pub(crate) async fn begin(&self, service: ServiceId) -> Result<InstanceId, LifecycleError> {
        self.note(|ledger| ledger.beginning += 1);
        let told = self.llcm.instantiate(&ServiceRef::Given(service.to_string())).await;
        self.note(|ledger| {
            ledger.beginning -= 1;
            let request = told?;
            let (id, instances) = (request.instance_id, self.llcm.instances(true));
            let units = instances.iter().find(|it| it.id == id).map_or(0, |it| it.containers.len());
            ledger.placed += units as u64;
            let ending = (Ending::NotAsked, None);
            let (request, ending, ending_request) = (request.id, ending.0, ending.1);
            ledger.instances.insert(id, Instance { request, made: None, part: None, ending, ending_request });
            Ok(id)
        })
    }

    /// Waits for what comes of an instance; whether it runs.
    pub(crate) async fn made(&self, id: InstanceId) -> bool {
        let request = self.note(|ledger| ledger.instances[&id].request);
        let made = self.llcm.wait(request).await.is_ok();
        let part = made.then(|| Part::of(self.world.snapshot(), |owner| owner == id));
        self.noted(id, |it| {
            it.made = Some(made);
            it.part = part;
        });
        made
    }

    pub(crate) async fn up(&self, service: ServiceId) -> InstanceId {
        let id = self.begin(service).await.expect("it is planned");
        self.made(id).await;
        id
    }

    /// Terminates an instance; whether it is gone.
    pub(crate) async fn down(&self, id: InstanceId) -> bool {
        self.noted(id, |it| it.ending = it.ending.max(Ending::Asked));
        let Ok(request) = self.llcm.terminate(id).await else { return false };
        self.noted(id, |it| {
            it.ending = it.ending.max(Ending::Accepted);
            it.ending_request = Some(request.id);
        });
        let gone = self.llcm.wait(request.id).await.is_ok();
        self.noted(id, |it| match gone {
            true => it.ending = Ending::Done,
            // Told, and to be asked for again.
            false => it.ending_request = None,
        });
        gone
    }

    pub(crate) fn state(&self, id: InstanceId) -> Option<InstanceState> {
        self.llcm.instances(true).iter().find(|it| it.id == id).map(|it| it.state)
    }
}
