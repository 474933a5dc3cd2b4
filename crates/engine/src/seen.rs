//! An engine's directory, looked at from outside: nothing in it is made, changed or locked, so a program that has it is
//! not disturbed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Context as _, EngineError};
use crate::files::{check_owner, read_json};
use crate::process::Process;
use crate::record::State;
use crate::rootless;
use crate::spec::check_state_path;

/// What is in an engine's directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Containers, whatever they do.
    pub containers: usize,
    /// How many of them run.
    pub running: usize,
    /// Whether namespaces of an ordinary user's (see [`crate::rootless`]) are held for the next program.
    pub namespaces: bool,
    /// Images in the store; the built-in one does not count.
    pub images: usize,
}

impl Seen {
    /// Looks at the directory of [`crate::Options::state_dir`]; in one that is not there is nothing.
    ///
    /// # Errors
    /// As [`crate::Engine::open`] when this user cannot have an engine there: `Conflict` when another user may write to
    /// it, `Invalid` for a path that cannot be used in mount options, `System`.
    pub fn look(state_dir: &Path) -> Result<Self, EngineError> {
        check_state_path(state_dir)?;
        match fs::metadata(state_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.context("look at", state_dir)?,
        };
        check_owner(state_dir)?;
        let mut seen = Self { namespaces: rootless::are_held(state_dir)?, ..Self::default() };
        for container in entries(&state_dir.join("containers"))? {
            // What begins with a dot is not finished; what has no state is just being removed.
            let is_whole =
                !container.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !is_whole {
                continue;
            }
            let state = read_json::<State>(&container.join("state.json"));
            // A damaged one is one, too.
            seen.containers += usize::from(!matches!(state, Ok(None)));
            if let Ok(Some(State::Running(process))) = state {
                let found = Process::find(&process);
                seen.running +=
                    usize::from(found.is_some_and(|it| !it.ended(Some(Duration::ZERO)).unwrap_or(true)));
            }
        }
        let images = entries(&state_dir.join("images/images"))?;
        seen.images = images.iter().filter(|file| file.extension().is_some_and(|it| it == "json")).count();
        Ok(seen)
    }
}

/// What is in a directory; nothing in one that is not there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let listed = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context("list", directory)?,
    };
    listed.map(|entry| Ok(entry.context("list", directory)?.path())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::process::ProcessId;
    use crate::record::Exit;

    #[test]
    fn looking_makes_nothing_and_counts_what_is_there() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("engine");
        assert_eq!(Seen::look(&dir).unwrap(), Seen::default());
        assert!(!dir.exists());

        let pid = i32::try_from(std::process::id()).unwrap();
        let own = Process::hold(pid).unwrap().id;
        let other_boot = ProcessId { boot: "another".to_owned(), ..own.clone() };
        let ended = State::Ended(Exit { code: Some(0), out_of_memory: false });
        let states = [
            ("a", State::Running(own)),
            ("b", State::Running(other_boot)),
            ("c", ended),
            (".d.new", State::Created),
        ];
        for (name, state) in states {
            let container = dir.join("containers").join(name);
            fs::create_dir_all(&container).unwrap();
            fs::write(container.join("state.json"), serde_json::to_vec(&state).unwrap()).unwrap();
        }
        fs::create_dir_all(dir.join("images/images")).unwrap();
        fs::write(dir.join("images/images/0.json"), "").unwrap();
        fs::write(dir.join("images/images/1.new"), "").unwrap();
        let seen = Seen::look(&dir).unwrap();
        assert_eq!(seen, Seen { containers: 3, running: 1, namespaces: false, images: 1 });
    }

    #[test]
    fn a_directory_that_no_engine_would_take_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let refused = Seen::look(&base.path().join("a,b")).unwrap_err();
        assert!(matches!(refused, EngineError::Invalid(_)), "{refused}");
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = Seen::look(base.path()).unwrap_err();
        assert!(matches!(refused, EngineError::Conflict { .. }), "{refused}");
    }
}
