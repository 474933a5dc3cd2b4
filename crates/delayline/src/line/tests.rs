//! A line with the time in hand.

use super::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn line(delay: u64, jitter: u64, loss_ppm: u32) -> Line {
    Line::new(Impairment { delay: ms(delay), jitter: ms(jitter), loss_ppm, ..Impairment::default() }, 7)
}

#[test]
fn frames_arrive_in_order_after_the_delay() {
    let mut line = line(10, 0, 0);
    assert_eq!(line.offer(b"a", ms(0)), Offer::Kept);
    assert_eq!(line.offer(b"b", ms(3)), Offer::Kept);
    assert_eq!(line.due(), Some(ms(10)));
    assert_eq!(line.take(ms(9)), None);
    assert_eq!(line.take(ms(10)).unwrap(), b"a");
    assert_eq!(line.take(ms(12)), None);
    assert_eq!(line.take(ms(13)).unwrap(), b"b");
    assert_eq!((line.due(), line.take(ms(99))), (None, None));
}

#[test]
fn without_a_delay_frames_are_not_kept_but_never_overtake() {
    let mut line = line(0, 0, 0);
    assert_eq!(line.offer(b"a", ms(0)), Offer::Now);
    line.set(Impairment { delay: ms(5), ..line.impairment() });
    assert_eq!(line.offer(b"b", ms(1)), Offer::Kept);
    line.set(Impairment { delay: ms(0), ..line.impairment() });
    assert_eq!(line.offer(b"c", ms(2)), Offer::Kept, "b is still there");
    assert_eq!(line.take(ms(2)).unwrap(), b"b");
    assert_eq!(line.take(ms(2)).unwrap(), b"c");
    assert_eq!(line.offer(b"d", ms(2)), Offer::Now);
}

#[test]
fn a_change_applies_to_what_is_on_its_way() {
    let mut line = line(100, 0, 0);
    for sent in 0..50 {
        line.offer(&[sent], ms(sent.into()));
    }
    line.set(Impairment { delay: ms(20), ..line.impairment() });
    // All that are older than 20 ms now are there, the others 20 ms after they were sent; none is missing.
    let arrived: Vec<u8> = std::iter::from_fn(|| line.take(ms(50))).map(|frame| frame[0]).collect();
    assert_eq!(arrived, (0..=30).collect::<Vec<u8>>());
    assert_eq!(line.due(), Some(ms(51)));
    line.set(Impairment { delay: ms(60), ..line.impairment() });
    assert_eq!(line.due(), Some(ms(91)));
    assert_eq!(std::iter::from_fn(|| line.take(ms(200))).count(), 19);
}

#[test]
fn jitter_is_even_within_its_bounds() {
    let mut line = line(10, 4, 0);
    let mut seen = Vec::new();
    for number in 0..4000_u64 {
        // Far apart, so that no frame waits for another.
        let now = ms(100 * number);
        line.offer(b"x", now);
        let due = line.due().unwrap() - now;
        assert!((ms(6)..=ms(14)).contains(&due), "{due:?}");
        seen.push(due.as_secs_f64() * 1000.0);
        line.take(now + due).unwrap();
    }
    let mean = seen.iter().sum::<f64>() / 4000.0;
    assert!((mean - 10.0).abs() < 0.15, "{mean}");
    for part in 0..4 {
        let from = 6.0 + 2.0 * f64::from(part);
        let share = seen.iter().filter(|it| **it >= from && **it < from + 2.0).count();
        assert!((900..1100).contains(&share), "{from}: {share}");
    }
}

#[test]
fn jitter_keeps_the_order_and_never_goes_before_the_sending() {
    let mut line = line(1, 50, 0);
    for number in 0..200_u8 {
        line.offer(&[number], ms(number.into()));
    }
    let mut arrived = Vec::new();
    for now in 0..1000 {
        while let Some(frame) = line.take(ms(now)) {
            assert!(ms(frame[0].into()) <= ms(now));
            arrived.push(frame[0]);
        }
    }
    assert_eq!(arrived, (0..200).collect::<Vec<u8>>());
}

#[test]
fn losses_are_as_many_as_said_and_the_same_for_equal_seeds() {
    let lost = |ppm, seed| {
        let mut line = Line::new(Impairment { loss_ppm: ppm, ..Impairment::default() }, seed);
        (0..100_000).map(|_| line.offer(b"x", ms(0)) == Offer::Lost).collect::<Vec<_>>()
    };
    let count = |of: &[bool]| of.iter().filter(|it| **it).count();
    let one = lost(10_000, 1);
    // Five standard deviations of 100,000 draws at 1 %.
    assert!((1000 - 158..=1000 + 158).contains(&count(&one)), "{}", count(&one));
    assert_eq!(one, lost(10_000, 1));
    assert_ne!(one, lost(10_000, 2));
    assert_eq!(count(&lost(0, 1)), 0);
    assert_eq!(count(&lost(1_000_000, 1)), 100_000);
}

#[test]
fn what_finds_no_space_is_dropped_and_counted() {
    let mut line = Line::new(Impairment { delay: ms(5), limit: 10, ..Impairment::default() }, 7);
    assert_eq!(line.offer(&[0; 6], ms(0)), Offer::Kept);
    assert_eq!(line.offer(&[0; 6], ms(0)), Offer::Lost);
    assert_eq!(line.offer(&[0; 4], ms(0)), Offer::Kept);
    line.refused();
    let counted = Counters { frames: 3, bytes: 16, lost: 0, dropped: 2 };
    assert_eq!(line.counters(), counted);
    line.take(ms(5)).unwrap();
    assert_eq!(line.offer(&[0; 6], ms(5)), Offer::Kept);
}

#[test]
fn nothing_overflows() {
    let huge = Impairment { delay: Duration::MAX, jitter: Duration::MAX, loss_ppm: 0, limit: u64::MAX };
    let mut line = Line::new(huge, 7);
    line.offer(b"x", Duration::MAX);
    line.offer(b"x", Duration::MAX);
    assert!(line.due().is_some());
    line.take(Duration::MAX);
}
