//! The JSON of `GET /graph`.

use serde_json::{Value, json};

use super::{STATES, about, boolean, integer, list, map, object, of, or_null, text, uuid, words};

/// The schemas by name.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let capacity = object([
        ("cpu_milli", limit("Thousandths of a CPU; null: not limited.")),
        ("memory_bytes", limit("null: not limited.")),
    ]);
    let datacenter = object([
        ("name", text()),
        ("metadata", map(text())),
        ("capacity", capacity),
        ("engine", or_null(about("Its container engine, where it is not the server's default one."))),
    ]);
    let egress = object([
        ("bandwidth_bps", limit("null: not limited.")),
        ("delay_us", amount("One way, in microseconds.")),
        ("jitter_us", amount("The largest deviation from the delay.")),
        ("loss_ppm", amount("Lost packets per million.")),
        ("mtu", limit("Bytes; null: 9000.")),
        ("queue_packets", limit("null: as the rate needs.")),
    ]);
    let link_end = object([("dc", text()), ("egress", egress)]);
    let link = object([
        ("name", text()),
        ("a", of("GraphLinkEnd")),
        ("b", of("GraphLinkEnd")),
        ("up", json!({ "type": "boolean" })),
    ]);
    let instance = instance();
    let graph = object([
        ("datacenters", list(datacenter)),
        ("links", list(of("GraphLink"))),
        ("instances", list(of("GraphInstance"))),
    ]);
    vec![("Graph", graph), ("GraphLink", link), ("GraphLinkEnd", link_end), ("GraphInstance", instance)]
}

fn amount(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

fn limit(description: &str) -> Value {
    or_null(amount(description))
}

/// What an instance has, and how it is joined.
fn instance() -> Value {
    let unit = object([
        ("name", about("Its logical name, unique in the instance.")),
        ("vnf_id", or_null(about("Its function; null: it is a service access point."))),
        ("datacenter", text()),
        ("on_host", json!({ "type": "boolean", "description": "Whether it is an interface of the host." })),
    ]);
    let path = object([
        ("from", text()),
        ("to", text()),
        ("links", or_null(list(about("By name, first to last; null: there is no way now.")))),
        ("delay_us", amount("The sum of the links' delays.")),
        ("bandwidth_bps", limit("Of the slowest link; null: not limited.")),
        ("mtu", amount("The largest IP packet that passes, in bytes.")),
    ]);
    let end = || object([("unit", text()), ("interface", text())]);
    let left_out = || {
        amount("How many paths are left out because there are too many; absent: none. Then `paths` is empty.")
    };
    let paths = json!({
        "type": "array",
        "items": path.clone(),
        "description": "One for each ordered pair of the data centers that it has ends in. None for more than 32 data \
                        centers, nor after about 16 MiB of paths: see paths_left_out.",
    });
    let segment = object([
        ("id", about("The link's id in the NSD, or `<vnf_id>:<link id>`.")),
        ("kind", words(&["E-Line", "E-LAN", "E-Tree"])),
        ("ends", list(end())),
        ("paths", paths),
        ("paths_left_out?", left_out()),
    ]);
    let chain = object([
        ("id", amount("Its number.")),
        ("source", end()),
        ("destination", end()),
        ("bidirectional", boolean()),
        ("match", about("Which frames; empty: all.")),
        ("priority", integer()),
        ("paths", list(path)),
        ("paths_left_out?", left_out()),
    ]);
    object([
        ("id", uuid()),
        ("name", text()),
        ("state", words(STATES)),
        ("units", list(unit)),
        ("segments", list(segment)),
        ("chains", list(chain)),
    ])
}
