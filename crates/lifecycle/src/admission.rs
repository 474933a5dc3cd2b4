//! How much is taken on: instances that are made at a time, instances that live, and room on the disk.
//!
//! Instantiations beyond those that are made at a time wait in the order in which they came. Too many of them, or one
//! that waits too long, are told to come back later, and nothing of them is left. Taking down is never held up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::settings::Settings;

/// The instantiations that go on and those that wait.
#[derive(Debug)]
pub(crate) struct Admission {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Counts one that waits for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Admission {
    pub(crate) fn new(settings: &Settings) -> Self {
        let slots = settings.instantiations.clamp(1, Semaphore::MAX_PERMITS);
        Self { slots: Arc::new(Semaphore::new(slots)), waiting: AtomicUsize::new(0) }
    }
}

/// Waits for the turn of an instantiation, which lasts until the permit is dropped.
///
/// # Errors
/// `TooBusy` when too many wait or the turn does not come in time, `ShuttingDown`.
pub(crate) async fn turn(core: &Core) -> Result<OwnedSemaphorePermit, LifecycleError> {
    let (admission, settings) = (&core.admission, &core.parts.settings);
    let busy = |what: String| LifecycleError::new(ErrorCode::TooBusy, format!("{what}: try again later"));
    if let Ok(permit) = Arc::clone(&admission.slots).try_acquire_owned() {
        return Ok(permit);
    }
    let waiting = Waiting(&admission.waiting);
    if admission.waiting.fetch_add(1, Ordering::AcqRel) >= settings.instantiation_queue {
        let wait = settings.instantiation_queue;
        return Err(busy(format!(
            "{} instances are being made and {wait} wait, as many as the setting `instantiation_queue` allows",
            settings.instantiations
        )));
    }
    let turn = tokio::select! {
        biased;
        turn = tokio::time::timeout(settings.instantiation_wait, Arc::clone(&admission.slots).acquire_owned()) => turn,
        () = core.closing.cancelled() => return core.check_open().and(Err(busy("the server shuts down".to_owned()))),
    };
    drop(waiting);
    match turn {
        Ok(Ok(permit)) => Ok(permit),
        Ok(Err(_closed)) => Err(busy("no instances are made any more".to_owned())),
        Err(_) => Err(busy(format!(
            "{} instances are being made, and none of them was done within {} s (the settings `instantiations` and \
             `instantiation_wait`)",
            settings.instantiations,
            settings.instantiation_wait.as_secs()
        ))),
    }
}

/// Refuses an instance beyond those that there may be. The caller holds [`Core::allocation`].
///
/// # Errors
/// `TooManyInstances`.
pub(crate) fn check_number(core: &Core) -> Result<(), LifecycleError> {
    let most = core.parts.settings.max_instances;
    let live = core.state().instances.values().filter(|instance| instance.state().is_live()).count();
    if live < most {
        return Ok(());
    }
    Err(LifecycleError::new(
        ErrorCode::TooManyInstances,
        format!(
            "there are {live} instances, and the setting `max_instances` allows {most}: terminate one first"
        ),
    ))
}

/// Refuses what would leave less room on the data directory's disk than the settings want left.
///
/// # Errors
/// `DiskFull`; `StoreFailed` when the disk cannot be asked.
pub(crate) fn check_room(core: &Core, more: u64) -> Result<(), LifecycleError> {
    let dir: &Path = &core.parts.data_dir;
    let floor = core.parts.settings.min_free_disk;
    let found = rustix::fs::statvfs(dir).map_err(|error| {
        LifecycleError::new(ErrorCode::StoreFailed, format!("look at the disk of {}: {error}", dir.display()))
    })?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free >= floor.saturating_add(more) {
        return Ok(());
    }
    Err(LifecycleError::new(
        ErrorCode::DiskFull,
        format!(
            "{free} bytes are free on the disk of {}, {more} more are needed, and the setting `min_free_disk` wants \
             {floor} to be left",
            dir.display()
        ),
    ))
}
