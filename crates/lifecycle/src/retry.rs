//! Taking down again what is stuck: later and later, until it is gone; at once when somebody asks for it, or an engine
//! has come back.
//!
//! What could not be made ends as failed, what was to be terminated ends as terminated, however often it took.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;
use crate::instance::Instance;
use crate::journal::Record;
use crate::request::{InstanceState, RetryView};
use crate::saga::{self, TakenDown};
use crate::store::Change;
use crate::{ground, recovery};

/// The state while an instance is taken down by itself, and the one that it ends in.
pub(crate) fn ending(instance: &Instance) -> (InstanceState, InstanceState) {
    let memory = instance.memory();
    // What was called off ends without a trace.
    let never_made =
        if instance.called_off.is_cancelled() { InstanceState::Terminated } else { InstanceState::Failed };
    match memory.record.state {
        InstanceState::Planned | InstanceState::Creating | InstanceState::Unwinding => {
            (InstanceState::Unwinding, never_made)
        }
        InstanceState::Stuck if memory.record.unwinding => (InstanceState::Unwinding, never_made),
        _ => (InstanceState::Terminating, InstanceState::Terminated),
    }
}

/// Writes down what a take-down came to: the given end, or that it is stuck; then it will be tried again. The caller
/// holds the operation lock.
pub(crate) async fn conclude(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    taken_down: &TakenDown,
    end: InstanceState,
) {
    let mut records: Vec<_> = {
        let memory = instance.memory();
        // Every try may fail in the same way, for ever.
        let new = taken_down.errors.iter().filter(|error| !memory.record.errors.contains(error));
        new.map(|message| Record::Error { message: message.clone() }).collect()
    };
    if taken_down.clean {
        for error in &taken_down.errors {
            log::warn!("instance {} is gone, with errors on the way: {error}", instance.id);
        }
        records.push(core.enter(instance, end));
        core.record_fact(instance, records).await;
        return;
    }
    let tries = instance.memory().record.retry.map_or(0, |retry| retry.tries).saturating_add(1);
    let delay = core.parts.settings.retry.delay(tries, core.parts.ids.uuid());
    let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let mut next_at = core.parts.clock.now();
    next_at.0 = next_at.0.saturating_add(millis);
    records.push(core.enter(instance, InstanceState::Stuck));
    records.push(Record::Retry(RetryView { tries, next_at }));
    core.record_fact(instance, records).await;
    schedule(core, instance, delay);
}

/// Tries once more after a while, in place of what was scheduled before.
fn schedule(core: &Arc<Core>, instance: &Arc<Instance>, delay: Duration) {
    let over = core.closing.child_token();
    std::mem::replace(&mut instance.memory().retry_over, over.clone()).cancel();
    let (weak, instance) = (Arc::downgrade(core), Arc::clone(instance));
    core.spawn_apart(async move {
        tokio::select! {
            biased;
            () = over.cancelled() => return,
            () = instance.retry_now.notified() => {}
            () = tokio::time::sleep(delay) => {}
        }
        if let Some(core) = weak.upgrade() {
            let task = again(Arc::clone(&core), instance);
            core.spawn(task);
        }
    });
}

async fn again(core: Arc<Core>, instance: Arc<Instance>) {
    {
        let _operation = instance.operation.lock().await;
        // Somebody may have been faster, or is about to be.
        if instance.state() != InstanceState::Stuck || core.closing.is_cancelled() {
            return;
        }
        log::info!("instance {}: taking it down is tried again", instance.id);
        take_down(&core, &instance).await;
    }
    ground::leave_if_unused(&core).await;
}

/// Takes an instance down that nobody asked for now, and forgets one that is gone for good. The caller holds the
/// operation lock.
pub(crate) async fn take_down(core: &Arc<Core>, instance: &Arc<Instance>) {
    let (during, end) = ending(instance);
    let mut records = recovery::close_scripts(core, instance);
    if instance.state() != during {
        records.push(core.enter(instance, during));
    }
    core.record_fact(instance, records).await;
    let taken_down = saga::take_down(core, instance).await;
    conclude(core, instance, &taken_down, end).await;
    if instance.state() == InstanceState::Terminated {
        core.state().instances.remove(&instance.id);
        core.writer.write_later(vec![Change::Forget(instance.id)]);
    }
}
