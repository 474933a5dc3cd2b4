//! `llcm validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::offline::{Sets, counts, read};
use super::plan::DialectName;
use crate::cli::Output;
use crate::output;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Exit codes: 0 no errors (there may be warnings), 1 errors.")]
pub(crate) struct Args {
    /// The package file (.tgo or .son).
    #[arg(value_name = "PACKAGE")]
    pub(crate) file: PathBuf,
    /// Whose conventions to follow: settings may differ.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dialect: DialectName,
    #[command(flatten)]
    pub(crate) sets: Sets,
    #[command(flatten)]
    pub(crate) output: Output,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let raw = args.sets.read()?;
    let package = read(&args.file, &raw.settings()?.of(args.dialect.into()))?;
    let (errors, warnings) = counts(&package.diagnostics);
    if args.output.is_json() {
        output::json(&json!({ "errors": errors, "warnings": warnings, "diagnostics": package.diagnostics }))?;
    } else {
        for finding in &package.diagnostics {
            output::line(finding)?;
        }
        let what = package.package.map_or_else(
            || args.file.display().to_string(),
            |package| format!("{} ({})", package.id, args.file.display()),
        );
        output::line(format_args!("{what}: {}, {}", count(errors, "error"), count(warnings, "warning")))?;
    }
    Ok(if errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `no errors`, `1 error`, `2 errors`.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        more => format!("{more} {noun}s"),
    }
}
