//! Many links in this process.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use llcm_tap::{Offload, Tap};
use serde::{Deserialize, Serialize};

use crate::Impairment;
use crate::budget::Budget;
use crate::error::LineError;
use crate::handle::{Command, Handle};
use crate::line::Counters;
use crate::link::{Closer, Taps, offload};
use crate::worker::{Around, start};

/// More threads than this are of no use to anybody: they wake one another's processors.
const MOST_WORKERS: usize = 8;

/// Links whose frames are moved by threads of this process. They stop when this goes.
#[derive(Debug)]
pub struct Lines {
    workers: Vec<Handle>,
    held: Held,
    tokens: AtomicU64,
    /// Last, since it waits for those who hand it something.
    closer: Closer,
}

/// The links by name. One whose devices have gone is not in it any more.
type Held = Arc<Mutex<BTreeMap<String, Holding>>>;

#[derive(Debug)]
struct Holding {
    /// Which worker has it.
    place: usize,
    /// What it was put with: a name may come to mean another link.
    token: u64,
    taps: Taps,
    /// How large the frames of each device may be.
    offloads: [Offload; 2],
}

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
        let (budget, closer) = (Arc::new(Budget::of_machine()), Closer::start()?);
        let worker = |_| {
            let (held, close) = (held.clone(), closer.hand());
            let gone = move |name: &str, token| {
                let mut held = lock(&held);
                if held.get(name).is_some_and(|it| it.token == token)
                    && let Some(holding) = held.remove(name)
                {
                    close(holding.taps);
                }
            };
            start(Around { budget: budget.clone(), gone: Box::new(gone), close: Box::new(closer.hand()) })
        };
        let workers = (0..count).map(worker).collect::<Result<_, _>>()?;
        Ok(Self { workers, held, tokens: AtomicU64::new(0), closer })
    }

    /// Joins two TAP devices; in place of a link of the same name.
    ///
    /// # Errors
    /// When a descriptor is none of a TAP device, or its offloads cannot be set, or the kernel does not tell of its frames.
    pub fn put(&self, name: &str, taps: [OwnedFd; 2], impairments: [Impairment; 2]) -> Result<(), LineError> {
        let [a, b] = taps;
        let taps = Arc::new([Tap::from_fd(a)?, Tap::from_fd(b)?]);
        let offloads = impairments.map(offload);
        for (tap, offload) in taps.iter().zip(offloads) {
            tap.set_offload(offload)?;
        }
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let (place, before) = {
            let mut held = lock(&self.held);
            let place = self.place(&held, name);
            (place, held.insert(name.to_owned(), Holding { place, token, taps: taps.clone(), offloads }))
        };
        self.close(before);
        let put = self.tell(place, Command::Put { name: name.to_owned(), token, taps, impairments });
        if put.is_err() {
            let mut held = lock(&self.held);
            if held.get(name).is_some_and(|it| it.token == token) {
                self.close(held.remove(name));
            }
        }
        put
    }

    fn close(&self, holding: Option<Holding>) {
        if let Some(holding) = holding {
            self.closer.hand()(holding.taps);
        }
    }

    /// The worker that has a link, or the one with the fewest.
    fn place(&self, held: &BTreeMap<String, Holding>, name: &str) -> usize {
        let load = |worker: &usize| held.values().filter(|it| it.place == *worker).count();
        let place = held.get(name).map(|it| it.place);
        place.or_else(|| (0..self.workers.len()).min_by_key(load)).unwrap_or(0)
    }

    /// Changes what frames of a link experience, those on their way included.
    ///
    /// # Errors
    /// [`LineError::Unknown`].
    pub fn set(&self, name: &str, impairments: [Impairment; 2]) -> Result<(), LineError> {
        let unknown = || LineError::Unknown(name.to_owned());
        let found = lock(&self.held).get(name).map(|it| (it.place, it.token, it.taps.clone(), it.offloads));
        let (place, token, taps, before) = found.ok_or_else(unknown)?;
        let after = impairments.map(offload);
        // Here and not in the worker: the kernel takes its time over it. Frames are small before any gets lost, and large
        // only when none does any more.
        let change = |is_less: bool| -> io::Result<()> {
            for (end, tap) in taps.iter().enumerate() {
                if after[end] != before[end] && (after[end] < before[end]) == is_less {
                    tap.set_offload(after[end])?;
                }
            }
            Ok(())
        };
        change(true)?;
        match self.tell(place, Command::Set { name: name.to_owned(), impairments }) {
            Err(LineError::Kernel { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(unknown());
            }
            told => told?,
        }
        change(false)?;
        if let Some(holding) = lock(&self.held).get_mut(name).filter(|it| it.token == token) {
            holding.offloads = after;
        }
        Ok(())
    }

    /// Closes a link's devices, and loses what is on its way. One that is not there is no error.
    ///
    /// # Errors
    /// When the thread has ended.
    pub fn remove(&self, name: &str) -> Result<(), LineError> {
        let Some(holding) = lock(&self.held).remove(name) else { return Ok(()) };
        let place = holding.place;
        self.close(Some(holding));
        self.tell(place, Command::Remove { name: name.to_owned() })
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

fn lock(held: &Held) -> MutexGuard<'_, BTreeMap<String, Holding>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}
