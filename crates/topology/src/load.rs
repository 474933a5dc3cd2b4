//! File -> topology, with everything there is to say about the file.

mod links;
mod parts;
mod schedule;
mod sites;
mod templates;

use std::collections::BTreeMap;

use crate::assemble::Assembly;
use crate::finding::{Finding, Findings, Place};
use crate::graphml;
use crate::model::Topology;
use crate::yaml::{self, Node, Value};

pub(crate) use links::MAX_LINK_NAME;
pub use parts::{load_datacenter, load_link, load_link_change};
pub use schedule::load_schedule;
pub(crate) use sites::MAX_ENGINE;

/// Bytes of a file: more than the largest topology needs.
pub const MAX_BYTES: usize = 8 << 20;

/// Reads a topology file (see the crate's page), or GraphML as the Internet Topology Zoo publishes it. No topology comes back when any finding is an error; all
/// findings come back together, of more than a thousand the first.
#[must_use]
pub fn load(bytes: &[u8]) -> (Option<Topology>, Vec<Finding>) {
    Loader::default().read(bytes, |loader, text| {
        if graphml::is_xml(text) {
            return graphml::load(text, &mut loader.findings);
        }
        let root = loader.yaml(text)?;
        loader.topology(&root)
    })
}

#[derive(Default)]
struct Loader {
    findings: Findings,
    assembly: Assembly,
    /// Whether keys that are not known are errors: in what is an order, nobody reads warnings in time.
    strict: bool,
}

/// The values of a map, by key.
type Fields<'a> = BTreeMap<&'a str, &'a Node>;

impl Loader {
    /// What a file says, and all findings; nothing when any of them is an error.
    fn read<T>(
        mut self,
        bytes: &[u8],
        part: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> (Option<T>, Vec<Finding>) {
        let read = self.utf8(bytes).and_then(|text| part(&mut self, text));
        (read.filter(|_| !self.findings.failed()), self.findings.into_list())
    }

    fn utf8<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a str> {
        if bytes.len() > MAX_BYTES {
            self.findings.error("", Place::START, "the file is larger than 8 MiB");
            return None;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(error) => {
                let before = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                let message = "the file is not UTF-8 text: save it in the encoding UTF-8";
                self.findings.error("", Place::behind(before), message);
                None
            }
        }
    }

    fn yaml(&mut self, text: &str) -> Option<Node> {
        yaml::read(text).map_err(|(place, message)| self.findings.error("", place, message)).ok()
    }

    fn error(&mut self, path: &str, node: &Node, message: impl Into<String>) {
        self.findings.error(path, node.place, message);
    }

    /// A map's values; keys that are not known are warned of, or errors; those that stand there twice are errors.
    fn fields<'a>(&mut self, path: &str, node: &'a Node, known: &[&str]) -> Option<Fields<'a>> {
        let Value::Map(entries) = &node.value else {
            let message =
                format!("expected a map with the keys {}, found {}", known.join(", "), node.value.describe());
            self.error(path, node, message);
            return None;
        };
        let mut fields = Fields::new();
        for entry in entries {
            let key = entry.key.as_str();
            if !known.contains(&key) {
                let ignored = if self.strict { "" } else { " and ignored" };
                let message = format!("the key is not known{ignored}; known are {}", known.join(", "));
                self.unknown(&join(path, key), entry.place, message);
            } else if matches!(entry.value.value, Value::Null) {
                // As if it were not there.
            } else if fields.insert(key, &entry.value).is_some() {
                self.findings.error(&join(path, key), entry.place, "the key stands here twice");
            }
        }
        Some(fields)
    }

    fn unknown(&mut self, path: &str, place: Place, message: String) {
        if self.strict {
            self.findings.error(path, place, message);
        } else {
            self.findings.warning(path, place, message);
        }
    }

    fn list<'a>(&mut self, path: &str, node: &'a Node) -> &'a [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.error(path, node, format!("expected a list, found {}", node.value.describe()));
        &[]
    }

    fn text<'a>(&mut self, path: &str, node: &'a Node) -> Option<&'a str> {
        if let Value::Scalar(text) = &node.value {
            return Some(text);
        }
        self.error(path, node, format!("expected a single value, found {}", node.value.describe()));
        None
    }

    /// A quantity, when the key is there.
    fn quantity<T, E: Into<String>>(
        &mut self,
        path: &str,
        fields: &Fields<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let node = fields.get(key)?;
        let path = join(path, key);
        match parse(self.text(&path, node)?) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.error(&path, node, expected);
                None
            }
        }
    }

    fn topology(&mut self, root: &Node) -> Option<Topology> {
        let fields = self.fields("", root, &["datacenters", "links", "templates"])?;
        if let Some(node) = fields.get("datacenters") {
            self.sites(node);
        }
        // Links name data centers of templates, too, and are named before those of templates are.
        let templates = fields.get("templates").map_or_else(Vec::new, |node| self.templates(node));
        if self.assembly.is_empty() && !self.findings.failed() {
            let node = fields.get("datacenters").copied().unwrap_or(root);
            self.error("datacenters", node, "there must be at least one data center");
        }
        if let Some(node) = fields.get("links") {
            self.links(node);
        }
        templates.iter().for_each(|template| self.join_template(template));
        Some(std::mem::take(&mut self.assembly).finish())
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests;
