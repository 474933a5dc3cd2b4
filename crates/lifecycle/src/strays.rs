//! What carries this installation's mark and belongs to no instance: the late effect of a call that was given up.
//!
//! It is found in three ways: by the engine's events when it comes into being, by looking again and again for a while
//! after a call was given up, and at every start.

use std::sync::{Arc, Weak};
use std::time::Duration;

use llcm_names::{EngineName, Owner};
use llcm_runtime::{DriverResult, EngineId};

use crate::core::Core;
use crate::recovery::{self, decide};
use crate::{engines, watching};

/// How long after a call that was given up it is looked for effects of it: for a quarter of an hour, each time after as
/// many seconds more.
const LOOKS: [u64; 8] = [1, 3, 10, 30, 60, 120, 300, 400];

/// Looks for late effects whenever a call was given up.
pub(crate) fn begin(core: &Arc<Core>) {
    let (weak, late, closing) = (Arc::downgrade(core), Arc::clone(&core.late), core.closing.clone());
    core.spawn_apart(async move {
        let work = async {
            loop {
                late.more.notified().await;
                look_for_a_while(&weak, &late.more).await;
            }
        };
        tokio::select! {
            biased;
            () = closing.cancelled() => {}
            () = work => {}
        }
    });
}

async fn look_for_a_while(weak: &Weak<Core>, more: &tokio::sync::Notify) {
    let mut looks = LOOKS.into_iter();
    while let Some(seconds) = looks.next() {
        tokio::select! {
            biased;
            () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            // From the beginning: what was given up just now may take as long.
            () = more.notified() => {
                looks = LOOKS.into_iter();
                continue;
            }
        }
        let Some(core) = weak.upgrade() else { return };
        sweep(&core).await;
    }
    if let Some(core) = weak.upgrade() {
        core.late.clear();
    }
}

/// Removes what belongs to no instance, as far as the drivers tell; and looks at what was given up in instances that
/// run.
async fn sweep(core: &Arc<Core>) {
    // Looked at first: an instance is known before anything of it is there.
    let listed = engines::list_owned(core).await;
    let objects = core.parts.backend.network().list_owned(&core.installation).await;
    for error in listed.errors.iter().chain(objects.as_ref().err()) {
        log::debug!("looking for what was given up: {error}");
    }
    let observed = decide::Observed {
        containers: recovery::with_engines(listed.given),
        objects: objects.unwrap_or_default(),
    };
    for decision in decide::strays(&recovery::known(core), &observed) {
        if let decide::Decision::Remove { owner, containers } = decision {
            remove(core, &owner, containers).await;
        }
    }
    let instances: Vec<_> = core.state().instances.values().cloned().collect();
    for instance in instances.into_iter().filter(|instance| core.late.is_in_doubt(instance.id)) {
        watching::look_at_all(core, &instance);
    }
}

/// Removes what is there of an instance that is not.
pub(crate) async fn remove(core: &Core, owner: &Owner, containers: Vec<(EngineId, EngineName)>) {
    log::warn!("removing what is left of instance {}, of which there is no record", owner.instance);
    if let Err(errors) = core.parts.backend.network().remove_instance(owner).await {
        errors.iter().for_each(|error| log::error!("{error}"));
    }
    for (engine, name) in containers {
        if let Err(error) = remove_container(core, &engine, owner, &name).await {
            log::error!("{error}");
        }
    }
}

async fn remove_container(
    core: &Core,
    engine: &EngineId,
    owner: &Owner,
    name: &EngineName,
) -> DriverResult<()> {
    let engine = engines::named(&core.parts.backend, Some(engine))?;
    engine.remove(owner, name).await.map_err(|error| engine.told(error))
}
