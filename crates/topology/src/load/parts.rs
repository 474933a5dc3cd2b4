//! Parts of a topology by themselves: what is asked for while services run on it. The keys and units are those of the
//! file; JSON is read as well, for it is YAML.

use super::links::truth;
use super::{Fields, Loader, join};
use crate::assemble::Assembly;
use crate::change::{LinkChange, NewLink};
use crate::finding::Finding;
use crate::model::{DataCenter, LinkProperties, Topology};
use crate::units::{bandwidth_bps, duration_us, loss_ppm};
use crate::yaml::Node;

/// The keys of a change of a link.
pub(super) const CHANGE: [&str; 8] = ["from", "up", "bandwidth", "delay", "jitter", "loss", "mtu", "queue"];

/// Reads a change of a link: a map with `up`, with the properties that become different, and with `from`, the data
/// center that the direction leaves which they are of, where it is not both. `none` takes a limit away.
#[must_use]
pub fn load_link_change(bytes: &[u8]) -> (Option<LinkChange>, Vec<Finding>) {
    strict(bytes, |loader, root| {
        let fields = loader.fields("", root, &CHANGE)?;
        Some(loader.link_change("", &fields))
    })
}

/// Reads a link as it stands in the list of a file.
#[must_use]
pub fn load_link(bytes: &[u8], topology: &Topology) -> (Option<NewLink>, Vec<Finding>) {
    strict(bytes, |loader, root| {
        loader.assembly = Assembly::of(topology);
        loader.link("", root)
    })
}

/// Reads a data center as it stands in the list of a file.
#[must_use]
pub fn load_datacenter(bytes: &[u8]) -> (Option<DataCenter>, Vec<Finding>) {
    strict(bytes, |loader, root| loader.datacenter("", root))
}

/// What is an order is understood in whole or refused.
pub(super) fn strict<T>(
    bytes: &[u8],
    part: impl FnOnce(&mut Loader, &Node) -> Option<T>,
) -> (Option<T>, Vec<Finding>) {
    Loader { strict: true, ..Loader::default() }.read(bytes, |loader, text| {
        let root = loader.yaml(text)?;
        part(loader, &root)
    })
}

impl Loader {
    /// A change of the fields that are there.
    pub(super) fn link_change(&mut self, path: &str, fields: &Fields<'_>) -> LinkChange {
        let from = fields.get("from").and_then(|node| {
            let path = join(path, "from");
            let text = self.text(&path, node)?;
            self.name(&path, node, text)
        });
        // The values by themselves are checked as those of a file are; whether they go together is for the link to say.
        let stated = |key: &str| fields.get(key).is_some_and(|node| !node.says("none"));
        let limits: Fields<'_> = fields
            .iter()
            .filter(|(key, _)| matches!(**key, "mtu" | "queue") && stated(key))
            .map(|(k, v)| (*k, *v))
            .collect();
        let read: LinkProperties = self.properties(path, &limits, LinkProperties::default());
        let limit = |key: &str, value: Option<u32>| fields.contains_key(key).then_some(value);
        let bandwidth = match stated("bandwidth") {
            true => self.quantity(path, fields, "bandwidth", bandwidth_bps).map(Some),
            false => fields.contains_key("bandwidth").then_some(None),
        };
        LinkChange {
            from,
            up: self.quantity(path, fields, "up", truth),
            bandwidth_bps: bandwidth,
            delay_us: self.quantity(path, fields, "delay", duration_us),
            jitter_us: self.quantity(path, fields, "jitter", duration_us),
            loss_ppm: self.quantity(path, fields, "loss", loss_ppm),
            mtu: limit("mtu", read.mtu),
            queue_packets: limit("queue", read.queue_packets),
        }
    }
}
