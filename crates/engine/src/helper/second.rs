//! Second stage: process 1 of the container. It makes the root its own, gives up its privileges and becomes the
//! container's program.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::thread::UnshareFlags;

use super::launch::Run;
use super::{first, mounts, privileges, read_line, user};
use crate::error::{Context as _, EngineError};
use crate::ids::Ids;
use crate::program::Target;

pub(super) fn play(directory: &Path, control: &mut File) -> Result<(), EngineError> {
    let launch = first::read(directory)?;
    rustix::process::setsid().context("make a session for", directory)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY;
    let stdin = rustix::fs::open(&launch.stdin, flags, Mode::empty()).context("open", &launch.stdin)?;
    rustix::stdio::dup2_stdin(&stdin).context("read from", &launch.stdin)?;
    rustix::system::sethostname(launch.hostname.as_bytes()).context("set the host name of", directory)?;
    crate::namespaces::unshare(UnshareFlags::NEWNS).context("make a mount namespace for", directory)?;
    let ids = Ids::read().context("read the users of", directory)?;
    mounts::enter_root(&launch.root, &ids)?;
    let go = read_line(&mut BufReader::new(control), 16).context("hear from", Path::new("the engine"))?;
    if go != b"go" {
        // The engine died: nobody knows of this process.
        return Ok(());
    }
    let prepared = Prepared::new(&launch.run, &ids)?;
    privileges::drop_to(&launch.run.capabilities, &prepared.identity, &ids)?;
    Err(prepared.target(&launch.run).become_it()).context("execute", &prepared.program)
}

/// A run with its program and user looked up in the container.
pub(super) struct Prepared {
    pub(super) program: PathBuf,
    environment: Vec<(OsString, OsString)>,
    working_dir: PathBuf,
    pub(super) identity: user::Identity,
}

impl Prepared {
    /// Looks up what `run` names, in the file system this process sees.
    pub(super) fn new(run: &Run, ids: &Ids) -> Result<Self, EngineError> {
        let identity = user::look_up(&run.user)?;
        ids.check(&run.user, identity.uid, identity.gid)?;
        let mut environment = run.environment.clone();
        environment.entry("HOME".to_owned()).or_insert_with(|| identity.home.clone());
        let path = environment.get("PATH").map_or(DEFAULT_PATH, String::as_str);
        let name = run.command.first().map_or("", String::as_str);
        let program = look_up(name, path, &run.working_dir)?;
        Ok(Self {
            program,
            environment: environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            working_dir: run.working_dir.clone(),
            identity,
        })
    }

    pub(super) fn target<'a>(&'a self, run: &'a Run) -> Target<'a> {
        Target {
            program: &self.program,
            command: &run.command,
            environment: &self.environment,
            working_dir: &self.working_dir,
        }
    }
}

/// Where programs are looked for when the image does not say.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Finds a program as a shell does: a name with a slash is a path, others are looked for in `path`.
fn look_up(name: &str, path: &str, working_dir: &Path) -> Result<PathBuf, EngineError> {
    if name.contains('/') {
        return Ok(working_dir.join(name));
    }
    let is_program = |path: &PathBuf| {
        use std::os::unix::fs::PermissionsExt as _;
        path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    path.split(':')
        .filter(|part| part.starts_with('/') && !name.is_empty())
        .map(|part| Path::new(part).join(name))
        .find(is_program)
        .ok_or_else(|| EngineError::Invalid(format!("there is no program `{name}` in {path}")))
}
