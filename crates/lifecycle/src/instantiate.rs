//! Planning an instance, recording it, and making it.

use std::collections::BTreeMap;
use std::sync::Arc;

use llcm_descriptors::{Diagnostic, Severity};
use llcm_names::{InstanceId, RequestId, Ssiid};
use llcm_topology::Topology;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};

use crate::catalog::ServiceRecord;
use crate::core::{Core, KEPT_FAILED};
use crate::error::{ErrorCode, LifecycleError};
use crate::instance::Instance;
use crate::journal::{InstanceRecord, Planned, Record};
use crate::package::read_env_file;
use crate::plan::{self, HostFacts, InstancePlan, PlanRequest, PlanState, container_names};
use crate::request::{InstanceState, InstantiateOptions, RequestType, RequestView, ServiceRef};
use crate::requests::RequestRecord;
use crate::store::{Change, Counters};
use crate::{admission, engines, facts, ground, retry, saga};

/// Plans an instance and records it, and begins to make it.
pub(crate) async fn begin(
    core: Arc<Core>,
    meant: ServiceRef,
    options: InstantiateOptions,
) -> Result<RequestView, LifecycleError> {
    let turn = admission::turn(&core).await?;
    let allocation = core.allocation.lock().await;
    core.check_open()?;
    admission::check_number(&core)?;
    let service = core.resolve(&meant)?;
    let instance_id = InstanceId::new(core.parts.ids.uuid());
    let ssiid = free_ssiid(&core, &service)?;
    let facts = facts::now(&core).await?;
    let mut plan = plan(&core, &service, facts, instance_id, ssiid, options).await?;
    engines::check(&core, &plan).await?;
    ground::prepare(&core).await?;
    plan.warnings.extend(ground::warnings(&core));
    let emulated_by = ground::means(&core).await?;

    let now = core.stamp();
    let request = RequestRecord::new(
        RequestId::new(core.parts.ids.uuid()),
        RequestType::Create,
        now,
        instance_id,
        service.view.id,
    );
    let plan = Arc::new(plan);
    let counters = Counters { round_robin: plan.placement_turn };
    let engines = engines::of_plan(&core.parts.backend, &plan);
    let (service_id, request_id) = (service.view.id, request.view.id);
    let planned = Planned { at: now, service: service_id, request: request_id, plan, engines, emulated_by };
    core.writer
        .write(vec![
            Change::PutCounters(counters),
            Change::PutRequest(Box::new(request.clone())),
            Change::Append(instance_id, Box::new(Record::Planned(planned.clone()))),
        ])
        .await?;
    let instance = Arc::new(Instance::new(InstanceRecord::new(planned), service));
    // Taken before anybody can find it, so that no take-down comes first.
    let operation = Arc::clone(&instance.operation).try_lock_owned().expect("nobody else knows of it");
    let forgotten = {
        let mut state = core.state();
        state.counters = counters;
        state.requests.put(request.clone());
        state.instances.insert(instance_id, Arc::clone(&instance));
        state.requests.prune()
    };
    core.writer.write_later(forgotten);
    drop(allocation);

    let view = request.view.clone();
    core.spawn(create(Arc::clone(&core), instance, request, operation, turn));
    Ok(view)
}

/// The lowest SSIID that no live instance of the service holds.
fn free_ssiid(core: &Core, service: &ServiceRecord) -> Result<Ssiid, LifecycleError> {
    let state = core.state();
    let taken: std::collections::BTreeSet<u16> = state
        .instances
        .values()
        .filter(|instance| instance.service_id() == service.view.id && instance.state().is_live())
        .map(|instance| instance.plan.ssiid.get())
        .collect();
    (0..=u16::MAX).find(|number| !taken.contains(number)).map(Ssiid::new).ok_or_else(|| {
        LifecycleError::new(
            ErrorCode::CannotPlan,
            "the service has 65536 instances already, the most there can be",
        )
    })
}

/// Plans on a thread of its own: a plan of thousands of units takes its time.
async fn plan(
    core: &Arc<Core>,
    service: &Arc<ServiceRecord>,
    facts: HostFacts,
    instance: InstanceId,
    ssiid: Ssiid,
    options: InstantiateOptions,
) -> Result<InstancePlan, LifecycleError> {
    let (core, service) = (Arc::clone(core), Arc::clone(service));
    let planning = tokio::task::spawn_blocking(move || {
        let state = core.plan_state();
        let topology = core.topology.get();
        let against = Against { state: &state, facts: &facts, topology: &topology, options: &options };
        plan_against(&core, &service, against, instance, ssiid)
    });
    planning.await.map_err(|error| {
        LifecycleError::new(
            ErrorCode::CannotPlan,
            format!("planning ended abnormally, which is an error in this program: {error}"),
        )
    })?
}

/// What an instance is planned against.
#[derive(Clone, Copy)]
pub(crate) struct Against<'a> {
    /// What is taken.
    pub(crate) state: &'a PlanState,
    /// What the host has.
    pub(crate) facts: &'a HostFacts,
    /// Where units can be placed.
    pub(crate) topology: &'a Topology,
    /// What is different from what the settings say.
    pub(crate) options: &'a InstantiateOptions,
}

/// Plans an instance. Blocks while it reads environment files.
pub(crate) fn plan_against(
    core: &Core,
    service: &ServiceRecord,
    against: Against<'_>,
    instance: InstanceId,
    ssiid: Ssiid,
) -> Result<InstancePlan, LifecycleError> {
    let Against { state, facts, topology, options } = against;
    let parts = &core.parts;
    let dialect = service.view.dialect;
    let mut env_files = BTreeMap::new();
    let mut findings = Vec::new();
    if let Some(dir) = &parts.settings.env_dir {
        for name in container_names(&service.descriptors, core.settings(dialect), dialect, ssiid) {
            match read_env_file(dir, name.as_str()) {
                Ok(Some(environment)) => {
                    env_files.insert(name.as_str().to_owned(), environment);
                }
                Ok(None) => {}
                Err(finding) => findings.push(finding),
            }
        }
    }
    let results = parts.settings.results_of(&parts.data_dir, service.view.id);
    let settings = options.over(core.settings(dialect));
    let request = PlanRequest {
        descriptors: &service.descriptors,
        reserved: &service.reserved,
        topology,
        settings: &settings,
        dialect,
        state,
        facts: Some(facts),
        // What a request names goes before what the embedding program brings.
        placement: parts.placement.as_deref().filter(|_| options.placement.is_none()),
        env_files: &env_files,
        results: &results,
        installation: &core.installation,
        instance,
        ssiid,
    };
    match plan::build(&request) {
        Ok(plan) if findings.is_empty() => Ok(plan),
        Ok(_) => Err(cannot_plan(findings)),
        Err(further) => {
            findings.extend(further);
            Err(cannot_plan(findings))
        }
    }
}

/// The error of findings about a plan: all of them, and the first in words.
pub(crate) fn cannot_plan(diagnostics: Vec<Diagnostic>) -> LifecycleError {
    let errors: Vec<_> = diagnostics.iter().filter(|finding| finding.severity == Severity::Error).collect();
    let message = match errors.as_slice() {
        [] => "the service cannot be planned".to_owned(),
        [only] => format!("the service cannot be planned: {}", only.message),
        [first, rest @ ..] => {
            format!("the service cannot be planned: {}; and {} more errors", first.message, rest.len())
        }
    };
    LifecycleError { code: ErrorCode::CannotPlan, message, diagnostics, others: Vec::new() }
}

/// Makes a recorded instance, or, when that fails or is called off, takes down what there is of it.
async fn create(
    core: Arc<Core>,
    instance: Arc<Instance>,
    request: RequestRecord,
    operation: OwnedMutexGuard<()>,
    turn: OwnedSemaphorePermit,
) {
    let mut turn = Some(turn);
    let request = request.started();
    let creating = core.enter(&instance, InstanceState::Creating);
    let made = match core.record(&instance, vec![creating], Some(request.clone())).await {
        Ok(()) => match saga::make(&core, &instance).await {
            Ok(()) => {
                // Before anybody is told: whoever waited for it may begin the next one.
                turn = None;
                let running = core.enter(&instance, InstanceState::Running);
                core.record(&instance, vec![running], Some(request.clone().ended(Ok(())))).await
            }
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    if let Err(error) = made {
        let error = unwind(&core, &instance, error).await;
        // Before the request ends: whoever waited for it finds nothing on the host.
        ground::leave_if_unused(&core).await;
        drop(turn);
        core.end_request(request.ended(Err(&error))).await;
        forget_oldest_failures(&core);
    }
    drop(operation);
}

/// Takes down what there is of an instance that could not be made; the error, with what went wrong on the way.
async fn unwind(core: &Arc<Core>, instance: &Arc<Instance>, mut error: LifecycleError) -> LifecycleError {
    let message = error.message.clone();
    let mut records = vec![core.enter(instance, InstanceState::Unwinding), Record::Error { message }];
    records.extend(error.others.iter().map(|message| Record::Error { message: message.clone() }));
    core.record_fact(instance, records).await;
    let taken_down = saga::take_down(core, instance).await;
    let end = match instance.called_off.is_cancelled() {
        true => InstanceState::Terminated,
        false => InstanceState::Failed,
    };
    retry::conclude(core, instance, &taken_down, end).await;
    if !taken_down.clean {
        error.message.push_str(
            "; taking down what was made did not finish: it is tried again by itself, or at once when the instance \
             is terminated",
        );
    }
    error.others.extend(taken_down.errors);
    error
}

/// Keeps the records of the latest failed instances only.
fn forget_oldest_failures(core: &Core) {
    let mut state = core.state();
    let mut failed: Vec<_> = state
        .instances
        .values()
        .filter(|instance| !instance.state().is_live())
        .map(|instance| (instance.memory().record.since, instance.id))
        .collect();
    failed.sort_unstable();
    let excess = failed.len().saturating_sub(KEPT_FAILED);
    let forgotten: Vec<_> = failed.into_iter().take(excess).map(|(_, id)| id).collect();
    for id in &forgotten {
        state.instances.remove(id);
    }
    drop(state);
    core.writer.write_later(forgotten.into_iter().map(Change::Forget).collect());
}
