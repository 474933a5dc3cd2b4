//! Image references: checked before they become part of a request.

use crate::error::{DriverError, DriverResult, ErrorKind};

/// An image reference in the engines' grammar (distribution/reference, `regexp.go`):
/// `[domain[:port]/]path[:tag][@algorithm:hex]`. References come from descriptors and end up in the path of
/// requests, so that anything else must not get through: `../containers/x` would name another object.
///
/// ```
/// # use llcm_runtime::ImageReference;
/// # fn main() -> llcm_runtime::DriverResult<()> {
/// let reference = ImageReference::parse("pull image", "localhost:5000/vnf/firewall:2")?;
/// assert_eq!(reference.name_and_version(), ("localhost:5000/vnf/firewall", "2"));
/// assert_eq!(reference.domain(), Some("localhost:5000"));
/// assert_eq!(reference.path(), "vnf/firewall");
/// assert!(ImageReference::parse("pull image", "../containers/x").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    text: String,
    /// Where the registry's name ends; 0: there is none.
    domain_end: usize,
    /// Where the path ends, and a tag may begin.
    path_end: usize,
    /// Where the tag or digest begins.
    name_end: usize,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Tag,
    Digest,
    None,
}

impl ImageReference {
    /// Parses a reference; `operation` is what it is wanted for, for the message.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn parse(operation: &'static str, text: &str) -> DriverResult<Self> {
        Self::read(text).map_err(|rule| {
            DriverError::new(
                ErrorKind::Invalid,
                operation,
                text,
                format!("this is no image reference: {rule}; expected [registry/]name[:tag]"),
            )
        })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.len() > 512 {
            return Err("it is longer than 512 bytes");
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err("what follows '@' is no digest");
        }
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last..].rfind(':') {
            Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
            None => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err("what follows the last ':' is no tag");
        }
        if name.is_empty() {
            return Err("the name is missing");
        }
        let (domain, path) = match name.split_once('/') {
            Some((first, path)) if is_domain_like(first) => (Some(first), path),
            _ => (None, name),
        };
        if domain.is_some_and(|domain| !is_domain(domain)) {
            return Err("the registry's name is none");
        }
        if !path.split('/').all(is_component) {
            return Err(
                "the parts of a name hold lower-case letters, digits and single '.', '_', '-' between them",
            );
        }
        let version = match (tag, digest) {
            (_, Some(_)) => Version::Digest,
            (Some(_), None) => Version::Tag,
            (None, None) => Version::None,
        };
        // With a tag and a digest, the digest decides; the engine wants the tag as part of the name then.
        let name_end = if version == Version::Digest { rest.len() } else { name.len() };
        let domain_end = domain.map_or(0, str::len);
        Ok(Self { text: text.to_owned(), domain_end, path_end: name.len(), name_end, version })
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry's name, with the port where there is one; `None`: the engine's usual one.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        (self.domain_end > 0).then(|| &self.text[..self.domain_end])
    }

    /// The name within the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        let begin = if self.domain_end > 0 { self.domain_end + 1 } else { 0 };
        &self.text[begin..self.path_end]
    }

    /// The digest that is asked for (`sha256:...`), if one is.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        (self.version == Version::Digest).then(|| &self.text[self.name_end + 1..])
    }

    /// The name and what of it to fetch. A reference without a tag means `latest`; without saying so the
    /// engine would fetch every tag there is.
    #[must_use]
    pub fn name_and_version(&self) -> (&str, &str) {
        let name = &self.text[..self.name_end];
        match self.version {
            Version::None => (name, "latest"),
            Version::Tag | Version::Digest => (name, &self.text[self.name_end + 1..]),
        }
    }
}

fn is_domain_like(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_address = |text: &str| {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inner.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
    };
    (is_address(host) || host.split('.').all(is_label))
        && port.is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'))
}

/// Lower-case letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let edges =
        bytes.first().zip(bytes.last()).is_some_and(|(&first, &last)| is_word(first) && is_word(last));
    let separators = text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    edges
        && separators
            .into_iter()
            .all(|part| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=128).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['.', '-'])
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'_' | b'-');
    algorithm.starts_with(|c: char| c.is_ascii_alphabetic())
        && algorithm.bytes().all(inner)
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn references_of_real_packages_are_split_into_name_and_version() {
        let digested = format!("busybox@{DIGEST}");
        let both = format!("localhost:5000/a/b:1@{DIGEST}");
        for (text, name, version) in [
            ("ubuntu:trusty", "ubuntu", "trusty"),
            ("busybox", "busybox", "latest"),
            ("sonatanfv/vnf-vtc:latest", "sonatanfv/vnf-vtc", "latest"),
            ("registry.sonata-nfv.eu:5000/son-emu__x", "registry.sonata-nfv.eu:5000/son-emu__x", "latest"),
            ("localhost:5000/a/b:V1.0", "localhost:5000/a/b", "V1.0"),
            ("Registry/x", "Registry/x", "latest"),
            ("[::1]:5000/x:1", "[::1]:5000/x", "1"),
            ("a-b--c/d.e_f", "a-b--c/d.e_f", "latest"),
            (digested.as_str(), "busybox", DIGEST),
            (both.as_str(), "localhost:5000/a/b:1", DIGEST),
            (DIGEST, "sha256", &DIGEST[7..]),
        ] {
            let reference = ImageReference::parse("ensure image", text).unwrap();
            assert_eq!(reference.name_and_version(), (name, version), "{text}");
            assert_eq!(reference.as_str(), text);
        }
    }

    #[test]
    fn references_are_split_into_registry_and_path() {
        let both = format!("localhost:5000/a/b:1@{DIGEST}");
        for (text, domain, path, digest) in [
            ("ubuntu:trusty", None, "ubuntu", None),
            ("sonatanfv/vnf-vtc", None, "sonatanfv/vnf-vtc", None),
            ("docker.io/library/busybox", Some("docker.io"), "library/busybox", None),
            (both.as_str(), Some("localhost:5000"), "a/b", Some(DIGEST)),
            ("[::1]:5000/x:1", Some("[::1]:5000"), "x", None),
            ("localhost/x", Some("localhost"), "x", None),
        ] {
            let reference = ImageReference::parse("ensure image", text).unwrap();
            assert_eq!((reference.domain(), reference.path(), reference.digest()), (domain, path, digest));
        }
    }

    #[test]
    fn what_is_no_reference_never_becomes_a_request() {
        let long = "a".repeat(513);
        for text in [
            "",
            " ",
            "a b",
            "A",
            "a/B",
            "../containers/x",
            "a/../b",
            "a//b",
            "/a",
            "a/",
            "a:",
            ":a",
            "a?x=1",
            "a#b",
            "a%2e",
            "a.",
            ".a",
            "a..b",
            "a___b",
            "a:b:c",
            "a@sha256",
            "a@sha256:12",
            "a\n",
            "ä",
            "a:b/c",
            "x.y:99999/a",
            "-x.y/a",
            "http://example.org/image",
            &long,
        ] {
            let error = ImageReference::parse("ensure image", text).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid, "{text:?}");
            assert!(error.message.contains("expected [registry/]name[:tag]"), "{error}");
        }
    }
}
