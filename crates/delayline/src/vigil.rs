//! How long before its time a worker wakes up for a frame. Pure.
//!
//! To be woken takes a moment, tens of microseconds, which would come on top of every delay. So a worker has itself woken
//! earlier, as long as it is usually late, and waits awake for the rest. That costs a processor's time, and the worker goes
//! before all other threads: where frames come one after another it would never sleep. So it is awake for a part of the
//! time only; beyond that frames are late by that moment, which is the least of all where a stream fills the link.

use std::time::Duration;

/// The longest that the end of one wait is spent awake, and so the largest lateness that is made up for.
const LONGEST: Duration = Duration::from_micros(150);
/// By how much what is known of waking up changes with each time.
const STEP: Duration = Duration::from_micros(1);
/// A part of the time that may be spent awake.
const PART: u32 = 4;
/// How much of it can be saved up.
const SAVED: Duration = Duration::from_millis(1);

/// What is known of how late timers are.
#[derive(Debug)]
pub(crate) struct Vigil {
    /// How much later than the timer this thread usually wakes up.
    late: Duration,
    /// The same without what seldom is in its way: four times in ten it is less late than that.
    waking: Duration,
    /// What may be spent awake.
    saved: Duration,
    /// When that was reckoned.
    at: Duration,
}

impl Default for Vigil {
    fn default() -> Self {
        Self { late: Duration::ZERO, waking: Duration::ZERO, saved: SAVED, at: Duration::ZERO }
    }
}

impl Vigil {
    /// How long before the time of a frame to be awake.
    pub(crate) fn before(&mut self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at);
        self.saved = self.saved.saturating_add(passed / PART).min(SAVED);
        self.at = now;
        let wanted = (self.late * 2).min(LONGEST);
        if wanted <= self.saved { wanted } else { Duration::ZERO }
    }

    /// So long was spent awake.
    pub(crate) fn spent(&mut self, awake: Duration) {
        self.saved = self.saved.saturating_sub(awake);
    }

    /// The timer woke the thread so much later than it was set to.
    pub(crate) fn was_late(&mut self, late: Duration) {
        let late = late.min(LONGEST);
        self.late = (self.late * 7 + late) / 8;
        // Steps up and down are in balance where two in five are below and three above.
        self.waking =
            if late > self.waking { self.waking + STEP * 2 } else { self.waking.saturating_sub(STEP * 3) };
    }

    /// How long a frame that woke this thread has been there by then. Nobody tells; the timer shows what waking up usually
    /// takes. On a busy host that is next to nothing, since processors are awake, though it is much now and then.
    pub(crate) fn waking(&self) -> Duration {
        self.waking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    fn late(by: Duration) -> Vigil {
        let mut vigil = Vigil::default();
        for _ in 0..100 {
            vigil.was_late(by);
        }
        vigil
    }

    #[test]
    fn it_is_awake_twice_as_long_before_as_it_is_usually_late() {
        let before = late(us(40)).before(us(0));
        assert!((us(78)..=us(80)).contains(&before), "{before:?}");
        assert_eq!(Vigil::default().before(us(0)), us(0));
        assert_eq!(late(us(9000)).before(us(0)), LONGEST);
    }

    #[test]
    fn frames_have_waited_as_long_as_waking_up_usually_takes() {
        let mut vigil = late(us(60));
        let waking = vigil.waking();
        assert!((us(56)..=us(62)).contains(&waking), "{waking:?}");
        // Now a little later, now a little less late: about in the middle.
        for number in 0..400 {
            vigil.was_late(us(50 + number * 7 % 41));
        }
        assert!((us(60)..=us(76)).contains(&vigil.waking()), "{:?}", vigil.waking());
        // A busy host: now late, now hardly.
        for number in 0..400 {
            vigil.was_late(us(if number % 2 == 0 { 140 } else { 5 }));
        }
        assert!(vigil.waking() < us(12), "{:?}", vigil.waking());
    }

    #[test]
    fn it_is_awake_for_a_part_of_the_time_only() {
        let mut vigil = late(us(50));
        let (mut now, mut awake) = (us(0), us(0));
        // A frame every 100 us for a second: there is always one due before long.
        while now < us(1_000_000) {
            let before = vigil.before(now);
            vigil.spent(before);
            awake += before;
            now += us(100);
        }
        assert!((us(240_000)..us(260_000)).contains(&awake), "{awake:?}");
        // One now and then finds it awake each time.
        for _ in 0..100 {
            now += us(10_000);
            let before = vigil.before(now);
            assert!(before > us(95), "{before:?}");
            vigil.spent(before);
        }
    }
}
