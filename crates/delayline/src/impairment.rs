//! What a direction does to frames.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What frames in one direction experience.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Impairment {
    /// How long each frame takes.
    pub delay: Duration,
    /// The largest deviation from the delay, either way; deviations are distributed evenly. A frame never arrives
    /// before one that was sent earlier, nor before it was sent.
    pub jitter: Duration,
    /// Lost frames per million, each independently of the others. A million loses all.
    pub loss_ppm: u32,
    /// Bytes that may be on their way; what comes on top is lost, and counted as dropped.
    pub limit: u64,
}

impl Default for Impairment {
    /// None, with space for 64 MiB.
    fn default() -> Self {
        Self { delay: Duration::ZERO, jitter: Duration::ZERO, loss_ppm: 0, limit: 64 << 20 }
    }
}
