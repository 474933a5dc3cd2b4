//! Removing everything that an installation has on the host, when there is no store to say what that is: by the marks.
//!
//! The caller holds the data directory ([`crate::installation::hold`]): what a server has made must not go from under it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::{
    ContainerDriver, ContainerView, DriverError, DriverResult, EngineId, NetworkDriver, NetworkObject,
};

/// Removals that run at the same time.
const AT_ONCE: usize = 8;

/// The drivers that are asked.
#[derive(Clone)]
pub struct Drivers {
    /// The container engines, each once.
    pub engines: Vec<Arc<dyn ContainerDriver>>,
    /// The network; `None` where there is none.
    pub network: Option<Arc<dyn NetworkDriver>>,
}

impl std::fmt::Debug for Drivers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let engines: Vec<_> = self.engines.iter().map(|engine| engine.offers().engine).collect();
        f.debug_struct("Drivers").field("engines", &engines).finish_non_exhaustive()
    }
}

/// What carries the mark of an installation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marked {
    /// Containers, with the engine of each.
    pub containers: Vec<(EngineId, ContainerView)>,
    /// Ports and segments.
    pub objects: Vec<NetworkObject>,
}

impl Marked {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.objects.is_empty()
    }

    /// Whose it is.
    #[must_use]
    pub fn owners(&self) -> BTreeSet<Owner> {
        let of_containers = self.containers.iter().filter_map(|(_, view)| view.owner.clone());
        of_containers.chain(self.objects.iter().map(|object| object.owner().clone())).collect()
    }
}

/// What carries the mark of an installation; nothing is changed.
///
/// # Errors
/// When a driver does not tell.
pub async fn look(drivers: &Drivers, installation: &InstallationId) -> DriverResult<Marked> {
    let mut marked = Marked::default();
    for engine in &drivers.engines {
        let id = engine.offers().engine;
        let views = engine.list_owned(installation).await?;
        marked.containers.extend(views.into_iter().map(|view| (id.clone(), view)));
    }
    if let Some(network) = &drivers.network {
        marked.objects = network.list_owned(installation).await?;
    }
    Ok(marked)
}

/// Removes all that [`look`] found, then the data centers and what the engines keep for the installation as a whole. It
/// goes on after errors and returns them; it may be repeated.
pub async fn remove(drivers: &Drivers, installation: &InstallationId, marked: &Marked) -> Vec<DriverError> {
    let mut errors = Vec::new();
    if let Some(network) = &drivers.network {
        for owner in marked.owners() {
            errors.extend(network.remove_instance(&owner).await.err().into_iter().flatten());
        }
    }
    let engines: BTreeMap<_, _> =
        drivers.engines.iter().map(|engine| (engine.offers().engine, engine)).collect();
    let engines = &engines;
    let removals = marked.containers.iter().map(|(engine, view)| async move {
        let (Some(engine), Some(owner)) = (engines.get(engine), &view.owner) else { return None };
        remove_one(engine.as_ref(), owner, &view.name).await.err()
    });
    let failed: Vec<_> = stream::iter(removals).buffer_unordered(AT_ONCE).collect().await;
    errors.extend(failed.into_iter().flatten());
    if let Some(network) = &drivers.network {
        errors.extend(network.teardown().await.err());
    }
    for engine in &drivers.engines {
        errors.extend(engine.cleanup(installation).await.err());
    }
    errors
}

async fn remove_one(engine: &dyn ContainerDriver, owner: &Owner, name: &EngineName) -> DriverResult<()> {
    engine.remove(owner, name).await
}
