//! The driver: what it holds, and how it finds containers and checks whose they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use llcm_names::{EngineName, InstallationId, Owner};
use llcm_runtime::{DriverError, DriverResult, EngineId, ErrorKind};

use crate::client::Client;
use crate::gate::Gate;
use crate::map_error::Attempt;
use crate::options::DockerOptions;
use crate::view::Found;

/// Runs containers on a Docker engine of this host.
#[derive(Debug)]
pub struct DockerContainers {
    pub(crate) client: Client,
    /// Absolute.
    helper_directory: PathBuf,
    /// Ids of containers this driver created or looked at, by name and owner. Saves a look before each
    /// step; an id that is wrong by now is found out by the engine, and then the container is looked up.
    known: Mutex<BTreeMap<EngineName, (Owner, String)>>,
    /// Digests of images' configurations, by the engine's ids, where the two are not the same and the digest
    /// is hard to come by. What an id means does not change.
    digests: Mutex<BTreeMap<String, String>>,
}

/// A container of the asked owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    /// The engine's id. Acting on the id and not on the name means that a container which took the name
    /// over in the meantime is not touched.
    pub(crate) id: String,
    /// Whether the id comes from memory, and may be out of date.
    pub(crate) remembered: bool,
}

impl DockerContainers {
    /// The name of the engine, for pairing with network drivers.
    pub const ENGINE: &str = "docker";

    /// Connects to an engine.
    ///
    /// # Errors
    /// `Unavailable` when no engine answers at the socket, `Denied` without the permission to use it.
    pub async fn connect(options: &DockerOptions) -> DriverResult<Self> {
        let client = Client::connect(options).await?;
        let helper_directory = std::path::absolute(&options.helper_directory).map_err(|error| {
            let target = options.helper_directory.display().to_string();
            DriverError::new(ErrorKind::Invalid, "use helper directory", target, error.to_string())
        })?;
        Ok(Self { client, helper_directory, known: Mutex::default(), digests: Mutex::default() })
    }

    pub(crate) fn gate(&self, installation: &InstallationId) -> Gate {
        Gate::new(&self.helper_directory, installation)
    }

    pub(crate) fn engine() -> EngineId {
        EngineId::new(Self::ENGINE)
    }

    pub(crate) fn remember(&self, name: &EngineName, owner: &Owner, id: &str) {
        self.known().insert(name.clone(), (owner.clone(), id.to_owned()));
    }

    pub(crate) fn forget(&self, name: &EngineName) {
        self.known().remove(name);
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<EngineName, (Owner, String)>> {
        // The map is whole between any two statements.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn digests(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a container, by name or id.
    pub(crate) async fn look(&self, attempt: Attempt<'_>, key: &str) -> DriverResult<Option<Found>> {
        let ask = |_| async {
            let path = format!("/containers/{key}/json");
            Found::parse(&self.client.get(&path).await?.all().await?)
        };
        self.client.find(attempt, ask).await
    }

    /// The container of that name, if it is the owner's; `None` when there is none.
    ///
    /// # Errors
    /// `Conflict` when somebody else's container has the name.
    pub(crate) async fn owned(
        &self,
        attempt: Attempt<'_>,
        owner: &Owner,
        name: &EngineName,
    ) -> DriverResult<Option<Owned>> {
        if let Some((known, id)) = self.known().get(name)
            && known == owner
        {
            return Ok(Some(Owned { id: id.clone(), remembered: true }));
        }
        let found = self.look_owned(attempt, owner, name).await?;
        Ok(found.map(|found| Owned { id: found.id, remembered: false }))
    }

    /// As [`DockerContainers::owned`], never from memory, and all of it.
    pub(crate) async fn look_owned(
        &self,
        attempt: Attempt<'_>,
        owner: &Owner,
        name: &EngineName,
    ) -> DriverResult<Option<Found>> {
        self.forget(name);
        let Some(found) = self.look(attempt, name.as_str()).await? else { return Ok(None) };
        if found.owner.as_ref() != Some(owner) {
            return Err(attempt.error(ErrorKind::Conflict, held_by(found.owner.as_ref())));
        }
        self.remember(name, owner, &found.id);
        Ok(Some(found))
    }
}

/// Who holds a name, in words.
pub(crate) fn held_by(owner: Option<&Owner>) -> String {
    match owner {
        Some(owner) => format!(
            "the name is held by a container of instance {} of installation {}",
            owner.instance, owner.installation
        ),
        None => "the name is held by a container that is not of this program; it is left alone: rename or \
                 remove it"
            .to_owned(),
    }
}
