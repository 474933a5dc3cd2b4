//! Many links in this process.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llcm_tap::Tap;
use serde::{Deserialize, Serialize};

use crate::Impairment;
use crate::error::LineError;
use crate::handle::{Command, Handle};
use crate::line::Counters;
use crate::worker::{offload, start};

/// More threads than this are of no use to anybody: they wake one another's processors.
const MOST_WORKERS: usize = 8;

/// Links whose frames are moved by threads of this process. They stop when this goes.
#[derive(Debug)]
pub struct Lines {
    workers: Vec<Handle>,
    held: Held,
    tokens: AtomicU64,
}

/// Which worker has a link, and the token it was put with: a name may come to mean another one. A link whose devices
/// have gone is not in it any more.
type Held = Arc<Mutex<BTreeMap<String, (usize, u64)>>>;

/// A link as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    /// Its name.
    pub name: String,
    /// By the end that frames come in by.
    pub impairments: [Impairment; 2],
    /// Likewise.
    pub counters: [Counters; 2],
}

impl Lines {
    /// Starts the threads: one for each processor, up to 8.
    ///
    /// # Errors
    /// When the kernel gives no threads or descriptors.
    pub fn start() -> Result<Self, LineError> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
        let held = Held::default();
        let worker = |_| {
            let held = held.clone();
            start(move |name, token| {
                let mut held = lock(&held);
                if held.get(name).is_some_and(|it| it.1 == token) {
                    held.remove(name);
                }
            })
        };
        let workers = (0..count).map(worker).collect::<Result<_, _>>()?;
        Ok(Self { workers, held, tokens: AtomicU64::new(0) })
    }

    /// Joins two TAP devices; in place of a link of the same name.
    ///
    /// # Errors
    /// When a descriptor is none of a TAP device, or its offloads cannot be set.
    pub fn put(&self, name: &str, taps: [OwnedFd; 2], impairments: [Impairment; 2]) -> Result<(), LineError> {
        let [a, b] = taps;
        let taps = [Tap::from_fd(a)?, Tap::from_fd(b)?];
        for (tap, impairment) in taps.iter().zip(impairments) {
            tap.set_offload(offload(impairment))?;
        }
        let place = self.place(name);
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        lock(&self.held).insert(name.to_owned(), (place, token));
        self.tell(place, Command::Put { name: name.to_owned(), token, taps, impairments })
    }

    /// The worker that has a link, or the one with the fewest.
    fn place(&self, name: &str) -> usize {
        let held = lock(&self.held);
        let load = |worker: &usize| held.values().filter(|it| it.0 == *worker).count();
        let place = held.get(name).map(|it| it.0);
        place.or_else(|| (0..self.workers.len()).min_by_key(load)).unwrap_or(0)
    }

    /// Changes what frames of a link experience, those on their way included.
    ///
    /// # Errors
    /// [`LineError::Unknown`].
    pub fn set(&self, name: &str, impairments: [Impairment; 2]) -> Result<(), LineError> {
        let place = lock(&self.held).get(name).map(|it| it.0);
        let place = place.ok_or_else(|| LineError::Unknown(name.to_owned()))?;
        self.tell(place, Command::Set { name: name.to_owned(), impairments })
    }

    /// Closes a link's devices, and loses what is on its way. One that is not there is no error.
    ///
    /// # Errors
    /// When the thread has ended.
    pub fn remove(&self, name: &str) -> Result<(), LineError> {
        let place = lock(&self.held).remove(name);
        match place {
            Some((place, _)) => self.tell(place, Command::Remove { name: name.to_owned() }),
            None => Ok(()),
        }
    }

    /// The links as they are, by name.
    ///
    /// # Errors
    /// When a thread has ended or does not answer.
    pub fn list(&self) -> Result<Vec<LineView>, LineError> {
        let mut views = Vec::new();
        for worker in &self.workers {
            views.extend(worker.tell(Command::View)?);
        }
        views.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(views)
    }

    /// Whether no link is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        lock(&self.held).is_empty()
    }

    fn tell(&self, place: usize, command: Command) -> Result<(), LineError> {
        match self.workers.get(place) {
            Some(worker) => worker.tell(command).map(|_| ()),
            None => Err(LineError::Helper("a thread has ended".to_owned())),
        }
    }
}

fn lock(held: &Held) -> MutexGuard<'_, BTreeMap<String, (usize, u64)>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
