//! File descriptors: each data center holds four, two namespaces with a socket in each.

use std::fs;

use llcm_runtime::{DriverError, DriverResult, ErrorKind};
use rustix::process::{Resource, getrlimit};

/// What an open data center holds.
const EACH: usize = 4;
/// What is left for everything else: ports being made, records, connections of whoever uses the driver.
const SPARE: usize = 100;

/// Checks that so many more data centers can be opened, before anything is made.
///
/// # Errors
/// `Unavailable`, with what to do.
pub(crate) fn check_descriptors(more: usize) -> DriverResult<()> {
    if more == 0 {
        return Ok(());
    }
    let limit = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
    // Where it cannot be counted, the kernel will say so.
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    enough(more, open, limit)
}

fn enough(more: usize, open: usize, limit: usize) -> DriverResult<()> {
    let needed = more.saturating_mul(EACH).saturating_add(open).saturating_add(SPARE);
    if needed <= limit {
        return Ok(());
    }
    let message = format!(
        "{needed} open files are needed, {EACH} for each, and this process may have {limit}: raise RLIMIT_NOFILE \
         (ulimit -n, LimitNOFILE of systemd)"
    );
    Err(DriverError::new(ErrorKind::Unavailable, "open", format!("{more} more data centers"), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_descriptors_are_told_with_what_to_do() {
        enough(1024, 20, 4216).unwrap();
        let error = enough(1024, 21, 4216).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        for word in ["4217", "4216", "RLIMIT_NOFILE", "1024 more data centers"] {
            assert!(error.to_string().contains(word), "{error}");
        }
        assert!(enough(usize::MAX, 1, 1024).is_err());
    }
}
