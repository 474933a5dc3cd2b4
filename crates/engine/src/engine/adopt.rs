//! Taking over what an earlier program has left in the directory.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::container::{Container, Live};
use super::{Engine, admission};
use crate::error::{Context as _, EngineError};
use crate::files::{make_private_dir, read_json, remove_tree, write_json};
use crate::namespaces::remove_network;
use crate::process::Process;
use crate::record::{Exit, Kept, State, VERSION};

impl Engine {
    /// Reads the directory: what runs is taken over, what has ended meanwhile is written down as such, what was
    /// not finished is removed.
    pub(super) fn adopt(&self) -> Result<(), EngineError> {
        let root = self.containers_dir();
        make_private_dir(&root)?;
        make_private_dir(&self.mount_point())?;
        for entry in fs::read_dir(&root).context("list", &root)? {
            let directory = entry.context("list", &root)?.path();
            let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (kept, state) = match read(&directory) {
                Ok((Some(kept), Some(state))) if !name.starts_with('.') => (kept, state),
                Err(error) if !name.starts_with('.') => {
                    // The others have nothing to do with it.
                    self.set_damaged(name, directory, &error);
                    continue;
                }
                Ok(_) | Err(_) => {
                    remove_network(&directory.join("network"))?;
                    remove_tree(&directory)?;
                    continue;
                }
            };
            let process = match &state {
                State::Running(id) => Process::find(id).map(Arc::new),
                State::Created | State::Ended(_) => None,
            };
            let process = match process {
                Some(lost) if admission::is_out_of_reach(&lost) => {
                    lost.end().context("end what is out of reach of", &directory)?;
                    None
                }
                process => process,
            };
            let state = match (state, &process) {
                (State::Running(_), None) => {
                    let exit = Exit { code: None, out_of_memory: self.cgroups.memory_kills(&name) > 0 };
                    write_json(&directory.join("state.json"), &State::Ended(exit))?;
                    self.cgroups.remove(&name)?;
                    State::Ended(exit)
                }
                (state, _) => state,
            };
            let management = self.ports.adopt(&kept.spec, process.as_ref());
            let is_running = process.is_some();
            let live = Mutex::new(Live::new(state, process, management));
            let container = Container { kept, directory, live };
            if is_running {
                self.keeper.watch(&container.directory)?;
                container.let_network_go()?;
            } else {
                // A namespace does not outlive a boot.
                self.make_ready(&container, &mut container.live())?;
            }
            self.containers().insert(name, Arc::new(container));
        }
        // One that has ended, and whose parent has not taken note of it, was found, too.
        self.notice_ends();
        self.settle_ports()?;
        let processes: Vec<_> =
            self.containers().values().filter_map(|container| container.live().process.clone()).collect();
        // In one program, an engine may have been closed before this one was opened.
        self.ends.find_lost_commands(processes.iter().map(|process| &**process));
        // Only now: nobody else gives ports back while they are taken over.
        for container in self.containers().values() {
            let live = container.live();
            if let Some(process) = &live.process {
                self.ends.watch(container, process)?;
            }
        }
        Ok(())
    }
}

/// What the files say; `None` for one that is not there.
fn read(directory: &Path) -> Result<(Option<Kept>, Option<State>), EngineError> {
    let path = directory.join("spec.json");
    let kept = read_json::<Kept>(&path)?;
    if let Some(other) = kept.as_ref().map(|kept| kept.version).filter(|version| *version != VERSION) {
        let text = format!("{} is of version {other}: use the program that made it", path.display());
        return Err(EngineError::Invalid(text));
    }
    Ok((kept, read_json::<State>(&directory.join("state.json"))?))
}
