//! Fetching and building the images of a service: at onboarding, and again when an instance is made and the
//! engine has lost one since.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use llcm_runtime::{BuildSpec, DriverResult, ErrorKind, ImageView, Progress, ProgressEvent, PullPolicy};

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError, code_of};
use crate::instance::Instance;
use crate::onboard;
use crate::plan::{self, ImageNeed};
use crate::request::Event;

/// Images that are fetched or built at the same time.
pub(crate) const AT_ONCE: usize = 4;

/// Images by reference.
pub(crate) type Images = BTreeMap<String, ImageView>;

/// Tells watchers how far the images are.
struct Watchers(Arc<Core>);

impl Progress for Watchers {
    fn report(&self, progress: ProgressEvent) {
        self.0.emit(Event::Image { progress });
    }
}

/// Makes sure that all images are there. Goes on after errors, and returns them all.
pub(crate) async fn ensure(
    core: &Arc<Core>,
    needs: &[ImageNeed],
    package: &Path,
) -> Result<Images, LifecycleError> {
    let watchers = Watchers(Arc::clone(core));
    let mut distinct: BTreeMap<&str, ImageNeed> = BTreeMap::new();
    for need in needs {
        distinct.entry(&need.reference).or_insert_with(|| need.clone());
    }
    let (core, watchers) = (core.as_ref(), &watchers);
    let results: Vec<_> = stream::iter(distinct.into_values())
        .map(|need| async move {
            let result = ensure_one(core, &need, package, watchers).await;
            (need, result)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut images = BTreeMap::new();
    let mut failure: Option<LifecycleError> = None;
    for (need, result) in results {
        match result {
            Ok(view) => {
                images.insert(need.reference.clone(), view);
            }
            Err(error) => {
                let code = image_code_of(error.kind);
                let message = format!("image of unit {}.{}: {error}", need.vnf_id, need.du_id);
                match &mut failure {
                    None => failure = Some(LifecycleError::new(code, message)),
                    Some(first) => first.others.push(message),
                }
            }
        }
    }
    failure.map_or(Ok(images), Err)
}

/// The code of a driver's error about an image.
pub(crate) fn image_code_of(kind: ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Denied | ErrorKind::Unsupported => code_of(kind),
        ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Invalid | ErrorKind::Failed => {
            ErrorCode::ImageUnavailable
        }
    }
}

/// Makes sure that an image of an instance is there still: one that is missing is fetched, or built from the
/// package's directory, as at onboarding; one that is there is left as it is, whatever a registry has by now.
pub(crate) async fn restore(core: &Arc<Core>, instance: &Instance, image: &str) -> DriverResult<()> {
    let watchers = Watchers(Arc::clone(core));
    let driver = core.parts.backend.containers();
    let unit = instance.plan.containers.iter().find(|container| container.spec.image == image);
    let need = unit
        .and_then(|unit| plan::image_of(&instance.service.descriptors, &unit.vnf_id, &unit.du_id))
        .filter(|need| need.dockerfile.is_some());
    let Some(need) = need else {
        return driver.ensure_image(image, PullPolicy::IfMissing, &watchers).await.map(|_view| ());
    };
    // What this program builds is in no registry, and whoever put something of that name there is not meant.
    // Nor is another package's image, built later under the same tag.
    let built = instance.service.images.get(image).map(|view| view.id.as_str());
    match driver.ensure_image(image, PullPolicy::Never, &watchers).await {
        Ok(view) if built.is_none_or(|built| built == view.id) => Ok(()),
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => {
            let package = onboard::package_dir(core, instance.service_id());
            ensure_one(core, &need, &package, &watchers).await.map(|_view| ())
        }
    }
}

async fn ensure_one(
    core: &Core,
    need: &ImageNeed,
    package: &Path,
    progress: &dyn Progress,
) -> DriverResult<ImageView> {
    let driver = core.parts.backend.containers();
    let Some(dockerfile) = &need.dockerfile else {
        let policy = if core.parts.settings.force_pull { PullPolicy::Always } else { PullPolicy::IfMissing };
        return driver.ensure_image(&need.reference, policy, progress).await;
    };
    let (dir, name) = dockerfile.rsplit_once('/').unwrap_or(("", dockerfile));
    let spec =
        BuildSpec { context: package.join(dir), dockerfile: name.to_owned(), tag: need.reference.clone() };
    driver.build_image(&spec, progress).await
}
