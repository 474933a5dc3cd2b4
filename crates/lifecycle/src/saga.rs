//! Making an instance step by step, and taking down what was begun.
//!
//! - **Expected flow** ([`make`]): images that their engine does not have, and segments, side by side; then every
//!   container's own chain in the engine of its data center (create, start, attach its ports; attach before start
//!   where that engine can), so many at a time as the settings allow; when everything is wired, the start scripts
//!   are launched.
//! - **Guarantees.** No step is done before its intent is on disk; the intents of a chain are written together.
//!   After the first failure no further step is begun, and those in flight are waited for, so that nothing
//!   appears behind the back of the take-down. [`take_down`] goes on after errors and returns them all; it says
//!   "clean" only when the drivers, asked afterwards, know nothing of the instance any more, and none is missing.
//! - **Assumptions.** The caller holds the instance's operation lock.
//! - **Caveats.** Every await may be the last: what a killed server leaves has an intent, and is found by it.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use llcm_names::EngineName;
use llcm_runtime::{AttachPoint, DriverError, DriverResult, ErrorKind, NetworkObject};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::engines;
use crate::error::{ErrorCode, LifecycleError};
use crate::images;
use crate::instance::Instance;
use crate::journal::Record;
use crate::plan::ContainerPlan;
use crate::request::Event;
use crate::step::{Site, Step, Steps, TakeDown, apply};

/// How long it is waited for the effect of a call that was given up, before nothing is called left.
const SETTLING: Duration = Duration::from_secs(1);

/// Segments that are made at the same time.
const SEGMENTS_AT_ONCE: usize = 8;

/// Does all steps of an instance. On an error no step is in flight any more, but what was done is not undone
/// yet.
pub(crate) async fn make(core: &Arc<Core>, instance: &Arc<Instance>) -> Result<(), LifecycleError> {
    match AssertUnwindSafe(make_all(core, instance)).catch_unwind().await {
        Ok(result) => result,
        Err(_) => Err(LifecycleError::new(ErrorCode::StepFailed, PANICKED)),
    }
}

/// What is said of an operation that panicked. A driver's mistake must not leave an instance in the middle of
/// something, with nobody working on it and a request that never ends.
const PANICKED: &str = "a step ended abnormally, which is an error in this program or a driver: see the log";

async fn make_all(core: &Arc<Core>, instance: &Arc<Instance>) -> Result<(), LifecycleError> {
    let steps = Steps::of(&instance.plan, |container| {
        let engine = engines::of(core, instance, container)?;
        Ok::<_, LifecycleError>(Site {
            engine: engine.name_among_several(),
            attach_first: engine.offers().netns_before_start,
            image: instance.image(container),
        })
    })?;
    instance.memory().progress = (0, steps.len());
    let over = instance.called_off.child_token();
    let run = Run { core, instance, failure: Mutex::default(), over };

    let mut ground = spread(&steps.images, images::AT_ONCE);
    ground.extend(spread(&steps.segments, SEGMENTS_AT_ONCE));
    run.chains(ground, images::AT_ONCE + SEGMENTS_AT_ONCE).await?;
    run.chains(steps.chains, core.parts.settings.start_concurrency).await?;
    run.chains(vec![steps.scripts], 1).await
}

/// Steps that do not depend on one another, as so many chains at most.
fn spread(steps: &[Step], chains: usize) -> Vec<Vec<Step>> {
    let length = steps.len().div_ceil(chains).max(1);
    steps.chunks(length).map(<[Step]>::to_vec).collect()
}

/// A creation in progress.
struct Run<'a> {
    core: &'a Arc<Core>,
    instance: &'a Arc<Instance>,
    /// The first error; no step is begun after it. Later ones are kept with it.
    failure: Mutex<Option<LifecycleError>>,
    /// Set when no step is wanted any more: after a failure, or when the creation is called off.
    over: CancellationToken,
}

impl Run<'_> {
    /// Does chains of steps, `at_once` of them side by side, and waits for all that were begun.
    async fn chains(&self, chains: Vec<Vec<Step>>, at_once: usize) -> Result<(), LifecycleError> {
        let places = Semaphore::new(at_once.max(1));
        // As many again write their intents down while they wait for a place: the wait for the disk is not
        // added to the engine's.
        let begun = at_once.max(1).saturating_mul(2);
        stream::iter(chains).for_each_concurrent(begun, |chain| self.chain(chain, &places)).await;
        match self.failure().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn chain(&self, chain: Vec<Step>, places: &Semaphore) {
        if self.is_over() || chain.is_empty() {
            return;
        }
        let intents = chain.iter().map(|step| Record::Intent { step: step.clone() }).collect();
        if let Err(error) = self.core.record(self.instance, intents, None).await {
            self.fail(error);
            return;
        }
        // The semaphore is never closed.
        let _place = places.acquire().await;
        let mut point = None;
        for step in chain {
            if self.is_over() {
                return;
            }
            let work = self.step(&step, &mut point);
            let done = if step.can_be_left() {
                tokio::select! {
                    biased;
                    done = work => done,
                    () = self.over.cancelled() => continue,
                }
            } else {
                work.await
            };
            if let Err(error) = done {
                self.fail(error);
                return;
            }
        }
    }

    async fn step(&self, step: &Step, point: &mut Option<AttachPoint>) -> Result<(), LifecycleError> {
        let Self { core, instance, .. } = self;
        announce(core, instance, &step.to_string(), 0);
        let result = apply::apply(core, instance, step, point).await;
        let step = step.clone();
        match result {
            Ok(()) => {
                core.record_later(instance, Record::Done { step: step.clone() });
                announce(core, instance, &step.to_string(), 1);
                Ok(())
            }
            Err(error) => {
                core.record_later(instance, Record::Failed { step, error: error.message.clone() });
                Err(error)
            }
        }
    }

    fn failure(&self) -> MutexGuard<'_, Option<LifecycleError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        let mut failure = self.failure();
        if failure.is_none() && self.instance.called_off.is_cancelled() {
            *failure = Some(LifecycleError::new(
                ErrorCode::WrongState,
                "called off: the instance was terminated while it was being created",
            ));
        }
        failure.is_some()
    }

    fn fail(&self, error: LifecycleError) {
        {
            let mut failure = self.failure();
            match failure.as_mut() {
                None => *failure = Some(error),
                Some(first) => first.others.push(error.message),
            }
        }
        // After the failure is there to be seen by those whom this wakes.
        self.over.cancel();
    }
}

/// Tells watchers that a step was begun (`done` 0) or done (1).
fn announce(core: &Core, instance: &Instance, step: &str, done: usize) {
    let progress = {
        let mut memory = instance.memory();
        step.clone_into(&mut memory.activity);
        memory.progress.0 += done;
        memory.progress
    };
    core.emit(Event::Step { instance: instance.id, step: step.to_owned(), progress });
}

/// What a take-down came to.
#[derive(Debug)]
pub(crate) struct TakenDown {
    /// The drivers know nothing of the instance any more.
    pub(crate) clean: bool,
    /// What went wrong, complete; there may be errors although nothing is left.
    pub(crate) errors: Vec<String>,
}

/// Undoes everything that has an intent, and asks the drivers what is left.
pub(crate) async fn take_down(core: &Arc<Core>, instance: &Arc<Instance>) -> TakenDown {
    instance.scripts_over.cancel();
    instance.scripts.close();
    instance.scripts.wait().await;
    let undo = TakeDown::of(instance.memory().record.begun.iter());
    instance.memory().progress = (0, undo.len());
    let removal = async {
        let unreachable = engines::unreachable(core, instance, &undo.containers);
        let mut errors = remove(core, instance, undo.clone()).await;
        let (mut left, mut unasked) = left_of(core, instance).await;
        if unasked.is_empty() && core.late.is_in_doubt(instance.id) {
            // What was given up may come only now.
            tokio::time::sleep(SETTLING).await;
            if !left.is_empty() || !left_of(core, instance).await.0.is_empty() {
                errors.extend(remove(core, instance, undo).await);
            }
            (left, unasked) = left_of(core, instance).await;
        }
        unasked.extend(unreachable);
        (errors, (left, unasked))
    };
    let Ok((mut errors, (left, unasked))) = AssertUnwindSafe(removal).catch_unwind().await else {
        return TakenDown { clean: false, errors: vec![PANICKED.to_owned()] };
    };
    let clean = left.is_empty() && unasked.is_empty();
    if !left.is_empty() {
        errors.push(format!("still there: {}", left.join(", ")));
    }
    errors.extend(unasked.iter().map(|error| format!("ask what is left: {error}")));
    TakenDown { clean, errors }
}

async fn remove(core: &Arc<Core>, instance: &Arc<Instance>, undo: TakeDown) -> Vec<String> {
    let backend = &core.parts.backend;
    let owner = instance.owner();
    let mut errors = Vec::new();
    if undo.network {
        announce(core, instance, "remove ports and segments", 0);
        match backend.network().remove_instance(owner).await {
            Ok(()) => announce(core, instance, "remove ports and segments", 1),
            Err(several) => errors.extend(several.iter().map(ToString::to_string)),
        }
    }
    let planned: BTreeMap<_, _> =
        instance.plan.containers.iter().map(|container| (&container.spec.name, container)).collect();
    let planned = &planned;
    let removals = stream::iter(undo.containers).map(|name| async move {
        let step = format!("remove container {name}");
        announce(core, instance, &step, 0);
        let result = remove_container(core, instance, &name, planned.get(&name).copied()).await;
        if result.is_ok() {
            announce(core, instance, &step, 1);
        }
        result
    });
    let results: Vec<_> =
        removals.buffer_unordered(core.parts.settings.start_concurrency.max(1)).collect().await;
    errors.extend(results.into_iter().filter_map(Result::err).map(|error| error.to_string()));
    errors
}

async fn remove_container(
    core: &Core,
    instance: &Instance,
    name: &EngineName,
    planned: Option<&ContainerPlan>,
) -> DriverResult<()> {
    let container = planned.ok_or_else(|| {
        // The steps are derived from the plan, so the journal was tampered with.
        let message = "the plan knows nothing of it";
        DriverError::new(ErrorKind::Invalid, "remove container", name.as_str(), message)
    })?;
    let engine = engines::of(core, instance, container)?;
    engine.remove(instance.owner(), name).await.map_err(|error| engine.told(error))
}

/// What the drivers still know of an instance, in words, and the errors of those that do not tell; what was seen of
/// its containers is brought up to date when all engines tell.
async fn left_of(core: &Core, instance: &Instance) -> (Vec<String>, Vec<DriverError>) {
    let network = core.parts.backend.network();
    let (containers, objects) =
        tokio::join!(engines::list_owned(core), network.list_owned(&core.installation));
    let owner = instance.owner();
    let all_told = containers.errors.is_empty();
    let containers_seen = containers.given.into_iter().flat_map(|(_, views)| views);
    let seen: BTreeMap<_, _> = containers_seen
        .filter(|view| view.owner.as_ref() == Some(owner))
        .map(|view| (view.name, view.state))
        .collect();
    let mut left: Vec<_> = seen.keys().map(|name| format!("container {name}")).collect();
    if all_told {
        let mut memory = instance.memory();
        memory.changes += 1;
        memory.seen = seen;
    }
    let mut errors = containers.errors;
    match objects {
        Ok(objects) => left.extend(objects.iter().filter(|object| object.owner() == owner).map(describe)),
        Err(error) => errors.push(error),
    }
    (left, errors)
}

fn describe(object: &NetworkObject) -> String {
    match object {
        NetworkObject::Port { datacenter, id, .. } => format!("port {id} in data center {datacenter}"),
        NetworkObject::Segment { id, .. } => format!("segment {id}"),
    }
}
