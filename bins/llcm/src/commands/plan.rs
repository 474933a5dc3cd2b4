//! `llcm plan`.

mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use llcm_lifecycle::Dialect;
use llcm_lifecycle::plan::plan_offline;
use llcm_placement::ALGORITHMS;

use super::offline::{Sets, add_env_files, read};
use crate::cli::Output;
use crate::config::read_topology;
use crate::output;

#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "The JSON output is a public format; its keys are only ever added to.\n\
                        Exit codes: 0 planned, 1 the package cannot be planned.")]
pub(crate) struct Args {
    /// The package file (.tgo or .son).
    #[arg(value_name = "PACKAGE")]
    pub(crate) file: PathBuf,
    /// How many instances to plan, side by side.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    pub(crate) instances: u16,
    /// Whose conventions to follow.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dialect: DialectName,
    /// The data centers and the links between them. [default: dc1 and dc2, joined by one link]
    #[arg(long, value_name = "FILE")]
    pub(crate) topology: Option<PathBuf>,
    /// How to place the units; goes before the setting `placement`.
    #[arg(long, value_name = "ALGORITHM", value_parser = PossibleValuesParser::new(ALGORITHMS))]
    pub(crate) placement: Option<String>,
    #[command(flatten)]
    pub(crate) sets: Sets,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// A dialect, as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum DialectName {
    /// 5GTANGO's.
    #[default]
    Tango,
    /// SONATA's.
    Sonata,
}

impl From<DialectName> for Dialect {
    fn from(name: DialectName) -> Self {
        match name {
            DialectName::Tango => Self::Tango,
            DialectName::Sonata => Self::Sonata,
        }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let raw = args.sets.read()?;
    let (topology, notes) = read_topology(args.topology.as_deref().or(raw.topology.as_deref()))?;
    notes.iter().try_for_each(output::note)?;
    let dialect = args.dialect.into();
    let mut settings = raw.settings()?.of(dialect);
    if let Some(algorithm) = &args.placement {
        settings.placement.algorithm.clone_from(algorithm);
        // Said for this plan, it goes before what is said for a dialect.
        (settings.tango.placement, settings.sonata.placement) = (None, None);
    }
    let mut package = read(&args.file, &settings)?;
    add_env_files(&mut package, &settings, dialect, args.instances);
    let document = plan_offline(&package, &topology, &settings, dialect, args.instances);
    if args.output.is_json() {
        output::json(&document)?;
    } else {
        show::show(&document, &topology)?;
    }
    let failed = document.instances.is_empty() && args.instances > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
