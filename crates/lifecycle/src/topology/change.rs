//! Changing the topology while instances live.

use std::sync::Arc;

use llcm_topology::{Batch, Change, ChangeError, Topology};
use tokio::time::Instant;

use super::{ChangedTopology, checks};
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::ground;
use crate::request::Event;
use crate::store::Change as Stored;

impl From<ChangeError> for LifecycleError {
    fn from(error: ChangeError) -> Self {
        let code = match error {
            ChangeError::NoLink { .. } => ErrorCode::LinkNotFound,
            ChangeError::NoDatacenter { .. } => ErrorCode::DatacenterNotFound,
            ChangeError::LinkExists { .. }
            | ChangeError::DatacenterExists { .. }
            | ChangeError::LastDatacenter { .. }
            | ChangeError::TooManyDatacenters
            | ChangeError::TooManyLinks => ErrorCode::TopologyConflict,
            ChangeError::Senseless { .. } => ErrorCode::InvalidChange,
        };
        Self::new(code, error.to_string())
    }
}

/// What a change came to.
pub(crate) struct Made {
    /// The topology as it is now.
    pub(crate) topology: Arc<Topology>,
    /// When the host was as it says; when it was written down, if the host has nothing of it.
    pub(crate) at: Instant,
}

/// Makes changes, all or none of them.
pub(crate) async fn change(core: Arc<Core>, changes: Vec<Change>) -> Result<Made, LifecycleError> {
    let _allocation = core.allocation.lock().await;
    core.check_open()?;
    let before = core.topology.get();
    let after = Arc::new(decide(&core, &before, &changes)?);
    if after == before {
        // It is acknowledged as done: where it is in doubt what the host has, it is brought to that first.
        if ground::in_use(&core) {
            ground::prepare(&core).await?;
        }
        return Ok(Made { topology: before, at: Instant::now() });
    }
    // Also where it is in doubt what there is of it.
    let in_place = core.ground.is_prepared() || ground::in_use(&core);
    // Where nothing stands on it, only what the host may be unable to do is tried, and taken down again.
    let tried = in_place || changes.iter().any(asks_for_more);
    let mut not_emulated = Vec::new();
    if tried {
        match ground::lay(&core, &after).await {
            Ok(lacking) => not_emulated = lacking,
            Err(error) => return Err(back(&core, &before, in_place, error).await),
        }
    }
    let at = Instant::now();
    let changed = (*after != core.parts.topology).then(|| {
        Box::new(ChangedTopology { file: core.parts.topology.clone(), current: Topology::clone(&after) })
    });
    if let Err(error) = core.writer.write(vec![Stored::PutTopology(changed)]).await {
        return Err(back(&core, &before, in_place, error).await);
    }
    core.topology.set(Arc::clone(&after));
    if tried {
        not_emulated.iter().for_each(|what| log::warn!("not emulated on this host: {what}"));
        ground::accept(&core, not_emulated)?;
    }
    if in_place {
        core.ground.trust();
    } else if tried {
        ground::clear(&core).await.iter().for_each(|error| log::warn!("{error}"));
    }
    for change in &changes {
        log::info!("{change}");
        core.emit(Event::Topology { change: change.to_string() });
    }
    let at = if tried { at } else { Instant::now() };
    Ok(Made { topology: after, at })
}

/// The topology that changes lead to.
fn decide(core: &Core, before: &Topology, changes: &[Change]) -> Result<Topology, LifecycleError> {
    let mut after = Batch::new(before.clone());
    for change in changes {
        checks::check(core, &mut after, change)?;
        match change {
            Change::AddDatacenter(datacenter) => {
                let mut datacenter = datacenter.clone();
                let in_file = core.parts.topology.datacenter(&datacenter.name);
                let engine = in_file.and_then(|known| known.engine.clone());
                if datacenter.engine.is_some() && datacenter.engine != engine {
                    let message = format!(
                        "data center {}: one that is added while the server runs has its default engine; another one \
                         is given in the topology file",
                        datacenter.name
                    );
                    return Err(LifecycleError::new(ErrorCode::TopologyConflict, message));
                }
                // One of the file that comes back has the engine that the file gives it.
                datacenter.engine = engine;
                after.change(&Change::AddDatacenter(datacenter))?;
            }
            other => after.change(other)?,
        }
    }
    Ok(after.finish())
}

/// Whether a change may ask for what the host cannot do.
fn asks_for_more(change: &Change) -> bool {
    match change {
        Change::Link { change, .. } => change.has_properties(),
        Change::AddLink(_) | Change::AddDatacenter(_) => true,
        Change::RemoveLink { .. } | Change::RemoveDatacenter { .. } => false,
    }
}

/// Brings the host back to what the record says; the error, with what went wrong on the way.
async fn back(core: &Core, before: &Topology, in_place: bool, mut error: LifecycleError) -> LifecycleError {
    if !in_place {
        error.others.extend(ground::clear(core).await.iter().map(ToString::to_string));
        return error;
    }
    if let Err(further) = core.parts.backend.network().prepare(before).await {
        // The next one who needs it makes it anew.
        core.ground.doubt();
        log::error!("links cannot be brought back to what they were: {further}");
        error.message.push_str(
            "; and bringing the links back to what they were did not finish: it is tried again with the next change or \
             instance",
        );
        error.others.push(further.to_string());
    }
    error
}
