//! Walking the tree: each value knows its path, and what is wrong with it is noted where it stands.

use std::cell::RefCell;

use super::node::{Kind, Node};
use crate::diagnostic::{Diagnostic, Severity};

/// Findings beyond this number say nothing new and would let a small file make a large reply.
const MAX_FINDINGS: usize = 200;

/// The findings about one document.
#[derive(Debug)]
pub(crate) struct Findings {
    document: String,
    found: RefCell<Vec<Diagnostic>>,
}

impl Findings {
    pub(crate) fn new(document: &str) -> Self {
        Self { document: document.to_owned(), found: RefCell::default() }
    }

    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_FINDINGS {
            found.push(diagnostic);
        } else if found.len() == MAX_FINDINGS {
            found.push(Diagnostic::new(
                diagnostic.severity,
                "too-many-findings",
                &self.document,
                "",
                format!("there are more than {MAX_FINDINGS} findings about this file; the rest is not shown"),
            ));
        } else if let Some(last) = found.last_mut() {
            last.severity = last.severity.min(diagnostic.severity);
        }
    }

    pub(crate) fn document(&self) -> &str {
        &self.document
    }

    /// The top of the document.
    pub(crate) fn root<'a>(&'a self, node: &'a Node) -> Field<'a> {
        Field { findings: self, node, path: String::new(), lenient: false }
    }

    pub(crate) fn into_inner(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }
}

/// A value of a document.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    findings: &'a Findings,
    node: &'a Node,
    /// `virtual_deployment_units[0].id`.
    pub(crate) path: String,
    /// Whether errors are warnings.
    lenient: bool,
}

impl<'a> Field<'a> {
    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    pub(crate) fn findings(&self) -> &'a Findings {
        self.findings
    }

    /// Notes an error at this value.
    pub(crate) fn error(&self, code: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Error, code, message.into(), hint.into());
    }

    /// Notes a warning at this value.
    pub(crate) fn warn(&self, code: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.note(Severity::Warning, code, message.into(), hint.into());
    }

    /// The same for what not all who read the descriptor heed: what is wrong in it is a warning, and left out.
    pub(crate) fn lenient(&self) -> Self {
        Self { lenient: true, ..self.clone() }
    }

    fn note(&self, severity: Severity, code: &str, message: String, hint: String) {
        let severity = if self.lenient { Severity::Warning } else { severity };
        self.findings.push(
            Diagnostic::new(severity, code, &self.findings.document, &self.path, message)
                .hint(hint)
                .at(self.node.line, self.node.column),
        );
    }

    fn child(&self, key: &str, node: &'a Node) -> Self {
        let simple = key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let short: String = key.chars().take(60).collect();
        let path = match (simple, self.path.is_empty()) {
            (true, true) => short,
            (true, false) => format!("{}.{short}", self.path),
            (false, _) => format!("{}[{short:?}]", self.path),
        };
        Self { findings: self.findings, node, path, lenient: self.lenient }
    }

    /// Whether the key is there, even with `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(&self.node.kind, Kind::Map(entries) if entries.iter().any(|entry| entry.key.text == key))
    }

    /// The value of a key; `null` and a missing key are the same.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        let Kind::Map(entries) = &self.node.kind else { return None };
        let entry = entries.iter().find(|entry| entry.key.text == key && !entry.value.is_null())?;
        Some(self.child(key, &entry.value))
    }

    /// The first of several keys that is there.
    pub(crate) fn get_any(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The value of a key that must be a map.
    pub(crate) fn map(&self, key: &str) -> Option<Self> {
        self.get(key).filter(Self::expect_map)
    }

    /// Whether this is a map; notes an error otherwise.
    pub(crate) fn expect_map(&self) -> bool {
        let is_map = matches!(self.node.kind, Kind::Map(_));
        if !is_map {
            self.wrong_type("a map (`key: value`)");
        }
        is_map
    }

    /// The entries of a map, in order.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Kind::Map(entries) = &self.node.kind else { return Vec::new() };
        entries
            .iter()
            .map(|entry| (entry.key.text.as_str(), self.child(&entry.key.text, &entry.value)))
            .collect()
    }

    /// The elements of the list of a key; empty when missing; an error when it is no list.
    pub(crate) fn list(&self, key: &str) -> Vec<Self> {
        self.get(key).map(|field| field.items()).unwrap_or_default()
    }

    /// The elements of a list without its `null`s; an error when it is no list.
    pub(crate) fn items(&self) -> Vec<Self> {
        let Kind::List(items) = &self.node.kind else {
            self.wrong_type("a list (`- item`)");
            return Vec::new();
        };
        let field = |(index, node): (usize, &'a std::rc::Rc<Node>)| Self {
            findings: self.findings,
            node,
            path: format!("{}[{index}]", self.path),
            lenient: self.lenient,
        };
        items.iter().enumerate().filter(|(_, node)| !node.is_null()).map(field).collect()
    }

    /// The elements of the list of a key, where a single value stands for a list of one.
    pub(crate) fn list_or_one(&self, key: &str) -> Vec<Self> {
        match self.get(key) {
            Some(field) if matches!(field.node.kind, Kind::Scalar { .. }) => vec![field],
            Some(field) => field.items(),
            None => Vec::new(),
        }
    }

    fn wrong_type(&self, expected: &str) {
        self.error(
            "wrong-type",
            format!("expected {expected}, got {}", self.node.describe()),
            "see the descriptor's schema",
        );
    }

    /// A scalar as text, blanks around it removed; numbers and booleans as they are written.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.node.kind {
            Kind::Scalar { text, .. } if text.contains('\0') => {
                self.error("wrong-type", "text must not hold zero bytes", "remove the `\\0`");
                None
            }
            Kind::Scalar { text, .. } => Some(text.trim().to_owned()),
            _ => {
                self.wrong_type("a single value");
                None
            }
        }
    }

    /// The text of a key.
    pub(crate) fn text_of(&self, key: &str) -> Option<String> {
        self.get(key)?.text()
    }

    /// A finite number, quoted or not.
    pub(crate) fn number(&self) -> Option<f64> {
        let text = self.text()?;
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        if number.is_none() {
            self.error("wrong-type", format!("expected a number, got `{}`", cut(&text)), "");
        }
        number
    }
}

/// A text for a message, not too long, on one line, and without what a terminal would obey.
pub(crate) fn cut(text: &str) -> String {
    const MAX: usize = 80;
    let mut shown = String::new();
    for c in text.chars().take(MAX) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().count() > MAX { shown + "..." } else { shown }
}
