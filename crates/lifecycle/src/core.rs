//! What all operations share: the drivers, the records in memory and on disk, the allocation lock, the tasks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llcm_names::{InstallationId, InstanceId, ServiceId};
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::catalog::ServiceRecord;
use crate::clock::Timestamp;
use crate::error::{ErrorCode, LifecycleError};
use crate::ground::Ground;
use crate::instance::Instance;
use crate::journal::Record;
use crate::parts::Parts;
use crate::plan::PlanState;
use crate::request::{Event, InstanceState, InstanceView, ServiceRef, ServiceView};
use crate::requests::{RequestRecord, Requests};
use crate::schedules::Schedules;
use crate::settings::{Dialect, Settings};
use crate::store::writer::Writer;
use crate::store::{Change, Counters};
use crate::timed::Late;
use crate::{facts, topology, traffic};

/// Events that a slow watcher may fall behind before it misses some.
const EVENTS: usize = 4096;

/// Failed instances whose records are kept; older ones are forgotten.
pub(crate) const KEPT_FAILED: usize = 20;

/// What all operations share.
pub(crate) struct Core {
    pub(crate) parts: Parts,
    /// [`Settings::of`] each dialect: `tango`, `sonata`.
    settings: [Settings; 2],
    pub(crate) installation: InstallationId,
    /// What the engines said of themselves and the host when the server began.
    pub(crate) known: facts::Known,
    /// Data centers and links as they are now; those of [`Parts::topology`] are the file's.
    pub(crate) topology: topology::Current,
    pub(crate) schedules: Arc<Schedules>,
    pub(crate) writer: Writer,
    pub(crate) ground: Ground,
    pub(crate) admission: Admission,
    /// Captures that may still be begun.
    pub(crate) captures: tokio::sync::Semaphore,
    /// Held while something is decided that must not clash with what others decide: a plan, a reservation, the
    /// removal of a service. What is decided is recorded before it is given up.
    pub(crate) allocation: tokio::sync::Mutex<()>,
    /// Held by the upload whose package is deployed by itself, until that is over. Taken before `allocation`.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// The tasks that make instances and take them down, and those that on-board.
    tasks: TaskTracker,
    /// The runtime that the orchestrator was opened on. What goes on outlives whoever asked for it: a server's
    /// workers may have runtimes of their own, which end with them and take their tasks along.
    runtime: tokio::runtime::Handle,
    /// Set when the server shuts down: no new work is taken on.
    pub(crate) closing: CancellationToken,
    /// Set when the work in progress is done: what runs in the background is let go of.
    pub(crate) let_go: CancellationToken,
    /// What came of shutting down, once that is over.
    pub(crate) ended: tokio::sync::Mutex<Option<Result<(), LifecycleError>>>,
    pub(crate) events: broadcast::Sender<Event>,
    /// Calls that were given up.
    pub(crate) late: Arc<Late>,
    state: Mutex<State>,
    /// What waits for something else than this ends with this.
    _closed_with_this: DropGuard,
}

/// The records in memory.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) services: BTreeMap<ServiceId, Arc<ServiceRecord>>,
    /// Live instances and those that failed lately.
    pub(crate) instances: BTreeMap<InstanceId, Arc<Instance>>,
    pub(crate) requests: Requests,
    pub(crate) counters: Counters,
    /// The latest time given by [`Core::stamp`].
    pub(crate) last_stamp: Timestamp,
}

impl Core {
    pub(crate) fn new(
        parts: Parts,
        installation: InstallationId,
        known: facts::Known,
        topology: topology::Current,
        writer: Writer,
        state: State,
        late: Arc<Late>,
    ) -> Self {
        let settings = [Dialect::Tango, Dialect::Sonata].map(|dialect| parts.settings.of(dialect));
        let admission = Admission::new(&parts.settings);
        let closing = CancellationToken::new();
        Self {
            parts,
            settings,
            installation,
            known,
            topology,
            schedules: Arc::default(),
            writer,
            ground: Ground::prepared(),
            admission,
            captures: tokio::sync::Semaphore::new(traffic::CAPTURES),
            allocation: tokio::sync::Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            tasks: TaskTracker::new(),
            runtime: tokio::runtime::Handle::current(),
            _closed_with_this: closing.clone().drop_guard(),
            closing,
            let_go: CancellationToken::new(),
            ended: tokio::sync::Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
            late,
            state: Mutex::new(state),
        }
    }

    /// The settings that hold for a dialect's services.
    pub(crate) fn settings(&self, dialect: Dialect) -> &Settings {
        let [tango, sonata] = &self.settings;
        match dialect {
            Dialect::Tango => tango,
            Dialect::Sonata => sonata,
        }
    }

    /// Starts a task that shutting down waits for.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.tasks.spawn_on(task, &self.runtime)
    }

    /// Starts a task that nobody waits for. It must not hold this while it waits, and ends when [`Core::closing`] is
    /// cancelled.
    pub(crate) fn spawn_apart(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    /// As [`Core::spawn`], for a task that belongs to an instance.
    pub(crate) fn spawn_tracked(
        &self,
        tracker: &TaskTracker,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        tracker.spawn_on(task, &self.runtime);
    }

    /// Waits for all tasks, when no new ones are taken on; false when they do not end in time.
    pub(crate) async fn finish_tasks(&self, limit: Duration) -> bool {
        self.tasks.close();
        tokio::time::timeout(limit, self.tasks.wait()).await.is_ok()
    }

    /// The records in memory. Held for moments only, never across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check_open(&self) -> Result<(), LifecycleError> {
        if self.closing.is_cancelled() {
            return Err(LifecycleError::new(ErrorCode::ShuttingDown, "the server shuts down"));
        }
        Ok(())
    }

    /// Runs an operation as a task of the server, so that it goes on when its caller does not.
    pub(crate) async fn owned<T: Send + 'static>(
        &self,
        operation: impl Future<Output = Result<T, LifecycleError>> + Send + 'static,
    ) -> Result<T, LifecycleError> {
        self.check_open()?;
        match self.spawn(operation).await {
            Ok(result) => result,
            Err(error) => Err(LifecycleError::new(
                ErrorCode::StepFailed,
                format!("the operation ended abnormally, which is an error in this program: {error}"),
            )),
        }
    }

    pub(crate) fn emit(&self, event: Event) {
        // Nobody may be watching.
        let _ = self.events.send(event);
    }

    /// Everything live that a new plan must not clash with.
    pub(crate) fn plan_state(&self) -> PlanState {
        let state = self.state();
        let mut taken = PlanState::default();
        for service in state.services.values() {
            taken.hold(&service.reserved);
        }
        for instance in state.instances.values().filter(|instance| instance.state().is_live()) {
            taken.occupy(&instance.plan);
            taken.segments.extend(instance.memory().record.chains.keys());
            // The service's subnets stay in use until its last instance is gone, whatever became of the service.
            taken.hold(&instance.service.reserved);
        }
        taken.placement_turn = taken.placement_turn.max(state.counters.round_robin);
        taken
    }

    /// Adds records to an instance's journal and changes the requests they are about, all or nothing; they are
    /// on disk, then in memory, when it returns.
    pub(crate) async fn record(
        &self,
        instance: &Instance,
        records: Vec<Record>,
        request: Option<RequestRecord>,
    ) -> Result<(), LifecycleError> {
        let mut changes: Vec<_> = records.iter().map(|record| append(instance, record)).collect();
        changes.extend(request.iter().map(|request| Change::PutRequest(Box::new(request.clone()))));
        self.writer.write(changes).await?;
        self.remember(instance, records);
        if let Some(request) = request {
            self.state().requests.put(request);
        }
        Ok(())
    }

    /// As [`Core::record`], for news that are true whether they can be written down or not: they are in memory
    /// when it returns, and what keeps them from the disk is logged.
    pub(crate) async fn record_fact(&self, instance: &Instance, records: Vec<Record>) {
        if let Err(error) = self.record(instance, records.clone(), None).await {
            log::error!("instance {}: {error}", instance.id);
            self.remember(instance, records);
        }
    }

    /// Ends a request, on disk if that is possible, and wakes those who wait for it.
    pub(crate) async fn end_request(&self, ended: RequestRecord) {
        if let Err(error) = self.writer.write(vec![Change::PutRequest(Box::new(ended.clone()))]).await {
            // The next start ends it by what has become of the instance.
            log::error!("request {}: {error}", ended.view.id);
        }
        self.state().requests.put(ended);
    }

    /// Adds a record that only saves work after a crash: in memory at once, on disk soon.
    pub(crate) fn record_later(&self, instance: &Instance, record: Record) {
        self.writer.write_later(vec![append(instance, &record)]);
        self.remember(instance, vec![record]);
    }

    fn remember(&self, instance: &Instance, records: Vec<Record>) {
        let mut events = Vec::new();
        {
            let mut memory = instance.memory();
            memory.changes += 1;
            for record in records {
                match &record {
                    Record::State { state, .. } => {
                        events.push(Event::State { instance: instance.id, state: *state });
                    }
                    Record::Container { container, seen } => {
                        let (container, state) = (container.clone(), seen.as_ref().map(|seen| seen.state));
                        match state {
                            Some(state) => memory.seen.insert(container.clone(), state),
                            None => memory.seen.remove(&container),
                        };
                        events.push(Event::Container { instance: instance.id, container, state });
                    }
                    _ => {}
                }
                memory.record.apply(record);
            }
        }
        events.into_iter().for_each(|event| self.emit(event));
    }

    /// The record of a change of state, checked against the table of allowed ones.
    pub(crate) fn enter(&self, instance: &Instance, state: InstanceState) -> Record {
        let from = instance.state();
        debug_assert!(from.may_become(state), "{from:?} must not become {state:?}");
        Record::State { state, at: self.parts.clock.now() }
    }

    /// The time, later than every one given before, so that "the newest" is always one.
    pub(crate) fn stamp(&self) -> Timestamp {
        let now = self.parts.clock.now();
        let mut state = self.state();
        state.last_stamp = now.max(Timestamp(state.last_stamp.0.saturating_add(1)));
        state.last_stamp
    }

    pub(crate) fn instance(&self, id: InstanceId) -> Option<Arc<Instance>> {
        self.state().instances.get(&id).cloned()
    }

    pub(crate) fn find_instance(&self, id: InstanceId) -> Result<Arc<Instance>, LifecycleError> {
        self.instance(id).ok_or_else(|| {
            LifecycleError::new(ErrorCode::InstanceNotFound, format!("there is no instance {id}"))
        })
    }

    pub(crate) fn instance_views(&self, ended: bool) -> Vec<InstanceView> {
        let mut instances: Vec<_> = self.state().instances.values().cloned().collect();
        instances.retain(|instance| ended || instance.state().is_live());
        let mut views: Vec<_> = instances.iter().map(|instance| instance.view()).collect();
        views.sort_by_key(|view| (view.created_at, view.id));
        views
    }

    pub(crate) fn service_view(&self, service: &ServiceRecord) -> ServiceView {
        let mut instances: Vec<_> = self
            .state()
            .instances
            .values()
            .filter(|instance| instance.service_id() == service.view.id && instance.state().is_live())
            .map(|instance| (instance.plan.ssiid, instance.id))
            .collect();
        instances.sort_unstable();
        ServiceView { instances: instances.into_iter().map(|(_, id)| id).collect(), ..service.view.clone() }
    }

    pub(crate) fn service_views(&self) -> Vec<ServiceView> {
        let mut services: Vec<_> = self.state().services.values().cloned().collect();
        services.sort_by_key(|service| (service.view.created_at, service.view.id));
        services.iter().map(|service| self.service_view(service)).collect()
    }

    /// The service meant: by id, else by package name, the newest of several.
    pub(crate) fn resolve(&self, meant: &ServiceRef) -> Result<Arc<ServiceRecord>, LifecycleError> {
        let state = self.state();
        if state.services.is_empty() {
            return Err(LifecycleError::new(
                ErrorCode::NoService,
                "no service on-boarded: upload a package first",
            ));
        }
        let newest = |name: Option<&str>| {
            state
                .services
                .values()
                .filter(|service| name.is_none_or(|name| service.view.package.id.name == name))
                .max_by_key(|service| (service.view.created_at, service.view.id))
        };
        let found = match meant {
            ServiceRef::Latest => newest(None),
            ServiceRef::Given(text) => {
                let by_id = text.parse().ok().and_then(|id: ServiceId| state.services.get(&id));
                by_id.or_else(|| newest(Some(text)))
            }
        };
        found.cloned().ok_or_else(|| {
            let given = match meant {
                ServiceRef::Given(text) => text.as_str(),
                ServiceRef::Latest => "latest",
            };
            LifecycleError::new(
                ErrorCode::ServiceNotFound,
                format!("there is no service with the id or package name {given:?}"),
            )
        })
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("installation", &self.installation).finish_non_exhaustive()
    }
}

fn append(instance: &Instance, record: &Record) -> Change {
    Change::Append(instance.id, Box::new(record.clone()))
}
