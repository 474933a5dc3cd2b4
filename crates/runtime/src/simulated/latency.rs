//! How long operations take.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The time one operation takes: fixed, with an optional deviation of up to `jitter` to either side that
/// depends on nothing but the script's seed and the call, so that a run can be repeated.
///
/// As text: `50ms`, `1.5s`, `200us`, with jitter `50ms~10ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Latency {
    /// The time without deviation.
    pub fixed: Duration,
    /// The largest deviation.
    pub jitter: Duration,
}

/// A text that is no latency.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected a time such as 50ms, 1.5s or 200us, with jitter 50ms~10ms, got {0:?}")]
pub struct LatencyError(String);

impl Latency {
    /// Always the same time.
    #[must_use]
    pub const fn fixed(time: Duration) -> Self {
        Self { fixed: time, jitter: Duration::ZERO }
    }

    /// The time of the `count`th call of an operation on a target.
    pub(super) fn of_call(self, seed: u64, operation: &str, target: &str, count: u64) -> Duration {
        if self.jitter.is_zero() {
            return self.fixed;
        }
        let mut state = seed ^ count.rotate_left(32);
        for byte in operation.bytes().chain(target.bytes()) {
            state = scramble(state ^ u64::from(byte));
        }
        let jitter_ns = u64::try_from(self.jitter.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        let offset = Duration::from_nanos(scramble(state) % (2 * jitter_ns + 1));
        (self.fixed + offset).saturating_sub(self.jitter)
    }
}

/// One step of the SplitMix64 generator.
const fn scramble(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn parse_time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let seconds = match text[digits..].trim() {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        "min" => number * 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

impl FromStr for Latency {
    type Err = LatencyError;

    fn from_str(text: &str) -> Result<Self, LatencyError> {
        let fail = || LatencyError(text.to_owned());
        let (fixed, jitter) =
            text.split_once('~').map_or((text, None), |(fixed, jitter)| (fixed, Some(jitter)));
        Ok(Self {
            fixed: parse_time(fixed).ok_or_else(fail)?,
            jitter: jitter.map_or(Some(Duration::ZERO), parse_time).ok_or_else(fail)?,
        })
    }
}

impl TryFrom<String> for Latency {
    type Error = LatencyError;

    fn try_from(text: String) -> Result<Self, LatencyError> {
        text.parse()
    }
}

impl From<Latency> for String {
    fn from(latency: Latency) -> Self {
        if latency.jitter.is_zero() {
            format!("{}us", latency.fixed.as_micros())
        } else {
            format!("{}us~{}us", latency.fixed.as_micros(), latency.jitter.as_micros())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read() {
        for (text, fixed_us, jitter_us) in
            [("50ms", 50_000, 0), ("1.5s", 1_500_000, 0), ("200us", 200, 0), ("50ms ~ 10ms", 50_000, 10_000)]
        {
            let latency: Latency = text.parse().unwrap();
            assert_eq!(
                (latency.fixed.as_micros(), latency.jitter.as_micros()),
                (fixed_us, jitter_us),
                "{text}"
            );
            assert_eq!(String::from(latency).parse::<Latency>(), Ok(latency), "{text}");
        }
        for text in ["", "50", "ms", "5 hours", "1..2s", "-1s", "50ms~", "50ms~x"] {
            assert!(text.parse::<Latency>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn jitter_stays_in_its_range_and_repeats() {
        let latency: Latency = "50ms~10ms".parse().unwrap();
        let all: Vec<_> = (0..200).map(|count| latency.of_call(7, "start", "mn.vnf0", count)).collect();
        let (least, most) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
        assert!(
            least >= Duration::from_millis(40) && most <= Duration::from_millis(60),
            "{least:?} {most:?}"
        );
        assert!(most - least > Duration::from_millis(10), "no spread: {least:?} {most:?}");
        assert_eq!(all[3], latency.of_call(7, "start", "mn.vnf0", 3));
        assert_ne!(latency.of_call(7, "start", "mn.vnf0", 3), latency.of_call(8, "start", "mn.vnf0", 3));
    }
}
