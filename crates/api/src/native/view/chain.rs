//! A chain as clients see it.

use llcm_lifecycle::chains::ChainView;
use llcm_names::InstanceId;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// See [`ChainView`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its number, unique in the installation.
    pub id: u32,
    /// Its instance.
    pub instance: InstanceId,
    /// `container:interface` where the frames come from.
    pub source: String,
    /// `container:interface` where they go.
    pub destination: String,
    /// Whether frames of the destination that match go to the source.
    pub bidirectional: bool,
    /// Which frames, in canonical form; empty: all.
    #[serde(rename = "match")]
    pub matches: String,
    /// The highest one decides; of equals the one with the lowest id.
    pub priority: u16,
    /// What it is listed and removed by, with others.
    pub cookie: u64,
    /// When it was added.
    pub created_at: Moment,
}

impl From<ChainView> for Chain {
    fn from(view: ChainView) -> Self {
        let ChainView {
            id,
            instance,
            source,
            destination,
            bidirectional,
            matches,
            priority,
            cookie,
            created_at,
        } = view;
        Self {
            id: id.get(),
            instance,
            source: source.to_string(),
            destination: destination.to_string(),
            bidirectional,
            matches: matches.to_string(),
            priority,
            cookie,
            created_at: created_at.into(),
        }
    }
}
