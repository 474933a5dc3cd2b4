//! The moments between effects, and copies of a world at one of them: what a program that is killed there leaves.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::faults::{Operation, When};
use super::world::{Call, World};
use crate::EngineId;

/// Is told of every call of a driver, right before its effect and right after it. Nothing else happens in the world
/// meanwhile on the same thread, so that it may look at it, or [`World::fork`] it.
pub trait Observer: Send + Sync {
    /// A call is going to have its effect, or has had it (or was refused).
    fn at(&self, call: &Call, when: When);
}

/// An observer that can be printed.
#[derive(Clone)]
pub(super) struct Observing(Arc<dyn Observer>);

impl std::fmt::Debug for Observing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observing")
    }
}

impl World {
    /// Tells `observer` of every call from now on, instead of who was told before; `None`: nobody.
    pub fn observe(&self, observer: Option<Arc<dyn Observer>>) {
        *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = observer.map(Observing);
    }

    /// A world of its own that is as this one is now, and that nobody observes. Calls in progress go on here only, and
    /// have no effect there: a program on the copy finds what one that was killed at this moment has left.
    #[must_use]
    pub fn fork(&self) -> Arc<Self> {
        let state = Mutex::new(self.lock().clone());
        let (changes, began) = (watch::Sender::new(0), self.began);
        Arc::new(Self { state, changes, began, lookers: Mutex::default(), observer: Mutex::default() })
    }

    pub(super) fn tell(&self, engine: Option<&EngineId>, operation: Operation, target: &str, when: When) {
        let observing = self.observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(Observing(observer)) = observing {
            let call = Call { operation, target: target.to_owned(), engine: engine.cloned() };
            observer.at(&call, when);
        }
    }
}
