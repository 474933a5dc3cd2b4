//! Whether the engine can work without root here: a process takes the namespaces, mounts what a container needs,
//! says what it could do, and is gone with all of it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::UnshareFlags;

use super::{namespaces, reason};
use crate::error::{Context as _, EngineError, chain};
use crate::helper::{PATIENCE, Report, TRIAL, TRIAL_INSIDE, read_line, report};
use crate::powers::Powers;
use crate::program::{Helper, start_helper};

/// Whether this user can [`super::enter`] namespaces and run containers in them; and what the engine could do there.
/// It is tried in a process of its own, so it may be called by a program with threads, and nothing is left of it.
///
/// # Errors
/// The reason in words, with the kernel's setting that is in the way where one is known.
pub fn possible(helper: &Helper) -> Result<Powers, String> {
    attempt(helper).map_err(|error| chain(&error))
}

fn attempt(helper: &Helper) -> Result<Powers, EngineError> {
    let shown = Path::new("a trial process");
    let (ours, theirs) = UnixStream::pair().context("make a socket for", shown)?;
    ours.set_read_timeout(Some(PATIENCE)).context("set up", shown)?;
    let stdin = Stdio::from(OwnedFd::from(theirs));
    let word = helper.word();
    let mut child = start_helper(helper, &[OsStr::new(TRIAL), &word], stdin, Stdio::null(), Stdio::null())
        .context("start", &helper.program)?;
    let line = read_line(&mut BufReader::new(ours), 64 << 10).context("hear from", shown);
    if line.is_err() {
        child.kill().context("end", shown)?;
    }
    child.wait().context("wait for", shown)?;
    let program = helper.program.display();
    let line = line?;
    if let Ok(powers) = serde_json::from_slice(&line) {
        return Ok(powers);
    }
    match serde_json::from_slice(&line) {
        Ok(Report::Error(text)) => Err(EngineError::Invalid(text)),
        _ => Err(EngineError::Invalid(format!(
            "a trial process said nothing: `{program}` must call helper::main"
        ))),
    }
}

/// The helper's part: takes the namespaces, and starts process 1 of a PID namespace, without which no `/proc` can be
/// mounted.
pub(crate) fn play(word: &Path) -> Result<(), EngineError> {
    let helper = Helper::from_word(word)?;
    namespaces::take()?;
    // As a container has: /proc belongs to the one, /sys to the other.
    crate::namespaces::unshare(UnshareFlags::NEWPID | UnshareFlags::NEWNET)
        .map_err(|error| reason::refused("take PID and network namespaces", error.into()))?;
    let shown = Path::new("a trial process");
    // It reports itself.
    let (stdin, part) = (Stdio::inherit(), OsStr::new(TRIAL_INSIDE));
    let mut child = start_helper(&helper, &[part], stdin, Stdio::null(), Stdio::null())
        .context("start", &helper.program)?;
    child.wait().context("wait for", shown).map(drop)
}

/// The helper's part in the namespaces: mounts what a container needs, in the order of `helper::mounts`.
pub(crate) fn play_inside(control: &mut File) -> Result<(), EngineError> {
    let powers = Powers::find("llcm")?;
    crate::namespaces::unshare(UnshareFlags::NEWNS)
        .map_err(|error| reason::refused("take a mount namespace", error.into()))?;
    let slash = Path::new("/");
    let private = MountPropagationFlags::REC | MountPropagationFlags::PRIVATE;
    mount_change(slash, private).context("make private", slash)?;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let visible = |what: &str, error: Errno| match error {
        Errno::PERM => EngineError::Invalid(format!(
            "cannot mount {what}: {error}; parts of the one outside are hidden, as in a container: run outside of it"
        )),
        other => EngineError::Invalid(format!("cannot mount {what}: {other}")),
    };
    mount("proc", "/proc", "proc", quiet, c"").map_err(|error| visible("/proc", error))?;
    mount("sysfs", "/sys", "sysfs", quiet | MountFlags::RDONLY, c"")
        .map_err(|error| visible("/sys", error))?;
    // Over /proc, a directory that is there for sure; nothing of it is needed any more.
    let work = Path::new("/proc");
    mount("tmpfs", work, "tmpfs", quiet, c"mode=700,size=1m").context("mount a file system on", work)?;
    std::env::set_current_dir(work).context("enter", work)?;
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(name).context("make directory", Path::new(name))?;
    }
    let options = c"userxattr,lowerdir=lower,upperdir=upper,workdir=work";
    mount("overlay", "merged", "overlay", MountFlags::NODEV, options).map_err(|error| {
        let advice = match error {
            Errno::PERM | Errno::INVAL => "; it needs Linux 5.11 for that",
            Errno::NODEV => "; the module `overlay` is not loaded: `modprobe overlay` as root",
            _ => "",
        };
        EngineError::Invalid(format!("cannot mount an overlay in a user namespace: {error}{advice}"))
    })?;
    report(control, &powers).context("report to", Path::new("the engine"))
}
