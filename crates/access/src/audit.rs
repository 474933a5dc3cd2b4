//! The audit log: one JSON object a line, only ever appended to, bounded by rotation.
//!
//! `audit.log` is the newest file, `audit.log.1` the one before it, and so on; when it would grow beyond its bound,
//! each moves on by one number and the oldest goes. Servers and commands write in turns, each line by one call on a
//! file opened for appending. A line of [`Durability::Synced`] is on disk when [`AuditLog::append`] returns; others
//! are with the next one of those, or when the kernel writes back.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{AccessError, Context as _};
use crate::lock::{Lock, make_dir, sync_dir};
use crate::record::{Beginning, End, Event, Record};

/// The newest file's name.
const FILE: &str = "audit.log";
/// The longest line that is read, in bytes; what is longer was not written by this program.
const LONGEST_LINE: u64 = 64 * 1024;

/// How large the log may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditOptions {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Files, the newest among them; at least 1.
    pub files: u32,
}

impl Default for AuditOptions {
    /// Five files of 10 MiB.
    fn default() -> Self {
        Self { file_bytes: 10 * 1024 * 1024, files: 5 }
    }
}

/// When a line must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before the call returns.
    Synced,
    /// Some time.
    Later,
}

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those about an object of this id (an instance, a service, a request).
    pub about: Option<String>,
    /// Those that began at this time or later (RFC 3339, UTC, milliseconds).
    pub since: Option<String>,
    /// How many, the newest of all; `None`: 1000.
    pub limit: Option<usize>,
}

/// The audit log of a data directory.
#[derive(Debug, Clone)]
pub struct AuditLog {
    dir: PathBuf,
    options: AuditOptions,
}

impl AuditLog {
    /// The log in a directory; nothing is opened or made.
    #[must_use]
    pub fn in_dir(dir: impl Into<PathBuf>, options: AuditOptions) -> Self {
        Self { dir: dir.into(), options }
    }

    /// Where the newest file is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Writes down that something is asked for; it is on disk when this returns. The result names it.
    ///
    /// # Errors
    /// When it cannot be written: what is asked for must not be done then.
    pub fn begin(&self, beginning: Beginning) -> Result<String, AccessError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)
            .map_err(io::Error::from)
            .context("read random numbers for", &self.path())?;
        let id = format!("{:016x}", u64::from_be_bytes(bytes));
        self.append(&Record::Begin { id: id.clone(), beginning: beginning.trimmed() }, Durability::Synced)?;
        Ok(id)
    }

    /// Writes down what it is about, by the name of its beginning; it is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: what is asked for must not be done then.
    pub fn about(&self, id: String, objects: BTreeMap<String, Vec<String>>) -> Result<(), AccessError> {
        self.append(&Record::About { id, objects }, Durability::Synced)
    }

    /// Writes down what came of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&self, id: String, end: End) -> Result<(), AccessError> {
        self.append(&Record::End { id, end }, Durability::Later)
    }

    /// Appends a line.
    ///
    /// # Errors
    /// When it cannot be written; then nothing of it is in the file.
    pub fn append(&self, record: &Record, durability: Durability) -> Result<(), AccessError> {
        let path = self.path();
        let mut line = serde_json::to_vec(record).map_err(io::Error::from).context("write to", &path)?;
        line.push(b'\n');
        let lock = self.lock()?;
        let mut file = self.room_for(line.len())?;
        let length = file.metadata().context("look at", &path)?.len();
        if length > 0 && !ends_with_newline(&path).context("read", &path)? {
            // Somebody was stopped in the middle of a line.
            line.insert(0, b'\n');
        }
        if let Err(error) = file.write_all(&line) {
            // A part of a line would swallow the next one; if it cannot be taken back, that one begins a new line.
            let _ = file.set_len(length);
            return Err(error).context("write to", &path);
        }
        drop(lock);
        if durability == Durability::Synced {
            file.sync_data().context("write to disk", &path)?;
            if length == 0 {
                sync_dir(&self.dir)?;
            }
        }
        Ok(())
    }

    /// The events that are wanted, oldest first. Lines that are no records are passed over.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&self, filter: &Filter) -> Result<Vec<Event>, AccessError> {
        let limit = filter.limit.unwrap_or(1000);
        let mut wanted: VecDeque<Event> = VecDeque::new();
        let mut open: BTreeMap<String, Event> = BTreeMap::new();
        let mut take = |event: Event| {
            let fits = filter.since.as_ref().is_none_or(|since| event.beginning.at >= *since)
                && filter.about.as_ref().is_none_or(|id| event.is_about(id));
            if fits {
                wanted.push_back(event);
                if wanted.len() > limit {
                    wanted.pop_front();
                }
            }
        };
        for (path, file) in self.files()? {
            let mut lines = BufReader::new(file);
            let mut line = Vec::new();
            loop {
                line.clear();
                let read =
                    lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).context("read", &path)?;
                if read == 0 {
                    break;
                }
                match serde_json::from_slice(&line) {
                    Ok(Record::Begin { id, beginning }) => {
                        open.insert(id.clone(), Event::begun(id, beginning));
                    }
                    Ok(Record::About { id, objects }) => {
                        if let Some(event) = open.get_mut(&id) {
                            event.objects.extend(objects);
                        }
                    }
                    // The beginning of an end without one was rotated away.
                    Ok(Record::End { id, end }) => {
                        if let Some(event) = open.remove(&id) {
                            take(event.ended(end));
                        }
                    }
                    Err(_) => {}
                }
            }
        }
        open.into_values().for_each(&mut take);
        let mut events = Vec::from(wanted);
        events.sort_by(|a, b| a.beginning.at.cmp(&b.beginning.at));
        Ok(events)
    }

    fn lock(&self) -> Result<Lock, AccessError> {
        make_dir(&self.dir)?;
        Lock::take(&self.dir.join("audit.lock"))
    }

    /// The newest file, open for appending, with room for a line. The caller has the lock.
    fn room_for(&self, line: usize) -> Result<File, AccessError> {
        let path = self.path();
        let open =
            || OpenOptions::new().append(true).create(true).mode(0o600).open(&path).context("open", &path);
        let file = open()?;
        let length = file.metadata().context("look at", &path)?.len();
        let after = length.saturating_add(u64::try_from(line).unwrap_or(u64::MAX));
        if length == 0 || after <= self.options.file_bytes {
            return Ok(file);
        }
        for number in (1..self.options.files).rev() {
            let from = self.numbered(number - 1);
            match fs::rename(&from, self.numbered(number)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).context("rename", &from);
                }
                _ => {}
            }
        }
        if self.options.files <= 1 {
            fs::remove_file(&path).context("remove", &path)?;
        }
        let file = open()?;
        sync_dir(&self.dir)?;
        Ok(file)
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 { self.path() } else { self.dir.join(format!("{FILE}.{number}")) }
    }

    /// All files, oldest first, opened while nobody renames them.
    fn files(&self) -> Result<Vec<(PathBuf, File)>, AccessError> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let mut files = Vec::new();
        // Another writer may keep more of them than these options say.
        for number in 0.. {
            let path = self.numbered(number);
            match File::open(&path) {
                Ok(file) => files.push((path, file)),
                Err(error) if error.kind() == ErrorKind::NotFound && number == 0 => {}
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error).context("open", &path),
            }
        }
        files.reverse();
        Ok(files)
    }
}

fn ends_with_newline(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests;
