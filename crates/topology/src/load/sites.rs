//! The data centers of a file.

use std::collections::BTreeMap;

use llcm_names::DcName;

use super::{Fields, Loader, join};
use crate::assemble::metadata_fits;
use crate::model::{Capacity, DataCenter};
use crate::units::{cpu_milli, memory_bytes};
use crate::yaml::{Node, Value};

/// Characters of an engine's name.
pub(crate) const MAX_ENGINE: usize = 255;

/// What is said of a data center beside its name.
#[derive(Debug, Default, Clone)]
pub(super) struct Traits {
    metadata: BTreeMap<String, String>,
    capacity: Capacity,
    engine: Option<String>,
}

impl Traits {
    /// A data center of that name.
    pub(super) fn named(self, name: DcName) -> DataCenter {
        let Self { metadata, capacity, engine } = self;
        DataCenter { name, metadata, capacity, engine }
    }
}

impl Loader {
    pub(super) fn sites(&mut self, node: &Node) {
        for (position, item) in self.list("datacenters", node).iter().enumerate() {
            let path = format!("datacenters[{position}]");
            if let Err(full) = self.assembly.room(1, 0) {
                return self.error(&path, item, full);
            }
            if let Some(datacenter) = self.datacenter(&path, item)
                && let Err(problem) = self.assembly.add_datacenter(datacenter)
            {
                self.error(&path, item, problem);
            }
        }
    }

    pub(super) fn datacenter(&mut self, path: &str, node: &Node) -> Option<DataCenter> {
        if let Value::Scalar(text) = &node.value {
            return Some(Traits::default().named(self.name(path, node, text)?));
        }
        let fields = self.fields(path, node, &["name", "metadata", "capacity", "engine"])?;
        let traits = self.traits(path, &fields);
        let Some(name_node) = fields.get("name") else {
            self.error(path, node, "the data center has no name");
            return None;
        };
        let path = join(path, "name");
        let text = self.text(&path, name_node)?;
        Some(traits?.named(self.name(&path, name_node, text)?))
    }

    /// What the fields say of a data center.
    pub(super) fn traits(&mut self, path: &str, fields: &Fields<'_>) -> Option<Traits> {
        let mut metadata = BTreeMap::new();
        if let Some(node) = fields.get("metadata") {
            let path = join(path, "metadata");
            match &node.value {
                Value::Map(entries) => {
                    let bytes = entries.iter().map(|entry| entry.key.len() + entry.value.bytes()).sum();
                    if let Err(full) = metadata_fits(entries.len(), bytes) {
                        self.error(&path, node, full);
                        return None;
                    }
                    for entry in entries {
                        let path = join(&path, &entry.key);
                        let text = self.text(&path, &entry.value).map(str::to_owned);
                        if text.is_some_and(|text| metadata.insert(entry.key.clone(), text).is_some()) {
                            self.findings.error(&path, entry.place, "the key stands here twice");
                        }
                    }
                }
                other => self.error(&path, node, format!("expected a map, found {}", other.describe())),
            }
        }
        let mut capacity = Capacity::default();
        if let Some(node) = fields.get("capacity") {
            let path = join(path, "capacity");
            let fields = self.fields(&path, node, &["cpu", "memory"])?;
            capacity.cpu_milli = self.quantity(&path, &fields, "cpu", cpu_milli);
            capacity.memory_bytes = self.quantity(&path, &fields, "memory", memory_bytes);
        }
        let engine = self.quantity(path, fields, "engine", engine);
        Some(Traits { metadata, capacity, engine })
    }

    pub(super) fn name(&mut self, path: &str, node: &Node, text: &str) -> Option<DcName> {
        DcName::parse(text).map_err(|error| self.error(path, node, error.to_string())).ok()
    }
}

fn engine(text: &str) -> Result<String, String> {
    if text.is_empty() || text.chars().count() > MAX_ENGINE {
        return Err(format!("expected the name of an engine, of 1 to {MAX_ENGINE} characters"));
    }
    Ok(text.to_owned())
}
