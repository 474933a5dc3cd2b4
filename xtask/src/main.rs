//! Runs the checks of the workspace: `cargo xtask check`, `cargo xtask licences`, `cargo xtask ci`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

const USAGE: &str = "usage: cargo xtask check|licences|ci
  check     layers, file length, pages, bans: what plain `cargo test` checks, too
  licences  licences and sources of all packages, against deny.toml
  ci        both, then formatting, clippy and documentation";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let root = xtask::workspace_root();
    match run(&root, arguments.first().map_or("", String::as_str)) {
        Ok(0) => {
            println!("xtask: nothing found");
            ExitCode::SUCCESS
        }
        Ok(count) => {
            eprintln!("xtask: {count} found");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(root: &Path, task: &str) -> anyhow::Result<usize> {
    match task {
        "check" => Ok(show(&xtask::check_all(root)?)),
        "licences" => Ok(show(&xtask::licences::check(root)?)),
        "ci" => {
            let mut count = show(&xtask::check_all(root)?) + show(&xtask::licences::check(root)?);
            for step in xtask::ci::STEPS {
                let done = xtask::ci::run(root, step)?;
                if !done.ok {
                    count += show(&[format!("{}: failed after {:.1?}", done.name, done.time)]);
                }
            }
            Ok(count)
        }
        _ => bail!("{USAGE}"),
    }
}

#[expect(clippy::print_stdout, reason = "a program for people at a terminal")]
fn show(findings: &[String]) -> usize {
    for finding in findings {
        println!("{finding}");
    }
    findings.len()
}
