//! From the kernel's answers to the kinds of error that callers branch on.

use std::io;

use llcm_netlink::NetlinkError;
use llcm_runtime::{DriverError, DriverResult, ErrorKind};
use rustix::io::Errno;

/// Says what was done to what when it fails.
pub(crate) trait Context<T> {
    /// Turns a failure into a driver error of the given operation and target.
    fn during(self, operation: &'static str, target: &str) -> DriverResult<T>;
}

impl<T> Context<T> for Result<T, NetlinkError> {
    fn during(self, operation: &'static str, target: &str) -> DriverResult<T> {
        self.map_err(|error| refused(&error, operation, target))
    }
}

/// The kernel's answer as a driver error of the given operation and target.
pub(crate) fn refused(error: &NetlinkError, operation: &'static str, target: &str) -> DriverError {
    let kind = match error {
        // A queueing discipline or device kind that this kernel does not know is ENOENT with words.
        NetlinkError::Refused { text, .. } if text.contains("nknown") => ErrorKind::Unsupported,
        _ => kind_of(error.errno()),
    };
    explained(kind, operation, target, &error.to_string())
}

impl<T> Context<T> for io::Result<T> {
    fn during(self, operation: &'static str, target: &str) -> DriverResult<T> {
        self.map_err(|error| {
            let kind = match error.raw_os_error() {
                None if error.kind() == io::ErrorKind::TimedOut => ErrorKind::Unavailable,
                number => kind_of(number.map(Errno::from_raw_os_error)),
            };
            explained(kind, operation, target, &error.to_string())
        })
    }
}

impl<T> Context<T> for Result<T, Errno> {
    fn during(self, operation: &'static str, target: &str) -> DriverResult<T> {
        self.map_err(io::Error::from).during(operation, target)
    }
}

fn kind_of(errno: Option<Errno>) -> ErrorKind {
    match errno {
        Some(Errno::PERM | Errno::ACCESS) => ErrorKind::Denied,
        Some(Errno::EXIST) => ErrorKind::Conflict,
        Some(Errno::NODEV) => ErrorKind::NotFound,
        Some(Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => ErrorKind::Unsupported,
        Some(Errno::AGAIN | Errno::TIMEDOUT | Errno::NOBUFS | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Failed,
    }
}

fn explained(kind: ErrorKind, operation: &'static str, target: &str, said: &str) -> DriverError {
    let message = match kind {
        ErrorKind::Denied => {
            format!("{said}; run as root, or with the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN")
        }
        ErrorKind::Unsupported => format!("{said}; this kernel lacks what the operation needs"),
        _ => said.to_owned(),
    };
    DriverError::new(kind, operation, target, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_privilege_is_named() {
        let result: DriverResult<()> = Err(Errno::PERM).during("make network namespace", "llcm-00000000-dc1");
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
        assert!(error.to_string().starts_with("make network namespace llcm-00000000-dc1: "), "{error}");
    }

    #[test]
    fn what_took_too_long_may_be_tried_again() {
        let slow = io::Error::new(io::ErrorKind::TimedOut, "somebody has it");
        let error = Err::<(), _>(slow).during("lock", "it").unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Unavailable, "somebody has it"));
    }

    #[test]
    fn an_unknown_queueing_discipline_is_unsupported() {
        let refused = NetlinkError::Refused {
            source: Errno::NOENT.into(),
            text: "Specified qdisc kind is unknown".to_owned(),
        };
        let result: DriverResult<()> = Err(refused).during("limit bandwidth", "dc1-dc2");
        assert_eq!(result.unwrap_err().kind, ErrorKind::Unsupported);
    }
}
