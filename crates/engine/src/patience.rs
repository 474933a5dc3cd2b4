//! Trying again: for what somebody may have for a moment only.
//!
//! A program that another thread is just starting has all of this program's files until it executes: locks, sockets that
//! listen, and whatever else was closed here meanwhile. So does one that a program was starting when it was killed.

use std::time::{Duration, Instant};

use rustix::time::Timespec;

/// How long something may be somebody's who does not keep it.
pub(crate) const MOMENT: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Tries as long as the result is `passing`, at most for `patience`, and gives the last one.
pub(crate) fn until<T>(
    patience: Duration,
    passing: impl Fn(&T) -> bool,
    mut attempt: impl FnMut() -> T,
) -> T {
    let end = Instant::now() + patience;
    loop {
        let result = attempt();
        if !passing(&result) || Instant::now() >= end {
            return result;
        }
        pause();
    }
}

/// Ten milliseconds.
fn pause() {
    let Ok(time) = Timespec::try_from(PAUSE) else { return };
    // A signal makes it shorter, which does no harm.
    let _ = rustix::event::poll(&mut [], Some(&time));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tried_until_it_works_or_the_time_is_over() {
        let mut left = 3;
        let result = until(MOMENT, Result::is_err, || {
            left -= 1;
            if left == 0 { Ok("there") } else { Err("taken") }
        });
        assert_eq!((result, left), (Ok("there"), 0));
        let start = Instant::now();
        assert_eq!(until(PAUSE * 5, Result::is_err, || Err::<(), _>("taken")), Err("taken"));
        assert!(start.elapsed() >= PAUSE * 5);
        let mut tries = 0;
        let tried = until(Duration::ZERO, Result::is_err, || {
            tries += 1;
            Err::<(), _>("taken")
        });
        assert_eq!((tried, tries), (Err("taken"), 1));
    }
}
