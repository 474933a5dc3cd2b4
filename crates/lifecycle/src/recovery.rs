//! What is done about what an earlier run left: observe, decide, execute, before the first request is
//! answered.
//!
//! [`decide`](decide::decide) is pure: records and what the drivers list go in, decisions come out.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use llcm_names::InstanceId;
use llcm_runtime::{ContainerView, EngineId};

use crate::core::{Core, State};
use crate::error::LifecycleError;
use crate::instance::Instance;
use crate::journal::{InstanceRecord, Record};
use crate::request::{InstanceState, RequestType, ScriptRun};
use crate::requests::RequestRecord;
use crate::store::{Change, Contents};
use crate::{engines, retry, script, strays, watching};

pub mod decide;

use decide::{Decision, Known, Observed};

/// Take-downs that run at the same time.
const AT_ONCE: usize = 4;

/// What the store holds, as it is kept in memory, and the journals that nothing can be done with.
pub(crate) fn load(contents: Contents) -> (State, Vec<InstanceId>) {
    let mut state = State { counters: contents.counters, ..State::default() };
    state.services = contents.services.into_iter().map(|(id, service)| (id, Arc::new(service))).collect();
    let mut unusable = Vec::new();
    for (id, journal) in contents.journals {
        let record = InstanceRecord::fold(journal);
        let with_service = record.and_then(|record| {
            let service = state.services.get(&record.planned.service).cloned()?;
            Some(Instance::new(record, service))
        });
        match with_service {
            Some(instance) => {
                state.instances.insert(id, Arc::new(instance));
            }
            None => unusable.push(id),
        }
    }
    let stamps = state.services.values().map(|service| service.view.created_at);
    let stamps = stamps.chain(contents.requests.values().map(|request| request.view.created_at));
    state.last_stamp = stamps.max().unwrap_or_default();
    state.requests = crate::requests::Requests::load(contents.requests);
    (state, unusable)
}

/// Brings records and drivers to agree.
pub(crate) async fn recover(core: &Arc<Core>, unusable: Vec<InstanceId>) -> Result<(), LifecycleError> {
    for id in &unusable {
        log::warn!("the records of instance {id} do not say what it is: whatever it left is removed");
    }
    core.writer.write_later(unusable.into_iter().map(Change::Forget).collect());
    let observed = observe(core).await?;
    let known = known(core);
    let decisions = decide::decide(&known, &observed);
    stream::iter(decisions).for_each_concurrent(AT_ONCE, |decision| execute(core, decision)).await;
    end_requests(core).await
}

async fn observe(core: &Core) -> Result<Observed, LifecycleError> {
    let backend = &core.parts.backend;
    let listed = engines::list_owned(core).await.complete()?;
    let containers = with_engines(listed);
    let objects = backend.network().list_owned(&core.installation).await?;
    Ok(Observed { containers, objects })
}

/// Each container with its engine.
pub(crate) fn with_engines(listed: Vec<(EngineId, Vec<ContainerView>)>) -> Vec<(EngineId, ContainerView)> {
    let in_engine = |(engine, views): (EngineId, Vec<ContainerView>)| {
        views.into_iter().map(move |view| (engine.clone(), view))
    };
    listed.into_iter().flat_map(in_engine).collect()
}

/// What the records say now.
pub(crate) fn known(core: &Core) -> BTreeMap<InstanceId, Known> {
    let state = core.state();
    let mut known: BTreeMap<_, _> = state
        .instances
        .values()
        .map(|instance| {
            let plan = Arc::clone(&instance.plan);
            let engines = instance.engines.clone();
            let chains = instance.memory().record.chains.keys().copied().collect();
            let state = instance.state();
            (instance.id, Known { state, plan, engines, chains, to_be_terminated: false })
        })
        .collect();
    for request in state.requests.unended() {
        if request.view.request_type == RequestType::Terminate
            && let Some(known) = known.get_mut(&request.view.instance_id)
        {
            known.to_be_terminated = true;
            if let Some(instance) = state.instances.get(&request.view.instance_id) {
                // As it was when the request was accepted: what is called off ends without a trace.
                instance.called_off.cancel();
            }
        }
    }
    known
}

async fn execute(core: &Arc<Core>, decision: Decision) {
    match decision {
        Decision::Keep { instance, found } => {
            let Some(instance) = core.instance(instance) else { return };
            let mut records = close_scripts(core, &instance);
            records.extend(watching::taken_over(core, &instance, found));
            core.record_fact(&instance, records).await;
        }
        Decision::TakeDown { instance } => {
            let Some(instance) = core.instance(instance) else { return };
            take_down(core, &instance).await;
        }
        Decision::Forget { instance } => {
            core.state().instances.remove(&instance);
            core.writer.write_later(vec![Change::Forget(instance)]);
        }
        Decision::Remove { owner, containers } => strays::remove(core, &owner, containers).await,
    }
}

/// The ends of scripts that nobody saw.
pub(crate) fn close_scripts(core: &Core, instance: &Instance) -> Vec<Record> {
    let now = core.parts.clock.now();
    let memory = instance.memory();
    let runs = memory.record.scripts.iter();
    runs.flat_map(|(container, runs)| runs.iter().map(move |run| (container, run)))
        .filter(|(_, run)| run.ended_at.is_none())
        .map(|(container, run)| Record::Script {
            container: container.clone(),
            run: ScriptRun {
                ended_at: Some(now),
                error: Some(script::SERVER_STOPPED.to_owned()),
                ..run.clone()
            },
        })
        .collect()
}

async fn take_down(core: &Arc<Core>, instance: &Arc<Instance>) {
    let _operation = instance.operation.lock().await;
    if matches!(instance.state(), InstanceState::Planned | InstanceState::Creating | InstanceState::Unwinding)
    {
        let mut records = Vec::new();
        if instance.state() != InstanceState::Unwinding {
            records.push(core.enter(instance, InstanceState::Unwinding));
        }
        if !instance.called_off.is_cancelled() {
            let message = "the server was stopped while the instance was being created".to_owned();
            records.push(Record::Error { message });
        }
        core.record_fact(instance, records).await;
    }
    retry::take_down(core, instance).await;
}

/// Ends the requests that were at work when the earlier run ended, by what has become of their instances.
async fn end_requests(core: &Core) -> Result<(), LifecycleError> {
    let unended = core.state().requests.unended();
    let ended: Vec<_> = unended.into_iter().map(|request| end_request(core, request)).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let changes = ended.iter().map(|request| Change::PutRequest(Box::new(request.clone()))).collect();
    core.writer.write(changes).await?;
    let mut state = core.state();
    ended.into_iter().for_each(|request| state.requests.put(request));
    Ok(())
}

fn end_request(core: &Core, request: RequestRecord) -> RequestRecord {
    use crate::error::ErrorCode;
    let failed = |code, text: &str| Err(LifecycleError::new(code, text));
    let state = core.instance(request.view.instance_id).map(|instance| instance.state());
    let outcome = match (request.view.request_type, state) {
        (RequestType::Create, Some(InstanceState::Running | InstanceState::Degraded))
        | (RequestType::Terminate, None | Some(InstanceState::Terminated | InstanceState::Failed)) => Ok(()),
        (_, Some(InstanceState::Stuck)) => failed(
            ErrorCode::Stuck,
            "the server was stopped meanwhile, and taking the instance down did not finish: terminate it again",
        ),
        (RequestType::Create, _) => {
            failed(ErrorCode::StepFailed, "the server was stopped while the instance was being created")
        }
        (RequestType::Terminate, _) => {
            failed(ErrorCode::StepFailed, "the server was stopped before the instance was taken down")
        }
    };
    request.ended(outcome.as_ref().copied())
}
