//! The engine on the real kernel. A program of its own rather than a test harness: it is also its own helper, and
//! the supervisor that is killed. Root runs all tests, and once more, as an ordinary user in namespaces, those that
//! make sense there. An ordinary user runs the latter only; where that is impossible, it says so and passes unless
//! `LLCM_REQUIRE_SYSTEM_TESTS` is 1.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program of tests, without the harness")]

#[path = "system/containers.rs"]
mod containers;
#[path = "system/crash.rs"]
mod crash;
#[path = "system/ends.rs"]
mod ends;
#[path = "system/exec.rs"]
mod exec;
#[path = "system/images.rs"]
mod images;
#[path = "system/isolation.rs"]
mod isolation;
#[path = "system/kit.rs"]
mod kit;
#[path = "system/limits.rs"]
mod limits;
#[path = "system/logs.rs"]
mod logs;
#[path = "system/ordinary.rs"]
mod ordinary;
#[path = "system/orphans.rs"]
mod orphans;
#[path = "system/outside.rs"]
mod outside;
#[path = "system/outsider.rs"]
mod outsider;
#[path = "system/publish.rs"]
mod publish;
#[path = "system/races.rs"]
mod races;
#[path = "system/refused.rs"]
mod refused;
#[path = "system/republish.rs"]
mod republish;
#[path = "system/rootless.rs"]
mod rootless;
#[path = "system/rules.rs"]
mod rules;
#[path = "system/server.rs"]
mod server;
#[path = "system/sockets.rs"]
mod sockets;

use std::panic::catch_unwind;
use std::process::ExitCode;

/// Name and function.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|it| it == "engine-init").is_some() {
        return llcm_engine::helper::main(arguments);
    }
    if arguments.next_if(|it| it == "supervise").is_some() {
        return crash::supervise(&arguments.next().unwrap(), &arguments.next().unwrap());
    }
    if arguments.next_if(|it| it == "custody").is_some() {
        let words: Vec<_> = arguments.collect();
        return orphans::custody(&words[0], &words[1], &words[2]);
    }
    if arguments.next_if(|it| it == "rootless").is_some() {
        return outside::program(&arguments.next().unwrap());
    }
    if arguments.next_if(|it| it == "ordinary").is_some() {
        let directory = arguments.next().unwrap();
        return ordinary::run(&directory, arguments.next().as_deref().and_then(|it| it.to_str()));
    }
    if arguments.len() == 4 && arguments.next_if(|it| it == "publish").is_some() {
        let words: Vec<String> = arguments.map(|it| it.to_string_lossy().into_owned()).collect();
        return republish::supervise(words[0].as_ref(), &words[1], &words[2]);
    }
    if arguments.next_if(|it| it == "serve").is_some() {
        return server::serve(&arguments.next().unwrap().to_string_lossy());
    }
    if arguments.next_if(|it| it == "dial").is_some() {
        let words: Vec<String> = arguments.map(|it| it.to_string_lossy().into_owned()).collect();
        return server::dial(&words[0], &words[1], &words[2]);
    }
    // A word that is no option selects the tests with it in their names, as with cargo's own harness.
    let filter = arguments.map(|it| it.to_string_lossy().into_owned()).find(|it| !it.starts_with('-'));
    let is_root = rustix::process::geteuid().is_root();
    let possible = llcm_engine::rootless::possible(&llcm_engine::Helper::default());
    let required = std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1");
    if is_root {
        outsider::leave_the_machines_network();
    }
    let as_root = [publish::TESTS, republish::TESTS, rules::TESTS, sockets::TESTS].concat();
    let mut failed = is_root && run(all().into_iter().chain(as_root), filter.as_deref(), "");
    if let Err(why) = possible {
        let outcome = if required { "FAILED" } else { "skipped" };
        println!("system tests of the engine as an ordinary user: {outcome}: {why}");
        failed |= required;
    } else {
        failed |= run(rootless::TESTS.iter().copied(), filter.as_deref(), "");
        let directory = ordinary::directory();
        let mut program = ordinary::program("ordinary");
        program.arg(directory.path()).args(filter);
        failed |= !program.status().unwrap().success();
        ordinary::end_processes();
        let left: Vec<_> = std::fs::read_dir(directory.path().join("rootless")).unwrap().collect();
        assert!(left.is_empty() && !directory.path().join("run").exists(), "left behind: {left:?}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The tests of an engine, whoever runs it.
fn all() -> Vec<Test> {
    [
        containers::TESTS,
        crash::TESTS,
        ends::TESTS,
        exec::TESTS,
        images::TESTS,
        isolation::TESTS,
        limits::TESTS,
        logs::TESTS,
        orphans::TESTS,
        races::TESTS,
    ]
    .concat()
}

/// Runs the tests with `filter` in their names; true when one has failed.
fn run(tests: impl IntoIterator<Item = Test>, filter: Option<&str>, suffix: &str) -> bool {
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, test) in tests.into_iter().filter(|(name, _)| filter.is_none_or(|it| name.contains(it))) {
        let result = catch_unwind(test);
        println!("test {name}{suffix} ... {}", if result.is_ok() { "ok" } else { "FAILED" });
        if result.is_ok() { passed += 1 } else { failed.push(name) }
    }
    println!("{passed} passed; {} failed {failed:?}", failed.len());
    !failed.is_empty()
}
