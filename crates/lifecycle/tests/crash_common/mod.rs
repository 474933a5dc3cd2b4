//! A server that is killed at every moment of its life, and the next ones that find what it left.
//!
//! The moments are those before and after each effect outside of the process: each transaction of the store, each call
//! of a driver. A [`Recorder`] stands at all of them and keeps what a kill right there would leave: a copy of the
//! store, of the data directory and of the simulated world, none of which the process it was taken from can reach any
//! more, and what clients had been told by then ([`ledger::Ledger`]). So one run gives all its moments, and each of
//! them can be tried as often as it takes.

pub(crate) mod check;
pub(crate) mod ledger;
pub(crate) mod life;
pub(crate) mod scenario;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ledger::Ledger;
use llcm_lifecycle::store::{Change, Contents, Manner, Store, StoreError};
use llcm_runtime::simulated::{Call, Observer, When, World};
use tempfile::TempDir;

/// What a kill leaves, and what had been promised.
pub(crate) struct Moment {
    /// Where in the run it is, for messages.
    pub(crate) what: String,
    pub(crate) world: Arc<World>,
    /// `None`: it is a file in the directory.
    pub(crate) store: Option<Contents>,
    pub(crate) dir: TempDir,
    pub(crate) ledger: Ledger,
}

/// Stands at all moments of a run.
pub(crate) struct Recorder {
    inner: Arc<dyn Store>,
    manner: Manner,
    /// Whether the records are in the directory.
    in_file: bool,
    world: Arc<World>,
    dir: PathBuf,
    ledger: Arc<Mutex<Ledger>>,
    /// Which moments are kept, by number.
    wanted: Box<dyn Fn(usize) -> bool + Send + Sync>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    seen: usize,
    kept: Vec<Moment>,
}

/// How a run is recorded.
pub(crate) struct Recording {
    /// Changes after which no more are gathered into a transaction.
    pub(crate) gather: usize,
    pub(crate) in_file: bool,
    pub(crate) wanted: Box<dyn Fn(usize) -> bool + Send + Sync>,
}

impl Recorder {
    pub(crate) fn new(
        inner: Arc<dyn Store>,
        recording: Recording,
        world: &Arc<World>,
        dir: &Path,
        ledger: &Arc<Mutex<Ledger>>,
    ) -> Arc<Self> {
        let Recording { gather, in_file, wanted } = recording;
        // Written to where it is asked: threads would make no two runs equal.
        let manner = Manner { gather, waits: false };
        let (world, dir, ledger) = (Arc::clone(world), dir.to_owned(), Arc::clone(ledger));
        Arc::new(Self { inner, manner, in_file, world, dir, ledger, wanted, taken: Mutex::default() })
    }

    /// Moments so far, kept or not.
    pub(crate) fn seen(&self) -> usize {
        self.taken.lock().expect("nobody has panicked").seen
    }

    /// The moments that were kept.
    pub(crate) fn take(&self) -> Vec<Moment> {
        std::mem::take(&mut self.taken.lock().expect("nobody has panicked").kept)
    }

    fn moment(&self, what: impl FnOnce() -> String) {
        let mut taken = self.taken.lock().expect("nobody has panicked");
        let number = taken.seen;
        taken.seen += 1;
        if !(self.wanted)(number) {
            return;
        }
        let store = (!self.in_file).then(|| self.inner.load_all().expect("it can be read"));
        let dir = copy(&self.dir);
        let ledger = self.ledger.lock().expect("nobody has panicked").clone();
        let what = format!("{number}: {}", what());
        taken.kept.push(Moment { what, world: self.world.fork(), store, dir, ledger });
    }
}

impl Observer for Recorder {
    fn at(&self, call: &Call, when: When) {
        self.moment(|| format!("{when:?} {:?} {}", call.operation, call.target));
    }
}

impl Store for Recorder {
    fn load_all(&self) -> Result<Contents, StoreError> {
        self.inner.load_all()
    }

    fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        let shown = || changes.iter().map(|change| clip(&format!("{change:?}"))).collect::<Vec<_>>();
        self.moment(|| format!("before writing {:?}", shown()));
        self.inner.write(changes)?;
        self.moment(|| format!("after writing {:?}", shown()));
        Ok(())
    }

    fn manner(&self) -> Manner {
        self.manner
    }
}

fn clip(text: &str) -> String {
    text.chars().take(90).collect()
}

/// A directory in memory where there is one: what a kill leaves does not depend on the disk's pace.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// A copy of a directory, as a kill leaves it: destructors do not reach it.
pub(crate) fn copy(from: &Path) -> TempDir {
    let to = directory();
    copy_into(from, to.path());
    to
}

fn copy_into(from: &Path, to: &Path) {
    // What another thread is just removing or moving may be there in part, as it is when a kill comes between.
    let Some(entries) = unless_gone(std::fs::read_dir(from)) else { return };
    for entry in entries {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir(&target).expect("made");
            copy_into(&entry.path(), &target);
        } else {
            unless_gone(std::fs::copy(entry.path(), &target));
        }
    }
}

fn unless_gone<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

/// A number from the environment, for a longer run than usual.
pub(crate) fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}
