//! Fetching and building the images of a service: at onboarding, and again when an instance is made and an
//! engine has lost one since, or never had it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use llcm_descriptors::{Descriptors, Diagnostic, Severity};
use llcm_runtime::{
    BuildSpec, DriverError, DriverResult, EngineId, ErrorKind, ImageView, Progress, ProgressEvent, PullPolicy,
};

use crate::catalog::ServiceRecord;
use crate::core::Core;
use crate::engines::{self, Engine};
use crate::error::{ErrorCode, LifecycleError, code_of};
use crate::instance::Instance;
use crate::onboard;
use crate::plan::{self, ImageNeed};
use crate::request::Event;

/// Images that are fetched or built at the same time.
pub(crate) const AT_ONCE: usize = 4;

/// Images by reference.
pub(crate) type Images = BTreeMap<String, ImageView>;

/// What came of making sure of a service's images.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What the first engine says that has the image.
    pub(crate) images: Images,
    /// What each engine says.
    pub(crate) engine_images: BTreeMap<EngineId, Images>,
    /// Images that some engine has and others have not.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Tells watchers how far the images are.
struct Watchers(Arc<Core>);

impl Progress for Watchers {
    fn report(&self, progress: ProgressEvent) {
        self.0.emit(Event::Image { progress });
    }
}

/// Makes sure that all images are there. Nothing is placed yet, so that all engines are tried that something can be
/// placed on, and it is enough that one has the image: the others are warned about. Goes on after errors, and returns
/// them all.
pub(crate) async fn ensure(
    core: &Arc<Core>,
    service: &ServiceRecord,
    needs: &[ImageNeed],
    package: &Path,
) -> Result<Found, LifecycleError> {
    let watchers = Watchers(Arc::clone(core));
    let force_pull = core.settings(service.view.dialect).force_pull;
    let pull = if force_pull { PullPolicy::Always } else { PullPolicy::IfMissing };
    let mut distinct: BTreeMap<&str, &ImageNeed> = BTreeMap::new();
    for need in needs {
        distinct.entry(&need.reference).or_insert(need);
    }
    let (core, watchers) = (core.as_ref(), &watchers);
    let engines = engines::placeable(core);
    let mut each = Vec::new();
    for need in distinct.values() {
        each.extend(engines.iter().map(|engine| (ImageNeed::clone(need), engine.clone())));
    }
    let results: Vec<_> = stream::iter(each)
        .map(|(need, engine)| async move {
            let ensured = ensure_one(&engine, &need, pull, package, watchers).await;
            ensured.map_err(|error| engine.told(error))
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let mut results = results.into_iter();
    let mut found = Found::default();
    let mut failure: Option<LifecycleError> = None;
    for need in distinct.into_values() {
        let mut errors = Vec::new();
        for (engine, result) in engines.iter().zip(results.by_ref()) {
            match result {
                Ok(view) => {
                    found.images.entry(need.reference.clone()).or_insert_with(|| view.clone());
                    let images = found.engine_images.entry(engine.id()).or_default();
                    images.insert(need.reference.clone(), view);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            continue;
        }
        if found.images.contains_key(&need.reference) {
            found.warnings.push(not_everywhere(&service.descriptors, need, &errors));
            continue;
        }
        let error = nowhere(need, &errors);
        match &mut failure {
            None => failure = Some(error),
            Some(first) => first.others.push(error.message),
        }
    }
    failure.map_or(Ok(found), Err)
}

fn not_everywhere(descriptors: &Descriptors, need: &ImageNeed, errors: &[DriverError]) -> Diagnostic {
    let (document, path) = plan::place_of(descriptors, need);
    let message = format!("not every engine has image {}: {}", need.reference, listed(errors));
    Diagnostic::new(Severity::Warning, "image-not-in-every-engine", document, path, message)
        .hint("units of this image start only in data centers of engines that have it by then")
}

fn nowhere(need: &ImageNeed, errors: &[DriverError]) -> LifecycleError {
    // Where another engine could have had the image, it matters little that one cannot build.
    let telling = errors.iter().find(|error| error.kind != ErrorKind::Unsupported).or(errors.first());
    let code = telling.map_or(ErrorCode::ImageUnavailable, |error| image_code_of(error.kind));
    let message = format!("image of unit {}.{}: {}", need.vnf_id, need.du_id, listed(errors));
    LifecycleError::new(code, message)
}

fn listed(errors: &[DriverError]) -> String {
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
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

/// Makes sure that an image of an instance is there still in an engine: one that is missing is fetched, or built from
/// the package's directory, as at onboarding; one that is there is left as it is, whatever a registry has by now.
/// Errors do not name the engine: the step does.
pub(crate) async fn restore(
    core: &Arc<Core>,
    instance: &Instance,
    image: &str,
    engine: &Engine,
) -> DriverResult<()> {
    let watchers = Watchers(Arc::clone(core));
    let unit = instance.plan.containers.iter().find(|container| container.spec.image == image);
    let need = unit
        .and_then(|unit| plan::image_of(&instance.service.descriptors, &unit.vnf_id, &unit.du_id))
        .filter(|need| need.dockerfile.is_some());
    let policy = if need.is_some() { PullPolicy::Never } else { PullPolicy::IfMissing };
    let there = engine.ensure_image(image, policy, &watchers).await;
    let Some(need) = need else { return there.map(|_view| ()) };
    // What this program builds is in no registry, and whoever put something of that name there is not meant.
    // Nor is another package's image, built later under the same tag, nor one that was in an engine before this
    // program had built any there.
    let built = instance.service.image_id(&engine.id(), image);
    match there {
        Ok(view) if built == Some(view.id.as_str()) => Ok(()),
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => {
            let package = onboard::package_dir(core, instance.service_id());
            ensure_one(engine, &need, policy, &package, &watchers).await.map(|_view| ())
        }
    }
}

async fn ensure_one(
    engine: &Engine,
    need: &ImageNeed,
    pull: PullPolicy,
    package: &Path,
    progress: &dyn Progress,
) -> DriverResult<ImageView> {
    match &need.dockerfile {
        None => engine.ensure_image(&need.reference, pull, progress).await,
        Some(dockerfile) => {
            let (dir, name) = dockerfile.rsplit_once('/').unwrap_or(("", dockerfile));
            let (context, dockerfile) = (package.join(dir), name.to_owned());
            let spec = BuildSpec { context, dockerfile, tag: need.reference.clone() };
            engine.build_image(&spec, progress).await
        }
    }
}
