//! The simulated drivers: a host in memory, for trying things out without privileges, for tests and for
//! embedding programs.
//!
//! They keep the whole contract of the crate's page: names clash, host ports are in use, images are missing,
//! interfaces vanish with their containers. What a real host would do on its own, a [`Script`] says: how
//! long operations take, which calls fail or hang, what commands in containers write. What it does not say
//! is not made up: a command without an entry is recorded, writes nothing and ends with exit code 0.
//!
//! Time is tokio's, so that tests can pause it.
//!
//! ```
//! use llcm_names::{EngineName, InstallationId};
//! use llcm_runtime::simulated::{self, Fault, Operation, Script, World};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let world = World::with_script(Script::default().with(Fault::fail(Operation::Stop)));
//! let installation = InstallationId::from_bits(1);
//! let backend = simulated::backend(&world, &installation);
//!
//! world.add_foreign(&EngineName::parse("postgres")?, "postgres:17");
//! assert!(backend.containers().list_owned(&installation).await?.is_empty());
//! assert_eq!(world.snapshot().containers.len(), 1);
//! # Ok(())
//! # }
//! ```

mod behind;
mod chains;
mod containers;
mod faults;
mod io;
mod latency;
mod moments;
mod networks;
mod reach;
mod script;
mod state;
#[cfg(test)]
mod tests;
mod traffic;
mod watch;
mod world;

use std::sync::Arc;

use llcm_names::{DcName, InstallationId};

pub use containers::SimulatedContainers;
pub use faults::{Action, Fault, Operation, When};
pub use latency::{Latency, LatencyError};
pub use moments::Observer;
pub use networks::SimulatedNetwork;
pub use script::{Script, ScriptError, ScriptedCommand, ScriptedImage, ScriptedOutput};
pub use world::{Call, ContainerSnapshot, ExecRecord, PortSnapshot, Snapshot, World};

use crate::{Backend, ContainerDriver as _, Incompatible};

/// Both simulated drivers on one world, for one installation.
#[must_use]
pub fn backend(world: &Arc<World>, installation: &InstallationId) -> Backend {
    Backend::of_one_engine(
        Arc::new(SimulatedContainers::new(Arc::clone(world))),
        Arc::new(SimulatedNetwork::new(Arc::clone(world), installation.clone())),
    )
}

/// As [`backend`], with engines of their own for some data centers; they are to be on the same world. Two data
/// centers share an engine by [`Backend::with_datacenter`].
///
/// # Errors
/// [`Incompatible::Twice`] when two of them have the same name, or one has the default one's.
pub fn backend_with_engines(
    world: &Arc<World>,
    installation: &InstallationId,
    engines: impl IntoIterator<Item = (DcName, SimulatedContainers)>,
) -> Result<Backend, Incompatible> {
    let default = SimulatedContainers::new(Arc::clone(world));
    let engines: Vec<_> = engines.into_iter().collect();
    let named = engines.iter().map(|(_, driver)| driver.offers().engine);
    let reached: Vec<_> = named.chain([default.offers().engine]).collect();
    let network = SimulatedNetwork::new(Arc::clone(world), installation.clone()).reaching(reached);
    let mut backend = Backend::pair(Arc::new(default), Arc::new(network))?;
    for (dc, driver) in engines {
        backend = backend.with_datacenter(dc, Arc::new(driver))?;
    }
    Ok(backend)
}
