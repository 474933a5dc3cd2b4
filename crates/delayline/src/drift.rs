//! How the delay of a direction moves within its jitter. Pure.
//!
//! Frames stay in order. Were each delay drawn by itself, a frame would often be due before the one ahead of it and wait
//! for that: in a stream whose frames come closer together than the jitter is wide, nearly all would be as late as the
//! latest, and the mean delay larger than the stated one. So the delay is a curve that frames meet at the time they come:
//!
//! ```text
//!  +jitter        ____________
//!                /            \                        a new value every HOLD x jitter, evenly distributed;
//!    delay      /              \          ________    from one to the next no faster than half the time
//!          ____/                \________/            that passes, so that no frame overtakes another
//!  -jitter
//! ```
//! Frames that are further apart than the jitter is wide cannot meet whatever their delays are: each has a draw of its
//! own, and the distribution is exactly even. In a stream the mean is the stated delay, too, and the standard deviation
//! a few hundredths less than that of an even distribution, since it takes time to get from one value to the next.

use std::time::Duration;

use fastrand::Rng;

/// The largest deviation, on either side of the delay.
pub(crate) const WHOLE: i64 = 1 << 20;
/// How long a value is aimed at, in units of the jitter. The longest way is twice the jitter, and takes four times the
/// jitter.
const HOLD: u32 = 8;

/// Where the curve is.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    /// When the last frame came, and its deviation.
    last: Option<(Duration, i64)>,
    /// What is aimed at.
    target: i64,
    /// Until when.
    until: Duration,
}

impl Drift {
    /// The deviation of a frame that comes at `now`, as a share of [`WHOLE`].
    pub(crate) fn at(&mut self, now: Duration, jitter: Duration, random: &mut Rng) -> i64 {
        if jitter.is_zero() {
            return 0;
        }
        let draw = |random: &mut Rng| random.i64(-WHOLE..=WHOLE);
        let deviation = match self.last {
            Some((then, deviation)) if now < then.saturating_add(jitter.saturating_mul(2)) => {
                if now >= self.until {
                    self.target = draw(random);
                    self.until = now.saturating_add(jitter.saturating_mul(HOLD));
                }
                let passed = now.saturating_sub(then).as_nanos() / 2;
                let most = passed.saturating_mul(WHOLE.unsigned_abs().into()) / jitter.as_nanos().max(1);
                let most = i64::try_from(most).unwrap_or(WHOLE);
                deviation + (self.target - deviation).clamp(-most, most)
            }
            _ => {
                self.target = draw(random);
                self.until = now.saturating_add(jitter.saturating_mul(HOLD));
                self.target
            }
        };
        self.last = Some((now, deviation));
        deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JITTER: Duration = Duration::from_millis(5);

    /// Mean and standard deviation, as shares of the jitter, of frames that come in a distance; and whether they stay in
    /// order.
    fn stream(distance: Duration, count: u32) -> (f64, f64) {
        let (mut drift, mut random) = (Drift::default(), Rng::with_seed(7));
        let mut due_before = Duration::ZERO;
        let mut values = Vec::new();
        for number in 0..count {
            let now = distance * number;
            let share = drift.at(now, JITTER, &mut random) as f64 / WHOLE as f64;
            let due = (now + 2 * JITTER).as_secs_f64() + share * JITTER.as_secs_f64();
            let due = Duration::from_secs_f64(due);
            assert!(due + Duration::from_nanos(2) >= due_before, "{number}: {due:?} before {due_before:?}");
            due_before = due;
            values.push(share);
        }
        let mean = values.iter().sum::<f64>() / f64::from(count);
        let variance = values.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / f64::from(count);
        (mean, variance.sqrt())
    }

    #[test]
    fn the_mean_is_the_delay_at_any_distance() {
        let even = 1.0 / 3_f64.sqrt();
        for (micros, count) in [(20_000, 20_000), (9_000, 40_000), (1000, 400_000), (100, 2_000_000)] {
            let (mean, deviation) = stream(Duration::from_micros(micros), count);
            assert!(mean.abs() < 0.03, "{micros} us: {mean}");
            assert!((even * 0.9..even * 1.03).contains(&deviation), "{micros} us: {deviation} of {even}");
        }
    }

    #[test]
    fn without_jitter_there_is_none_and_nothing_overflows() {
        let (mut drift, mut random) = (Drift::default(), Rng::with_seed(7));
        assert_eq!(drift.at(Duration::ZERO, Duration::ZERO, &mut random), 0);
        for now in [Duration::ZERO, Duration::MAX] {
            let share = drift.at(now, Duration::MAX, &mut random);
            assert!(share.abs() <= WHOLE);
        }
        assert!(drift.at(Duration::MAX, Duration::from_nanos(1), &mut random).abs() <= WHOLE);
    }
}
