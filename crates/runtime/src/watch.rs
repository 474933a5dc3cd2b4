//! Watching containers: what happens to them, whoever brings it about.

use async_trait::async_trait;
use llcm_names::{EngineName, Owner};
use serde::{Deserialize, Serialize};

/// What happens to the containers of an installation, from the moment on when watching began.
///
/// Events are hints: who gets one looks at the container, for more may have happened since. So a driver may tell one
/// thing twice, and may tell what its own methods did; it must not keep back what others did, unless it tells of the gap
/// ([`ContainerEvent::Resync`]).
#[async_trait]
pub trait ContainerWatch: Send {
    /// Waits for the next event; `None` when nothing will ever be told any more. The future may be dropped while it
    /// waits; no event is lost by that.
    async fn next(&mut self) -> Option<ContainerEvent>;
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ContainerEvent {
    /// Watching begins here, or goes on after a gap: what happened before is not told, so everything is to be looked at.
    /// The first event of every watch.
    Resync,
    /// A container changed.
    Changed {
        /// Whose it is.
        owner: Owner,
        /// Its name in the engine.
        container: EngineName,
        /// What it did.
        what: ContainerChange,
    },
}

/// What a container did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum ContainerChange {
    /// It was created.
    Created,
    /// Its first process began.
    Started,
    /// Its first process has ended; `None`: the code is not known.
    Ended {
        /// The exit code.
        code: Option<i64>,
    },
    /// Its processes were frozen.
    Paused,
    /// Its processes go on.
    Unpaused,
    /// It was removed.
    Removed,
}
