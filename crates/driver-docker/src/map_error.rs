//! From the engine's errors to the kinds that the life-cycle branches on.

use std::error::Error as _;
use std::time::Duration;

use bollard::errors::Error;
use llcm_runtime::{DriverError, ErrorKind};

/// What was attempted, for the message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// The operation in words.
    pub(crate) operation: &'static str,
    /// What it was done to.
    pub(crate) target: &'a str,
}

impl<'a> Attempt<'a> {
    /// An operation on a target.
    pub(crate) fn new(operation: &'static str, target: &'a str) -> Self {
        Self { operation, target }
    }

    /// An error of this attempt.
    pub(crate) fn error(self, kind: ErrorKind, message: impl Into<String>) -> DriverError {
        DriverError::new(kind, self.operation, self.target, message)
    }

    /// The engine did not answer in time.
    pub(crate) fn too_late(self, deadline: Duration) -> DriverError {
        let message = format!("the engine did not answer within {} s", deadline.as_secs());
        self.error(ErrorKind::Unavailable, message)
    }

    /// What the engine, or the way to it, reported.
    pub(crate) fn failed(self, error: &Error) -> DriverError {
        let (kind, message) = match error {
            Error::DockerResponseServerError { status_code, message } => {
                let (kind, hint) = classify(Some(*status_code), message);
                (kind, explain(message, hint))
            }
            Error::DockerStreamError { error } => {
                let (kind, hint) = classify(None, error);
                (kind, explain(error, hint))
            }
            Error::RequestTimeoutError => {
                (ErrorKind::Unavailable, "the engine did not answer in time".to_owned())
            }
            other => transport(other),
        };
        self.error(kind, message)
    }
}

fn explain(message: &str, hint: Option<&str>) -> String {
    let message = message.trim();
    match hint {
        Some(hint) => format!("{message}; {hint}"),
        None if message.is_empty() => "the engine gave no reason".to_owned(),
        None => message.to_owned(),
    }
}

/// What the engine's words mean. Its status codes alone do not tell: a port in use, a missing device and a
/// registry that is down all come as 500.
fn classify(status: Option<u16>, message: &str) -> (ErrorKind, Option<&'static str>) {
    let text = message.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["port is already allocated", "address already in use"]) {
        let hint = "stop what uses the host's port, or publish another one";
        return (ErrorKind::Conflict, Some(hint));
    }
    if says(&["name is already in use"]) {
        return (ErrorKind::Conflict, None);
    }
    if says(&["requested cpus are not available", "no command"]) {
        return (ErrorKind::Invalid, None);
    }
    if says(&["toomanyrequests", "rate limit"]) {
        return (ErrorKind::Unavailable, Some("the registry limits requests: try again later"));
    }
    if says(&["no such host", "connection refused", "i/o timeout", "tls handshake", "network is unreachable"])
        || says(&["server misbehaving", "awaiting headers", "temporary failure", "connection reset"])
    {
        return (ErrorKind::Unavailable, Some("the registry cannot be reached from the engine"));
    }
    if says(&["pull access denied", "unauthorized", "authentication required"]) {
        return (ErrorKind::NotFound, Some("check the image's name; a private one has to be pulled by hand"));
    }
    if says(&["manifest unknown", "manifest for", "repository name not known", "no matching manifest"]) {
        return (ErrorKind::NotFound, Some("check the image's name and tag"));
    }
    if says(&["oci runtime"]) && !says(&["is not running"]) {
        // The engine answers 400 when the program is not in the image, 500 for the rest.
        return (ErrorKind::Failed, None);
    }
    if says(&["error gathering device information"]) {
        return (ErrorKind::Failed, Some("the host has no such device"));
    }
    let kind = match status {
        Some(400) => ErrorKind::Invalid,
        Some(401 | 403) => ErrorKind::Denied,
        Some(404) => ErrorKind::NotFound,
        Some(409) => ErrorKind::Conflict,
        Some(405 | 501) => ErrorKind::Unsupported,
        Some(502..=504) => ErrorKind::Unavailable,
        _ => ErrorKind::Failed,
    };
    (kind, None)
}

/// Errors on the way to the engine.
fn transport(error: &Error) -> (ErrorKind, String) {
    if let Error::SocketNotFoundError(path) = error {
        return (ErrorKind::Unavailable, format!("there is no socket {path}: start the Docker engine"));
    }
    match io_error(error).map(std::io::Error::kind) {
        Some(std::io::ErrorKind::PermissionDenied) => {
            let message = "no permission to use the engine's socket: add yourself to the group docker and log \
                           in again, or use sudo";
            (ErrorKind::Denied, message.to_owned())
        }
        Some(
            std::io::ErrorKind::ConnectionRefused
            | std::io::ErrorKind::NotFound
            | std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::UnexpectedEof,
        ) => (ErrorKind::Unavailable, "the Docker engine does not answer: is it running?".to_owned()),
        _ => (kind_of_other(error), last_source(error)),
    }
}

fn kind_of_other(error: &Error) -> ErrorKind {
    match error {
        // What we wanted to send could not be read.
        Error::HyperResponseError { err } if err.is_user() => ErrorKind::Failed,
        Error::HyperLegacyError { .. } | Error::HyperResponseError { .. } | Error::IOError { .. } => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Failed,
    }
}

fn io_error(error: &Error) -> Option<&std::io::Error> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = match error {
        Error::IOError { err } => return Some(err),
        other => other.source(),
    };
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref() {
            return Some(io);
        }
        source = inner.source();
    }
    None
}

/// The innermost error: the client's own wrappers say no more than that a request failed.
fn last_source(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status_code: u16, message: &str) -> DriverError {
        let error = Error::DockerResponseServerError { status_code, message: message.to_owned() };
        Attempt::new("start container", "mn.a").failed(&error)
    }

    #[test]
    fn what_engines_say_is_understood() {
        for (status, message, kind) in [
            (404, "No such container: x", ErrorKind::NotFound),
            (409, "Conflict. The container name \"/x\" is already in use", ErrorKind::Conflict),
            (400, "invalid reference format", ErrorKind::Invalid),
            (400, "No command specified", ErrorKind::Invalid),
            (500, "container create: no command or entrypoint provided", ErrorKind::Invalid),
            (400, "Requested CPUs are not available - requested 7, available: 0-1", ErrorKind::Invalid),
            (500, "creating container storage: that name is already in use", ErrorKind::Conflict),
            (500, "requested CPUs are not available - requested 7, available: 0-1", ErrorKind::Invalid),
            (500, "Bind for 0.0.0.0:8080 failed: port is already allocated", ErrorKind::Conflict),
            (500, "listen tcp4 0.0.0.0:80: bind: address already in use", ErrorKind::Conflict),
            (
                500,
                "error gathering device information while adding custom device \"/dev/x\"",
                ErrorKind::Failed,
            ),
            (
                500,
                "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup x: no such host",
                ErrorKind::Unavailable,
            ),
            (404, "pull access denied for x, repository does not exist", ErrorKind::NotFound),
            (404, "manifest for busybox:x not found: manifest unknown", ErrorKind::NotFound),
            (429, "toomanyrequests: You have reached your pull rate limit", ErrorKind::Unavailable),
            (403, "forbidden by plugin", ErrorKind::Denied),
            (503, "", ErrorKind::Unavailable),
            (500, "OCI runtime create failed", ErrorKind::Failed),
            (400, "OCI runtime create failed: exec: \"/x\": no such file or directory", ErrorKind::Failed),
        ] {
            assert_eq!(answer(status, message).kind, kind, "{status} {message}");
        }
    }

    #[test]
    fn messages_say_what_to_do() {
        assert_eq!(
            answer(500, "Bind for 0.0.0.0:8080 failed: port is already allocated\n").to_string(),
            "start container mn.a: Bind for 0.0.0.0:8080 failed: port is already allocated; stop what uses \
             the host's port, or publish another one"
        );
        assert_eq!(answer(500, "").to_string(), "start container mn.a: the engine gave no reason");
    }

    #[test]
    fn errors_inside_a_stream_are_understood_as_well() {
        let error = Error::DockerStreamError { error: "manifest unknown".to_owned() };
        assert_eq!(Attempt::new("pull image", "x").failed(&error).kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_missing_permission_is_told_from_an_engine_that_is_down() {
        for (io, kind) in [
            (std::io::ErrorKind::PermissionDenied, ErrorKind::Denied),
            (std::io::ErrorKind::ConnectionRefused, ErrorKind::Unavailable),
        ] {
            let error = Attempt::new("ask engine", "docker").failed(&Error::IOError { err: io.into() });
            assert_eq!(error.kind, kind);
        }
    }
}
