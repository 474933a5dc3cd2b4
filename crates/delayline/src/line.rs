//! One direction of a link. Pure: time and randomness are handed in.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::Impairment;
use crate::drift::{Drift, WHOLE};

const MILLION: u32 = 1_000_000;
/// Bytes that a waiting frame takes beside its own.
const AROUND: u64 = 80;

/// Frames on their way in one direction, in order.
#[derive(Debug)]
pub struct Line {
    impairment: Impairment,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    /// Bytes that may wait although the limit is lower by now: those that waited when it was lowered, and what comes until
    /// they have left.
    allowance: u64,
    drift: Drift,
    counters: Counters,
    random: Rng,
}

/// A frame on its way.
#[derive(Debug)]
struct Waiting {
    arrived: Duration,
    /// Its share of the jitter, from -[`WHOLE`] to [`WHOLE`]: with another jitter it deviates otherwise.
    deviation: i64,
    frame: Vec<u8>,
}

/// What has happened to the frames of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that came in.
    pub frames: u64,
    /// Their bytes, headers of [`llcm_tap::HEADER`] included.
    pub bytes: u64,
    /// Frames lost as [`Impairment::loss_ppm`] says.
    pub lost: u64,
    /// Frames that found no space, could not be read, or were not taken by the receiving device.
    pub dropped: u64,
}

/// What becomes of a frame that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// It is to be delivered at once, and was not kept.
    Now,
    /// It waits.
    Kept,
    /// It is lost.
    Lost,
}

impl Line {
    /// An empty line. Equal seeds lose the same frames.
    #[must_use]
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            waiting: VecDeque::new(),
            bytes: 0,
            allowance: 0,
            drift: Drift::default(),
            counters: Counters::default(),
            random: Rng::with_seed(seed),
        }
    }

    /// Changes what frames experience, those on their way included. A lower limit drops none that come at a rate for
    /// which it is enough, however many are still on their way.
    pub fn set(&mut self, impairment: Impairment) {
        self.impairment = impairment;
        let is_above = self.bytes > impairment.limit;
        self.allowance = if is_above { self.bytes.saturating_add(impairment.limit) } else { 0 };
    }

    /// What frames experience.
    #[must_use]
    pub fn impairment(&self) -> Impairment {
        self.impairment
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// A frame has come at the time `now`, which never goes back.
    pub fn offer(&mut self, frame: &[u8], now: Duration) -> Offer {
        let length = u64::try_from(frame.len()).unwrap_or(u64::MAX);
        self.counters.frames += 1;
        self.counters.bytes += length;
        // Not drawn where it does not matter: what is lost depends on the seed and on lossy times only.
        if self.impairment.loss_ppm > 0 && self.random.u32(..MILLION) < self.impairment.loss_ppm {
            self.counters.lost += 1;
            return Offer::Lost;
        }
        if !self.is_delayed() {
            return Offer::Now;
        }
        if self.bytes.saturating_add(length) > self.impairment.limit.max(self.allowance) {
            self.counters.dropped += 1;
            return Offer::Lost;
        }
        let deviation = self.drift.at(now, self.impairment.jitter, &mut self.random);
        self.bytes += length;
        self.waiting.push_back(Waiting { arrived: now, deviation, frame: frame.to_vec() });
        Offer::Kept
    }

    /// When the next frame is to be delivered.
    #[must_use]
    pub fn due(&self) -> Option<Duration> {
        self.waiting.front().map(|waiting| self.due_of(waiting))
    }

    fn due_of(&self, waiting: &Waiting) -> Duration {
        let Impairment { delay, jitter, .. } = self.impairment;
        let nanos = i128::try_from(jitter.as_nanos()).unwrap_or(i128::MAX >> 32);
        let deviation = nanos * i128::from(waiting.deviation) / i128::from(WHOLE);
        let amount = Duration::from_nanos(u64::try_from(deviation.unsigned_abs()).unwrap_or(u64::MAX));
        let delay = if deviation < 0 { delay.saturating_sub(amount) } else { delay.saturating_add(amount) };
        waiting.arrived.saturating_add(delay)
    }

    /// Takes the next frame if it is due.
    pub fn take(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.due()? > now {
            return None;
        }
        let waiting = self.waiting.pop_front()?;
        self.bytes -= u64::try_from(waiting.frame.len()).unwrap_or(u64::MAX);
        if self.bytes <= self.impairment.limit {
            self.allowance = 0;
        }
        Some(waiting.frame)
    }

    /// Whether the next frame waits.
    #[must_use]
    pub fn is_delayed(&self) -> bool {
        let undisturbed = self.impairment.delay.is_zero() && self.impairment.jitter.is_zero();
        !undisturbed || !self.waiting.is_empty()
    }

    /// Bytes of memory that those frames take that wait.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let frames = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        self.bytes.saturating_add(frames.saturating_mul(AROUND))
    }

    /// A frame was dropped by somebody else: it could not be read, or the receiving device did not take it.
    pub fn refused(&mut self) {
        self.counters.dropped += 1;
    }

    /// A frame has come, and there is no memory to keep it.
    pub fn turn_away(&mut self, frame: &[u8]) {
        self.counters.frames += 1;
        self.counters.bytes += u64::try_from(frame.len()).unwrap_or(u64::MAX);
        self.counters.dropped += 1;
    }
}

#[cfg(test)]
mod tests;
