//! A container driver and a network driver that work together.

use std::sync::Arc;

use thiserror::Error;

use crate::{ContainerDriver, Needs, NetworkDriver};

/// A pair of drivers that was found to work together.
#[derive(Clone)]
pub struct Backend {
    containers: Arc<dyn ContainerDriver>,
    network: Arc<dyn NetworkDriver>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("containers", &self.containers.offers())
            .field("network", &self.network.needs())
            .finish()
    }
}

/// Two drivers that cannot work together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the network driver needs {needs}, which containers of engine {engine} do not offer")]
pub struct Incompatible {
    /// What is missing, in words.
    pub needs: String,
    /// The container driver's engine.
    pub engine: String,
}

impl Backend {
    /// Pairs two drivers.
    ///
    /// # Errors
    /// When the container driver does not offer what the network driver needs.
    pub fn pair(
        containers: Arc<dyn ContainerDriver>,
        network: Arc<dyn NetworkDriver>,
    ) -> Result<Self, Incompatible> {
        let offers = containers.offers();
        let missing = match network.needs() {
            Needs::NetNs if !offers.netns => Some("network namespaces on this host".to_owned()),
            Needs::Engine(engine) if engine != offers.engine => {
                Some(format!("containers of engine {engine}"))
            }
            Needs::NetNs | Needs::Engine(_) => None,
        };
        match missing {
            Some(needs) => Err(Incompatible { needs, engine: offers.engine.to_string() }),
            None => Ok(Self { containers, network }),
        }
    }

    /// Pairs two drivers of this crate that belong to one engine.
    pub(crate) fn of_one_engine(
        containers: Arc<dyn ContainerDriver>,
        network: Arc<dyn NetworkDriver>,
    ) -> Self {
        Self { containers, network }
    }

    /// The container driver.
    #[must_use]
    pub fn containers(&self) -> &Arc<dyn ContainerDriver> {
        &self.containers
    }

    /// The network driver.
    #[must_use]
    pub fn network(&self) -> &Arc<dyn NetworkDriver> {
        &self.network
    }
}
