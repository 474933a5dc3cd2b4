//! Keeps containers' logs: notes when what was written, and bounds their length. A thread of its own, woken by
//! the kernel when a log grows (inotify(7)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::time::Timespec;

use crate::error::{Context as _, EngineError};

/// The file beside a log that says when it was how long.
pub(super) const TIMES: &str = "log.times";
/// What was in both before they were begun anew.
pub(super) const OLDER_LOG: &str = "log.1";
pub(super) const OLDER_TIMES: &str = "log.times.1";

/// Bytes of a record in the file of times: the log's length, and nanoseconds since 1970, in the machine's order.
const RECORD: u64 = 16;

/// The thread sleeps so long after each look: a container that writes without end costs a hundred looks a second.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// So often a log is looked at before it is cut, at most: one that grows all the time would never be.
const LOOKS: u32 = 16;

/// Directories of containers by the kernel's number of the watch on their log.
type Watched = Arc<Mutex<BTreeMap<i32, PathBuf>>>;

/// The thread; ended by dropping.
#[derive(Debug)]
pub(super) struct Keeper {
    inotify: Arc<OwnedFd>,
    watched: Watched,
    /// Held by the thread while it writes in a container's directory.
    looking: Arc<Mutex<()>>,
    /// Closed to end the thread.
    end: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread. A log that is longer than `limit` bytes is moved and begun anew.
    pub(super) fn start(limit: u64) -> Result<Self, EngineError> {
        let shown = Path::new("the logs");
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).context("watch", shown)?;
        let inotify = Arc::new(inotify);
        let (ended, end) = pipe_with(PipeFlags::CLOEXEC).context("watch", shown)?;
        let (watched, looking) = (Watched::default(), Arc::default());
        let thread = {
            let (inotify, watched) = (Arc::clone(&inotify), Arc::clone(&watched));
            let looking = Arc::clone(&looking);
            let work = move || run(&inotify, &watched, &looking, &ended, limit);
            std::thread::Builder::new().name("engine-logs".to_owned()).spawn(work).context("watch", shown)?
        };
        Ok(Self { inotify, watched, looking, end: Some(end), thread: Some(thread) })
    }

    /// From now on the log in a container's directory is kept; it must be there.
    pub(super) fn watch(&self, directory: &Path) -> Result<(), EngineError> {
        let log = directory.join("log");
        // Held meanwhile, so that the thread finds the directory of each number.
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let number = inotify::add_watch(&self.inotify, &log, WatchFlags::MODIFY).context("watch", &log)?;
        watched.insert(number, directory.to_path_buf());
        Ok(())
    }

    /// From now on the thread writes nothing in a container's directory: it can be removed.
    pub(super) fn forget(&self, directory: &Path) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, known| known != directory);
        drop(watched);
        // Until it has done what it may be at.
        drop(self.looking.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has no result, and a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

fn run(inotify: &OwnedFd, watched: &Watched, looking: &Mutex<()>, ended: &OwnedFd, limit: u64) {
    loop {
        let mut polled = [PollFd::new(inotify, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            // Without poll there is nothing this thread could do.
            Err(_) => return,
        }
        if polled.iter().skip(1).any(|end| !end.revents().is_empty()) {
            return;
        }
        for number in grown(inotify, watched) {
            let _looking = looking.lock().unwrap_or_else(PoisonError::into_inner);
            let directory = watched.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
            // Those that are being removed are not known any more. A full disk leaves times out: no reason to end.
            let _ = directory.map(|directory| look(&directory, limit));
        }
        // As good as sleeping, and woken by the end.
        let _ = poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&PAUSE));
    }
}

/// The numbers of the logs that have grown.
fn grown(inotify: &OwnedFd, watched: &Watched) -> BTreeSet<i32> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(inotify.as_fd(), &mut buffer);
    let (mut grown, mut gone) = (BTreeSet::new(), Vec::new());
    while let Ok(event) = reader.next() {
        if event.events().contains(ReadFlags::IGNORED) {
            gone.push(event.wd());
        } else {
            grown.insert(event.wd());
        }
    }
    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    for number in gone {
        watched.remove(&number);
    }
    grown
}

/// Notes the length of a log, and begins it anew when it is too long.
fn look(directory: &Path, limit: u64) -> io::Result<()> {
    let log = directory.join("log");
    let found = fs::metadata(&log)?;
    let length = found.len();
    let times =
        OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(directory.join(TIMES))?;
    let noted = times.metadata()?.len() / RECORD * RECORD;
    let mut last = [0; 16];
    if noted > 0 {
        times.read_exact_at(&mut last, noted - RECORD)?;
    }
    if record(last).0 < length {
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(nanos(found.modified()?).to_ne_bytes());
        (&times).write_all(&bytes)?;
    }
    if length > limit || noted > limit { rotate(directory) } else { Ok(()) }
}

/// Moves a log and its times to second files in place of what was there; see [`crate::Options::log_bytes`].
pub(super) fn rotate(directory: &Path) -> io::Result<()> {
    rotate_after(directory, || {})
}

/// `copied` is called each time that all there was has been copied.
fn rotate_after(directory: &Path, mut copied: impl FnMut()) -> io::Result<()> {
    let times = directory.join(TIMES);
    let mut log = OpenOptions::new().read(true).write(true).open(directory.join("log"))?;
    let older = directory.join(OLDER_LOG);
    let mut older = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(older)?;
    let mut length = 0;
    for _ in 0..LOOKS {
        length += io::copy(&mut log, &mut older)?;
        copied();
        // What comes between this look and the cut is lost.
        if log.metadata()?.len() <= length {
            break;
        }
    }
    // The writers append, so they go on at the new end.
    log.set_len(0)?;
    match fs::rename(&times, directory.join(OLDER_TIMES)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Nanoseconds since 1970.
fn nanos(time: SystemTime) -> u64 {
    // Later than the year 2554 the time stands still.
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The length and the time of a record.
fn record(bytes: [u8; 16]) -> (u64, u64) {
    let half = |from: usize| {
        let mut half = [0; 8];
        half.copy_from_slice(bytes.get(from..from + 8).unwrap_or(&[0; 8]));
        u64::from_ne_bytes(half)
    };
    (half(0), half(8))
}

/// The records of a file of times: lengths and when they were seen.
pub(super) fn read_times(path: &Path) -> io::Result<Vec<(u64, SystemTime)>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let records = bytes.chunks_exact(16).filter_map(|chunk| <[u8; 16]>::try_from(chunk).ok()).map(record);
    Ok(records.map(|(length, nanos)| (length, UNIX_EPOCH + Duration::from_nanos(nanos))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_that_are_forgotten_can_be_removed() {
        let keeper = Keeper::start(1 << 20).unwrap();
        let home = tempfile::tempdir().unwrap();
        for round in 0..100 {
            let directory = home.path().join(round.to_string());
            // Takes a while to be removed.
            fs::create_dir_all(directory.join("upper")).unwrap();
            for number in 0..200 {
                fs::write(directory.join("upper").join(number.to_string()), "").unwrap();
            }
            fs::write(directory.join("log"), "").unwrap();
            keeper.watch(&directory).unwrap();
            fs::write(directory.join("log"), "a line").unwrap();
            keeper.forget(&directory);
            fs::remove_dir_all(&directory).unwrap();
        }
    }

    #[test]
    fn what_comes_while_a_log_is_copied_is_copied_too() {
        let home = tempfile::tempdir().unwrap();
        let write = |text: &str| {
            let log = OpenOptions::new().append(true).create(true).open(home.path().join("log"));
            log.unwrap().write_all(text.as_bytes()).unwrap();
        };
        let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
        write("first\n");
        fs::write(home.path().join(OLDER_LOG), "something longer from before\n").unwrap();
        let mut late = vec!["third\n", "second\n"];
        rotate_after(home.path(), || late.pop().into_iter().for_each(write)).unwrap();
        assert_eq!((read(OLDER_LOG).as_str(), read("log").as_str()), ("first\nsecond\nthird\n", ""));
        // One that grows at each look is cut all the same.
        let mut looks = 0;
        write("first\n");
        rotate_after(home.path(), || {
            looks += 1;
            write("more\n");
        })
        .unwrap();
        assert_eq!((read("log").as_str(), looks), ("", LOOKS));
    }
}
