//! File -> topology, with everything there is to say about the file.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::DcName;

use crate::change::NewLink;
use crate::finding::{Finding, Severity};
use crate::model::{Capacity, DataCenter, Link, LinkEnd, LinkProperties, Topology};
use crate::units::{bandwidth_bps, cpu_milli, duration_us, loss_ppm, memory_bytes};
use crate::yaml::{self, Node, Value};

mod parts;
mod schedule;

pub use parts::{load_datacenter, load_link, load_link_change};
pub use schedule::load_schedule;

/// The MTU that IPv6 needs at least (RFC 8200, section 5), and the one that the underlay carries unfragmented.
const MTU: std::ops::RangeInclusive<u32> = 1280..=9000;
/// More data centers than one host can carry.
pub(crate) const MAX_DATACENTERS: usize = 4096;

/// Reads a topology file (see the crate's page). No topology comes back when any finding is an error; all
/// findings come back together.
#[must_use]
pub fn load(bytes: &[u8]) -> (Option<Topology>, Vec<Finding>) {
    let mut loader = Loader::default();
    let topology = loader.read(bytes, Loader::topology);
    (topology, loader.findings)
}

#[derive(Default)]
struct Loader {
    findings: Vec<Finding>,
    /// Whether keys that are not known are errors: in what is an order, nobody reads warnings in time.
    strict: bool,
}

/// The entries of a map, by key.
type Fields<'a> = BTreeMap<&'a str, &'a Node>;

impl Loader {
    /// What a text says; `None` when any finding is an error.
    fn read<T>(&mut self, bytes: &[u8], part: impl FnOnce(&mut Self, &Node) -> Option<T>) -> Option<T> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.error("", None, "the file is not UTF-8 text: save it in the encoding UTF-8");
            return None;
        };
        let read = match yaml::read(text) {
            Ok(root) => part(self, &root),
            Err(finding) => {
                self.findings.push(finding);
                None
            }
        };
        let failed = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        read.filter(|_| !failed)
    }

    fn add(&mut self, severity: Severity, path: &str, node: Option<&Node>, message: &str) {
        self.findings.push(Finding {
            severity,
            path: path.to_owned(),
            line: node.map(|node| node.line),
            column: node.map(|node| node.column),
            message: message.to_owned(),
        });
    }

    fn error(&mut self, path: &str, node: Option<&Node>, message: &str) {
        self.add(Severity::Error, path, node, message);
    }

    /// A map's entries; keys that are not known are warned of, those that stand there twice, too.
    fn fields<'a>(&mut self, path: &str, node: &'a Node, known: &[&str]) -> Option<Fields<'a>> {
        let Value::Map(entries) = &node.value else {
            let message =
                format!("expected a map with the keys {}, found {}", known.join(", "), node.value.describe());
            self.error(path, Some(node), &message);
            return None;
        };
        let mut fields = Fields::new();
        for (key, value) in entries {
            if !known.contains(&key.as_str()) {
                let (severity, ignored) =
                    if self.strict { (Severity::Error, "") } else { (Severity::Warning, " and ignored") };
                let message = format!("the key is not known{ignored}; known are {}", known.join(", "));
                self.add(severity, &join(path, key), Some(value), &message);
            } else if matches!(value.value, Value::Null) {
                // As if it were not there.
            } else if fields.insert(key, value).is_some() {
                self.error(&join(path, key), Some(value), "the key stands here twice");
            }
        }
        Some(fields)
    }

    fn list<'a>(&mut self, path: &str, node: &'a Node) -> &'a [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.error(path, Some(node), &format!("expected a list, found {}", node.value.describe()));
        &[]
    }

    fn text<'a>(&mut self, path: &str, node: &'a Node) -> Option<&'a str> {
        if let Value::Scalar(text) = &node.value {
            return Some(text);
        }
        self.error(path, Some(node), &format!("expected a single value, found {}", node.value.describe()));
        None
    }

    /// A quantity, when the key is there.
    fn quantity<T>(
        &mut self,
        path: &str,
        fields: &Fields<'_>,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        let node = fields.get(key)?;
        let path = join(path, key);
        match parse(self.text(&path, node)?) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.error(&path, Some(node), expected);
                None
            }
        }
    }

    fn topology(&mut self, root: &Node) -> Option<Topology> {
        let fields = self.fields("", root, &["datacenters", "links"])?;
        let mut datacenters: Vec<DataCenter> = Vec::new();
        let mut names = BTreeSet::new();
        if let Some(node) = fields.get("datacenters") {
            for (position, item) in self.list("datacenters", node).iter().enumerate() {
                let path = format!("datacenters[{position}]");
                let Some(dc) = self.datacenter(&path, item) else { continue };
                if names.insert(dc.name.clone()) {
                    datacenters.push(dc);
                } else {
                    self.error(&path, Some(item), &format!("there is another data center {}", dc.name));
                }
            }
        }
        let any_errors = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        if datacenters.is_empty() && !any_errors {
            self.error(
                "datacenters",
                fields.get("datacenters").copied(),
                "there must be at least one data center",
            );
        }
        if datacenters.len() > MAX_DATACENTERS {
            self.error("datacenters", None, "there can be at most 4096 data centers");
        }
        let mut links: Vec<Link> = Vec::new();
        let mut link_names = BTreeSet::new();
        if let Some(node) = fields.get("links") {
            for (position, item) in self.list("links", node).iter().enumerate() {
                let path = format!("links[{position}]");
                let Some(NewLink { name: given, a, b, up }) = self.link(&path, item, &names) else {
                    continue;
                };
                let name = given.unwrap_or_else(|| free_name(&a.dc, &b.dc, &link_names));
                if link_names.insert(name.clone()) {
                    links.push(Link { name, a, b, up });
                } else {
                    self.error(&path, Some(item), &format!("there is another link {name}"));
                }
            }
        }
        Some(Topology { datacenters, links })
    }

    fn datacenter(&mut self, path: &str, node: &Node) -> Option<DataCenter> {
        if let Value::Scalar(text) = &node.value {
            let name = self.name(path, node, text)?;
            let (metadata, capacity) = (BTreeMap::new(), Capacity::default());
            return Some(DataCenter { name, metadata, capacity, engine: None });
        }
        let fields = self.fields(path, node, &["name", "metadata", "capacity", "engine"])?;
        let mut metadata = BTreeMap::new();
        if let Some(node) = fields.get("metadata") {
            let path = join(path, "metadata");
            match &node.value {
                Value::Map(entries) => {
                    for (key, value) in entries {
                        let text = self.text(&join(&path, key), value);
                        metadata.extend(text.map(|text| (key.clone(), text.to_owned())));
                    }
                }
                other => {
                    self.error(&path, Some(node), &format!("expected a map, found {}", other.describe()))
                }
            }
        }
        let mut capacity = Capacity::default();
        if let Some(node) = fields.get("capacity") {
            let path = join(path, "capacity");
            let fields = self.fields(&path, node, &["cpu", "memory"])?;
            capacity.cpu_milli = self.quantity(&path, &fields, "cpu", cpu_milli);
            capacity.memory_bytes = self.quantity(&path, &fields, "memory", memory_bytes);
        }
        let engine = fields.get("engine").and_then(|node| self.text(&join(path, "engine"), node));
        let Some(name_node) = fields.get("name") else {
            self.error(path, Some(node), "the data center has no name");
            return None;
        };
        let path = join(path, "name");
        let text = self.text(&path, name_node)?;
        let name = self.name(&path, name_node, text)?;
        Some(DataCenter { name, metadata, capacity, engine: engine.map(str::to_owned) })
    }

    fn name(&mut self, path: &str, node: &Node, text: &str) -> Option<DcName> {
        DcName::parse(text).map_err(|error| self.error(path, Some(node), &error.to_string())).ok()
    }

    fn link(&mut self, path: &str, node: &Node, known: &BTreeSet<DcName>) -> Option<NewLink> {
        const KEYS: [&str; 11] = [
            "ends",
            "name",
            "bandwidth",
            "delay",
            "jitter",
            "loss",
            "mtu",
            "queue",
            "forward",
            "backward",
            "up",
        ];
        let (ends_path, ends, fields) = if matches!(node.value, Value::List(_)) {
            (path.to_owned(), node, Fields::new())
        } else {
            let fields = self.fields(path, node, &KEYS)?;
            let Some(ends) = fields.get("ends").copied() else {
                self.error(path, Some(node), "the link has no ends: write ends: [dc1, dc2]");
                return None;
            };
            (join(path, "ends"), ends, fields)
        };
        let both = self.properties(path, &fields, LinkProperties::default());
        let direction = |loader: &mut Self, key: &str| {
            let Some(node) = fields.get(key) else { return Some(both) };
            let path = join(path, key);
            let fields = loader.fields(&path, node, &KEYS[2..8])?;
            Some(loader.properties(&path, &fields, both))
        };
        let (forward, backward) = (direction(self, "forward"), direction(self, "backward"));
        let up = self.quantity(path, &fields, "up", truth).unwrap_or(true);
        let name = match fields.get("name") {
            None => None,
            Some(node) => Some(self.text(&join(path, "name"), node)?.to_owned()),
        };
        let mut dcs = Vec::new();
        for item in self.list(&ends_path, ends) {
            let text = self.text(&ends_path, item)?;
            let dc = self.name(&ends_path, item, text)?;
            if !known.contains(&dc) {
                self.error(&ends_path, Some(item), &format!("there is no data center {dc}"));
                return None;
            }
            dcs.push(dc);
        }
        let Ok([a, b]) = <[DcName; 2]>::try_from(dcs) else {
            self.error(&ends_path, Some(ends), "a link has two ends: write [dc1, dc2]");
            return None;
        };
        if a == b {
            self.error(&ends_path, Some(ends), &format!("the link joins {a} to itself"));
            return None;
        }
        let (a, b) = (LinkEnd { dc: a, egress: forward? }, LinkEnd { dc: b, egress: backward? });
        Some(NewLink { name, a, b, up })
    }

    /// The properties that the fields set, over those given.
    fn properties(&mut self, path: &str, fields: &Fields<'_>, mut base: LinkProperties) -> LinkProperties {
        let mtu = |text: &str| {
            let number = text.parse().ok().filter(|mtu| MTU.contains(mtu));
            number.ok_or("expected a number of bytes from 1280 to 9000")
        };
        let queue = |text: &str| {
            let number = text.parse().ok().filter(|packets| (1..=1_000_000).contains(packets));
            number.ok_or("expected a number of packets from 1 to 1000000")
        };
        let bandwidth = self.quantity(path, fields, "bandwidth", bandwidth_bps);
        base.bandwidth_bps = bandwidth.or(base.bandwidth_bps);
        let delay = self.quantity(path, fields, "delay", duration_us);
        let jitter = self.quantity(path, fields, "jitter", duration_us);
        let both_read = delay.is_some() == fields.contains_key("delay")
            && jitter.is_some() == fields.contains_key("jitter");
        base.delay_us = delay.unwrap_or(base.delay_us);
        base.jitter_us = jitter.unwrap_or(base.jitter_us);
        base.loss_ppm = self.quantity(path, fields, "loss", loss_ppm).unwrap_or(base.loss_ppm);
        base.mtu = self.quantity(path, fields, "mtu", mtu).or(base.mtu);
        base.queue_packets = self.quantity(path, fields, "queue", queue).or(base.queue_packets);
        if both_read && base.jitter_us > base.delay_us {
            let node = fields.get("jitter").or_else(|| fields.get("delay")).copied();
            self.error(
                path,
                node,
                "the jitter is larger than the delay: packets cannot arrive before they leave",
            );
        }
        base
    }
}

/// `true` and `false`, and nothing else that somebody may take for one of them.
fn truth(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "expected true or false")
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `dc1-dc2`, and `dc1-dc2.2` for a parallel link.
pub(crate) fn free_name(a: &DcName, b: &DcName, taken: &BTreeSet<String>) -> String {
    let plain = format!("{a}-{b}");
    let numbered = (2_u32..).map(|number| format!("{plain}.{number}"));
    std::iter::once(plain.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(plain)
}

#[cfg(test)]
mod tests;
