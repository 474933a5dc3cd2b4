//! Ports that a unit listens on and ports that it publishes.

use std::collections::BTreeSet;

use llcm_names::{Port, Protocol};

use crate::yaml::{Field, Kind, cut};

/// What one or more connection points say about ports.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    pub(crate) exposed: Vec<(Port, Protocol)>,
    pub(crate) published: Vec<(Port, Protocol, Port)>,
    seen: BTreeSet<(Port, Protocol, Option<Port>)>,
}

impl Ports {
    /// Adds `port`, `ports` and `publish` of a connection point.
    pub(crate) fn read(&mut self, point: &Field<'_>) {
        let single = point.get("port").into_iter();
        for field in single.chain(point.list_or_one("ports")) {
            // Some write the element as a map of its own: `{id, port, target_port}`.
            let is_map = matches!(field.node().kind, Kind::Map(_));
            let field = if is_map { field.get("port") } else { Some(field) };
            let Some(port) = field.and_then(|field| port(&field, &field.text()?)) else { continue };
            if self.seen.insert((port.0, port.1, None)) {
                self.exposed.push(port);
            }
        }
        for (key, value) in point.map("publish").iter().flat_map(Field::entries) {
            let container = port(&value, key);
            let host = value.text().and_then(|text| port(&value, &text));
            let (Some((container, protocol)), Some((host, _))) = (container, host) else { continue };
            let entry = (container, protocol, host);
            if self.seen.insert((container, protocol, Some(host))) {
                self.published.push(entry);
            }
        }
    }
}

/// `139`, `"137/udp"`.
fn port(field: &Field<'_>, text: &str) -> Option<(Port, Protocol)> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let number = number.trim().parse::<u64>().ok().and_then(|number| Port::try_from(number).ok());
    let protocol = protocol.trim().parse::<Protocol>().ok();
    if let (Some(number), Some(protocol)) = (number, protocol) {
        return Some((number, protocol));
    }
    field.error(
        "invalid-port",
        format!("`{}` is no port", cut(text)),
        "write a number from 1 to 65535, with `/udp` behind it for UDP",
    );
    None
}
