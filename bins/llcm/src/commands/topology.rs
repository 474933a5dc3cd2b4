//! `llcm topology`: topology files, without a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use llcm_topology::{Finding, Severity, Topology};
use serde_json::json;

use crate::cli::Output;
use crate::commands::validate::count;
use crate::config::{read_topology, read_topology_file};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// Check a topology file and print all findings.
    #[command(after_help = "Exit codes: 0 no errors (there may be warnings), 1 errors.")]
    Check(CheckArgs),
    /// Write a GraphML file, as the Internet Topology Zoo publishes it, as a topology file; templates are written out.
    #[command(
        after_help = "Delays follow from coordinates, bandwidths from link speeds. GraphML files are taken wherever \
                      topology files are, too, without being imported."
    )]
    Import(ImportArgs),
    /// Print the JSON schema of topology files, for editors.
    Schema,
}

#[derive(Debug, Clone, clap::Args)]
struct CheckArgs {
    /// The topology file: YAML or GraphML.
    file: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct ImportArgs {
    /// The GraphML file.
    file: PathBuf,
    /// The topology file to write. [default: standard output]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Verb::Check(args) => check(args),
        Verb::Import(args) => import(&args.file, args.to.as_deref()),
        Verb::Schema => output::json(&llcm_topology::schema()).map(|()| ExitCode::SUCCESS),
    }
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let (topology, findings) = read_topology_file(&args.file)?;
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if args.output.is_json() {
        output::json(&as_json(topology.as_ref(), &findings, errors))?;
    } else {
        findings.iter().try_for_each(output::line)?;
        let (file, warnings) = (args.file.display(), findings.len() - errors);
        let (errors, warnings) = (count(errors, "error"), count(warnings, "warning"));
        let what = topology.as_ref().map(|topology| {
            let (sites, links) = (topology.datacenters.len(), topology.links.len());
            format!("; {}, {}", count(sites, "data center"), count(links, "link"))
        });
        output::line(format_args!("{file}: {errors}, {warnings}{}", what.unwrap_or_default()))?;
    }
    Ok(if topology.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn as_json(topology: Option<&Topology>, findings: &[Finding], errors: usize) -> serde_json::Value {
    json!({
        "errors": errors,
        "warnings": findings.len() - errors,
        "findings": findings,
        "datacenters": topology.map(|topology| topology.datacenters.len()),
        "links": topology.map(|topology| topology.links.len()),
    })
}

fn import(file: &Path, to: Option<&Path>) -> anyhow::Result<ExitCode> {
    let (topology, notes) = read_topology(Some(file))?;
    notes.iter().try_for_each(output::note)?;
    let text = llcm_topology::to_yaml(&topology);
    match to {
        Some(to) => std::fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?,
        None => output::bytes(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
