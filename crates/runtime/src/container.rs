//! The container driver trait and what it reports.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::{DcName, EngineName, InstallationId, Owner};
use serde::{Deserialize, Serialize};

use crate::capability::{Exec, Logs};
use crate::{AttachPoint, BuildSpec, ContainerSpec, ContainerWatch, DriverResult, Offers, PullPolicy, Taken};

/// Runs containers in an engine. See the crate's page for the rules that all methods follow.
#[async_trait]
pub trait ContainerDriver: Send + Sync {
    /// What this driver offers to network drivers.
    fn offers(&self) -> Offers;

    /// Asks the engine who it is and what it has.
    ///
    /// # Errors
    /// `Unavailable` when it does not answer, `Denied` when it may not be asked.
    async fn info(&self) -> DriverResult<EngineInfo>;

    /// Makes sure that an image is there, fetching it as `policy` says.
    ///
    /// # Errors
    /// `Invalid` for a reference that is none, `NotFound` when nobody has the image, `Unavailable` when the
    /// registry does not answer.
    async fn ensure_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: &dyn Progress,
    ) -> DriverResult<ImageView>;

    /// Builds an image from a directory and tags it.
    ///
    /// # Errors
    /// `Failed` with the end of the build's output, `Unsupported` where the engine cannot build.
    async fn build_image(&self, spec: &BuildSpec, progress: &dyn Progress) -> DriverResult<ImageView>;

    /// Whether the engine can run such a container here, as far as that can be told without making anything: asked
    /// for all containers of an instance before the first of them is made. The default has no objection; what cannot
    /// be run then shows at `create` or `start`.
    ///
    /// # Errors
    /// `Unsupported` or `Invalid`, naming what cannot be done and what to change; `Denied` for a missing privilege.
    async fn check(&self, _spec: &ContainerSpec) -> DriverResult<()> {
        Ok(())
    }

    /// Creates a container without starting it. An engine that makes the network namespace first returns how
    /// to reach it; the others return `None` and tell at `start`.
    ///
    /// # Errors
    /// `Conflict` when the name is taken by another owner or spec, `NotFound` without the image.
    async fn create(&self, spec: &ContainerSpec) -> DriverResult<Option<AttachPoint>>;

    /// Starts a created container; one that runs already is left alone. The VNF's own process may be held
    /// back until the interfaces of its spec are there.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a published port in use; `Failed` when the process cannot be executed.
    async fn start(&self, owner: &Owner, name: &EngineName) -> DriverResult<AttachPoint>;

    /// Stops a container: asks, and after `grace` kills.
    ///
    /// # Errors
    /// `Conflict` when the name belongs to another owner.
    async fn stop(&self, owner: &Owner, name: &EngineName, grace: Duration) -> DriverResult<()>;

    /// Removes a container, running or not, with its anonymous volumes.
    ///
    /// # Errors
    /// `Conflict` when the name belongs to another owner.
    async fn remove(&self, owner: &Owner, name: &EngineName) -> DriverResult<()>;

    /// What the engine knows of a container; `None` when it knows none of that name.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn inspect(&self, name: &EngineName) -> DriverResult<Option<ContainerView>>;

    /// All containers that carry this installation's mark, running or not, in the order of their names.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<ContainerView>>;

    /// What somebody other than this installation holds on the engine's host, asked now: names of containers,
    /// running or not, and ports. The default knows of nothing; a clash then shows as `Conflict` at `create`
    /// or `start`.
    ///
    /// # Errors
    /// `Unavailable`; `Failed` when the host does not tell.
    async fn taken(&self, _installation: &InstallationId) -> DriverResult<Taken> {
        Ok(Taken::default())
    }

    /// Removes what this driver keeps on the host for a container or an installation beyond the containers
    /// themselves (helper files). Called when the last instance is gone; the default has nothing.
    ///
    /// # Errors
    /// `Failed`.
    async fn cleanup(&self, _installation: &InstallationId) -> DriverResult<()> {
        Ok(())
    }

    /// Begins to tell what happens to this installation's containers, whoever brings it about; nothing is asked before the
    /// watch is waited on. It reconnects by itself and says so. `None`, the default: this driver cannot; callers then look
    /// from time to time.
    fn watch(&self, _installation: &InstallationId) -> Option<Box<dyn ContainerWatch>> {
        None
    }

    /// Running commands in containers, where the engine can.
    fn exec(&self) -> Option<&dyn Exec> {
        None
    }

    /// Reading containers' output, where the engine can.
    fn logs(&self) -> Option<&dyn Logs> {
        None
    }
}

/// Receives progress of long operations. Must not block.
pub trait Progress: Send + Sync {
    /// Something moved on.
    fn report(&self, event: ProgressEvent);
}

/// Nobody watches.
impl Progress for () {
    fn report(&self, _event: ProgressEvent) {}
}

/// A step of a long operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressEvent {
    /// What it is about: an image, a layer.
    pub subject: String,
    /// What happens, in the engine's words ("Downloading").
    pub status: String,
    /// Done so far and in all, in bytes, where known.
    pub bytes: Option<(u64, u64)>,
}

/// The engine's account of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EngineInfo {
    /// Product name ("docker", "podman", "simulated").
    pub name: String,
    /// Its version.
    pub version: String,
    /// CPUs that containers can be pinned to, by number; empty when not known.
    pub cpus: Vec<u32>,
    /// Bytes of memory of the host; 0 when not known.
    pub memory_bytes: u64,
    /// Address ranges (CIDR) that the engine uses for its own networks on this host, so that no segment overlaps them.
    pub networks: Vec<String>,
    /// What the engine warns about (limits that have no effect, for example).
    pub warnings: Vec<String>,
    /// Limits that the engine cannot set here, `cpu`, `cpuset` or `memory`, each with the reason. A plan leaves them
    /// out and says so.
    #[serde(default)]
    pub missing_limits: BTreeMap<String, String>,
}

/// An image the engine has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageView {
    /// The engine's id of the image (a digest).
    pub id: String,
    /// The image's own environment.
    pub environment: BTreeMap<String, String>,
    /// The image's ENTRYPOINT.
    pub entrypoint: Vec<String>,
    /// The image's CMD.
    pub command: Vec<String>,
}

/// A container as the engine sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerView {
    /// Its name in the engine.
    pub name: EngineName,
    /// The engine's id.
    pub id: String,
    /// Whose it is; `None` for a foreign one.
    pub owner: Option<Owner>,
    /// The data center it was created for.
    pub datacenter: Option<DcName>,
    /// Image reference it was created with.
    pub image: String,
    /// What it does.
    pub state: ContainerState,
    /// How to reach it while it runs.
    pub attach: Option<AttachPoint>,
    /// The management address on the engine's own network, if it has one.
    pub management_address: Option<String>,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its first process has ended; `None`: the code is not known.
    Exited {
        /// The exit code.
        code: Option<i64>,
    },
    /// Its engine cannot read what it knew of it; it can only be removed.
    Damaged,
}
