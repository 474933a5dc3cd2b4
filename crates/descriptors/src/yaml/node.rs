//! The tree.

use std::rc::Rc;

/// A value with its place. Aliases share the node they refer to.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// From 1.
    pub(crate) line: u32,
    /// From 1.
    pub(crate) column: u32,
    /// Nodes and bytes of text in this subtree, aliases counted as often as they are used.
    pub(super) weight: usize,
    /// Levels in this subtree, aliases included; 1 for a scalar.
    pub(super) height: usize,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// A number, string, boolean or null: the text, and whether it stands there without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key with its value. Keys are unique in their map.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) value: Rc<Node>,
}

/// A key: numbers and strings alike by their text.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Node {
    /// YAML 1.2 core schema, tag `null`: what stands for "missing" in real descriptors.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// A scalar's text.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// What this is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            _ if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }
}
