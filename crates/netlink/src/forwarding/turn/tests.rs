//! Who has the turn, and who waits for it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;

/// Each test in a network namespace of its own, where that can be had.
fn apart(work: impl FnOnce() + Send) {
    match crate::netns::throw_away(work) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            assert!(!std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1"), "needs root");
            println!("needs root: skipped");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn one_has_it_at_a_time_and_everybody_gets_it() {
    apart(|| {
        let (inside, turns) = (AtomicBool::new(false), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let turn = Turn::take().unwrap();
                        assert!(!inside.swap(true, Ordering::SeqCst), "two at once");
                        std::thread::yield_now();
                        inside.store(false, Ordering::SeqCst);
                        turns.fetch_add(1, Ordering::SeqCst);
                        drop(turn);
                    }
                });
            }
        });
        assert_eq!(turns.load(Ordering::SeqCst), 800);
    });
}

#[test]
fn who_waits_for_too_long_is_told_for_whom() {
    apart(|| {
        let _turn = Turn::take().unwrap();
        let error = Turn::take_within(Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let own = format!("another thread of this program (process {})", std::process::id());
        assert!(error.to_string().contains(&own), "{error}");
    });
}

#[test]
fn it_is_another_one_in_each_network_namespace() {
    apart(|| {
        let _turn = Turn::take().unwrap();
        crate::netns::throw_away(|| Turn::take_within(Duration::ZERO).unwrap()).unwrap();
    });
}

/// Killed, it has given its turn back. The other program is this one: it is told by a variable that it is to take a turn
/// and keep it.
#[test]
fn it_goes_with_the_program() {
    const KEEP: &str = "LLCM_TEST_KEEP_TURN";
    if std::env::var_os(KEEP).is_some() {
        let _turn = Turn::take().unwrap();
        println!("taken");
        io::copy(&mut io::stdin(), &mut io::sink()).unwrap();
        return;
    }
    apart(|| {
        use std::io::{BufRead as _, BufReader};
        use std::process::{Command, Stdio};

        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "forwarding::turn::tests::it_goes_with_the_program", "--nocapture"]);
        program.env(KEEP, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.ends_with("taken")), "it takes a turn");
        let error = Turn::take_within(Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains(&format!("process {} (", child.id())), "{error}");
        let waiting = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| Turn::take().map(drop));
            std::thread::sleep(Duration::from_millis(100));
            child.kill().unwrap();
            child.wait().unwrap();
            waiting.join().unwrap()
        });
        waiting.unwrap();
    });
}
