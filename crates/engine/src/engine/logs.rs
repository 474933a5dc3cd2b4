//! What containers have written to standard output and error: a file for each, which they append to themselves.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;

use super::Engine;
use crate::error::{Context as _, EngineError};

impl Engine {
    /// The output of a container so far, at most the last `limit` bytes. It goes on in the file that
    /// [`crate::Inspected::log`] names.
    ///
    /// # Errors
    /// `NotFound`, `System`.
    pub fn logs(&self, name: &str, limit: u64) -> Result<Vec<u8>, EngineError> {
        use std::io::Seek as _;
        let path = self.container(name)?.log();
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.context("open", &path)?,
        };
        let length = file.metadata().context("look at", &path)?.len();
        let start = std::io::SeekFrom::Start(length.saturating_sub(limit));
        file.seek(start).context("read", &path)?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).context("read", &path)?;
        Ok(bytes)
    }

    /// Moves the output of containers that have written more than `limit` bytes to a second file beside the
    /// first, `log.1`, in place of what was there. Call it from time to time: nothing else bounds a log. What a
    /// container writes between the copy and the cut, a few microseconds, is lost.
    ///
    /// # Errors
    /// `System` for the first log that could not be moved; the others are moved all the same.
    pub fn rotate_logs(&self, limit: u64) -> Result<(), EngineError> {
        let all: Vec<_> = self.containers().values().map(|container| container.log()).collect();
        let mut result = Ok(());
        for log in all.iter().filter(|log| fs::metadata(log).is_ok_and(|found| found.len() > limit)) {
            let moved = fs::copy(log, log.with_extension("1")).context("copy", log).and_then(|_| {
                let file = OpenOptions::new().write(true).open(log).context("open", log)?;
                // The writers append, so they go on at the new end.
                file.set_len(0).context("shorten", log)
            });
            result = result.and(moved);
        }
        result
    }
}
