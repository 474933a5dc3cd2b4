//! `llcm image`: the images of the embedded engine, in its store on disk. No server is asked, and one that runs
//! meanwhile is not disturbed: the store has locks of its own.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use llcm_engine::image::store::{ImageStore, Listed};
use llcm_engine::image::{HOST_IMAGE, ImageConfig, ImageLimits, normal_reference};
use llcm_engine::{EngineError, ImageError};
use llcm_runtime::ImageReference;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::Output;
use crate::commands::place::Place;
use crate::config::engine_dir;
use crate::output;

/// How much of a digest is shown, as container tools do.
const SHORT_DIGEST: usize = 12;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// Load images from a `docker save` file, an OCI archive or the directory of an OCI layout.
    Load(LoadArgs),
    /// Make an image of a root file system in a tar file.
    Import(ImportArgs),
    /// List the images; `host` is built in.
    Ls(LsArgs),
    /// Remove images.
    Rm(RmArgs),
}

#[derive(Debug, Clone, clap::Args)]
struct LoadArgs {
    /// The archive, compressed or not, or the directory.
    archive: PathBuf,
    /// A name for the image, beside those that the archive brings.
    #[arg(long, value_name = "REFERENCE")]
    name: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, clap::Args)]
struct ImportArgs {
    /// The tar file, compressed or not; /dev/stdin takes what another program writes.
    file: PathBuf,
    /// The image's name.
    #[arg(long, value_name = "REFERENCE")]
    name: String,
    /// A variable that its programs see; repeatable.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// The directory to start in.
    #[arg(long, value_name = "DIR")]
    workdir: Option<String>,
    /// The user to run as, and its group.
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    #[command(flatten)]
    place: Place,
    /// The program that a container runs, with its arguments.
    #[arg(last = true, value_name = "COMMAND", default_value = "/bin/sh")]
    command: Vec<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct LsArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct RmArgs {
    /// The images (name, or whole digest: the image with all its names).
    #[arg(required = true, value_name = "REFERENCE")]
    references: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// A line for programs.
#[derive(Debug, Serialize)]
struct Line {
    reference: String,
    id: String,
    layers: usize,
    /// Bytes on disk.
    size: u64,
    /// RFC 3339.
    loaded_at: Option<String>,
    /// Where it was fetched from; none: loaded by hand.
    origin: Option<String>,
    built_in: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Load(args) => load(&args)?,
        Verb::Import(args) => import(args)?,
        Verb::Ls(args) => ls(&args)?,
        Verb::Rm(args) => rm(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Place {
    /// The engine's directory; it need not be there.
    fn state_dir(&self) -> anyhow::Result<PathBuf> {
        Ok(engine_dir(&self.data_dir()?))
    }

    /// The store, which is made when it is not there.
    fn store(&self) -> anyhow::Result<(ImageStore, PathBuf)> {
        let state_dir = self.state_dir()?;
        check_owner(&state_dir)?;
        let store = ImageStore::open(&images_dir(&state_dir), ImageLimits::default()).map_err(told)?;
        Ok((store, state_dir))
    }
}

fn images_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("images")
}

/// What one user leaves in another's store, the other could neither use nor remove.
fn check_owner(state_dir: &Path) -> anyhow::Result<()> {
    let user = rustix::process::geteuid().as_raw();
    for directory in [state_dir, &images_dir(state_dir)] {
        match std::fs::metadata(directory) {
            Ok(found) if found.uid() != user => bail!(
                "{} belongs to the user with the number {}: run it as the user that runs the server, or name \
                 another data directory with --data-dir",
                directory.display(),
                found.uid()
            ),
            // Whatever else is wrong shows when it is used.
            _ => {}
        }
    }
    Ok(())
}

/// An error of the store, with what to do about it where that is known.
fn told(error: EngineError) -> anyhow::Error {
    let advice = match &error {
        EngineError::System { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Some("no permission: run it as the user that runs the server")
        }
        EngineError::Image { source: ImageError::Unknown, .. } => {
            Some("this is no image's archive; `llcm image import` takes a root file system")
        }
        _ => None,
    };
    match advice {
        Some(advice) => anyhow::Error::new(error).context(advice),
        None => error.into(),
    }
}

fn check_name(name: &str) -> anyhow::Result<()> {
    ImageReference::parse("name image", name)?;
    if normal_reference(name) == HOST_IMAGE {
        bail!("`{HOST_IMAGE}` is the built-in image: choose another name");
    }
    Ok(())
}

/// Does something that takes a while, with a sign of life where somebody watches.
fn watched<T>(what: String, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    let result = work();
    bar.finish_and_clear();
    result
}

fn load(args: &LoadArgs) -> anyhow::Result<()> {
    args.name.as_deref().map(check_name).transpose()?;
    let (store, _) = args.place.store()?;
    let what = format!("unpacking {}", args.archive.display());
    let loaded = watched(what, || store.load(&args.archive, args.name.as_deref())).map_err(told)?;
    if loaded.is_empty() {
        bail!("{} holds no image for this machine", args.archive.display());
    }
    for reference in loaded {
        output::line(format_args!("image {reference} loaded"))?;
    }
    Ok(())
}

fn import(args: ImportArgs) -> anyhow::Result<()> {
    check_name(&args.name)?;
    if let Some(pair) = args.env.iter().find(|pair| pair.find('=').is_none_or(|at| at == 0)) {
        bail!("`{pair}` is no variable: expected NAME=VALUE");
    }
    if let Some(directory) = args.workdir.as_deref().filter(|it| !it.starts_with('/')) {
        bail!("`{directory}` is no directory to start in: expected a path from the root");
    }
    let (store, _) = args.place.store()?;
    let config = ImageConfig {
        env: args.env,
        cmd: args.command,
        working_dir: args.workdir.unwrap_or_default(),
        user: args.user.unwrap_or_default(),
        ..ImageConfig::default()
    };
    let what = format!("unpacking {}", args.file.display());
    let id = watched(what, || store.import(&args.file, &args.name, config)).map_err(told)?;
    output::line(format_args!("image {} made ({})", normal_reference(&args.name), short(&id)))
}

fn ls(args: &LsArgs) -> anyhow::Result<()> {
    let state_dir = args.place.state_dir()?;
    let directory = images_dir(&state_dir);
    // Looking makes nothing.
    let listed = match std::fs::metadata(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        _ => args.place.store()?.0.list().map_err(told)?,
    };
    let mut lines = vec![Line {
        reference: HOST_IMAGE.to_owned(),
        id: HOST_IMAGE.to_owned(),
        layers: 1,
        size: 0,
        loaded_at: None,
        origin: None,
        built_in: true,
    }];
    for image in listed {
        lines.push(line(image)?);
    }
    if args.output.is_json() {
        return output::json(&lines);
    }
    let rows = lines.into_iter().map(|line| {
        if line.built_in {
            let [id, size, loaded] = ["-", "-", "-"].map(str::to_owned);
            return vec![line.reference, id, size, loaded, "this machine's programs".to_owned()];
        }
        let origin = line.origin.unwrap_or_else(|| "loaded by hand".to_owned());
        let loaded = line.loaded_at.unwrap_or_default();
        vec![line.reference, short(&line.id), output::size(line.size), loaded, origin]
    });
    output::print_table(&output::table(&["IMAGE", "ID", "SIZE", "LOADED", "FROM"], rows))
}

fn line(image: Listed) -> anyhow::Result<Line> {
    Ok(Line {
        loaded_at: Some(moment(image.loaded)?),
        reference: image.reference,
        id: image.id,
        layers: image.layers,
        size: image.bytes,
        origin: image.origin,
        built_in: false,
    })
}

/// A moment to the second.
fn moment(at: SystemTime) -> anyhow::Result<String> {
    let at = OffsetDateTime::from(at);
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).context("cannot write a moment")
}

fn short(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(SHORT_DIGEST).collect()
}

fn rm(args: &RmArgs) -> anyhow::Result<()> {
    let state_dir = args.place.state_dir()?;
    for reference in &args.references {
        if normal_reference(reference) == HOST_IMAGE {
            bail!("`{HOST_IMAGE}` is built in and cannot be removed");
        }
        // What is not there is not made for that.
        if !images_dir(&state_dir).try_exists().unwrap_or(true) {
            bail!("there is no image `{reference}`");
        }
        let (store, state_dir) = args.place.store()?;
        store.remove(reference, &state_dir).map_err(told)?;
        output::line(format_args!("image {reference} removed"))?;
    }
    Ok(())
}
