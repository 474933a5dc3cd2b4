//! The links of a file and their properties.

use llcm_names::DcName;

use super::{Fields, Loader, join};
use crate::change::NewLink;
use crate::model::{LinkEnd, LinkProperties};
use crate::units::{bandwidth_bps, duration_us, loss_ppm, whole};
use crate::yaml::{Node, Value};

/// The MTU that IPv6 needs at least (RFC 8200, section 5), and the one that the underlay carries unfragmented.
const MTU: std::ops::RangeInclusive<u32> = 1280..=9000;
/// Packets in a queue.
const QUEUE: std::ops::RangeInclusive<u32> = 1..=1_000_000;

/// The keys of one direction.
const PROPERTIES: [&str; 6] = ["bandwidth", "delay", "jitter", "loss", "mtu", "queue"];
/// The keys of a link of a template: those of both directions, and of each where it differs.
const BOTH: [&str; 8] = ["bandwidth", "delay", "jitter", "loss", "mtu", "queue", "forward", "backward"];
/// The keys of a link.
const LINK: [&str; 11] =
    ["ends", "name", "bandwidth", "delay", "jitter", "loss", "mtu", "queue", "forward", "backward", "up"];

/// The properties of a link: from its first end to its second, and back.
pub(super) type Directions = (LinkProperties, LinkProperties);

impl Loader {
    pub(super) fn links(&mut self, node: &Node) {
        for (position, item) in self.list("links", node).iter().enumerate() {
            let path = format!("links[{position}]");
            if let Err(full) = self.assembly.room(0, 1) {
                return self.error(&path, item, full);
            }
            if let Some(link) = self.link(&path, item)
                && let Err(problem) = self.assembly.add_link(link)
            {
                self.error(&path, item, problem);
            }
        }
    }

    pub(super) fn link(&mut self, path: &str, node: &Node) -> Option<NewLink> {
        let (ends_path, ends, fields) = if matches!(node.value, Value::List(_)) {
            (path.to_owned(), node, Fields::new())
        } else {
            let fields = self.fields(path, node, &LINK)?;
            let Some(ends) = fields.get("ends").copied() else {
                self.error(path, node, "the link has no ends: write ends: [dc1, dc2]");
                return None;
            };
            (join(path, "ends"), ends, fields)
        };
        let directions = self.directions(path, &fields);
        let name = self.quantity(path, &fields, "name", link_name);
        let up = self.quantity(path, &fields, "up", truth).unwrap_or(true);
        let [a, b] = self.ends(&ends_path, ends)?;
        let (forward, backward) = directions?;
        let (a, b) = (LinkEnd { dc: a, egress: forward }, LinkEnd { dc: b, egress: backward });
        Some(NewLink { name, a, b, up })
    }

    fn ends(&mut self, path: &str, node: &Node) -> Option<[DcName; 2]> {
        let mut dcs = Vec::new();
        let items = self.list(path, node);
        if let [first, second] = items {
            for item in [first, second] {
                let text = self.text(path, item)?;
                let dc = self.name(path, item, text)?;
                if !self.assembly.has(&dc) {
                    // In a file they are to be seen, and it may have very many such ends.
                    let known = if self.strict { self.assembly.known() } else { String::new() };
                    self.error(path, item, format!("there is no data center {dc}{known}"));
                    return None;
                }
                dcs.push(dc);
            }
        } else if matches!(node.value, Value::List(_)) {
            self.error(path, node, "a link has two ends: write [dc1, dc2]");
            return None;
        }
        let ends = <[DcName; 2]>::try_from(dcs).ok()?;
        if ends[0] == ends[1] {
            self.error(path, node, format!("the link joins {} to itself", ends[0]));
            return None;
        }
        Some(ends)
    }

    /// The properties that a template gives its links.
    pub(super) fn template_links(&mut self, path: &str, node: &Node) -> Option<Directions> {
        let fields = self.fields(path, node, &BOTH)?;
        self.directions(path, &fields)
    }

    /// What the fields say of both directions.
    fn directions(&mut self, path: &str, fields: &Fields<'_>) -> Option<Directions> {
        let both = self.properties(path, fields, LinkProperties::default());
        let mut direction = |key: &str| {
            let Some(node) = fields.get(key) else { return Some(both) };
            let path = join(path, key);
            let fields = self.fields(&path, node, &PROPERTIES)?;
            Some(self.properties(&path, &fields, both))
        };
        let (forward, backward) = (direction("forward"), direction("backward"));
        Some((forward?, backward?))
    }

    /// The properties that the fields set, over those given.
    pub(super) fn properties(
        &mut self,
        path: &str,
        fields: &Fields<'_>,
        mut base: LinkProperties,
    ) -> LinkProperties {
        let mtu = |text: &str| whole(text, MTU).ok_or("expected a number of bytes from 1280 to 9000");
        let queue = |text: &str| whole(text, QUEUE).ok_or("expected a number of packets from 1 to 1000000");
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
        // Without either key here the fault is not here, and was told where it is.
        if let Some(node) = fields.get("jitter").or_else(|| fields.get("delay"))
            && both_read
            && base.jitter_us > base.delay_us
        {
            self.error(
                path,
                node,
                "the jitter is larger than the delay: packets cannot arrive before they leave",
            );
        }
        base
    }
}

/// Bytes of a link's name: a network driver keeps it with its own mark in an interface's alias, which has room for 255.
pub(crate) const MAX_LINK_NAME: usize = 200;

/// The name of a link, or of a schedule, which are shown alike.
pub(super) fn link_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > MAX_LINK_NAME || text.chars().any(char::is_control) {
        return Err(format!("expected a name of 1 to {MAX_LINK_NAME} bytes without control characters"));
    }
    Ok(text.to_owned())
}

/// `true` and `false`, and nothing else that somebody may take for one of them.
pub(super) fn truth(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "expected true or false")
}
