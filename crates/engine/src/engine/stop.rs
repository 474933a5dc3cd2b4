//! Stopping and removing containers.
//!
//! Others may end, start again, remove and make containers of the same name while a call waits. So what a call kills is
//! the process that ran when it began, and what it removes is the container that it found, or nothing.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;

use super::Engine;
use super::container::{Container, Live, Removal, discard};
use super::run::PATIENCE;
use crate::error::{Context as _, EngineError};
use crate::namespaces::remove_network;
use crate::process::Process;

impl Engine {
    /// Asks a container to stop with the image's stop signal and kills it after `grace`; at once when its first
    /// process does not handle that signal, since the kernel would not deliver it. One that does not run is fine, and
    /// one that somebody starts again meanwhile is left running.
    ///
    /// # Errors
    /// `NotFound`, `System`; `Conflict` when it does not end.
    pub fn stop(&self, name: &str, grace: Duration) -> Result<(), EngineError> {
        let container = self.container(name)?;
        let Some(process) = container.live().process.clone() else { return Ok(()) };
        let shown = &container.directory;
        let signal = stop_signal(&container.kept.image.config.stop_signal);
        if !grace.is_zero() && process.handles(signal) {
            process.signal(signal).context("stop", shown)?;
            process.ended(Some(grace)).context("wait for", shown)?;
        }
        self.end(&container, &process)
    }

    /// Kills a container and all its processes and waits for the end. One that does not run is fine.
    ///
    /// # Errors
    /// `NotFound`, `System`; `Conflict` when it does not end.
    pub fn kill(&self, name: &str) -> Result<(), EngineError> {
        let container = self.container(name)?;
        let process = container.live().process.clone();
        match process {
            Some(process) => self.end(&container, &process),
            // What could not be done after an earlier end is tried again.
            None => self.notice_end(&container, &mut container.live()),
        }
    }

    /// Kills one run of a container, and waits for the end.
    fn end(&self, container: &Container, process: &Process) -> Result<(), EngineError> {
        let shown = &container.directory;
        process.signal(Signal::KILL).context("kill", shown)?;
        if !process.ended(Some(PATIENCE)).context("wait for", shown)? {
            return Err(EngineError::Conflict {
                kind: "container",
                name: container.kept.spec.name.clone(),
                problem: "was killed and does not end: a process in it waits for the kernel",
            });
        }
        self.notice_end(container, &mut container.live())
    }

    /// Removes a container and all it has written; kills it first. One that is not there is fine.
    ///
    /// # Errors
    /// `System` when something cannot be removed; a further call goes on. `Conflict` when it does not end.
    pub fn remove(&self, name: &str) -> Result<(), EngineError> {
        if self.remove_damaged(name)? {
            return Ok(());
        }
        let Some(container) = self.containers().get(name).cloned() else { return Ok(()) };
        loop {
            let process = {
                let mut live = container.live();
                if live.removal == Removal::Done {
                    return Ok(());
                }
                // It cannot be started again meanwhile, and how it ends need not be written down.
                live.removal = Removal::Begun;
                live.process.clone()
            };
            let ended = process.map_or(Ok(()), |process| self.end(&container, &process));
            // Held until all is removed, so that nobody gives it a network meanwhile.
            let mut live = container.live();
            let ended = ended.and_then(|()| self.notice_end(&container, &mut live));
            match (ended, live.removal) {
                // Somebody else was faster.
                (_, Removal::Done) => return Ok(()),
                (Err(error), _) => {
                    live.removal = Removal::No;
                    return Err(error);
                }
                // Somebody else's removal has failed, and it was started again.
                (Ok(()), _) if live.process.is_some() => {}
                (Ok(()), _) => {
                    live.removal = Removal::Begun;
                    return self.remove_all(&container, &mut live);
                }
            }
        }
    }

    /// Removes what there is of a container that does not run.
    fn remove_all(&self, container: &Arc<Container>, live: &mut Live) -> Result<(), EngineError> {
        let spec = &container.kept.spec;
        self.cgroups.remove(&spec.name)?;
        self.ports.release(spec)?;
        if spec.network.is_none() {
            remove_network(&container.network_file())?;
        }
        self.keeper.forget(&container.directory);
        discard(&container.directory)?;
        live.removal = Removal::Done;
        let mut containers = self.containers();
        if containers.get(&spec.name).is_some_and(|it| Arc::ptr_eq(it, container)) {
            containers.remove(&spec.name);
        }
        Ok(())
    }
}

/// By name or number; anything else means the usual one.
fn stop_signal(text: &str) -> Signal {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    match name {
        "HUP" | "1" => Signal::HUP,
        "INT" | "2" => Signal::INT,
        "QUIT" | "3" => Signal::QUIT,
        "KILL" | "9" => Signal::KILL,
        "USR1" | "10" => Signal::USR1,
        "USR2" | "12" => Signal::USR2,
        "WINCH" | "28" => Signal::WINCH,
        _ => Signal::TERM,
    }
}
