//! A further process in a running container, as its caller holds it: output as it comes, and the end.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::run::{Control, PATIENCE};
use super::{Engine, ExecSpec};
use crate::error::{Context as _, EngineError};
use crate::files::read_json;
use crate::helper::launch::{Enter, LAUNCH_FILE, Launch};
use crate::helper::{ENTER, Report};
use crate::process::Process;
use crate::program::start_helper;

/// A process in a container. Dropping it lets the process go on, with its output read and thrown away; one with a
/// terminal is hung up on.
#[derive(Debug)]
pub struct Session {
    output: Option<File>,
    errors: Option<File>,
    /// The terminal: who has read enough of it has not hung up yet.
    _terminal: Option<File>,
    control: Control,
    process: Process,
}

impl Engine {
    /// Starts a process in a container: in its namespaces, cgroups and file system, with its capabilities and
    /// nothing to read. On return it is executed.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the container does not run; `Start` when the process cannot be started.
    pub fn spawn(&self, name: &str, exec: &ExecSpec) -> Result<Session, EngineError> {
        let container = self.container(name)?;
        let process = {
            let mut live = container.live();
            self.notice_end(&container, &mut live)?;
            live.process.clone()
        };
        let process = process.ok_or_else(|| EngineError::Conflict {
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
        let terminal = exec.terminal;
        let helper = terminal.then(|| self.options.helper.clone());
        let enter = Enter { pid: process.id.pid, start_time: process.id.start_time, cgroups, run, helper };
        let shown = &container.directory;
        let (ours, theirs) = UnixStream::pair().context("make a socket for", shown)?;
        ours.set_read_timeout(Some(PATIENCE)).context("set up", shown)?;
        let streams = if terminal { Streams::terminal() } else { Streams::pipes() };
        let streams = streams.context("make streams for", shown)?;
        let (program, stdin) = (&self.options.helper, Stdio::from(OwnedFd::from(theirs)));
        let helper = start_helper(program, &[OsStr::new(ENTER)], stdin, streams.theirs.0, streams.theirs.1)
            .context("start", &program.program)?;
        self.ends.look_after(helper, &process).context("hold the helper for", shown)?;
        let mut request =
            serde_json::to_vec(&enter).map_err(std::io::Error::from).context("encode", shown)?;
        request.push(b'\n');
        let mut control = Control { reader: BufReader::new(ours), name: name.to_owned() };
        let sent = control.reader.get_mut().write_all(&request);
        let pid = match control.report()? {
            Some(Report::Pid(pid)) => pid,
            Some(Report::Error(text)) => return Err(control.failed(text)),
            Some(Report::Ended(_)) | None => {
                sent.context("ask the helper for", shown)?;
                return Err(control.failed("the helper ended without a report".to_owned()));
            }
        };
        // It is the helper's child, which keeps it until it is told to go on: its number is still its own.
        let process = Process::hold(pid).context("hold", shown)?;
        control.reader.get_mut().write_all(b"go\n").context("answer the helper for", shown)?;
        let held = terminal.then(|| streams.output.try_clone()).transpose().context("copy", shown)?;
        Ok(Session {
            _terminal: held,
            output: Some(streams.output),
            errors: streams.errors,
            control,
            process,
        })
    }
}

impl Session {
    /// Takes the end from which its output is read: standard output, or all of a terminal's. It ends when
    /// nobody in the container has the other end any more, which may be long after the process's own end; a
    /// terminal's ends with the error `EIO`. `None` when it was taken already.
    pub fn take_output(&mut self) -> Option<File> {
        self.output.take()
    }

    /// Takes the end from which standard error is read; `None` for a terminal, or when it was taken already.
    pub fn take_errors(&mut self) -> Option<File> {
        self.errors.take()
    }

    /// A socket that can be read from, in the sense of poll(2), when [`Session::wait`] would not block. For event
    /// loops; nothing is to be read from it by others.
    ///
    /// # Errors
    /// `System`, for want of descriptors.
    pub fn end(&self) -> Result<UnixStream, EngineError> {
        self.control.reader.get_ref().try_clone().context("copy", Path::new("a socket"))
    }

    /// Waits until the process has ended, at most `timeout`: its exit code, 128 and the signal when it was killed
    /// by one; `None` when it still runs.
    ///
    /// # Errors
    /// `Start` when the helper process was killed, so that nobody knows.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<i32>, EngineError> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if !self.process.ended(left).context("wait for", Path::new("a process"))? {
            return Ok(None);
        }
        match self.control.report()? {
            Some(Report::Ended(code)) => Ok(Some(code)),
            Some(Report::Error(text)) => Err(self.control.failed(text)),
            Some(Report::Pid(_)) | None => {
                Err(self.control.failed("the helper ended without a report".to_owned()))
            }
        }
    }

    /// Kills the process; what it has started itself goes on.
    ///
    /// # Errors
    /// `System`.
    pub fn kill(&self) -> Result<(), EngineError> {
        self.process.signal(Signal::KILL).context("kill", Path::new("a process"))
    }
}

/// The two sides of a process's output.
struct Streams {
    output: File,
    errors: Option<File>,
    theirs: (Stdio, Stdio),
}

impl Streams {
    fn pipes() -> std::io::Result<Self> {
        let (output, out) = pipe_with(PipeFlags::CLOEXEC)?;
        let (errors, err) = pipe_with(PipeFlags::CLOEXEC)?;
        Ok(Self { output: output.into(), errors: Some(errors.into()), theirs: (out.into(), err.into()) })
    }

    fn terminal() -> std::io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let out = rustix::fs::open(&*name, flags, Mode::empty())?;
        let err = out.try_clone()?;
        Ok(Self { output: master.into(), errors: None, theirs: (out.into(), err.into()) })
    }
}
