//! Waiting for what the kernel does not tell.

use std::time::Duration;

use rustix::event::{Timespec, poll};

/// Lets time pass, for what has no event to wait for: queues that empty, devices that begin to carry frames, namespaces that
/// end. A signal makes it shorter.
pub(crate) fn pause(time: Duration) {
    let time = Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    };
    if let Err(error) = poll(&mut [], Some(&time)) {
        log::debug!("a pause was cut short: {error}");
    }
}
