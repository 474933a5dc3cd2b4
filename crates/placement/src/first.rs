//! Everything on the first data center.

use crate::algorithm::Placement;
use crate::error::PlacementError;
use crate::model::{Choice, Unit, View};

/// `first`: always the first data center of the topology.
#[derive(Debug, Clone, Copy, Default)]
pub struct First;

impl Placement for First {
    fn place(&self, view: &View<'_>, _unit: &Unit) -> Result<Choice, PlacementError> {
        view.sites.first().map(Choice::new).ok_or(PlacementError::NoDataCenter)
    }
}
