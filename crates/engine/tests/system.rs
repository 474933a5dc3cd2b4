//! The engine on the real kernel. A program of its own rather than a test harness: it is also its own helper, and
//! the supervisor that is killed. Needs root; without it, it says so and passes unless
//! `LLCM_REQUIRE_SYSTEM_TESTS` is 1.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a program of tests, without the harness")]

#[path = "system/containers.rs"]
mod containers;
#[path = "system/crash.rs"]
mod crash;
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
#[path = "system/outsider.rs"]
mod outsider;
#[path = "system/publish.rs"]
mod publish;
#[path = "system/republish.rs"]
mod republish;
#[path = "system/rules.rs"]
mod rules;
#[path = "system/server.rs"]
mod server;
#[path = "system/sockets.rs"]
mod sockets;

use std::panic::catch_unwind;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|it| it == "engine-init").is_some() {
        return llcm_engine::helper::main(arguments);
    }
    if arguments.next_if(|it| it == "supervise").is_some() {
        return crash::supervise(&arguments.next().unwrap(), &arguments.next().unwrap());
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
    if !rustix::process::geteuid().is_root() {
        let required = std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1");
        println!("system tests of the engine need root: {}", if required { "FAILED" } else { "skipped" });
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    outsider::leave_the_machines_network();
    let all: Vec<(&str, fn())> = [
        containers::TESTS,
        crash::TESTS,
        exec::TESTS,
        images::TESTS,
        isolation::TESTS,
        limits::TESTS,
        publish::TESTS,
        republish::TESTS,
        rules::TESTS,
        sockets::TESTS,
    ]
    .concat();
    let chosen = all.iter().filter(|(name, _)| filter.as_ref().is_none_or(|it| name.contains(it.as_str())));
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, test) in chosen {
        let result = catch_unwind(test);
        println!("test {name} ... {}", if result.is_ok() { "ok" } else { "FAILED" });
        if result.is_ok() { passed += 1 } else { failed.push(name) }
    }
    println!("{passed} passed; {} failed {failed:?}", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
