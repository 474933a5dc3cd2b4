//! What is wrong or noteworthy in a topology file, with its place.

use serde::{Deserialize, Serialize};

/// Findings of one file that are told; nobody reads more, and a file of errors alone must not fill the memory.
const MAX_FINDINGS: usize = 1000;
/// Of these the warnings: they must not hide the errors behind them.
const MAX_WARNINGS: usize = 500;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// There is no topology.
    Error,
    /// There is one, but perhaps not the one that is meant.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The place within the file (`links[1].delay`); empty for the file as a whole.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, counted in characters.
    pub column: u32,
    /// What is wrong and what to do, for people.
    pub message: String,
}

impl Finding {
    pub(crate) fn new(severity: Severity, path: &str, place: Place, message: String) -> Self {
        let Place { line, column } = place;
        Self { severity, path: path.to_owned(), line, column, message }
    }
}

/// `error: 7:12: links[1].delay: ...`
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A place in a file: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    /// Where every file begins.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn new(line: usize, column: usize) -> Self {
        let number = |from| u32::try_from(from).unwrap_or(u32::MAX).max(1);
        Self { line: number(line), column: number(column) }
    }

    /// The place behind a text that the file begins with.
    pub(crate) fn behind(text: &str) -> Self {
        let line = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self::new(line, last.chars().count() + 1)
    }
}

/// The findings of one file, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    warnings: usize,
    failed: bool,
    left_out: usize,
}

impl Findings {
    pub(crate) fn error(&mut self, path: &str, place: Place, message: impl Into<String>) {
        self.failed = true;
        self.add(Severity::Error, path, place, message.into());
    }

    pub(crate) fn warning(&mut self, path: &str, place: Place, message: impl Into<String>) {
        self.warnings += 1;
        if self.warnings <= MAX_WARNINGS {
            self.add(Severity::Warning, path, place, message.into());
        } else {
            self.left_out += 1;
        }
    }

    fn add(&mut self, severity: Severity, path: &str, place: Place, message: String) {
        if self.list.len() < MAX_FINDINGS {
            self.list.push(Finding::new(severity, path, place, message));
        } else {
            self.left_out += 1;
        }
    }

    /// Whether there is any error.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// All of them; of very many the first, with a last one that says how many are left out.
    pub(crate) fn into_list(mut self) -> Vec<Finding> {
        if self.left_out > 0 {
            let severity = if self.failed { Severity::Error } else { Severity::Warning };
            let message = format!("{} more findings are not shown", self.left_out);
            self.list.push(Finding::new(severity, "", Place::START, message));
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters() {
        for (text, line, column) in
            [("", 1, 1), ("ab", 1, 3), ("a\n", 2, 1), ("a\nä€", 2, 3), ("\n\n\n", 4, 1)]
        {
            assert_eq!(Place::behind(text), Place { line, column }, "{text:?}");
        }
    }

    #[test]
    fn of_very_many_findings_the_first_are_told_and_how_many_there_are() {
        let mut findings = Findings::default();
        for _ in 0..MAX_FINDINGS + 7 {
            findings.warning("x", Place::START, "again");
        }
        assert!(!findings.failed());
        findings.error("x", Place::START, "what matters");
        let list = findings.into_list();
        assert_eq!(list.len(), MAX_WARNINGS + 2);
        assert_eq!(list[MAX_WARNINGS].to_string(), "error: 1:1: x: what matters");
        assert_eq!(list[MAX_WARNINGS + 1].to_string(), "error: 1:1: 507 more findings are not shown");
    }
}
