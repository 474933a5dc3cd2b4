//! The ground that instances stand on: the emulated data centers and links, and the drivers' own helpers.
//!
//! It exists while an instance does. [`prepare`] lays it before the first one is made; [`leave_if_unused`]
//! clears it after the last one has gone, so that an idle server has nothing on the host. Both are called
//! with nobody else deciding ([`Core::allocation`]).

use std::sync::atomic::{AtomicBool, Ordering};

use llcm_runtime::DriverError;

use crate::core::Core;
use crate::engines;
use crate::error::LifecycleError;

/// Whether the network is there.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    prepared: AtomicBool,
}

impl Ground {
    /// The network was prepared by whoever opened the drivers.
    pub(crate) fn prepared() -> Self {
        Self { prepared: AtomicBool::new(true) }
    }
}

/// Makes the data centers and links exist; where they cannot be made and nothing stands on them, what there is of
/// them goes again. The caller holds [`Core::allocation`].
pub(crate) async fn prepare(core: &Core) -> Result<(), LifecycleError> {
    if core.ground.prepared.load(Ordering::Acquire) {
        return Ok(());
    }
    if let Err(error) = core.parts.backend.network().prepare(&core.parts.topology).await {
        if !in_use(core) {
            clear(core).await.iter().for_each(|error| log::warn!("{error}"));
        }
        return Err(error.into());
    }
    core.ground.prepared.store(true, Ordering::Release);
    Ok(())
}

fn in_use(core: &Core) -> bool {
    core.state().instances.values().any(|instance| instance.state().is_live())
}

/// Removes the data centers and links, and what the container drivers keep for the installation as a whole,
/// when no instance is left. What fails is tried again after the next instance.
pub(crate) async fn leave_if_unused(core: &Core) {
    // No instance can be planned meanwhile.
    let _allocation = core.allocation.lock().await;
    if in_use(core) {
        return;
    }
    for error in clear(core).await {
        log::warn!("{error}");
    }
}

/// Removes all of it, whatever stands on it; what failed.
pub(crate) async fn clear(core: &Core) -> Vec<DriverError> {
    let backend = &core.parts.backend;
    // Before the first await: what is interrupted half-way is not there.
    core.ground.prepared.store(false, Ordering::Release);
    let (network, containers) = tokio::join!(backend.network().teardown(), engines::cleanup(core));
    network.err().into_iter().chain(containers).collect()
}
