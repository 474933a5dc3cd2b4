//! Published ports of all containers together.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Engine;
use super::container::Container;
use crate::error::EngineError;
use crate::publish::{Publishing, bind};

impl Engine {
    /// How ports are published, and why so.
    #[must_use]
    pub fn publishing(&self) -> Publishing {
        self.ports.publishing()
    }

    /// Removes what containers that are gone have left in the host's network.
    pub(super) fn settle_ports(&self) -> Result<(), EngineError> {
        self.ports.settle(|| {
            let containers: BTreeSet<String> =
                self.containers().keys().cloned().chain(self.making().iter().cloned()).collect();
            let damaged: Vec<_> = self.damaged_ones().keys().cloned().collect();
            containers.into_iter().chain(damaged).collect()
        })
    }

    /// Refuses ports that another container has, without the patience that is due to others on this machine.
    ///
    /// # Errors
    /// `Conflict`.
    pub(super) fn check_ports(&self, container: &Arc<Container>) -> Result<(), EngineError> {
        let all: Vec<_> = self.containers().values().cloned().collect();
        for other in all.iter().filter(|other| !Arc::ptr_eq(other, container)) {
            let taken = &other.kept.spec.publish;
            let clash =
                container.kept.spec.publish.iter().find(|port| taken.iter().any(|it| it.clashes(port)));
            // Somebody is at work on one that is busy: whether it gets the port, or gives it up, is not known yet.
            let has_it = || other.live_if_free().is_some_and(|live| live.process.is_some());
            if let Some(port) = clash.filter(|_| has_it()) {
                return Err(bind::in_use(port));
            }
        }
        Ok(())
    }

    /// Takes in which containers with published ports have ended a moment ago, so that they still have them.
    pub(super) fn notice_ends(&self) {
        let all: Vec<_> = self.containers().values().cloned().collect();
        for container in all.iter().filter(|container| !container.kept.spec.publish.is_empty()) {
            // Where this fails the port stays taken, and whoever wants it is told so.
            let _ = self.refresh(container);
        }
    }
}
