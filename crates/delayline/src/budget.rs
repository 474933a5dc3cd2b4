//! How much memory waiting frames may take, all links together: a program that the kernel ends for lack of memory takes all
//! links with it.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The memory's part that frames may take.
const PART: u64 = 4;
/// What is assumed where the memory's size cannot be read.
const UNKNOWN: u64 = 1 << 30;

/// Memory of waiting frames.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u64,
    taken: AtomicU64,
    told: AtomicBool,
}

impl Budget {
    /// A quarter of this machine's memory.
    pub(crate) fn of_machine() -> Self {
        let known = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
        Self::of(known.map_or(UNKNOWN, |bytes| bytes / PART))
    }

    pub(crate) fn of(most: u64) -> Self {
        Self { most, taken: AtomicU64::new(0), told: AtomicBool::new(false) }
    }

    /// Whether no more frames may wait; said in the log the first time.
    pub(crate) fn is_spent(&self) -> bool {
        let spent = self.taken.load(Ordering::Relaxed) >= self.most;
        if spent && !self.told.swap(true, Ordering::Relaxed) {
            log::warn!("frames on their way take {} bytes of memory: more are dropped", self.most);
        }
        spent
    }

    /// What frames of a line took, and what they take now.
    pub(crate) fn moved(&self, before: u64, after: u64) {
        if after >= before {
            self.taken.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.taken.fetch_sub(before - after, Ordering::Relaxed);
        }
    }
}

/// The machine's memory, by `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(total("MemTotal:        8000 kB\nMemFree: 1 kB\n"), Some(8_192_000));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(Budget::of_machine().most > 0);
    }

    #[test]
    fn it_is_spent_when_all_is_taken_and_not_when_some_is_given_back() {
        let budget = Budget::of(100);
        budget.moved(0, 60);
        assert!(!budget.is_spent());
        budget.moved(0, 40);
        assert!(budget.is_spent());
        budget.moved(60, 30);
        assert!(!budget.is_spent());
    }
}
