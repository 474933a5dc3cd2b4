//! `llcm store`: the server's records, on disk. Checking and backing up do not disturb a server that runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use llcm_lifecycle::installation::{Held, find_installation_id, hold};
use llcm_lifecycle::store::care::{self, Replaced};
use llcm_lifecycle::store::{StoreError, file};

use crate::commands::place::Place;
use crate::compose::told;
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// Verify the store and say what it holds; exit code 1 when something is wrong with it.
    Check(PlaceArgs),
    /// Put a store in the place of a damaged or missing one, with all that can be read; the old file is kept.
    #[command(
        after_help = "Containers and links of instances whose records are lost are removed when the next \
                            server starts: they carry its mark."
    )]
    Repair(PlaceArgs),
    /// Write all records to a file; a server may be running.
    #[command(
        after_help = "Uploaded packages are in `packages` in the data directory; they are needed to build \
                            images anew."
    )]
    Backup(FileArgs),
    /// Put a backup in the place of the store; the old file is kept. The server must be stopped.
    #[command(
        after_help = "The next server shows instances of the backup that are gone as degraded, and removes \
                            those that have come since."
    )]
    Restore(FileArgs),
}

#[derive(Debug, Clone, clap::Args)]
struct PlaceArgs {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, clap::Args)]
struct FileArgs {
    /// The backup.
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Check(args) => check(&store(&args.place)?),
        Verb::Repair(args) => repair(&args.place),
        Verb::Backup(args) => {
            let summary = care::backup(&store(&args.place)?, &args.file)?;
            output::line(format_args!("{}: {summary}", args.file.display()))?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Restore(args) => {
            let _held = held(&args.place)?;
            report(&care::restore(&store(&args.place)?, &args.file)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn store(place: &Place) -> anyhow::Result<PathBuf> {
    Ok(place.data_dir()?.join(file::FILE))
}

/// The data directory, for this process alone.
fn held(place: &Place) -> anyhow::Result<Held> {
    let data_dir = place.data_dir()?;
    if find_installation_id(&data_dir).map_err(|error| anyhow!(told(&error)))?.is_none() {
        bail!("{} is no data directory of a server (--data-dir names another one)", data_dir.display());
    }
    hold(&data_dir).map_err(|error| anyhow!(told(&error)))
}

fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let error = match care::check(path) {
        Ok(summary) => {
            output::line(format_args!("{}: in order: {summary}", path.display()))?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => error,
    };
    output::line(&error)?;
    if matches!(error, StoreError::Damaged { .. } | StoreError::Record { .. }) {
        let (summary, lost) = care::salvageable(path)?;
        output::line(format_args!("can be read: {summary}"))?;
        for what in lost {
            output::line(format_args!("cannot be read: {what}"))?;
        }
        output::line(
            "what runs on this machine is found by its marks, with instance and container: `llcm clean --dry-run` \
             lists it",
        )?;
    }
    Ok(ExitCode::FAILURE)
}

fn repair(place: &Place) -> anyhow::Result<ExitCode> {
    let _held = held(place)?;
    let path = store(place)?;
    match care::repair(&path)? {
        None => output::line(format_args!("{}: in order, nothing was changed", path.display()))?,
        Some(replaced) => report(&replaced)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn report(replaced: &Replaced) -> anyhow::Result<()> {
    for what in &replaced.lost {
        output::line(format_args!("lost: {what}"))?;
    }
    output::line(format_args!("the store holds {}", replaced.summary))?;
    match &replaced.kept {
        Some(kept) => output::line(format_args!("the old one is kept as {}", kept.display())),
        None => Ok(()),
    }
}
