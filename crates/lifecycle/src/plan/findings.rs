//! The findings of a plan, gathered so that all of them come back together.

use llcm_descriptors::{Diagnostic, Severity};

/// A list of findings in the making.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Diagnostic>,
    failed: bool,
}

/// Where a finding is: document and path.
pub(super) type Place<'a> = (&'a str, &'a str);

impl Findings {
    /// Something that forbids the plan.
    pub(super) fn error(&mut self, code: &str, (document, path): Place<'_>, message: String, hint: &str) {
        self.failed = true;
        self.list.push(Diagnostic::new(Severity::Error, code, document, path, message).hint(hint));
    }

    /// Something to know.
    pub(super) fn warn(&mut self, code: &str, (document, path): Place<'_>, message: String, hint: &str) {
        self.list.push(Diagnostic::new(Severity::Warning, code, document, path, message).hint(hint));
    }

    /// All of them.
    pub(super) fn into_list(self) -> Vec<Diagnostic> {
        self.list
    }

    /// The value with the warnings, or all findings when there is an error among them.
    pub(super) fn finish<T>(self, value: T) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
        if self.failed { Err(self.list) } else { Ok((value, self.list)) }
    }
}
