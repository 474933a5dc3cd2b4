//! One more process in a running container, its output and how it ended.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufReader, Read, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::time::Timespec;

use super::Engine;
use super::run::{Control, PATIENCE};
use crate::error::{Context as _, EngineError};
use crate::files::read_json;
use crate::helper::launch::{Enter, LAUNCH_FILE, Launch};
use crate::helper::{ENTER, Report};
use crate::process::Process;
use crate::program::start_helper;

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
    /// It is killed after so long.
    pub timeout: Duration,
    /// So many bytes of output and of error output are kept each, the first ones; the rest is read and dropped.
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
    /// Runs a process in a container: in its namespaces, cgroups and file system, with its capabilities, nothing
    /// to read and the output caught.
    ///
    /// # Errors
    /// `Conflict` when the container does not run, `Start` when the process cannot be started.
    pub fn exec(&self, name: &str, exec: &ExecSpec) -> Result<ExecOutput, EngineError> {
        let container = self.container(name)?;
        let process = container.live().process.clone().ok_or_else(|| EngineError::Conflict {
            kind: "container",
            name: name.to_owned(),
            problem: "does not run: start it first",
        })?;
        let mut run = container.run();
        run.command.clone_from(&exec.command);
        run.environment.extend(exec.environment.clone());
        run.user = exec.user.clone().unwrap_or(run.user);
        run.working_dir = exec.working_dir.clone().unwrap_or(run.working_dir);
        // As they were made at the start; after the end they are gone, and joining them fails.
        let launch = read_json::<Launch>(&container.directory.join(LAUNCH_FILE))?;
        let cgroups = launch.map(|launch| launch.cgroups).unwrap_or_default();
        let enter = Enter { pid: process.id.pid, start_time: process.id.start_time, cgroups, run };
        let shown = &container.directory;
        let (ours, theirs) = UnixStream::pair().context("make a socket for", shown)?;
        ours.set_read_timeout(Some(PATIENCE)).context("set up", shown)?;
        let (program, stdin) = (&self.options.helper, Stdio::from(OwnedFd::from(theirs)));
        let helper = start_helper(program, &[OsStr::new(ENTER)], stdin, Stdio::piped(), Stdio::piped())
            .context("start", &program.program)?;
        let mut request =
            serde_json::to_vec(&enter).map_err(std::io::Error::from).context("encode", shown)?;
        request.push(b'\n');
        let mut control = Control { reader: BufReader::new(ours), name };
        let sent = control.reader.get_mut().write_all(&request);
        let output = follow(helper, &mut control, exec, shown)?;
        sent.context("ask the helper for", shown)?;
        Ok(output)
    }
}

/// Reads output and reports side by side until the helper ends.
fn follow(
    mut helper: Child,
    control: &mut Control<'_>,
    exec: &ExecSpec,
    shown: &Path,
) -> Result<ExecOutput, EngineError> {
    let (stdout, stderr) = (helper.stdout.take(), helper.stderr.take());
    let over = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stdout = scope.spawn(move || first_bytes(stdout, exec.output_limit, over));
        let stderr = scope.spawn(move || first_bytes(stderr, exec.output_limit, over));
        let ended = until_end(control, exec.timeout);
        over.store(true, Ordering::Release);
        if ended.is_err() {
            // Nobody waits for its answer any more.
            helper.kill().context("end the helper of", shown)?;
        }
        helper.wait().context("wait for the helper of", shown)?;
        let panicked = |_| Err(std::io::Error::other("a thread that reads output panicked"));
        let stdout = stdout.join().unwrap_or_else(panicked).context("read output of", shown);
        let stderr = stderr.join().unwrap_or_else(panicked).context("read output of", shown);
        Ok(ExecOutput { code: ended?, stdout: stdout?, stderr: stderr? })
    })
}

/// Follows the reports: the number of the process, then how it ended. After `timeout` it is killed, and the
/// helper reports the end of that; `None` then.
fn until_end(control: &mut Control<'_>, timeout: Duration) -> Result<Option<i32>, EngineError> {
    let deadline = Instant::now() + timeout;
    let mut process: Option<Process> = None;
    loop {
        if let Some(process) = &process
            && !process.ended(Some(deadline.saturating_duration_since(Instant::now()))).unwrap_or(true)
        {
            process.signal(Signal::KILL).context("kill", Path::new("the process"))?;
            control.report()?;
            return Ok(None);
        }
        match control.report()? {
            // It is the helper's child, which reaps it and then reports: gone already is fine.
            Some(Report::Pid(pid)) => process = Process::hold(pid).ok(),
            Some(Report::Ended(code)) => return Ok(Some(code)),
            Some(Report::Error(text)) => return Err(control.failed(text)),
            None => return Err(control.failed("the helper ended without a report".to_owned())),
        }
    }
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
        let read = pipe.read(&mut buffer)?;
        let room = limit.saturating_sub(kept.len()).min(read);
        kept.extend_from_slice(buffer.get(..room).unwrap_or_default());
        if read == 0 {
            return Ok(kept);
        }
    }
}
