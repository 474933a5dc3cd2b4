//! What a driver is told when it is made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use llcm_runtime::{DriverError, DriverResult, ErrorKind};

/// How to reach the engine, and how long to wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// The engine's socket.
    pub socket: PathBuf,
    /// A directory of this program on the engine's host, for the gate of each installation. Made when it is
    /// missing. It must not be mounted `noexec`.
    pub helper_directory: PathBuf,
    /// How long to wait for what.
    pub deadlines: Deadlines,
}

/// How long the engine may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// One request and its answer.
    pub request: Duration,
    /// Silence while an image is fetched.
    pub pull_silence: Duration,
    /// A build, from the first byte sent to the image.
    pub build: Duration,
}

impl Default for Deadlines {
    /// Two minutes for a request (starting many containers on a slow disk has been seen to take most of
    /// one), five minutes without a word during a pull, an hour for a build.
    fn default() -> Self {
        Self {
            request: Duration::from_secs(120),
            pull_silence: Duration::from_secs(300),
            build: Duration::from_secs(3600),
        }
    }
}

impl DockerOptions {
    /// Where Docker listens unless told otherwise.
    pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

    /// The engine behind a socket, with the default deadlines.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>, helper_directory: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            helper_directory: helper_directory.into(),
            deadlines: Deadlines::default(),
        }
    }

    /// The socket's path in the value of a `DOCKER_HOST` variable: a URL `unix:///path`, or a path.
    ///
    /// # Errors
    /// `Unsupported` for an engine that is not reached through a local socket: its containers' network
    /// namespaces are out of reach.
    pub fn socket_of_host(host: &str) -> DriverResult<PathBuf> {
        let path = host.strip_prefix("unix://").unwrap_or(host);
        if Path::new(path).is_absolute() {
            return Ok(PathBuf::from(path));
        }
        Err(DriverError::new(
            ErrorKind::Unsupported,
            "use engine",
            host,
            "only an engine on this host can be used: give the path of its socket, as in \
             unix:///var/run/docker.sock",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_sockets_are_accepted() {
        let socket = |host| DockerOptions::socket_of_host(host).map_err(|error| error.kind);
        assert_eq!(socket("unix:///run/docker.sock"), Ok("/run/docker.sock".into()));
        assert_eq!(socket("/run/docker.sock"), Ok("/run/docker.sock".into()));
        for host in ["tcp://127.0.0.1:2375", "ssh://root@host", "docker.sock", ""] {
            assert_eq!(socket(host), Err(ErrorKind::Unsupported), "{host}");
        }
    }
}
