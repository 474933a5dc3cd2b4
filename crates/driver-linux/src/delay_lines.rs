//! Who moves the frames of links where the kernel cannot delay them, and what happens when that ends.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use std::{fs, thread};

use llcm_delayline::{Helper, Keeper};
use llcm_runtime::DriverResult;

use crate::installation::Installation;
use crate::pause::pause;

/// How long after a failed attempt to make links anew the next one comes, at first and at most.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Threads of this program, or a process that outlives it.
#[derive(Debug)]
pub(crate) struct DelayLines {
    helper: Option<Helper>,
    socket: PathBuf,
    keeper: OnceLock<Arc<Keeper>>,
    /// Whether a link of the topology has one.
    needed: AtomicBool,
    /// Whether a thread watches the process.
    watched: AtomicBool,
}

impl DelayLines {
    /// With a process, if there is a helper, that is reached by a socket.
    pub(crate) fn new(helper: Option<Helper>, socket: PathBuf) -> Self {
        Self {
            helper,
            socket,
            keeper: OnceLock::new(),
            needed: AtomicBool::new(false),
            watched: AtomicBool::new(false),
        }
    }

    /// Who moves frames; threads are started when this is asked first.
    pub(crate) fn keeper(&self) -> DriverResult<&Arc<Keeper>> {
        if let Some(keeper) = self.keeper.get() {
            return Ok(keeper);
        }
        let made = match &self.helper {
            Some(helper) => Keeper::elsewhere(helper.clone(), self.socket.clone()),
            None => Keeper::here()
                .map_err(|error| crate::failed("start", "the delay line", &error.to_string()))?,
        };
        // Of two that are made at once one is of no use, and goes.
        Ok(self.keeper.get_or_init(|| Arc::new(made)))
    }

    /// Notes whether any link has one.
    pub(crate) fn needed(&self, needed: bool) {
        self.needed.store(needed, Ordering::Release);
    }

    /// Frames that did not arrive, by the names of links' devices and the end that sent them: lost as links lose them, or
    /// too many.
    pub(crate) fn lost(&self) -> DriverResult<BTreeMap<String, [u64; 2]>> {
        if !self.needed.load(Ordering::Acquire) {
            return Ok(BTreeMap::new());
        }
        let lines = self.keeper()?.list();
        let lines =
            lines.map_err(|error| crate::failed("read counters of", "the delay line", &error.to_string()))?;
        Ok(lines
            .into_iter()
            .map(|line| (line.name, line.counters.map(|counters| counters.lost + counters.dropped)))
            .collect())
    }

    /// Removes the socket, when nothing is left of the installation.
    pub(crate) fn forget(&self) -> io::Result<()> {
        match fs::remove_file(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Makes links anew whenever the process that moves their frames ends before its time: killed, out of memory. What was on
/// its way is lost then. Nothing is watched where no process is needed.
pub(crate) fn watch(installation: &Arc<Installation>) {
    let lines = &installation.lines;
    if lines.helper.is_none() || !lines.needed.load(Ordering::Acquire) {
        return;
    }
    let Ok(keeper) = lines.keeper() else { return };
    if lines.watched.swap(true, Ordering::AcqRel) {
        return;
    }
    // The thread keeps nobody from closing the installation.
    let (weak, keeper) = (Arc::downgrade(installation), keeper.clone());
    let spawned =
        thread::Builder::new().name("delay-line-watch".to_owned()).spawn(move || attend(&weak, &keeper));
    if let Err(error) = spawned {
        lines.watched.store(false, Ordering::Release);
        log::warn!("the delay line is not watched: {error}");
    }
}

fn attend(installation: &Weak<Installation>, keeper: &Keeper) {
    let mut wait = PAUSE;
    loop {
        if let Err(error) = keeper.wait_for_end() {
            log::warn!("{error}");
        }
        let Some(installation) = installation.upgrade() else { return };
        if !installation.lines.needed.load(Ordering::Acquire) {
            installation.lines.watched.store(false, Ordering::Release);
            // Needed again since, by somebody who saw it watched?
            if !installation.lines.needed.load(Ordering::Acquire)
                || installation.lines.watched.swap(true, Ordering::AcqRel)
            {
                return;
            }
        }
        log::warn!("the delay line's process has ended; its links are made anew");
        match installation.prepare_again() {
            Ok(()) => wait = PAUSE,
            Err(error) => {
                log::error!("{error}");
                drop(installation);
                pause(wait);
                wait = (wait * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
