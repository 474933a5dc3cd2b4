//! How many files this process may have open: each data center needs four, and the usual limit is 1024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for 16,000 data centers; programs that go through all numbers up to the limit still end.
const ENOUGH: u64 = 65_536;

/// Raises the limit to what is enough, or to what the administrator allows. Where that is less than a topology needs, the
/// network driver says so.
pub(crate) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }) {
        log::warn!("the limit of open files stays at {current:?}: {error}");
    }
}
