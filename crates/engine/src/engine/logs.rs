//! What containers have written to standard output and error: a file for each, which they append to themselves.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Engine;
use super::keeper::{OLDER_LOG, OLDER_TIMES, TIMES, read_times};
use crate::error::{Context as _, EngineError};

/// The most that is read at once.
const CHUNK: u64 = 64 << 10;

/// Reads the output of a container from some point on, while it is written and begun anew
/// ([`crate::Options::log_bytes`]).
#[derive(Debug)]
pub struct LogReader {
    directory: PathBuf,
    /// Whether the position is in what was moved away.
    is_older: bool,
    position: u64,
    times: Vec<(u64, SystemTime)>,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// The bytes, as they were written.
    pub bytes: Vec<u8>,
    /// When they had been written: the log was looked at a few milliseconds later at most, or, for what was written
    /// while no program had the engine, it is when the log was last written to.
    pub seen: SystemTime,
}

impl Engine {
    /// The output of a container so far, at most the last `limit` bytes of the file that
    /// [`crate::Inspected::log`] names.
    ///
    /// # Errors
    /// `NotFound`, `System`.
    pub fn logs(&self, name: &str, limit: u64) -> Result<Vec<u8>, EngineError> {
        use std::io::Seek as _;
        let path = self.container(name)?.log();
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.context("open", &path)?,
        };
        let length = file.metadata().context("look at", &path)?.len();
        let start = io::SeekFrom::Start(length.saturating_sub(limit));
        file.seek(start).context("read", &path)?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).context("read", &path)?;
        Ok(bytes)
    }

    /// Begins to read the output of a container: all that is kept of it, or its last `lines` lines.
    ///
    /// # Errors
    /// `NotFound`, `System`.
    pub fn read_log(&self, name: &str, lines: Option<u64>) -> Result<LogReader, EngineError> {
        let container = self.container(name)?;
        let directory = container.directory.clone();
        let from = lines.map(|lines| start_of_last(&directory, lines)).transpose();
        let (is_older, position) = from.context("read", &container.log())?.unwrap_or((true, 0));
        Ok(LogReader { directory, is_older, position, times: Vec::new() })
    }
}

impl LogReader {
    /// The next piece; `None` when there is no more for now. Does not wait.
    ///
    /// # Errors
    /// `System`; a log that is gone, for the container was removed, has no more.
    pub fn next_chunk(&mut self) -> Result<Option<LogChunk>, EngineError> {
        let shown = self.directory.join("log");
        self.advance().context("read", &shown)
    }

    fn advance(&mut self) -> io::Result<Option<LogChunk>> {
        loop {
            let (log, times) = if self.is_older { (OLDER_LOG, OLDER_TIMES) } else { ("log", TIMES) };
            let file = open(&self.directory.join(log))?;
            let (length, written) = match &file {
                None => (0, SystemTime::UNIX_EPOCH),
                Some(file) => (file.metadata()?.len(), file.metadata()?.modified()?),
            };
            let Some(file) = file.filter(|_| length > self.position) else {
                if self.is_older {
                    self.go_to(false, 0);
                } else if length < self.position {
                    // It was begun anew: the rest of what was there has been moved.
                    self.go_to(true, self.position);
                } else {
                    return Ok(None);
                }
                continue;
            };
            let (end, seen) = match self.time(&self.directory.join(times))? {
                Some((end, seen)) => (end.min(length), seen),
                None => (length, written),
            };
            let room = usize::try_from((end - self.position).min(CHUNK)).unwrap_or(0);
            let mut bytes = vec![0; room];
            let read = file.read_at(&mut bytes, self.position)?;
            bytes.truncate(read);
            if read == 0 {
                // Cut between the two looks.
                continue;
            }
            self.position += u64::try_from(read).unwrap_or(0);
            return Ok(Some(LogChunk { bytes, seen }));
        }
    }

    fn go_to(&mut self, is_older: bool, position: u64) {
        (self.is_older, self.position) = (is_older, position);
        self.times.clear();
    }

    /// Up to where the bytes at the position were seen at one time, and when; `None` when that was not noted.
    fn time(&mut self, path: &Path) -> io::Result<Option<(u64, SystemTime)>> {
        let find = |times: &[(u64, SystemTime)], position| {
            let index = times.partition_point(|(length, _)| *length <= position);
            times.get(index).copied()
        };
        if let Some(found) = find(&self.times, self.position) {
            return Ok(Some(found));
        }
        self.times = read_times(path)?;
        Ok(find(&self.times, self.position))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Where the last `lines` lines begin: whether in what was moved away, and at which byte.
fn start_of_last(directory: &Path, lines: u64) -> io::Result<(bool, u64)> {
    let length = fs::metadata(directory.join("log")).map_or(0, |log| log.len());
    if lines == 0 {
        return Ok((false, length));
    }
    let mut left = lines;
    for (is_older, name) in [(false, "log"), (true, OLDER_LOG)] {
        let Some(file) = open(&directory.join(name))? else { continue };
        let length = file.metadata()?.len();
        let mut end = length;
        while end > 0 {
            let begin = end.saturating_sub(CHUNK);
            let mut block = vec![0; usize::try_from(end - begin).unwrap_or(0)];
            file.read_exact_at(&mut block, begin)?;
            let line_ends = (begin..).zip(&block).filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
            for at in line_ends.collect::<Vec<_>>().into_iter().rev() {
                // The end of the last line begins no further one.
                if at + 1 == length && !is_older {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    return Ok((is_older, at + 1));
                }
            }
            end = begin;
        }
    }
    Ok((true, 0))
}
