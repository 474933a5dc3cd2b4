//! Fetching and building the images of a service.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use llcm_runtime::{BuildSpec, DriverResult, ErrorKind, ImageView, Progress, ProgressEvent, PullPolicy};

use super::Images;
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError, code_of};
use crate::plan::ImageNeed;
use crate::request::Event;

/// Images that are fetched or built at the same time.
const AT_ONCE: usize = 4;

/// Tells watchers how far the images are.
struct Watchers(Arc<Core>);

impl Progress for Watchers {
    fn report(&self, progress: ProgressEvent) {
        self.0.emit(Event::Image { progress });
    }
}

/// Makes sure that all images are there. Goes on after errors, and returns them all.
pub(super) async fn ensure(
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
                let code = match error.kind {
                    ErrorKind::Unavailable | ErrorKind::Denied | ErrorKind::Unsupported => {
                        code_of(error.kind)
                    }
                    _ => ErrorCode::ImageUnavailable,
                };
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
