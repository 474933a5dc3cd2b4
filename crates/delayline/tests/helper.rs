//! The helper as a process: this program starts itself.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "says what is skipped and what has passed")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use llcm_delayline::{Helper, Keeper};

mod kit;
use kit::{MS, delayed, ends, one_way};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|it| it == "delay-line").is_some() {
        return llcm_delayline::helper::main(arguments);
    }
    a_helper_keeps_moving_frames_when_its_starter_is_gone();
    println!("test a_helper_keeps_moving_frames_when_its_starter_is_gone ... ok");
    ExitCode::SUCCESS
}

fn a_helper_keeps_moving_frames_when_its_starter_is_gone() {
    let Some(mut ends) = ends() else { return };
    let directory = tempfile::tempdir().unwrap();
    let keeper = || Keeper::elsewhere(Helper::default(), directory.path().join("line"));
    let first = keeper();
    assert!(first.list().unwrap().is_empty(), "none runs");
    assert!(first.wait_for_end().unwrap(), "none runs");
    first.put("a-b", ends.taps(), [delayed(10 * MS); 2]).unwrap();
    drop(first);
    let [a, b] = ends.sockets();
    // Longer than it stays without links.
    std::thread::sleep(Duration::from_secs(5));
    assert!(one_way(&a, &b) >= 9 * MS);
    let second = keeper();
    assert_eq!(second.list().unwrap()[0].impairments, [delayed(10 * MS); 2]);
    second.set("a-b", [delayed(2 * MS); 2]).unwrap();
    // This machine may be busy, and delay all but one of them.
    let least = (0..9).map(|_| one_way(&a, &b)).min().unwrap();
    assert!((2 * MS - MS / 2..9 * MS).contains(&least), "{least:?}");
    let unknown = second.set("other", [delayed(MS); 2]).unwrap_err();
    assert!(unknown.to_string().contains("other"), "{unknown}");
    // The devices go with their namespaces, the link with them, and then the helper.
    let began = Instant::now();
    drop((a, b, ends));
    assert!(second.wait_for_end().unwrap());
    assert!(began.elapsed() < Duration::from_secs(30));
    // The next link starts another one.
    let mut more = kit::ends().unwrap();
    second.put("c-d", more.taps(), [delayed(10 * MS); 2]).unwrap();
    let [a, b] = more.sockets();
    assert!(one_way(&a, &b) >= 9 * MS);
    second.remove("c-d").unwrap();
    assert!(second.list().unwrap().is_empty());
    assert!(second.wait_for_end().unwrap());
}
