//! The engine: containers by name, in a directory.
//!
//! All calls block; an asynchronous program makes them on threads for that. Calls on different containers go on
//! side by side, those on one container one after another, but for [`Engine::wait`], which does not hold others
//! up.

mod exec;
mod keeper;
mod logs;
mod run;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use exec::{ExecOutput, ExecSpec};
pub use logs::{LogChunk, LogReader};
pub use session::Session;

use crate::cgroup::Cgroups;
use crate::error::{Context as _, EngineError};
use crate::files::{Lock, lock, make_private_dir, read_json, remove_tree, write_json};
use crate::image::store::ImageStore;
use crate::image::{HostTools, ImageLimits};
use crate::namespaces::{is_network, make_network, remove_network};
use crate::process::Process;
use crate::program::Helper;
use crate::record::{Exit, Inspected, Kept, State, Status, VERSION};
use crate::spec::{Spec, check_name, check_state_path};

/// How an engine works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its directory; made when it is not there. One program at a time has it.
    pub state_dir: PathBuf,
    /// How the program is started as its own helper.
    pub helper: Helper,
    /// Name of the cgroup that holds those of the containers.
    pub cgroup: String,
    /// How much an image may hold.
    pub image_limits: ImageLimits,
    /// Tools that containers of the built-in image have; `None`: only the host's own programs.
    pub host_tools: Option<HostTools>,
    /// Bytes of a container's log after which it is moved to a second file beside the first, `log.1`, in place of
    /// what was there.
    pub log_bytes: u64,
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
        }
    }
}

/// A container engine. Dropping it leaves the containers running; the next one on the directory adopts them.
#[derive(Debug)]
pub struct Engine {
    options: Options,
    images: ImageStore,
    cgroups: Cgroups,
    containers: Mutex<BTreeMap<String, Arc<Container>>>,
    /// Names of containers being made, which takes a while and must not hold others up.
    making: Mutex<BTreeSet<String>>,
    lingering: session::Lingering,
    keeper: keeper::Keeper,
    _lock: Lock,
}

/// A container in memory.
#[derive(Debug)]
struct Container {
    kept: Kept,
    directory: PathBuf,
    live: Mutex<Live>,
}

/// What changes.
#[derive(Debug)]
struct Live {
    state: State,
    /// There while the state is `Running`.
    process: Option<Arc<Process>>,
    /// A removed container may still be held by a caller that waits.
    removed: bool,
}

impl Engine {
    /// Opens the engine's directory and adopts the containers that run from earlier.
    ///
    /// The program becomes a subreaper (prctl(2), `PR_SET_CHILD_SUBREAPER`): the containers' processes become its
    /// children, so that it is told how they end. Other orphans of its children come to it, too.
    ///
    /// # Errors
    /// `Conflict` when another program has the directory or another user may write to it; `System` when it cannot be used; `Invalid` when
    /// the program has no root privileges, or the path cannot be used in mount options.
    pub fn open(options: Options) -> Result<Self, EngineError> {
        if !rustix::process::geteuid().is_root() {
            let text = "the embedded engine needs root: run the program as root, or choose another engine";
            return Err(EngineError::Invalid(text.to_owned()));
        }
        check_name(&options.cgroup)?;
        check_state_path(&options.state_dir)?;
        make_private_dir(&options.state_dir)?;
        let state_dir = options.state_dir.canonicalize().context("resolve", &options.state_dir)?;
        let found = fs::metadata(&state_dir).context("look at", &state_dir)?;
        if found.uid() != rustix::process::geteuid().as_raw() || found.mode() & 0o022 != 0 {
            return Err(EngineError::Conflict {
                kind: "state directory",
                name: state_dir.display().to_string(),
                problem: "may be changed by others: choose one that only this user can write to",
            });
        }
        let host_tools = options.host_tools.map(HostTools::resolved).transpose()?;
        let options = Options { state_dir, host_tools, ..options };
        let held = lock(&options.state_dir.join("lock"), false)?;
        let lock = held.ok_or_else(|| EngineError::Conflict {
            kind: "state directory",
            name: options.state_dir.display().to_string(),
            problem: "is used by another program: stop it, or choose another directory",
        })?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .context("become subreaper for", &options.state_dir)?;
        let images = ImageStore::open(&options.state_dir.join("images"), options.image_limits)?;
        let images = images.with_tools(options.host_tools.as_ref());
        let cgroups = Cgroups::detect(&options.cgroup)?;
        let keeper = keeper::Keeper::start(options.log_bytes)?;
        let engine = Self {
            options,
            images,
            cgroups,
            containers: Mutex::default(),
            making: Mutex::default(),
            lingering: session::Lingering::default(),
            keeper,
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
        {
            let containers = self.containers();
            if containers.contains_key(&name) || !self.making().insert(name.clone()) {
                let problem = "is there already: remove it, or choose another name";
                return Err(EngineError::Conflict { kind: "container", name, problem });
            }
        }
        let made = self.make(Kept { version: VERSION, spec, image });
        let made = made.map(|container| {
            let inspected = container.inspected(&State::Created);
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
        write_json(&staged.join("state.json"), &State::Created)?;
        fs::rename(&staged, &directory).context("rename", &staged)?;
        let live = Mutex::new(Live { state: State::Created, process: None, removed: false });
        let container = Container { kept, directory, live };
        if let Err(error) = container.ensure_network() {
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
        self.notice_end(&container, &mut live)?;
        if live.process.is_none() {
            container.ensure_network()?;
        }
        Ok(container.network(&live.state))
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
        self.refresh(&container).map(Some)
    }

    /// Describes all containers, by name.
    ///
    /// # Errors
    /// When one has ended and that cannot be written down.
    pub fn list(&self) -> Result<Vec<Inspected>, EngineError> {
        let all: Vec<_> = self.containers().values().cloned().collect();
        all.iter().map(|container| self.refresh(container)).collect()
    }

    /// Removes what the engine has outside of its directory and shares among containers. Call it when no
    /// container is left and the engine is not needed any more.
    pub fn remove_leftovers(&self) {
        self.cgroups.remove_parent();
    }

    fn refresh(&self, container: &Container) -> Result<Inspected, EngineError> {
        let mut live = container.live();
        self.notice_end(container, &mut live)?;
        Ok(container.inspected(&live.state))
    }

    /// Takes in that the process of a container has ended, if it has.
    fn notice_end(&self, container: &Container, live: &mut Live) -> Result<(), EngineError> {
        let Some(process) = live.process.clone() else { return Ok(()) };
        if !process.ended(Some(std::time::Duration::ZERO)).context("look at", &container.directory)? {
            return Ok(());
        }
        let code = process.reap().context("reap", &container.directory)?;
        let name = &container.kept.spec.name;
        let out_of_memory = self.cgroups.memory_kills(name) > 0;
        live.process = None;
        live.state = State::Ended(Exit { code, out_of_memory });
        if !live.removed {
            container.write_state(&live.state)?;
        }
        self.cgroups.remove(name)
    }

    /// Reads the directory: what runs is taken over, what has ended meanwhile is written down as such, what was
    /// not finished is removed.
    fn adopt(&self) -> Result<(), EngineError> {
        let root = self.containers_dir();
        make_private_dir(&root)?;
        make_private_dir(&self.mount_point())?;
        for entry in fs::read_dir(&root).context("list", &root)? {
            let directory = entry.context("list", &root)?.path();
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let kept = read_json::<Kept>(&directory.join("spec.json"))?;
            let state = read_json::<State>(&directory.join("state.json"))?;
            let (Some(kept), Some(state), false) = (kept, state, name.starts_with('.')) else {
                remove_network(&directory.join("network"))?;
                remove_tree(&directory)?;
                continue;
            };
            if kept.version != VERSION {
                let text = format!("{} is of version {}: use the program that made it", name, kept.version);
                return Err(EngineError::Invalid(text));
            }
            let process = match &state {
                State::Running(id) => Process::find(id).map(Arc::new),
                State::Created | State::Ended(_) => None,
            };
            let state = match (state, &process) {
                (State::Running(_), None) => {
                    let exit = Exit { code: None, out_of_memory: self.cgroups.memory_kills(&name) > 0 };
                    write_json(&directory.join("state.json"), &State::Ended(exit))?;
                    self.cgroups.remove(&name)?;
                    State::Ended(exit)
                }
                (state, _) => state,
            };
            let is_running = process.is_some();
            if is_running {
                self.keeper.watch(&directory)?;
            }
            let live = Mutex::new(Live { state, process, removed: false });
            let container = Container { kept, directory, live };
            if is_running {
                container.let_network_go()?;
            } else {
                // A namespace does not outlive a boot.
                container.ensure_network()?;
            }
            self.containers().insert(name, Arc::new(container));
        }
        Ok(())
    }

    fn container(&self, name: &str) -> Result<Arc<Container>, EngineError> {
        let missing = || EngineError::NotFound { kind: "container", name: name.to_owned() };
        self.containers().get(name).cloned().ok_or_else(missing)
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

impl Container {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self, state: &State) -> Result<(), EngineError> {
        write_json(&self.directory.join("state.json"), state)
    }

    /// The file of its network namespace while it does not run.
    fn network_file(&self) -> PathBuf {
        self.kept.spec.network.clone().unwrap_or_else(|| self.directory.join("network"))
    }

    /// Makes its own network namespace where there is none.
    fn ensure_network(&self) -> Result<(), EngineError> {
        let file = self.network_file();
        if self.kept.spec.network.is_some() || is_network(&file) {
            return Ok(());
        }
        remove_network(&file)?;
        make_network(&file)
    }

    /// From its start on, the network namespace is there as long as its processes are: what is dead answers
    /// no ping.
    fn let_network_go(&self) -> Result<(), EngineError> {
        if self.kept.spec.network.is_some() { Ok(()) } else { remove_network(&self.network_file()) }
    }

    /// Where its network namespace is found now.
    fn network(&self, state: &State) -> PathBuf {
        match (state, &self.kept.spec.network) {
            (State::Running(process), None) => PathBuf::from(format!("/proc/{}/ns/net", process.pid)),
            _ => self.network_file(),
        }
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn inspected(&self, state: &State) -> Inspected {
        let status = Status::from(state);
        Inspected { spec: self.kept.spec.clone(), status, network: self.network(state), log: self.log() }
    }

    fn is(&self, directory: &Path) -> bool {
        self.directory == directory
    }
}
