//! Connection points that become network interfaces.

use std::collections::BTreeMap;

use ipnetwork::IpNetwork;
use llcm_names::{IfName, MacAddr};

use crate::model::Interface;
use crate::yaml::{Field, Kind, cut};

/// The `connection_points` of a function or unit, ids and interface names unique.
pub(crate) fn interfaces(owner: &Field<'_>) -> Vec<Interface> {
    let mut names: BTreeMap<IfName, String> = BTreeMap::new();
    let mut interfaces = Vec::new();
    for point in owner.list("connection_points") {
        let Some(interface) = interface(&point) else { continue };
        match names.get(&interface.name) {
            Some(id) if *id == interface.id => point.warn(
                "duplicate-connection-point",
                format!("the connection point `{}` stands here again and is ignored", cut(id)),
                "remove it, or give it an id of its own",
            ),
            Some(id) => point.error(
                "interface-name-clash",
                format!(
                    "the connection points `{}` and `{}` would both be the interface `{}`",
                    cut(id),
                    cut(&interface.id),
                    interface.name
                ),
                "rename one of them: `:`, `.`, `_` and blanks all become `-`",
            ),
            None => {
                names.insert(interface.name.clone(), interface.id.clone());
                interfaces.push(interface);
            }
        }
    }
    interfaces
}

fn interface(point: &Field<'_>) -> Option<Interface> {
    if !point.expect_map() {
        return None;
    }
    let Some(id) = point.text_of("id") else {
        point.error("missing-id", "the connection point has no `id`", "give it one: it names the interface");
        return None;
    };
    let name = IfName::derive(&id).map_err(|error| {
        point.error("invalid-id", error.to_string(), "give the connection point another id");
    });
    Some(Interface {
        id,
        name: name.ok()?,
        kind: kind(point),
        address: point.get_any(&["address", "ip"]).and_then(|field| address(&field)),
        mac: point.get("mac").and_then(|field| mac(&field)),
    })
}

/// `type`; a map in some old descriptors, which says nothing that is needed.
pub(crate) fn kind(point: &Field<'_>) -> String {
    let kind = point.get("type").filter(|field| matches!(field.node().kind, Kind::Scalar { .. }));
    kind.and_then(|field| field.text()).unwrap_or_default()
}

/// Whether a value is a template that no tool has filled in; such values occur in published packages.
fn is_template(field: &Field<'_>, text: &str) -> bool {
    let is_template = text.contains("{{");
    if is_template {
        field.warn(
            "unreplaced-template",
            format!("`{}` is a template that was not filled in; it is ignored", cut(text)),
            "write the value, or leave it out",
        );
    }
    is_template
}

fn address(field: &Field<'_>) -> Option<IpNetwork> {
    let text = field.text()?;
    if is_template(field, &text) {
        return None;
    }
    let problem = match (text.parse::<IpNetwork>(), text.contains('/')) {
        (Err(_), _) => "is no address",
        (Ok(_), false) => "has no prefix length",
        (Ok(network), true) if !is_host(network) => "is no address of a host in its network",
        (Ok(network), true) => return Some(network),
    };
    field.error(
        "invalid-address",
        format!("`{}` {problem}", cut(&text)),
        "write an address with its prefix length, for example 10.0.0.1/24",
    );
    None
}

/// Whether an interface can have this address: unicast, not of the loopback, and in a network that is larger
/// than a point-to-point link neither the first nor, for IPv4, the last one.
fn is_host(network: IpNetwork) -> bool {
    let ip = network.ip();
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() {
        return false;
    }
    match network {
        IpNetwork::V4(v4) => v4.prefix() > 30 || (v4.ip() != v4.network() && v4.ip() != v4.broadcast()),
        IpNetwork::V6(v6) => v6.prefix() > 126 || v6.ip() != v6.network(),
    }
}

fn mac(field: &Field<'_>) -> Option<MacAddr> {
    let text = field.text()?;
    if is_template(field, &text) {
        return None;
    }
    let mac = MacAddr::parse(&text);
    if let Err(error) = &mac {
        field.error("invalid-mac", error.to_string(), "write a unicast address such as 02:00:00:00:00:01");
    }
    mac.ok()
}
