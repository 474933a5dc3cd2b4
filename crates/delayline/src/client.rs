//! The other side of the helper's socket.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::Impairment;
use crate::error::LineError;
use crate::helper::Helper;
use crate::lines::LineView;
use crate::protocol::{Reply, Request, receive, send};

/// How long the helper may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a question is asked, since whoever is asked may just be ending: who was connected, who is connected to then, who
/// is started then, and once more.
const ATTEMPTS: usize = 4;

/// A helper that is asked over its socket, and started where there is none.
#[derive(Debug)]
pub(crate) struct Client {
    helper: Helper,
    socket: PathBuf,
    connection: Mutex<Option<UnixStream>>,
}

impl Client {
    pub(crate) fn new(helper: Helper, socket: PathBuf) -> Self {
        Self { helper, socket, connection: Mutex::default() }
    }

    /// Asks what changes something. A helper is started if there is none.
    pub(crate) fn put(
        &self,
        name: &str,
        taps: [OwnedFd; 2],
        impairments: [Impairment; 2],
    ) -> Result<(), LineError> {
        self.done(&Request::Put { name: name.to_owned(), impairments }, &taps)
    }

    pub(crate) fn set(&self, name: &str, impairments: [Impairment; 2]) -> Result<(), LineError> {
        self.done(&Request::Set { name: name.to_owned(), impairments }, &[])
    }

    /// What no helper has is removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), LineError> {
        let request = Request::Remove { name: name.to_owned() };
        self.ask_one_that_runs(&request)?.map_or(Ok(()), expect_done)
    }

    /// The links of the helper; none when there is no helper.
    pub(crate) fn list(&self) -> Result<Vec<LineView>, LineError> {
        match self.ask_one_that_runs(&Request::List)? {
            None => Ok(Vec::new()),
            Some(Reply::Links(links)) => Ok(links),
            Some(other) => Err(unexpected(&other)),
        }
    }

    /// Waits until the helper that runs has ended; at once when none runs.
    pub(crate) fn wait_for_end(&self) -> Result<(), LineError> {
        let Some(mut stream) = connect(&self.socket).map_err(|error| said("connect", &error))? else {
            return Ok(());
        };
        // It says nothing that it was not asked.
        match stream.read(&mut [0]) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(said("wait", &error)),
        }
    }

    fn done(&self, request: &Request, descriptors: &[OwnedFd]) -> Result<(), LineError> {
        match self.ask(request, descriptors, true)? {
            Some(reply) => expect_done(reply),
            None => Err(LineError::Helper("none runs".to_owned())),
        }
    }

    fn ask_one_that_runs(&self, request: &Request) -> Result<Option<Reply>, LineError> {
        self.ask(request, &[], false)
    }

    /// Asks the helper that runs. `None`: none does, and none was to be started.
    fn ask(
        &self,
        request: &Request,
        descriptors: &[OwnedFd],
        start: bool,
    ) -> Result<Option<Reply>, LineError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has nothing to do ends, maybe at this moment: what is connected may be gone, and so may the one that is
        // connected to then, which was just going; one that is started stays. A question may be asked twice: the answer is
        // the same.
        for _ in 0..ATTEMPTS {
            if connection.is_none() {
                *connection = self.connect()?;
            }
            if connection.is_none() {
                if !start {
                    return Ok(None);
                }
                *connection = Some(self.start()?);
            }
            match exchange(&mut connection, request, descriptors)? {
                Some(reply) => return Ok(Some(reply)),
                None => log::debug!("the delay line's process has ended"),
            }
        }
        Err(LineError::Helper("it has ended each time it was asked".to_owned()))
    }

    fn connect(&self) -> Result<Option<UnixStream>, LineError> {
        let connected = connect(&self.socket).and_then(|stream| {
            if let Some(stream) = &stream {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
            }
            Ok(stream)
        });
        connected.map_err(|error| said("connect", &error))
    }

    /// Starts a helper with a socket to listen at, which is there before the helper is.
    fn start(&self) -> Result<UnixStream, LineError> {
        let listener = listen(&self.socket).map_err(|error| said("make its socket", &error))?;
        let mut command = Command::new(&self.helper.program);
        command.args(&self.helper.arguments).env_clear().current_dir("/");
        command.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(Stdio::null());
        // What this program was given by its own caller is none of the helper's.
        close_fds::set_fds_cloexec(3, &[]);
        let mut child = command.spawn().map_err(|error| said("start it", &error))?;
        drop(command);
        let reap = move || match child.wait() {
            Ok(status) if status.success() => log::debug!("the delay line's process has ended"),
            Ok(status) => log::warn!("the delay line's process ended: {status}"),
            Err(error) => log::warn!("the delay line's process: {error}"),
        };
        let reaper = std::thread::Builder::new().name("delay-line-end".to_owned()).spawn(reap);
        reaper.map_err(|error| said("watch it", &error))?;
        self.connect()?.ok_or_else(|| LineError::Helper("it ended at once".to_owned()))
    }
}

/// Calls with a path to the same file that is short: the kernel takes no socket's path of more than 107 bytes.
fn by_directory<T>(path: &Path, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    call(&Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name))
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = by_directory(path, |short| UnixListener::bind(short))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// `None`: nobody listens there.
fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    match by_directory(path, |short| UnixStream::connect(short)) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

/// Asks and hears the answer; a connection on which that fails is given up. `None`: the helper has ended.
fn exchange(
    connection: &mut Option<UnixStream>,
    request: &Request,
    descriptors: &[OwnedFd],
) -> Result<Option<Reply>, LineError> {
    let Some(stream) = connection else { return Ok(None) };
    let answer = send(stream, request, descriptors).and_then(|()| receive::<Reply>(stream));
    if let Ok(Some((reply, _))) = answer {
        return Ok(Some(reply));
    }
    *connection = None;
    match answer {
        Ok(_) => Ok(None),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                Ok(None)
            }
            _ => Err(said("ask", &error)),
        },
    }
}

fn expect_done(reply: Reply) -> Result<(), LineError> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Unknown(name) => Err(LineError::Unknown(name)),
        Reply::Failed(message) => Err(LineError::Helper(message)),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(reply: &Reply) -> LineError {
    LineError::Helper(format!("an answer to another question: {reply:?}"))
}

fn said(what: &str, error: &io::Error) -> LineError {
    LineError::Helper(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests;
