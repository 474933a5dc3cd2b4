//! The only place where processes are started: the program itself as its own helper, and what a container runs.
//!
//! A program with threads must not take namespaces or fork by itself. So the engine starts its own executable
//! again, with arguments that lead to [`crate::helper::main`], and the single-threaded process it gets does
//! the rest. No other program is needed on the host.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// How the program is started as its own helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helper {
    /// The executable.
    pub program: PathBuf,
    /// Arguments after which the helper's own come: the name of a hidden subcommand.
    pub arguments: Vec<String>,
}

impl Default for Helper {
    /// The running executable with the subcommand `engine-init`.
    fn default() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), arguments: vec!["engine-init".to_owned()] }
    }
}

impl Helper {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().current_dir("/");
        command
    }

    /// As one word, for a part that starts others.
    pub(crate) fn word(&self) -> OsString {
        serde_json::json!(self).to_string().into()
    }

    /// Out of such a word.
    pub(crate) fn from_word(word: &Path) -> Result<Self, EngineError> {
        serde_json::from_slice(word.as_os_str().as_bytes())
            .map_err(|_| EngineError::Invalid("this command is for the program's own use".to_owned()))
    }
}

/// Starts the helper with nothing of this program's environment. All copies of `stdin` and the rest that this
/// process has are closed on return.
pub(crate) fn start_helper(
    helper: &Helper,
    arguments: &[&OsStr],
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
) -> io::Result<Child> {
    helper.command().args(arguments).stdin(stdin).stdout(stdout).stderr(stderr).spawn()
}

/// Becomes another part of the helper, by executing it. Descriptors that executed programs do not inherit are left
/// behind. Returns only when that fails.
pub(crate) fn become_helper(helper: &Helper, part: &str) -> io::Error {
    helper.command().arg(part).exec()
}

/// What a container runs, with the path of its program already looked up.
pub(crate) struct Target<'a> {
    pub(crate) program: &'a Path,
    pub(crate) command: &'a [String],
    pub(crate) environment: &'a [(OsString, OsString)],
    pub(crate) working_dir: &'a Path,
}

impl Target<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        if let Some((name, arguments)) = self.command.split_first() {
            command.arg0(name).args(arguments);
        }
        command.env_clear().envs(self.environment.iter().cloned()).current_dir(self.working_dir);
        command
    }

    /// Becomes the target; returns only when that fails.
    pub(crate) fn become_it(&self) -> io::Error {
        self.command().exec()
    }

    /// Starts the target with nothing to read, and this process's output.
    pub(crate) fn start(&self) -> io::Result<Child> {
        self.command().stdin(Stdio::null()).spawn()
    }
}
