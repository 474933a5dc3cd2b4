//! Taking an instance down by request.

use std::sync::Arc;

use llcm_names::{InstanceId, RequestId};

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::instance::Instance;
use crate::journal::Record;
use crate::request::{InstanceState, RequestType, RequestView};
use crate::requests::RequestRecord;
use crate::store::Change;
use crate::{ground, saga, script};

/// Records the wish and begins to take the instance down.
pub(crate) async fn begin(core: Arc<Core>, id: InstanceId) -> Result<RequestView, LifecycleError> {
    let instance = core.find_instance(id)?;
    let request = RequestRecord::new(
        RequestId::new(core.parts.ids.uuid()),
        RequestType::Terminate,
        core.stamp(),
        id,
        instance.service_id(),
    );
    core.writer.write(vec![Change::PutRequest(Box::new(request.clone()))]).await?;
    let forgotten = {
        let mut state = core.state();
        state.requests.put(request.clone());
        state.requests.prune()
    };
    core.writer.write_later(forgotten);
    let view = request.view.clone();
    core.tasks.spawn(terminate(Arc::clone(&core), instance, request));
    Ok(view)
}

/// Takes an instance down once nobody else works on it; a creation in progress is called off.
async fn terminate(core: Arc<Core>, instance: Arc<Instance>, request: RequestRecord) {
    instance.called_off.cancel();
    let _operation = instance.operation.lock().await;
    let request = request.started();
    if instance.state().is_live() {
        take_down(&core, &instance, request).await;
    } else {
        // Gone already: by another request, by a failure, or called off.
        forget(&core, &instance, request).await;
    }
    ground::leave_if_unused(&core).await;
}

async fn take_down(core: &Arc<Core>, instance: &Arc<Instance>, request: RequestRecord) {
    let with_scripts = matches!(instance.state(), InstanceState::Running | InstanceState::Degraded);
    let terminating = core.enter(instance, InstanceState::Terminating);
    if let Err(error) = core.record(instance, vec![terminating], Some(request.clone())).await {
        // Nothing was done: the instance stays what it is.
        let record = Record::Error { message: error.message.clone() };
        core.record_fact(instance, vec![record], Some(request.ended(Err(&error)))).await;
        return;
    }
    if with_scripts {
        script::run_stop_scripts(core, instance).await;
    }
    let taken_down = saga::take_down(core, instance).await;
    let mut records: Vec<_> =
        taken_down.errors.iter().map(|message| Record::Error { message: message.clone() }).collect();
    if taken_down.clean {
        for error in &taken_down.errors {
            log::warn!("instance {} is gone, with errors on the way: {error}", instance.id);
        }
        records.push(core.enter(instance, InstanceState::Terminated));
        core.record_fact(instance, records, None).await;
        forget(core, instance, request).await;
        return;
    }
    records.push(core.enter(instance, InstanceState::Stuck));
    let mut error = LifecycleError::new(
        ErrorCode::Stuck,
        format!(
            "taking down instance {} did not finish: {}; terminate it again to try again",
            instance.id,
            taken_down.errors.join("; ")
        ),
    );
    error.others = taken_down.errors;
    core.record_fact(instance, records, Some(request.ended(Err(&error)))).await;
}

/// Drops the record of an instance that is gone, and ends the request well.
async fn forget(core: &Core, instance: &Instance, request: RequestRecord) {
    let request = request.ended(Ok(()));
    let changes = vec![Change::Forget(instance.id), Change::PutRequest(Box::new(request.clone()))];
    if let Err(error) = core.writer.write(changes).await {
        // The journal says that it is gone; the next start forgets it.
        log::error!("instance {}: {error}", instance.id);
    }
    let mut state = core.state();
    state.instances.remove(&instance.id);
    state.requests.put(request);
}
