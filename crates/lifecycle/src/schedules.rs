//! Changes of links over time, made by the server so that their times are its own: a client's connection counts for
//! nothing.
//!
//! Each change is made like one that is asked for by itself, and those of one time together. When it was due, when it
//! was begun and when the host had it is kept and shown. A link is in one schedule at a time; changes that are asked for
//! meanwhile are made, and the schedule goes on. The first change that cannot be made ends it.
//!
//! A schedule is not written down and ends with the server. What it has changed stays, as all changes do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use llcm_names::ScheduleId;
use llcm_topology::{Batch, Change, Schedule, Topology};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::clock::Timestamp;
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::topology::change::change;

/// Schedules that may run at a time.
const RUNNING: usize = 64;
/// Schedules that are kept after they ended.
const KEPT: usize = 20;

/// How a schedule stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleState {
    /// It goes on.
    Running,
    /// All changes were made.
    Done,
    /// It was stopped, or the server shuts down.
    Stopped,
    /// A change could not be made.
    Failed,
}

/// A schedule as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleView {
    /// Its id.
    pub id: ScheduleId,
    /// What it is called.
    pub name: Option<String>,
    /// How it stands.
    pub state: ScheduleState,
    /// When it began; all other times of it count from there.
    pub began_at: Timestamp,
    /// Why it failed.
    pub error: Option<String>,
    /// The links that it changes.
    pub links: Vec<String>,
    /// Changes in all.
    pub total: usize,
    /// Changes that were made.
    pub made: usize,
    /// By how much the latest of those that were made came after its time, in microseconds; `None`: none was made yet.
    pub worst_delay_us: Option<u64>,
    /// The mean of it.
    pub mean_delay_us: Option<u64>,
    /// Its changes in the order of time; empty where they are not asked for.
    pub changes: Vec<ChangeView>,
}

/// A change of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeView {
    /// When it is due, in microseconds after the beginning.
    pub at_us: u64,
    /// The link.
    pub link: String,
    /// What becomes different, in words.
    pub change: String,
    /// What came of it; `None`: not yet anything.
    pub outcome: Option<Outcome>,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// When it was begun, in microseconds after the beginning.
    pub begun_us: u64,
    /// When the host had it; `None`: it could not be made.
    pub made_us: Option<u64>,
}

/// All schedules.
#[derive(Debug, Default)]
pub(crate) struct Schedules {
    runs: Mutex<Runs>,
}

#[derive(Debug, Default)]
struct Runs {
    /// In the order in which they began.
    all: Vec<Arc<Run>>,
    /// Those that have ended, in the order in which they did.
    ended: VecDeque<ScheduleId>,
    /// The links that are changed now, each by one schedule.
    links: BTreeMap<Arc<str>, ScheduleId>,
}

/// A schedule and how far it is.
#[derive(Debug)]
struct Run {
    id: ScheduleId,
    schedule: Schedule,
    began_at: Timestamp,
    stop: CancellationToken,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Progress {
    state: ScheduleState,
    error: Option<String>,
    /// Of the first changes.
    outcomes: Vec<Outcome>,
}

impl Run {
    fn state(&self) -> ScheduleState {
        self.progress.borrow().state
    }

    fn view(&self, with_changes: bool) -> ScheduleView {
        let progress = self.progress.borrow();
        let delays: Vec<u64> = progress
            .outcomes
            .iter()
            .zip(&self.schedule.changes)
            .filter_map(|(outcome, change)| Some(outcome.made_us?.saturating_sub(change.at_us)))
            .collect();
        let made = u64::try_from(delays.len()).unwrap_or(u64::MAX);
        let changes = if with_changes { self.schedule.changes.as_slice() } else { &[] };
        ScheduleView {
            id: self.id,
            name: self.schedule.name.clone(),
            state: progress.state,
            began_at: self.began_at,
            error: progress.error.clone(),
            links: self.schedule.links().into_iter().map(str::to_owned).collect(),
            total: self.schedule.changes.len(),
            made: delays.len(),
            worst_delay_us: delays.iter().copied().max(),
            mean_delay_us: delays.iter().sum::<u64>().checked_div(made),
            changes: changes
                .iter()
                .enumerate()
                .map(|(position, change)| ChangeView {
                    at_us: change.at_us,
                    link: change.link.to_string(),
                    change: change.change.to_string(),
                    outcome: progress.outcomes.get(position).cloned(),
                })
                .collect(),
        }
    }
}

impl Schedules {
    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: ScheduleId) -> Result<Arc<Run>, LifecycleError> {
        self.runs().all.iter().find(|run| run.id == id).cloned().ok_or_else(|| {
            LifecycleError::new(ErrorCode::ScheduleNotFound, format!("there is no schedule {id}"))
        })
    }

    /// The links that schedules change now.
    pub(crate) fn by_link(&self) -> BTreeMap<Arc<str>, ScheduleId> {
        self.runs().links.clone()
    }

    pub(crate) fn views(&self) -> Vec<ScheduleView> {
        self.runs().all.iter().map(|run| run.view(false)).collect()
    }

    pub(crate) fn view(&self, id: ScheduleId) -> Result<ScheduleView, LifecycleError> {
        self.find(id).map(|run| run.view(true))
    }

    /// Waits for the end of one.
    pub(crate) async fn ended(&self, id: ScheduleId) -> Result<ScheduleView, LifecycleError> {
        let run = self.find(id)?;
        // The sender is in the run itself: the channel is open.
        let _ = run.progress.subscribe().wait_for(|it| it.state != ScheduleState::Running).await;
        Ok(run.view(true))
    }

    /// Stops one that runs, and forgets one that has ended.
    pub(crate) async fn stop(&self, id: ScheduleId) -> Result<ScheduleView, LifecycleError> {
        let run = self.find(id)?;
        if run.state() != ScheduleState::Running {
            self.runs().forget(id);
            return Ok(run.view(true));
        }
        run.stop.cancel();
        // Not found again by its id: others that end may have pushed it out by then.
        let _ = run.progress.subscribe().wait_for(|it| it.state != ScheduleState::Running).await;
        Ok(run.view(true))
    }

    /// Takes one in, unless others have its links.
    fn add(&self, run: &Arc<Run>) -> Result<(), LifecycleError> {
        let conflict = |message: String| Err(LifecycleError::new(ErrorCode::TopologyConflict, message));
        let mut runs = self.runs();
        if runs.all.len() - runs.ended.len() >= RUNNING {
            return conflict(format!("{RUNNING} schedules run, the most there can be: stop one"));
        }
        for change in &run.schedule.changes {
            if let Some(other) = runs.links.get(&change.link) {
                let link = &change.link;
                return conflict(format!("link {link} is changed by the schedule {other}: stop that first"));
            }
        }
        let links = run.schedule.changes.iter().map(|change| (Arc::clone(&change.link), run.id));
        runs.links.extend(links);
        runs.all.push(Arc::clone(run));
        Ok(())
    }

    /// Ends one, and lets go of the one that ended first, when too many are kept.
    fn end(&self, run: &Run, state: ScheduleState, error: Option<String>) {
        let mut runs = self.runs();
        for change in &run.schedule.changes {
            runs.links.remove(&change.link);
        }
        runs.ended.push_back(run.id);
        if runs.ended.len() > KEPT
            && let Some(first) = runs.ended.front().copied()
        {
            runs.forget(first);
        }
        // Whoever is woken by it finds its links free: still with the lock.
        run.progress.send_modify(|progress| {
            progress.state = state;
            progress.error = error;
        });
    }
}

impl Runs {
    fn forget(&mut self, id: ScheduleId) {
        self.all.retain(|run| run.id != id);
        self.ended.retain(|other| *other != id);
    }
}

/// Begins a schedule, if all of it can be done as links are now.
pub(crate) fn begin(core: &Arc<Core>, schedule: Schedule) -> Result<ScheduleView, LifecycleError> {
    core.check_open()?;
    let mut rehearsed = Batch::new(Topology::clone(&core.topology.get()));
    for scheduled in &schedule.changes {
        rehearsed.change(&wanted(scheduled)).map_err(|error| {
            let error = LifecycleError::from(error);
            LifecycleError { message: format!("{}: {}", scheduled.origin, error.message), ..error }
        })?;
    }
    let progress = Progress { state: ScheduleState::Running, error: None, outcomes: Vec::new() };
    let run = Arc::new(Run {
        id: ScheduleId::new(core.parts.ids.uuid()),
        schedule,
        began_at: core.parts.clock.now(),
        stop: CancellationToken::new(),
        progress: watch::Sender::new(progress),
    });
    core.schedules.add(&run)?;
    log::info!("schedule {} begins, {} changes", run.id, run.schedule.changes.len());
    let (weak, schedules, played) = (Arc::downgrade(core), Arc::clone(&core.schedules), Arc::clone(&run));
    let (closing, began) = (core.closing.clone(), Instant::now());
    core.spawn_apart(async move {
        let (state, error) = play(weak, &played, closing, began).await;
        match &error {
            Some(error) => log::warn!("schedule {} fails: {error}", played.id),
            None if state == ScheduleState::Done => log::info!("schedule {} is done", played.id),
            None => log::info!("schedule {} is stopped", played.id),
        }
        schedules.end(&played, state, error.map(|error| error.message));
    });
    Ok(run.view(true))
}

fn wanted(scheduled: &llcm_topology::ScheduledChange) -> Change {
    Change::Link { name: scheduled.link.to_string(), change: scheduled.change.clone() }
}

/// Makes a schedule's changes, each at its time; how that ends.
async fn play(
    core: Weak<Core>,
    run: &Run,
    closing: CancellationToken,
    began: Instant,
) -> (ScheduleState, Option<LifecycleError>) {
    for together in run.schedule.changes.chunk_by(|one, other| one.at_us == other.at_us) {
        let due = began + Duration::from_micros(together.first().map_or(0, |change| change.at_us));
        tokio::select! {
            biased;
            () = run.stop.cancelled() => return (ScheduleState::Stopped, None),
            () = closing.cancelled() => return (ScheduleState::Stopped, None),
            () = sleep_until(due) => {}
        }
        let Some(core) = core.upgrade() else { return (ScheduleState::Stopped, None) };
        let begun_us = micros(began.elapsed());
        let changes = together.iter().map(wanted).collect();
        let made = core.owned(change(Arc::clone(&core), changes)).await;
        let made_us = made.as_ref().ok().map(|made| micros(made.at.saturating_duration_since(began)));
        let outcome = Outcome { begun_us, made_us };
        run.progress.send_modify(|progress| {
            progress.outcomes.extend(std::iter::repeat_n(outcome, together.len()));
        });
        match made {
            Ok(_) => {}
            Err(error) if error.code == ErrorCode::ShuttingDown => return (ScheduleState::Stopped, None),
            Err(error) => return (ScheduleState::Failed, Some(error)),
        }
    }
    (ScheduleState::Done, None)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
