//! The engine's own interface in a container, where there is one: the management interface.

use async_trait::async_trait;
use llcm_names::{EngineName, IfName, Owner};
use serde::{Deserialize, Serialize};

use crate::{AttachPoint, DriverResult};

/// The name that the engine's own interface in a container is to have. Address, routes and everything else of it stay
/// the engine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagementSpec {
    /// Whose the container is.
    pub owner: Owner,
    /// The container, by its engine name.
    pub container: EngineName,
    /// The interface's name in the container.
    pub ifname: IfName,
}

/// Gives the engine's own interfaces other names: an optional power of network drivers.
#[async_trait]
pub trait Management: Send + Sync {
    /// Renames the interface that the engine put into a started container, which is up with its address and routes
    /// when this returns. One that has the name already is left alone. Nothing has to be undone: it goes with the
    /// container. To be done before ports are attached: one that wants the interface's old name moves it aside.
    ///
    /// # Errors
    /// `NotFound` when the container's namespace is gone or the engine put no interface into it, `Conflict` when
    /// another interface has the name.
    async fn name_management(&self, spec: &ManagementSpec, point: &AttachPoint) -> DriverResult<()>;
}
