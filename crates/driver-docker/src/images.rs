//! Images: looking them up and fetching them.

use bollard::models::ImageInspect;
use llcm_runtime::{DriverResult, ErrorKind, ImageReference, ImageView, Progress, PullPolicy};

use crate::client::Client;
use crate::map_error::Attempt;
use crate::messages::Messages;
use crate::raw::{empty, encode};

/// Checks an image reference.
///
/// # Errors
/// `Invalid`.
pub(crate) fn reference(attempt: Attempt<'_>, text: &str) -> DriverResult<ImageReference> {
    ImageReference::parse(attempt.operation, text)
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
pub(crate) async fn find(client: &Client, reference: &ImageReference) -> DriverResult<Option<ImageView>> {
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

async fn pull(client: &Client, reference: &ImageReference, progress: &dyn Progress) -> DriverResult<()> {
    let attempt = Attempt::new("pull image", reference.as_str());
    let (name, version) = reference.name_and_version();
    let path = format!("/images/create?fromImage={}&tag={}", encode(name), encode(version));
    let silence = client.deadlines().pull_silence;
    let silent = || {
        let message = format!("the engine has said nothing for {} s", silence.as_secs());
        attempt.error(ErrorKind::Unavailable, message)
    };
    // The engine answers only when it has reached the registry.
    let begin = client.post(&path, empty());
    let begun = tokio::time::timeout(silence, begin).await.map_err(|_| silent())?;
    let mut messages = Messages::new(begun.map_err(|error| attempt.failed(&error))?);
    loop {
        let next = tokio::time::timeout(silence, messages.next()).await.map_err(|_| silent())?;
        let Some(message) = next.map_err(|error| attempt.failed(&error))? else { return Ok(()) };
        if let Some(event) = message.event(reference.as_str()) {
            progress.report(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ImageConfig;

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
}
