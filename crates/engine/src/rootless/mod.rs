//! The engine without root: in a user namespace where this user is root.
//!
//! ```text
//! program ── enter ──> takes namespaces: user, mount, IPC, UTS
//!    │                 starts a pause process, which holds them when the program ends
//!    └── the next one, enter ──> joins them through the pause process: what was there is there
//! ```
//! Inside, the program may make network namespaces, interfaces, mounts and containers, as root may, and
//! [`crate::Engine`] works. What it may not, and why not, says [`crate::Powers`].
//!
//! Read on in `namespaces` (taking and joining), `pause` (who holds them) and `trial` (whether it is
//! possible at all).

mod namespaces;
mod pause;
mod reason;
mod trial;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, EngineError};
use crate::files::{Lock, lock_directory, make_private_dir, owned, read_json, write_json};
use crate::patience;
use crate::process::{Process, ProcessId};
use crate::program::Helper;

pub(crate) use pause::{play as play_pause, play_held as play_paused};
pub use trial::possible;
pub(crate) use trial::{play as play_trial, play_inside as play_trial_inside};

/// The file that names the pause process, in the state directory.
const FILE: &str = "rootless.json";
const VERSION: u32 = 1;

/// How long a thread may take that was joined.
const DYING: Duration = Duration::from_millis(500);
/// How long other processes in the namespaces may take to end.
const ENDING: Duration = Duration::from_secs(2);

/// How namespaces are entered.
#[derive(Debug, Clone)]
pub struct RootlessOptions {
    /// Where the pause process is written down; made when it is not there. One program at a time has it. It may
    /// be the engine's own.
    pub state_dir: PathBuf,
    /// How the program is started as its own helper.
    pub helper: Helper,
    /// Where a file system is mounted that is there inside only and goes with the namespaces: the place for files
    /// that stand for network namespaces and the like. Made when it is not there; must not hold `state_dir`.
    pub run_dir: PathBuf,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// `None` until it is there.
    pause: Option<ProcessId>,
    /// Whether the pause process was told to stay. Until then it ends with the program that started it, and
    /// nothing has been made in the namespaces.
    held: bool,
    run_dir: PathBuf,
    /// Whether the directory is ours to remove.
    made_run_dir: bool,
}

/// The namespaces this program is in. Dropping it leaves them to the pause process, and what runs in them running;
/// the next [`enter`] joins them.
#[derive(Debug)]
pub struct Rootless {
    pause: Process,
    kept: Kept,
    file: PathBuf,
    joined: bool,
    _lock: Lock,
}

/// Puts this program into namespaces of its own, in which it is root: those of an earlier run that are still held,
/// or new ones.
///
/// Call it in `main` before there are threads. The program stays in its network namespace, where it is the ordinary
/// user it was; open files and the current directory stay, too.
///
/// ```no_run
/// use llcm_engine::rootless::{self, RootlessOptions};
/// use llcm_engine::{Engine, Helper, Options};
///
/// # fn main() -> Result<(), llcm_engine::EngineError> {
/// // First of all in `main`: helper::main, if the arguments say so.
/// let options = RootlessOptions {
///     state_dir: "/var/lib/example".into(),
///     helper: Helper::default(),
///     run_dir: "/run/example".into(),
/// };
/// let rootless = rootless::enter(&options)?;
/// let engine = Engine::open(Options::new(options.state_dir.join("engine")))?;
/// // Network namespaces of the program's own: files below `run_dir`.
/// # let _ = engine;
/// // When everything is removed:
/// rootless.end()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `Invalid` when the program has threads, or the kernel's settings do not allow it, with what to change (see
/// [`possible`]); `InUse` when another program has the directory; `Conflict` when another user may write to it. After another
/// error the program may be in new namespaces already, which end with it: do not go on.
pub fn enter(options: &RootlessOptions) -> Result<Rootless, EngineError> {
    if has_threads()? {
        let text = "namespaces can be entered only before the program has threads: call it first in `main`";
        return Err(EngineError::Invalid(text.to_owned()));
    }
    let state_dir = owned(&options.state_dir)?;
    let lock = lock_directory(&state_dir)?;
    let file = state_dir.join(FILE);
    let found = find(&file)?;
    let mut made_run_dir = found.as_ref().is_some_and(|(kept, _)| kept.made_run_dir);
    let is_missing = !options.run_dir.is_dir();
    if is_missing {
        made_run_dir = true;
        // Known before it is there, so that it is removed whatever happens in between. A pause process that lives stays
        // in the file: nobody would find it any more.
        if !matches!(found, Some((_, Some(_)))) {
            let run_dir = options.run_dir.clone();
            write_json(&file, &Kept { version: VERSION, pause: None, held: false, run_dir, made_run_dir })?;
        }
        make_private_dir(&options.run_dir)?;
    }
    let run_dir = options.run_dir.canonicalize().context("resolve", &options.run_dir)?;
    if state_dir.starts_with(&run_dir) {
        let (state, run) = (state_dir.display(), run_dir.display());
        return Err(EngineError::Invalid(format!(
            "{run} would hide {state}: choose another directory for one"
        )));
    }
    let here = std::env::current_dir().context("resolve", Path::new("."))?;
    if let Some((mut kept, Some(pause))) = found {
        if kept.run_dir != run_dir {
            if is_missing {
                fs::remove_dir(&run_dir).context("remove directory", &run_dir)?;
            }
            let (old, new) = (kept.run_dir.display(), run_dir.display());
            let text = format!("what runs has its files in {old}, not in {new}: give that directory");
            return Err(EngineError::Invalid(text));
        }
        if kept.made_run_dir != made_run_dir {
            kept.made_run_dir = made_run_dir;
            write_json(&file, &kept)?;
        }
        namespaces::join(&pause)?;
        if !is_mounted(&run_dir)? {
            // Somebody has removed the directory, and with it what was mounted there.
            mount_run_dir(&run_dir)?;
        }
        // A mount namespace is entered at its root.
        std::env::set_current_dir(&here).context("enter", &here)?;
        return Ok(Rootless { pause, kept, file, joined: true, _lock: lock });
    }
    namespaces::take()?;
    mount_run_dir(&run_dir)?;
    let (pause, kept) = pause::start(&options.helper, |id, held| {
        let run_dir = run_dir.clone();
        let kept = Kept { version: VERSION, pause: Some(id.clone()), held, run_dir, made_run_dir };
        write_json(&file, &kept)?;
        Ok(kept)
    })?;
    Ok(Rootless { pause, kept, file, joined: false, _lock: lock })
}

/// Whether this program has threads. One that was joined is counted until the kernel has done with it.
fn has_threads() -> Result<bool, EngineError> {
    let tasks = Path::new("/proc/self/task");
    let has_several = |count: &std::io::Result<usize>| count.as_ref().is_ok_and(|count| *count > 1);
    let count = patience::until(DYING, has_several, || Ok(fs::read_dir(tasks)?.count()));
    count.context("list", tasks).map(|count| count > 1)
}

fn mount_run_dir(run_dir: &Path) -> Result<(), EngineError> {
    mount("tmpfs", run_dir, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=700,size=256m")
        .context("mount a file system on", run_dir)
}

/// Whether a directory is on another file system than the one above it.
fn is_mounted(directory: &Path) -> Result<bool, EngineError> {
    let device = |path: &Path| fs::metadata(path).context("look at", path).map(|found| found.dev());
    let above = directory.parent().unwrap_or(directory);
    Ok(device(directory)? != device(above)?)
}

/// What an earlier run has left: its file and, if it lives, its pause process.
fn find(file: &Path) -> Result<Option<(Kept, Option<Process>)>, EngineError> {
    let Some(kept) = read_json::<Kept>(file)? else { return Ok(None) };
    if kept.version != VERSION {
        let text = format!("{} is of version {}: use the program that made it", file.display(), kept.version);
        return Err(EngineError::Invalid(text));
    }
    let found = kept.pause.as_ref().and_then(Process::find);
    let live = found.filter(|it| !it.ended(Some(Duration::ZERO)).unwrap_or(true));
    match live {
        Some(pause) if !kept.held => {
            // It was never told to stay: it ends by itself, and must not be relied on until then.
            pause.end().context("end", file)?;
            Ok(Some((kept, None)))
        }
        live => Ok(Some((kept, live))),
    }
}

/// Whether a pause process holds namespaces for the next program on this state directory. Nothing is changed.
pub(crate) fn are_held(state_dir: &Path) -> Result<bool, EngineError> {
    let kept = read_json::<Kept>(&state_dir.join(FILE))?.filter(|kept| kept.held);
    let pause = kept.and_then(|kept| kept.pause).and_then(|id| Process::find(&id));
    Ok(pause.is_some_and(|pause| !pause.ended(Some(Duration::ZERO)).unwrap_or(true)))
}

impl Rootless {
    /// Whether namespaces of an earlier run were joined; otherwise they are new.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// Ends the pause process and removes its file and, if [`enter`] made it, the directory of
    /// [`RootlessOptions::run_dir`]; so nothing of the namespaces is left when the program ends. Call it when all
    /// containers are removed and the network is torn down.
    ///
    /// # Errors
    /// `Conflict` when other processes are in the namespaces, which would be lost, and do not end within two seconds: the
    /// pause process stays, as after dropping. `System`: what is left goes with the next [`enter`] and its end.
    pub fn end(self) -> Result<(), EngineError> {
        let pause = self.pause.id.pid;
        let is_somebody =
            |others: &Result<Vec<i32>, _>| others.as_ref().is_ok_and(|others| !others.is_empty());
        // Helpers of commands end a moment after whoever waited for the commands is told.
        let others = patience::until(ENDING, is_somebody, || namespaces::others(&[pause]));
        if let Some(pid) = others?.first() {
            return Err(EngineError::Conflict {
                kind: "process",
                name: pid.to_string(),
                problem: "still runs in the namespaces: remove the containers first",
            });
        }
        // First of all: killed from here on, this program leaves no namespaces that a next one would join without their
        // directory, and a file that says what to remove.
        self.pause.end().context("end", &self.file)?;
        let run_dir = &self.kept.run_dir;
        unmount(run_dir, UnmountFlags::DETACH).context("unmount", run_dir)?;
        if self.kept.made_run_dir {
            match fs::remove_dir(run_dir) {
                // Something was put there before, or outside: it is somebody's.
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
                removed => removed.context("remove directory", run_dir)?,
            }
        }
        fs::remove_file(&self.file).context("remove", &self.file)
    }
}

/// Whether two paths under `/proc` name the same namespace.
fn same_namespace(one: &Path, other: &Path) -> std::io::Result<bool> {
    let [one, other] = [File::open(one)?.metadata()?, File::open(other)?.metadata()?];
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}
