//! Images: looking them up and fetching them.

use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;
use llcm_runtime::{DriverResult, ErrorKind, ImageView, Progress, ProgressEvent, PullPolicy};

use crate::client::Client;
use crate::map_error::Attempt;
use crate::reference::Reference;

/// Checks an image reference.
///
/// # Errors
/// `Invalid`.
pub(crate) fn reference(attempt: Attempt<'_>, text: &str) -> DriverResult<Reference> {
    Reference::parse(attempt.operation, text)
}

/// Makes sure that the engine has an image.
///
/// # Errors
/// As `ContainerDriver::ensure_image`.
pub(crate) async fn ensure(
    client: &Client,
    text: &str,
    policy: PullPolicy,
    progress: &dyn Progress,
) -> DriverResult<ImageView> {
    let attempt = Attempt::new("ensure image", text);
    let reference = reference(attempt, text)?;
    if policy != PullPolicy::Always
        && let Some(view) = find(client, &reference).await?
    {
        return Ok(view);
    }
    if policy == PullPolicy::Never {
        let message = "the engine does not have it, and fetching is turned off";
        return Err(attempt.error(ErrorKind::NotFound, message));
    }
    pull(client, &reference, progress).await?;
    let message = "the engine fetched it and does not have it";
    find(client, &reference).await?.ok_or_else(|| attempt.error(ErrorKind::NotFound, message))
}

/// The image of that reference, if the engine has it.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn find(client: &Client, reference: &Reference) -> DriverResult<Option<ImageView>> {
    let attempt = Attempt::new("inspect image", reference.as_str());
    let found = client.find(attempt, |docker| docker.inspect_image(reference.as_str())).await?;
    Ok(found.map(view))
}

fn view(image: ImageInspect) -> ImageView {
    let config = image.config.unwrap_or_default();
    let pair = |text: String| match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (text, String::new()),
    };
    ImageView {
        id: image.id.unwrap_or_default(),
        environment: config.env.unwrap_or_default().into_iter().map(pair).collect(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
    }
}

async fn pull(client: &Client, reference: &Reference, progress: &dyn Progress) -> DriverResult<()> {
    let attempt = Attempt::new("pull image", reference.as_str());
    let (name, version) = reference.name_and_version();
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(version).build();
    let mut messages = std::pin::pin!(client.docker().create_image(Some(options), None, None));
    let silence = client.deadlines().pull_silence;
    loop {
        match tokio::time::timeout(silence, messages.next()).await {
            Err(_) => {
                let message = format!("the engine has said nothing for {} s", silence.as_secs());
                return Err(attempt.error(ErrorKind::Unavailable, message));
            }
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(attempt.failed(&error)),
            Ok(Some(Ok(message))) => {
                if let Some(event) = event(reference.as_str(), message) {
                    progress.report(event);
                }
            }
        }
    }
}

fn event(image: &str, message: CreateImageInfo) -> Option<ProgressEvent> {
    let size = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    let detail = message.progress_detail.unwrap_or_default();
    Some(ProgressEvent {
        subject: message.id.unwrap_or_else(|| image.to_owned()),
        status: message.status?,
        bytes: size(detail.current).zip(size(detail.total)),
    })
}

#[cfg(test)]
mod tests {
    use bollard::models::{ImageConfig, ProgressDetail};

    use super::*;

    #[test]
    fn an_images_environment_is_taken_apart_at_the_first_equals_sign() {
        let words = |text: &[&str]| Some(text.iter().map(|&word| word.to_owned()).collect());
        let image = ImageInspect {
            id: Some("sha256:1".to_owned()),
            config: Some(ImageConfig {
                env: words(&["PATH=/bin", "SON_EMU_CMD=a=b c", "EMPTY=", "BARE"]),
                cmd: words(&["/bin/sh"]),
                ..ImageConfig::default()
            }),
            ..ImageInspect::default()
        };
        let view = view(image);
        assert_eq!(view.environment["SON_EMU_CMD"], "a=b c");
        assert_eq!(view.environment["EMPTY"], "");
        assert_eq!(view.environment["BARE"], "");
        assert_eq!(view.command, ["/bin/sh"]);
        assert!(view.entrypoint.is_empty());
    }

    #[test]
    fn progress_is_about_a_layer_or_the_image() {
        let message = CreateImageInfo {
            id: Some("layer".to_owned()),
            status: Some("Downloading".to_owned()),
            progress_detail: Some(ProgressDetail { current: Some(1), total: Some(2) }),
            ..CreateImageInfo::default()
        };
        let about_layer = event("busybox", message).unwrap();
        assert_eq!(
            (about_layer.subject.as_str(), about_layer.status.as_str(), about_layer.bytes),
            ("layer", "Downloading", Some((1, 2)))
        );
        let message = CreateImageInfo { status: Some("Pulling".to_owned()), ..CreateImageInfo::default() };
        assert_eq!(event("busybox", message).unwrap().subject, "busybox");
        assert_eq!(event("busybox", CreateImageInfo::default()), None);
    }
}
