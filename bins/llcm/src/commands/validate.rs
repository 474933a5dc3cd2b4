//! `llcm validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::offline::{Package, Sets};
use crate::cli::Output;
use crate::output;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Exit codes: 0 no errors (there may be warnings), 1 errors.")]
pub(crate) struct Args {
    /// The package file (.tgo or .son).
    #[arg(value_name = "PACKAGE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) sets: Sets,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let raw = args.sets.read()?;
    let package = Package::read(&args.file, &raw.settings()?)?;
    let (errors, warnings) = package.counts();
    if args.output.is_json() {
        output::json(&json!({ "errors": errors, "warnings": warnings, "diagnostics": package.findings }))?;
    } else {
        for finding in &package.findings {
            output::line(finding)?;
        }
        let what = package.loaded.and_then(|loaded| loaded.package).map_or_else(
            || args.file.display().to_string(),
            |package| format!("{} ({})", package.id, args.file.display()),
        );
        output::line(format_args!("{what}: {}, {}", count(errors, "error"), count(warnings, "warning")))?;
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn count(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        more => format!("{more} {noun}s"),
    }
}
