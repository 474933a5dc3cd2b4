//! `llcm doctor`: what works on this machine for this user, what does not and why, and what would help.
//!
//! `look` tries things and `data_dir` looks at files, both into `findings`; `verdict` makes rows of them and is pure.

mod data_dir;
mod findings;
mod look;
mod powers;
#[cfg(test)]
mod tests;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::ContentArrangement;

use crate::cli::Output;
use crate::config::file;
use crate::config::raw::RawConfig;
use crate::output;
use verdict::Check;

/// Columns of a line for people.
const WIDTH: u16 = 110;

#[derive(Debug, clap::Args)]
#[command(
    mut_args(|argument| argument.hide_env_values(true)),
    after_help = "Settings, configuration file and environment are those of `llcm serve`. Everything is tried and \
                  nothing is left of it.\nExit code: 0 when `llcm serve` with the same settings can run containers \
                  here, 1 when it cannot."
)]
pub(crate) struct Args {
    /// The configuration file (YAML). [default: as for `llcm serve`]
    #[arg(long, env = "LLCM_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
    #[command(flatten, next_help_heading = "Settings of the server")]
    settings: RawConfig,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let below = file::read(args.config.as_deref())?;
    let config = args.settings.without_empty_words().over(below).resolve()?;
    config.notes.iter().try_for_each(output::note)?;
    let report = verdict::report(&look::look(&config)?);
    if args.output.is_json() {
        output::json(&report)?;
    } else {
        let mut table =
            output::table(&["WHAT", "VERDICT", "WHY, AND WHAT HELPS"], report.checks.iter().map(row));
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        output::print_table(&table)?;
        output::line(format_args!("\n{}", report.serve.summary))?;
    }
    Ok(if report.serve.possible { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(check: &Check) -> Vec<String> {
    let advice = check.advice.as_ref().map(|advice| format!("\n-> {advice}")).unwrap_or_default();
    vec![check.key.clone(), check.verdict.word().to_owned(), format!("{}{advice}", check.reason)]
}
