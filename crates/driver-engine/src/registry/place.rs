//! Which server a reference means, and what the image is called there.

use std::net::IpAddr;

use llcm_runtime::ImageReference;

/// What references mean that name no registry.
const HUB: &str = "docker.io";
/// Where that is to be found.
const HUB_SERVER: &str = "registry-1.docker.io";

/// A repository on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The registry as people call it, and as credentials are filed.
    pub(super) registry: String,
    /// Host, and port where it is not the scheme's own.
    pub(super) server: String,
    /// Whether it is spoken to by HTTPS.
    pub(super) is_secure: bool,
    /// The image's name there.
    pub(super) repository: String,
}

impl Place {
    /// The place of a reference; `insecure` names registries that are spoken to by plain HTTP.
    pub(super) fn of(reference: &ImageReference, insecure: &[String]) -> Self {
        let path = reference.path();
        match reference.domain() {
            None | Some(HUB | "index.docker.io" | HUB_SERVER) => {
                let repository = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
                let (registry, server) = (HUB.to_owned(), HUB_SERVER.to_owned());
                Self { registry, server, is_secure: true, repository }
            }
            Some(domain) => Self {
                registry: domain.to_owned(),
                server: domain.to_owned(),
                is_secure: !is_loopback(host(domain))
                    && !insecure.iter().any(|it| it == domain || it == host(domain)),
                repository: path.to_owned(),
            },
        }
    }

    /// The beginning of all addresses there.
    pub(super) fn root(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}/v2/", self.server)
    }
}

/// A registry's name without the port.
fn host(domain: &str) -> &str {
    match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => domain,
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_mean_servers() {
        let insecure = ["plain.example".to_owned(), "port.example:5000".to_owned()];
        for (text, root, repository) in [
            ("busybox", "https://registry-1.docker.io/v2/", "library/busybox"),
            ("sonatanfv/vnf:1", "https://registry-1.docker.io/v2/", "sonatanfv/vnf"),
            ("docker.io/busybox", "https://registry-1.docker.io/v2/", "library/busybox"),
            ("index.docker.io/a/b", "https://registry-1.docker.io/v2/", "a/b"),
            ("localhost/x", "http://localhost/v2/", "x"),
            ("localhost:5000/a/b:2", "http://localhost:5000/v2/", "a/b"),
            ("127.3.2.1:5000/x", "http://127.3.2.1:5000/v2/", "x"),
            ("[::1]:5000/x", "http://[::1]:5000/v2/", "x"),
            ("[::2]:5000/x", "https://[::2]:5000/v2/", "x"),
            ("10.0.0.1:5000/x", "https://10.0.0.1:5000/v2/", "x"),
            ("localhost.example/x", "https://localhost.example/v2/", "x"),
            ("registry.example/x", "https://registry.example/v2/", "x"),
            ("plain.example:81/x", "http://plain.example:81/v2/", "x"),
            ("port.example:5000/x", "http://port.example:5000/v2/", "x"),
            ("port.example/x", "https://port.example/v2/", "x"),
        ] {
            let place = Place::of(&ImageReference::parse("pull image", text).unwrap(), &insecure);
            assert_eq!((place.root().as_str(), place.repository.as_str()), (root, repository), "{text}");
        }
    }
}
