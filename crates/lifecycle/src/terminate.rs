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
use crate::{ground, retry, saga, script};

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
    core.spawn(terminate(Arc::clone(&core), instance, request));
    Ok(view)
}

/// Takes an instance down once nobody else works on it; a creation in progress is called off.
async fn terminate(core: Arc<Core>, instance: Arc<Instance>, request: RequestRecord) {
    instance.called_off.cancel();
    let _operation = instance.operation.lock().await;
    let request = request.started();
    let outcome = if instance.state().is_live() {
        take_down(&core, &instance, &request).await
    } else {
        // Gone already: by another request, by a failure, or called off.
        Ok(())
    };
    if outcome.is_ok() {
        forget(&core, &instance).await;
    }
    // Before the request ends: whoever waited for it finds nothing on the host.
    ground::leave_if_unused(&core).await;
    core.end_request(request.ended(outcome.as_ref().copied())).await;
}

/// Takes down what there is of an instance. On an error something may be left, and the instance says so.
async fn take_down(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    request: &RequestRecord,
) -> Result<(), LifecycleError> {
    let with_scripts = matches!(instance.state(), InstanceState::Running | InstanceState::Degraded);
    let terminating = core.enter(instance, InstanceState::Terminating);
    if let Err(error) = core.record(instance, vec![terminating], Some(request.clone())).await {
        // Nothing was done: the instance stays what it is.
        let record = Record::Error { message: error.message.clone() };
        core.record_fact(instance, vec![record]).await;
        return Err(error);
    }
    if with_scripts {
        script::run_stop_scripts(core, instance).await;
    }
    let taken_down = saga::take_down(core, instance).await;
    retry::conclude(core, instance, &taken_down, InstanceState::Terminated).await;
    if taken_down.clean {
        return Ok(());
    }
    let message = format!(
        "taking down instance {} did not finish: {}; it is tried again by itself, or at once when it is terminated \
         again",
        instance.id,
        taken_down.errors.join("; ")
    );
    Err(LifecycleError { others: taken_down.errors, ..LifecycleError::new(ErrorCode::Stuck, message) })
}

/// Drops the record of an instance that is gone.
async fn forget(core: &Core, instance: &Instance) {
    if let Err(error) = core.writer.write(vec![Change::Forget(instance.id)]).await {
        // The journal says that it is gone; the next start forgets it.
        log::error!("instance {}: {error}", instance.id);
    }
    core.state().instances.remove(&instance.id);
}
