//! The output of containers: in order, with times, and bounded.

use std::fs;
use std::time::{Duration, SystemTime};

use llcm_engine::LogReader;

use crate::containers::wait_until;
use crate::kit::Fixture;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("a_log_is_begun_anew_and_read_through", a_log_is_begun_anew_and_read_through),
    ("output_has_its_time", output_has_its_time),
    ("the_last_lines_are_found", the_last_lines_are_found),
];

fn rest(reader: &mut LogReader) -> String {
    let chunks = std::iter::from_fn(|| reader.next_chunk().unwrap());
    String::from_utf8(chunks.flat_map(|chunk| chunk.bytes).collect()).unwrap()
}

fn a_log_is_begun_anew_and_read_through() {
    let it = Fixture::with_logs_of(1000);
    let script =
        "i=0; while [ $i -lt 120 ]; do i=$((i+1)); echo $i 0123456789012345678901234567; sleep 0.015; done";
    it.run("a", script);
    let mut lagging = it.read_log("a", None).unwrap();
    wait_until("all is read", || it.wait("a", Some(Duration::ZERO)).unwrap().is_some());
    // A reader that comes late finds the end, whole lines without a gap.
    let mut late = it.read_log("a", None).unwrap();
    let end = rest(&mut late);
    let numbers = |text: &str| -> Vec<u32> {
        text.lines().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    let last = numbers(&end);
    assert_eq!(last.last(), Some(&120));
    assert!(last.len() < 100 && gaps(&last) <= 1, "{last:?}");
    let directory = it.inspect("a").unwrap().unwrap().log;
    for file in [directory.clone(), directory.with_extension("1")] {
        assert!(fs::metadata(&file).unwrap().len() < 2500, "{}", file.display());
    }
    assert_eq!(rest(&mut lagging), end);
    // One that keeps up reads everything.
    let (mut reader, seen) = (it.read_log("a", Some(0)).unwrap(), std::cell::RefCell::new(String::new()));
    it.start("a").unwrap();
    let reader = std::cell::RefCell::new(&mut reader);
    wait_until("it has ended", || {
        seen.borrow_mut().push_str(&rest(&mut reader.borrow_mut()));
        it.wait("a", Some(Duration::ZERO)).unwrap().is_some()
    });
    seen.borrow_mut().push_str(&rest(&mut reader.borrow_mut()));
    let seen = numbers(&seen.borrow());
    assert_eq!((seen.first(), seen.last()), (Some(&1), Some(&120)));
    // 120 lines of 30 bytes.
    assert!(gaps(&seen) <= 3 && seen.len() > 100, "{seen:?}");
}

/// Where lines are missing. What is written at the very moment in which a log is begun anew is lost
/// ([`llcm_engine::Options::log_bytes`]), and nothing else.
fn gaps(numbers: &[u32]) -> usize {
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    numbers.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count()
}

fn output_has_its_time() {
    let mut it = Fixture::new();
    let before = SystemTime::now();
    it.run("a", "echo first; sleep 2; echo second; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo third");
    // The times are noted a moment later than the lines are there.
    let seen_at = |lines: usize| -> Vec<SystemTime> {
        let mut reader = it.read_log("a", None).unwrap();
        (0..lines).filter_map(|_| reader.next_chunk().unwrap()).map(|chunk| chunk.seen).collect()
    };
    wait_until("two lines have their times", || matches!(seen_at(2)[..], [first, second] if first < second));
    let mut reader = it.read_log("a", None).unwrap();
    let first = reader.next_chunk().unwrap().unwrap();
    let second = reader.next_chunk().unwrap().unwrap();
    assert_eq!((first.bytes.as_slice(), second.bytes.as_slice()), (&b"first\n"[..], &b"second\n"[..]));
    let apart = second.seen.duration_since(first.seen).unwrap();
    assert!((1000..10_000).contains(&apart.as_millis()) && first.seen >= before, "{apart:?}");
    assert_eq!(reader.next_chunk().unwrap(), None);
    // What is written while no program is there has the time of the last change.
    let log = it.inspect("a").unwrap().unwrap().log;
    it.sh("a", "touch /tmp/go");
    it.close();
    wait_until("it is there", || fs::read_to_string(&log).unwrap().ends_with("third\n"));
    it.open();
    let third = reader.next_chunk().unwrap().unwrap();
    assert_eq!(third.bytes, b"third\n");
    assert!(third.seen > second.seen && third.seen <= SystemTime::now());
}

fn the_last_lines_are_found() {
    let it = Fixture::new();
    it.run("a", "seq 1 30000; printf 'no end'");
    it.ends("a");
    let last = |lines| rest(&mut it.read_log("a", Some(lines)).unwrap());
    assert_eq!(last(0), "");
    assert_eq!(last(1), "no end");
    assert_eq!(last(3), "29999\n30000\nno end");
    assert_eq!(last(20_000).lines().count(), 20_000);
    assert_eq!(last(1_000_000).lines().next(), Some("1"));
}
