//! What an orchestrator is made of: everything it does not bring itself.

use std::path::PathBuf;
use std::sync::Arc;

use llcm_placement::Placement;
use llcm_runtime::Backend;
use llcm_topology::Topology;

use crate::clock::{Clock, IdSource};
use crate::settings::Settings;

/// What an orchestrator is made of.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "holds trait objects")]
pub struct Parts {
    /// The data directory: store, unpacked packages, staging.
    pub data_dir: PathBuf,
    /// What can be set.
    pub settings: Settings,
    /// Data centers and links.
    pub topology: Topology,
    /// The drivers.
    pub backend: Backend,
    /// A placement of one's own; `None`: the algorithm that the settings name.
    pub placement: Option<Arc<dyn Placement>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn IdSource>,
}
