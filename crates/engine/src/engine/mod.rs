//! The engine: containers by name, in a directory.
//!
//! All calls block; an asynchronous program makes them on threads for that. Calls on different containers go on
//! side by side, those on one container one after another, but for [`Engine::wait`], which does not hold others
//! up. Two threads are the engine's own as long as it is open: one keeps logs, one notices ends and reaps helpers. A
//! third one, from the first published port on, is the proxy.

mod admission;
mod adopt;
mod container;
mod damaged;
mod ends;
mod exec;
mod helpers;
mod keeper;
mod logs;
mod ports;
mod run;
mod session;
mod stop;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use damaged::Damaged;
pub use ends::Ended;
pub use exec::{ExecOutput, ExecSpec};
pub use logs::{LogChunk, LogReader};
pub use session::Session;

use crate::cgroup::Cgroups;
use crate::error::{Context as _, EngineError};
use crate::files::{
    Lock, in_use, make_private_dir, owned, remove_tree, try_lock, with_own_group, write_json,
};
use crate::host_sockets::{HostSockets, OwnNamespace};
use crate::ids::Ids;
use crate::image::store::ImageStore;
use crate::image::{HostTools, ImageLimits};
use crate::namespaces::remove_network;
use crate::patience;
use crate::powers::Powers;
use crate::program::Helper;
use crate::publish::PublishVia;
use crate::publish::ports::Ports;
use crate::record::{Inspected, Kept, State, VERSION};
use crate::spec::{Spec, check_name, check_state_path};
use container::{Container, Live, Removal};

/// How an engine works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its directory; made when it is not there. One program at a time has it.
    pub state_dir: PathBuf,
    /// How the program is started as its own helper.
    pub helper: Helper,
    /// Name of the cgroup that holds those of the containers, and of their root file systems among the mounts. Nobody
    /// else's: [`crate::Lost`] goes by it.
    pub cgroup: String,
    /// How much an image may hold.
    pub image_limits: ImageLimits,
    /// Tools that containers of the built-in image have; `None`: only the host's own programs.
    pub host_tools: Option<HostTools>,
    /// Bytes of a container's log after which it is moved to a second file beside the first, `log.1`, in place of
    /// what was there. What is written at that very moment is lost: between the last look at the log's length and its
    /// cut, which is some microseconds, unless this program has to wait for the processor there; of a container that
    /// writes without a pause, what it writes while that is copied.
    pub log_bytes: u64,
    /// Which way ports are published.
    pub publish: PublishVia,
    /// Where sockets for published ports come from.
    pub host_sockets: Arc<dyn HostSockets>,
}

impl Options {
    /// The usual ones for a directory.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            helper: Helper::default(),
            cgroup: "llcm".to_owned(),
            image_limits: ImageLimits::default(),
            host_tools: None,
            log_bytes: 10 << 20,
            publish: PublishVia::default(),
            host_sockets: Arc::new(OwnNamespace),
        }
    }
}

/// A container engine. Dropping it leaves the containers running; the next one on the directory adopts them.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    images: ImageStore,
    cgroups: Arc<Cgroups>,
    ids: Ids,
    powers: Powers,
    ports: Arc<Ports>,
    containers: Mutex<BTreeMap<String, Arc<Container>>>,
    /// Those whose files cannot be read, by name.
    damaged: Mutex<BTreeMap<String, Damaged>>,
    /// Held while one of them is removed.
    removing_damaged: Mutex<()>,
    /// Names of containers being made, which takes a while and must not hold others up.
    making: Mutex<BTreeSet<String>>,
    keeper: keeper::Keeper,
    ends: ends::Ends,
    _lock: Lock,
}

impl Engine {
    /// Opens the engine's directory and adopts the containers that run from earlier.
    ///
    /// The program becomes a subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`): the containers' processes become its
    /// children, so that it is told how they end. Other orphans of its children come to it, too; the engine reaps those that
    /// are commands in containers.
    ///
    /// # Errors
    /// `InUse` when another program has the directory and does not give it up within a second; `Conflict` when another user may write to it; `System` when it
    /// cannot be used; `Invalid` when the program is not root, not even in a user namespace (see [`crate::rootless`]), or the
    /// path cannot be used in mount options.
    pub fn open(options: Options) -> Result<Self, EngineError> {
        if !rustix::process::geteuid().is_root() {
            let text = "the embedded engine needs root, or namespaces where this user is root: run the program as \
                        root, let it call rootless::enter first, or choose another engine";
            return Err(EngineError::Invalid(text.to_owned()));
        }
        check_name(&options.cgroup)?;
        check_state_path(&options.state_dir)?;
        let host_tools = options.host_tools.map(HostTools::resolved).transpose()?;
        let options = Options { state_dir: owned(&options.state_dir)?, host_tools, ..options };
        let held = try_lock(&options.state_dir.join("lock"), patience::MOMENT)?;
        let lock = held.ok_or_else(|| in_use(&options.state_dir))?;
        remove_tree(&scratch_dir(&options.state_dir))?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .context("become subreaper for", &options.state_dir)?;
        let ids = Ids::read().context("read the users of", &options.state_dir)?;
        if !ids.are_whole() {
            with_own_group(&options.state_dir)?;
        }
        let images = ImageStore::open(&options.state_dir.join("images"), options.image_limits)?;
        images.sweep()?;
        let images = images.with_tools(options.host_tools.as_ref());
        let cgroups = Arc::new(Cgroups::detect(&options.cgroup)?);
        let keeper = keeper::Keeper::start(options.log_bytes)?;
        let powers = Powers::with(&cgroups, &ids);
        let sockets = Arc::clone(&options.host_sockets);
        let ports = Arc::new(Ports::new(options.publish, sockets, &options.cgroup, &options.state_dir));
        let ends = ends::Ends::start(&cgroups, &ports)?;
        let engine = Self {
            options,
            ports,
            images,
            cgroups,
            ids,
            powers,
            containers: Mutex::default(),
            damaged: Mutex::default(),
            removing_damaged: Mutex::default(),
            making: Mutex::default(),
            keeper,
            ends,
            _lock: lock,
        };
        engine.adopt()?;
        Ok(engine)
    }

    /// The engine's directory.
    #[must_use]
    pub fn state_dir(&self) -> &Path {
        &self.options.state_dir
    }

    /// A directory for images until they are loaded, on the file system of the store; made by who uses it. What is left
    /// in it goes when the engine is opened.
    #[must_use]
    pub fn scratch_dir(&self) -> PathBuf {
        scratch_dir(&self.options.state_dir)
    }

    /// What this engine can do here, and why not.
    #[must_use]
    pub fn powers(&self) -> &Powers {
        &self.powers
    }

    /// The image store.
    #[must_use]
    pub fn images(&self) -> &ImageStore {
        &self.images
    }

    /// Removes an image, see [`ImageStore::remove`]; layers of containers stay.
    ///
    /// # Errors
    /// As there.
    pub fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        self.images.remove(reference, &self.options.state_dir)
    }

    /// Whether [`Engine::create`] would take a specification: refuses what this engine cannot do here. An image that
    /// is not in the store is none of its business.
    ///
    /// # Errors
    /// `Invalid` with what to change.
    pub fn check(&self, spec: &Spec) -> Result<(), EngineError> {
        spec.check()?;
        match self.images.find(&spec.image) {
            Ok(image) => self.admit(spec, &image),
            Err(EngineError::NotFound { .. }) => self.powers.check(spec),
            Err(error) => Err(error),
        }
    }

    /// Makes a container: its directory and, unless it is given one, its network namespace, which has a file
    /// until the container starts, so that interfaces can be there before the first instruction. From then on it
    /// belongs to the container's processes and goes with them.
    ///
    /// # Errors
    /// `Conflict` when the name is taken, `NotFound` for the image, `Invalid` for the specification.
    pub fn create(&self, spec: Spec) -> Result<Inspected, EngineError> {
        spec.check()?;
        let name = spec.name.clone();
        // Held until the record on disk says that the image is used.
        let (image, _held) = self.images.hold(&spec.image)?;
        self.admit(&spec, &image)?;
        {
            let containers = self.containers();
            if self.damaged_ones().contains_key(&name) {
                let problem = "is there already and is damaged: remove it";
                return Err(EngineError::Conflict { kind: "container", name, problem });
            }
            if containers.contains_key(&name) || !self.making().insert(name.clone()) {
                let problem = "is there already: remove it, or choose another name";
                return Err(EngineError::Conflict { kind: "container", name, problem });
            }
        }
        let made = self.make(Kept { version: VERSION, spec, image });
        let made = made.map(|container| {
            let inspected = container.inspected(&container.live());
            self.containers().insert(name.clone(), Arc::new(container));
            inspected
        });
        self.making().remove(&name);
        made
    }

    /// Makes a container's directory and network namespace.
    fn make(&self, kept: Kept) -> Result<Container, EngineError> {
        let name = &kept.spec.name;
        let directory = self.containers_dir().join(name);
        let staged = self.containers_dir().join(format!(".{name}.new"));
        remove_tree(&staged)?;
        make_private_dir(&staged)?;
        for part in ["upper", "work"] {
            make_private_dir(&staged.join(part))?;
        }
        // The upper directory's mode becomes that of the container's root.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(staged.join("upper"), open).context("set the mode of", &staged)?;
        write_json(&staged.join("spec.json"), &kept)?;
        write_json(&staged.join(damaged::LABELS), &kept.spec.labels)?;
        write_json(&staged.join("state.json"), &State::Created)?;
        fs::rename(&staged, &directory).context("rename", &staged)?;
        let live = Mutex::new(Live::new(State::Created, None, None));
        let container = Container { kept, directory, live };
        let ready = self.make_ready(&container, &mut container.live());
        if let Err(error) = ready {
            remove_network(&container.directory.join("network"))?;
            remove_tree(&container.directory)?;
            return Err(error);
        }
        Ok(container)
    }

    /// The file of a container's network namespace, for attaching interfaces: made anew when the container has ended,
    /// so that it can be given its interfaces before it starts again.
    ///
    /// # Errors
    /// `NotFound`, `System`.
    pub fn network(&self, name: &str) -> Result<PathBuf, EngineError> {
        let container = self.container(name)?;
        let mut live = container.live();
        if live.removal != Removal::No {
            return Err(not_found(name));
        }
        self.notice_end(&container, &mut live)?;
        if live.process.is_none() {
            self.make_ready(&container, &mut live)?;
        }
        Ok(container.network(&live.state))
    }

    /// Gives a container that does not run its network namespace, and in it what published ports need.
    fn make_ready(&self, container: &Container, live: &mut Live) -> Result<(), EngineError> {
        container.ensure_network()?;
        live.management = self.ports.prepare(&container.kept.spec, &container.network_file())?;
        Ok(())
    }

    fn making(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Describes a container; `None` when there is none of that name.
    ///
    /// # Errors
    /// When it has ended and that cannot be written down.
    pub fn inspect(&self, name: &str) -> Result<Option<Inspected>, EngineError> {
        let Some(container) = self.containers().get(name).cloned() else { return Ok(None) };
        self.refresh(&container)
    }

    /// Describes all containers, by name.
    ///
    /// # Errors
    /// When one has ended and that cannot be written down.
    pub fn list(&self) -> Result<Vec<Inspected>, EngineError> {
        let all: Vec<_> = self.containers().values().cloned().collect();
        all.iter().filter_map(|container| self.refresh(container).transpose()).collect()
    }

    /// Removes what the engine has outside of its directory and shares among containers. Call it when no
    /// container is left; what others make meanwhile stays.
    pub fn remove_leftovers(&self) {
        self.cgroups.remove_parent();
        // The next engine on the directory tries it again, and says what is in the way.
        let _ = self.settle_ports();
    }

    /// `None` when it was removed since it was looked up.
    fn refresh(&self, container: &Container) -> Result<Option<Inspected>, EngineError> {
        let mut live = container.live();
        self.notice_end(container, &mut live)?;
        Ok((live.removal != Removal::Done).then(|| container.inspected(&live)))
    }

    fn container(&self, name: &str) -> Result<Arc<Container>, EngineError> {
        self.containers().get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// The table is changed by single calls only, so a panic elsewhere leaves it whole.
    fn containers(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Container>>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where containers mount their root before it becomes the root: one for all, since each does so in a mount
    /// namespace of its own.
    fn mount_point(&self) -> PathBuf {
        self.options.state_dir.join("root")
    }

    fn containers_dir(&self) -> PathBuf {
        self.options.state_dir.join("containers")
    }
}

fn not_found(name: &str) -> EngineError {
    EngineError::NotFound { kind: "container", name: name.to_owned() }
}

fn scratch_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("fetched")
}
