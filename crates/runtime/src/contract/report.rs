//! What became of the cases.

use std::fmt;
use std::time::Duration;

use crate::DriverError;

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The rule is kept.
    Passed,
    /// The rule is broken; what was expected and what was found.
    Failed(String),
    /// Nobody can tell: the driver has no such power, or the probe cannot see it; why.
    NotSeen(String),
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Its name.
    pub name: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took, clean-up included.
    pub time: Duration,
}

/// All cases, in the order in which they ran. Its `Display` is a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The cases.
    pub results: Vec<CaseResult>,
}

impl Report {
    /// Ok when every case passed but those named in `not_seen`, and those were not seen.
    ///
    /// # Errors
    /// All that is otherwise, in words, a line each.
    pub fn verdict(&self, not_seen: &[&str]) -> Result<(), String> {
        let mut lines = Vec::new();
        for CaseResult { name, outcome, .. } in &self.results {
            match outcome {
                Outcome::Passed if not_seen.contains(name) => {
                    lines.push(format!(
                        "{name}: passed, though it is listed as not seen: take it off the list"
                    ));
                }
                Outcome::NotSeen(why) if !not_seen.contains(name) => {
                    lines.push(format!("{name}: was not seen ({why}), though it is not listed as such"));
                }
                Outcome::Failed(why) => lines.push(format!("{name}: {why}")),
                Outcome::Passed | Outcome::NotSeen(_) => {}
            }
        }
        if self.results.is_empty() {
            lines.push("no case was run".to_owned());
        }
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |wanted: fn(&Outcome) -> bool| {
            self.results.iter().filter(|result| wanted(&result.outcome)).count()
        };
        for CaseResult { name, outcome, time } in &self.results {
            let (word, why) = match outcome {
                Outcome::Passed => ("ok", ""),
                Outcome::Failed(why) => ("FAILED", why.as_str()),
                Outcome::NotSeen(why) => ("not seen", why.as_str()),
            };
            writeln!(
                f,
                "{word:<8} {:>6} ms  {name}{}{why}",
                time.as_millis(),
                if why.is_empty() { "" } else { ": " }
            )?;
        }
        let passed = count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let not_seen = count(|outcome| matches!(outcome, Outcome::NotSeen(_)));
        write!(f, "contract: {passed} passed, {failed} failed, {not_seen} not seen")
    }
}

/// Why a case ends early.
#[derive(Debug)]
pub(super) enum Stop {
    Failed(String),
    NotSeen(String),
}

pub(super) type Checked = Result<(), Stop>;

impl From<DriverError> for Stop {
    fn from(error: DriverError) -> Self {
        Self::Failed(format!("{error} ({:?})", error.kind))
    }
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Ends the case as failed unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::contract::report::Stop::Failed(format!($($message)+)));
        }
    };
}
pub(super) use ensure;

/// Ends the case as failed unless both are equal; shows both.
macro_rules! ensure_eq {
    ($got:expr, $expected:expr, $what:literal) => {
        match (&$got, &$expected) {
            (got, expected) => {
                if got != expected {
                    return Err($crate::contract::report::Stop::Failed(format!(
                        "{}: expected {expected:?}, got {got:?}",
                        format_args!($what)
                    )));
                }
            }
        }
    };
}
pub(super) use ensure_eq;
