//! Changes of links over time, written out: every change with its time, repetitions unrolled.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::change::LinkChange;

/// The most changes that a schedule may have, repetitions unrolled.
pub const MAX_CHANGES: usize = 10_000;

/// Changes of links over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What it is called, for people.
    pub name: Option<String>,
    /// At least one, earliest first; those of one time in the order of the file.
    pub changes: Vec<ScheduledChange>,
}

/// A change of a link at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledChange {
    /// Microseconds after the schedule's beginning.
    pub at_us: u64,
    /// The link. Shared, because repetitions name it again and again.
    pub link: Arc<str>,
    /// What becomes different.
    pub change: LinkChange,
    /// Where it stands in the file.
    pub origin: Origin,
}

/// The place of a change in a schedule file; that of all rounds where it is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Within the file (`changes[1].changes[0]`). Shared, as the link is.
    pub path: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, counted in characters.
    pub column: u32,
}

/// As a finding begins: `7:3: changes[2]`.
impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.path)
    }
}

impl Schedule {
    /// The links that it changes.
    #[must_use]
    pub fn links(&self) -> BTreeSet<&str> {
        self.changes.iter().map(|change| &*change.link).collect()
    }
}
