//! How long drivers may take, and how long it is waited between two tries.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long each kind of call to a driver may take. What takes longer is given up: the call counts as failed, its effect
/// may come all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Deadlines {
    /// Asking an engine or the network for what there is.
    pub look: Duration,
    /// Making, starting, wiring or removing one thing. For a container that is stopped, its grace time comes on top.
    pub change: Duration,
    /// Preparing the network, and removing an instance's or all of it.
    pub network: Duration,
    /// Silence while an image is fetched or built: as long as something moves on, it may take any time.
    pub image: Duration,
}

impl Default for Deadlines {
    /// Starting many containers at once on a slow disk has been seen to take most of a minute.
    fn default() -> Self {
        Self {
            look: Duration::from_secs(30),
            change: Duration::from_secs(120),
            network: Duration::from_secs(300),
            image: Duration::from_secs(600),
        }
    }
}

/// How long it is waited before something is tried again: twice as long each time, up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Backoff {
    /// Before the second try.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_secs(2), longest: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// How long to wait after so many tries. `lot` moves it by up to a fifth, so that what failed together is not tried
    /// together for ever; never beyond the bound.
    #[must_use]
    pub fn delay(&self, tries: u32, lot: Uuid) -> Duration {
        let doubled = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(doubled).min(self.longest);
        // The last digits are the random ones in every version of ids.
        let share = u32::from(lot.into_bytes()[15]) * 100 / 255;
        let moved = whole.saturating_mul(400 + share * 2).checked_div(500).unwrap_or(whole);
        moved.min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_differ_by_a_fifth() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        let lot = |byte: u8| Uuid::from_u128(u128::from(byte));
        for tries in [1, 2, 3, 6, 7, 40, u32::MAX] {
            let plain = (1_u64 << (tries - 1).min(10)).min(60) * 1000;
            let delays: Vec<u128> = [0, 77, 255].map(|it| backoff.delay(tries, lot(it)).as_millis()).to_vec();
            assert!(delays[0] < delays[1] && delays[1] <= delays[2], "{tries}: {delays:?}");
            assert_eq!(delays[0], u128::from(plain * 4 / 5), "{tries}");
            assert_eq!(delays[2], u128::from((plain * 6 / 5).min(60_000)), "{tries}");
        }
    }
}
