//! `llcm completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;

#[derive(Debug, clap::Args)]
#[command(after_help = "For bash: llcm completions bash > /etc/bash_completion.d/llcm")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "llcm", &mut script);
    crate::output::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
