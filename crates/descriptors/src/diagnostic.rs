//! What is wrong or noteworthy in a package, with its place.

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The package cannot be on-boarded.
    Error,
    /// The package works, but perhaps not as its author thinks.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// A stable kebab-case word for programs ("unknown-vnfd").
    pub code: String,
    /// The file within the package; empty for the package as a whole.
    pub document: String,
    /// The place within the document (`virtual_deployment_units[1].id`); empty for the document as a whole.
    pub path: String,
    /// Line, from 1, where known.
    pub line: Option<u32>,
    /// Column, from 1, where known.
    pub column: Option<u32>,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it; empty when the message says it all.
    pub hint: String,
}

impl Diagnostic {
    /// A finding about a document; further fields are set with the struct update syntax or the builders.
    #[must_use]
    pub fn new(
        severity: Severity,
        code: &str,
        document: impl Into<String>,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code: code.to_owned(),
            document: document.into(),
            path: path.into(),
            line: None,
            column: None,
            message: message.into(),
            hint: String::new(),
        }
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// With a place in the text, both from 1.
    #[must_use]
    pub fn at(mut self, line: u32, column: u32) -> Self {
        self.line = Some(line);
        self.column = Some(column);
        self
    }
}

/// `error[unknown-vnfd]: Definitions/nsd.yaml:12:3: network_functions[0]: ... (hint)`.
impl std::fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}[{}]: ", self.code)?;
        // What was sent by itself, and not in a package, has no name; its lines can be counted all the same.
        let document = Some(self.document.clone()).filter(|name| !name.is_empty());
        let line = self.line.map(|line| line.to_string());
        let column = self.column.filter(|_| line.is_some()).map(|column| column.to_string());
        let place: Vec<String> = [document, line, column].into_iter().flatten().collect();
        if !place.is_empty() {
            write!(f, "{}: ", place.join(":"))?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " ({})", self.hint) }
    }
}
