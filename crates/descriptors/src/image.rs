//! Image references and Dockerfiles inside the package.

use crate::load::Context;
use crate::model::ImageSource;
use crate::path::package_path;
use crate::yaml::{Field, cut};

/// Where the image of `vm_image` or `image` comes from.
pub(crate) fn image(field: &Field<'_>, context: &Context<'_>) -> Option<ImageSource> {
    let text = field.text()?;
    let text = text.strip_prefix("http://").unwrap_or(&text);
    if let Some(path) = dockerfile(text, context) {
        return build(field, context, path);
    }
    if let Err(rule) = check_reference(text) {
        field.error(
            "invalid-image",
            format!("`{}` is no image reference: {rule}", cut(text)),
            "write `name`, `name:tag` or `registry/name:tag`, or `file:///path/in/package/Dockerfile`",
        );
        return None;
    }
    Some(ImageSource::Reference { reference: text.to_owned() })
}

/// The path that is meant, when the text means a Dockerfile in the package rather than an image.
fn dockerfile<'a>(text: &'a str, context: &Context<'_>) -> Option<Result<String, &'a str>> {
    let is_file = text.starts_with("file://");
    let Ok(path) = package_path(text) else { return is_file.then_some(Err(text)) };
    let inside = format!("{path}/Dockerfile");
    let named = path.rsplit('/').next().is_some_and(|name| name.starts_with("Dockerfile"));
    if context.has_file(&path) && (is_file || named) {
        Some(Ok(path))
    } else if context.has_file(&inside) {
        Some(Ok(inside))
    } else {
        is_file.then_some(Err(text))
    }
}

fn build(field: &Field<'_>, context: &Context<'_>, path: Result<String, &str>) -> Option<ImageSource> {
    if !context.options.build_images {
        field.error(
            "build-images-off",
            "the image is to be built from a Dockerfile in the package, which is not allowed",
            "set `build_images: true` to allow it, or name a ready image",
        );
        return None;
    }
    match path {
        Ok(path) => Some(ImageSource::Dockerfile { path }),
        Err(text) => {
            field.error(
                "missing-file",
                format!("the package has no file `{}`", cut(text)),
                "correct the path, or add the Dockerfile to the package",
            );
            None
        }
    }
}

/// The grammar of image references (github.com/distribution/reference): `[registry[:port]/]path[:tag][@digest]`.
///
/// # Errors
/// The rule that the text breaks.
pub(crate) fn check_reference(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("it is empty");
    }
    if text.contains("://") {
        return Err("an image has no URL");
    }
    let (text, digest) = match text.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (text, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err("the digest behind `@` must be `sha256:` and 64 hexadecimal digits");
    }
    let slash = text.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match text[slash..].find(':') {
        Some(at) => (&text[..slash + at], Some(&text[slash + at + 1..])),
        None => (text, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(
            "a tag has 1 to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
        );
    }
    if name.len() > 255 {
        return Err("a name has at most 255 characters");
    }
    let path = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            if !is_registry(first) {
                return Err("the registry must be a host name, with a port if need be");
            }
            rest
        }
        _ => name,
    };
    if path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("64 hexadecimal digits are an image's id, not its name");
    }
    if path.split('/').all(is_component) {
        Ok(())
    } else {
        Err("a name has lower-case letters and digits, joined by `.`, `_`, `-` or `/`")
    }
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok())
        && host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// `[a-z0-9]+` joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(word) || !text.ends_with(word) {
        return false;
    }
    text.split(word)
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_real_descriptors_and_of_the_grammar() {
        for text in [
            "ubuntu:trusty",
            "sonatanfv/vnf-cc-broker:vimemu",
            "localhost:5000/a/b__c.d--e:T-1.x_",
            "registry.example.org/x",
            "a@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(check_reference(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn odd_references_are_refused() {
        for text in [
            "",
            "Ubuntu",
            "a b",
            "https://example.org/x.qcow2",
            "a:",
            "a:b:c",
            "a:-x",
            "/a",
            "a/",
            "a//b",
            "-a",
            "a..b",
            "a___b",
            "a@md5:0",
            "--privileged",
            "a\nb",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "host:port/a",
        ] {
            assert!(check_reference(text).is_err(), "{text}");
        }
    }
}
