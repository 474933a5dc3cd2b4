//! Running one more process in a container to its end.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;

use super::{Engine, Session};
use crate::error::{Context as _, EngineError};

/// A process to run in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Environment on top of the container's.
    pub environment: BTreeMap<String, String>,
    /// `user[:group]`; `None`: the container's.
    pub user: Option<String>,
    /// Directory to start in; `None`: the container's.
    pub working_dir: Option<PathBuf>,
    /// Whether its output is a terminal; standard error goes there, too.
    pub terminal: bool,
    /// [`Engine::exec`] kills it after so long.
    pub timeout: Duration,
    /// [`Engine::exec`] keeps so many bytes of output and of error output each, the first ones; the rest is read and dropped.
    pub output_limit: usize,
}

impl ExecSpec {
    /// A command run as the container's own, for at most a minute, with a megabyte of output.
    pub fn new<S: Into<String>>(command: impl IntoIterator<Item = S>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            environment: BTreeMap::new(),
            user: None,
            working_dir: None,
            terminal: false,
            timeout: Duration::from_secs(60),
            output_limit: 1 << 20,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Exit code; 128 and the signal when it was killed by one; `None` when the time was over.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Engine {
    /// Runs a process in a container to its end and catches its output; see [`Engine::spawn`].
    ///
    /// # Errors
    /// As there.
    pub fn exec(&self, name: &str, exec: &ExecSpec) -> Result<ExecOutput, EngineError> {
        let mut session = self.spawn(name, exec)?;
        let (stdout, stderr) = (session.take_output(), session.take_errors());
        let over = &AtomicBool::new(false);
        let shown = Path::new(name);
        std::thread::scope(|scope| {
            let stdout = scope.spawn(move || first_bytes(stdout, exec.output_limit, over));
            let stderr = scope.spawn(move || first_bytes(stderr, exec.output_limit, over));
            let ended = until_end(&mut session, exec.timeout);
            over.store(true, Ordering::Release);
            let panicked = |_| Err(std::io::Error::other("a thread that reads output panicked"));
            let stdout = stdout.join().unwrap_or_else(panicked).context("read output of", shown);
            let stderr = stderr.join().unwrap_or_else(panicked).context("read output of", shown);
            Ok(ExecOutput { code: ended?, stdout: stdout?, stderr: stderr? })
        })
    }
}

/// The exit code; `None` when it had to be killed after `timeout`.
fn until_end(session: &mut Session, timeout: Duration) -> Result<Option<i32>, EngineError> {
    if let Some(code) = session.wait(Some(timeout))? {
        return Ok(Some(code));
    }
    session.kill()?;
    session.wait(None)?;
    Ok(None)
}

/// Reads what comes and keeps the beginning, until the pipe ends, or until `ended` and nothing more is there:
/// children of the process that went to the background hold the pipe open for as long as they like.
fn first_bytes(pipe: Option<impl Read + AsFd>, limit: usize, ended: &AtomicBool) -> std::io::Result<Vec<u8>> {
    let Some(mut pipe) = pipe else { return Ok(Vec::new()) };
    let (mut kept, mut buffer) = (Vec::new(), [0_u8; 16 << 10]);
    let slice = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut after_end = 0_u8;
    loop {
        // Asked before the poll, so that what was written before the end is seen by it.
        let is_over = ended.load(Ordering::Acquire);
        match poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&slice)) {
            Ok(0) if is_over => return Ok(kept),
            // More than a pipe holds has been read since: somebody in the background goes on writing.
            Ok(_) if after_end > 32 => return Ok(kept),
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        after_end += u8::from(is_over);
        let read = match pipe.read(&mut buffer) {
            // A terminal that nobody has open any more.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => 0,
            read => read?,
        };
        let room = limit.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
        if read == 0 {
            return Ok(kept);
        }
    }
}
