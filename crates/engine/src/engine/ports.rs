//! Published ports of all containers together.

use std::collections::BTreeSet;

use super::Engine;
use crate::error::EngineError;
use crate::publish::Publishing;

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

    /// Takes in which containers with published ports have ended a moment ago, so that they still have them.
    pub(super) fn notice_ends(&self) {
        let all: Vec<_> = self.containers().values().cloned().collect();
        for container in all.iter().filter(|container| !container.kept.spec.publish.is_empty()) {
            // Where this fails the port stays taken, and whoever wants it is told so.
            let _ = self.refresh(container);
        }
    }
}
