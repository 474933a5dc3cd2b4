//! Images: looking them up, and bringing those that the store has not.

use std::sync::Arc;

use llcm_engine::image::{HOST_IMAGE, Image};
use llcm_runtime::{
    BuildSpec, DriverError, DriverResult, ErrorKind, ImageView, Progress, ProgressEvent, PullPolicy,
};

use crate::driver::EngineContainers;
use crate::map_error::Attempt;
use crate::source::ImageSource;

/// Makes sure that the store has an image.
///
/// # Errors
/// As `ContainerDriver::ensure_image`.
pub(crate) async fn ensure(
    driver: &EngineContainers,
    asked: &str,
    policy: PullPolicy,
    progress: &dyn Progress,
) -> DriverResult<ImageView> {
    let attempt = Attempt::new("ensure image", asked);
    let meant = driver.meant(asked);
    if meant.is_empty() || meant.contains(char::is_whitespace) {
        return Err(attempt.error(ErrorKind::Invalid, format!("`{meant}` is no image reference")));
    }
    let found = find(driver, attempt, meant).await?;
    let fixed = meant == HOST_IMAGE || meant.starts_with("sha256:") || policy == PullPolicy::Never;
    if let Some(found) = &found
        && (fixed || is_current(driver, attempt, meant, found, policy).await?)
    {
        return Ok(view(found));
    }
    if fixed {
        let message = "the store does not have it: `llcm image load` brings one from an archive";
        return Err(attempt.error(ErrorKind::NotFound, message));
    }
    let mut refusals = Vec::new();
    for source in driver.sources.iter() {
        match bring(driver, attempt, source, meant, progress).await {
            Ok(true) => {
                let found = find(driver, attempt, meant).await?;
                let message = "it was fetched, and the store does not have it";
                return found.as_ref().map(view).ok_or_else(|| attempt.error(ErrorKind::Failed, message));
            }
            Ok(false) => refusals.push((source.name(), None)),
            Err(error) => refusals.push((source.name(), Some(error))),
        }
    }
    Err(nowhere(attempt, &refusals))
}

/// Nobody has it, or nobody could be asked.
fn nowhere(attempt: Attempt<'_>, refusals: &[(&str, Option<DriverError>)]) -> DriverError {
    let mut text = "the store does not have it".to_owned();
    let mut kind = ErrorKind::NotFound;
    for (source, refusal) in refusals {
        match refusal {
            None => text.push_str(&format!("; {source}: nothing there, or nobody answers")),
            Some(error) => {
                text.push_str(&format!("; {source}: {}", error.message));
                kind = error.kind;
            }
        }
    }
    text.push_str(
        "; `llcm image load` brings one from an archive, `--image-map NAME=host` runs the programs of this machine",
    );
    attempt.error(kind, text)
}

/// Whether what the store has is what is asked for.
async fn is_current(
    driver: &EngineContainers,
    attempt: Attempt<'_>,
    meant: &str,
    found: &Image,
    policy: PullPolicy,
) -> DriverResult<bool> {
    let name = meant.to_owned();
    let origin = driver.call(attempt, move |engine| engine.images().origin(&name)).await?;
    for source in driver.sources.iter() {
        // People build an image again and expect it to be the one that runs; a registry is asked when told to.
        let is_origin = origin.as_deref() == Some(source.name());
        if policy != PullPolicy::Always && !(is_origin && source.is_local()) {
            continue;
        }
        match source.digest(meant).await {
            Ok(Some(digest)) => return Ok(digest == found.id),
            Ok(None) => {}
            Err(error) if policy == PullPolicy::Always => return Err(error),
            // It need not be there any more for what it gave to be good.
            Err(error) => log::debug!("{}: {error}", source.name()),
        }
    }
    Ok(policy != PullPolicy::Always)
}

/// Has a source bring an image and loads it; false when the source has none.
async fn bring(
    driver: &EngineContainers,
    attempt: Attempt<'_>,
    source: &Arc<dyn ImageSource>,
    meant: &str,
    progress: &dyn Progress,
) -> DriverResult<bool> {
    let parent = driver.engine.scratch_dir();
    let made = tokio::fs::create_dir_all(&parent)
        .await
        .and_then(|()| tempfile::Builder::new().prefix("image-").tempdir_in(&parent));
    let directory = made.map_err(|error| attempt.io("make a directory for it", &error))?;
    let Some(archive) = source.fetch(meant, directory.path(), progress).await? else { return Ok(false) };
    let status = "Unpacking".to_owned();
    progress.report(ProgressEvent { subject: meant.to_owned(), status, bytes: None });
    let (name, origin) = (meant.to_owned(), source.name().to_owned());
    // The directory goes with the closure, so that it is there until the archive is read.
    driver
        .call(attempt, move |engine| {
            let loaded = engine.images().load_from(&archive, Some(&name), Some(&origin));
            drop(directory);
            loaded
        })
        .await?;
    Ok(true)
}

async fn find(driver: &EngineContainers, attempt: Attempt<'_>, meant: &str) -> DriverResult<Option<Image>> {
    let name = meant.to_owned();
    match driver.call(attempt, move |engine| engine.images().find(&name)).await {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

fn view(image: &Image) -> ImageView {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    ImageView {
        id: image.id.clone(),
        environment: image.config.env.iter().map(pair).collect(),
        entrypoint: image.config.entrypoint.clone(),
        command: image.config.cmd.clone(),
    }
}

/// Builds an image where one of the sources can, and takes it from there.
///
/// # Errors
/// As `ContainerDriver::build_image`.
pub(crate) async fn build(
    driver: &EngineContainers,
    spec: &BuildSpec,
    progress: &dyn Progress,
) -> DriverResult<ImageView> {
    let attempt = Attempt::new("build image", &spec.tag);
    for source in driver.sources.iter() {
        if source.build(spec, progress).await?.is_none() {
            continue;
        }
        if bring(driver, attempt, source, &spec.tag, progress).await?
            && let Some(found) = find(driver, attempt, &spec.tag).await?
        {
            return Ok(view(&found));
        }
        let message = format!("{} has built it and does not have it", source.name());
        return Err(attempt.error(ErrorKind::Failed, message));
    }
    let message =
        "the embedded engine reads no Dockerfiles: with a Docker engine on this machine it is built there";
    Err(attempt.error(ErrorKind::Unsupported, message))
}
