//! Runs a command in an image and prints what it prints: `any_user IMAGE COMMAND...`, as root or as an ordinary user.
//!
//! IMAGE is `host` (the programs of this machine) or an archive of `docker save`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a program")]

use std::path::Path;
use std::process::ExitCode;

use llcm_engine::rootless::{self, RootlessOptions};
use llcm_engine::{Engine, EngineError, Helper, Options, Spec, helper};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|it| it == "engine-init").is_some() {
        return helper::main(arguments);
    }
    let arguments: Vec<_> = arguments.map(|it| it.to_string_lossy().into_owned()).collect();
    let (image, command) = arguments.split_first().expect("usage: any_user host|ARCHIVE COMMAND...");
    run(image, command.to_vec()).unwrap_or_else(|error| {
        eprintln!("any_user: {error}");
        ExitCode::FAILURE
    })
}

fn run(image: &str, command: Vec<String>) -> Result<ExitCode, EngineError> {
    let user = rustix::process::geteuid();
    let state_dir = std::env::temp_dir().join(format!("llcm-engine-example-{}", user.as_raw()));
    let rootless = if user.is_root() {
        None
    } else {
        let run_dir = state_dir.join("run");
        Some(rootless::enter(&RootlessOptions {
            state_dir: state_dir.clone(),
            helper: Helper::default(),
            run_dir,
        })?)
    };
    let engine = Engine::open(Options::new(state_dir))?;
    let loaded =
        if image == "host" { None } else { engine.images().load(Path::new(image), Some("example"))?.pop() };
    engine.remove("example")?;
    engine.create(Spec { command, ..Spec::new("example", loaded.as_deref().unwrap_or(image)) })?;
    engine.start("example")?;
    let exit = engine.wait("example", None)?;
    print!("{}", String::from_utf8_lossy(&engine.logs("example", 1 << 20)?));
    engine.remove("example")?;
    if let Some(rootless) = rootless {
        rootless.end()?;
    }
    let code = exit.and_then(|exit| exit.code).and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
