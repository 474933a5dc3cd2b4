//! Links, data centers and schedules.

use serde_json::{Value, json};

use super::{about, boolean, integer, list, map, moment, object, of, or_null, text, uuid, words};

/// A quantity as in a topology file.
fn quantity(example: &str) -> Value {
    json!({ "type": ["string", "number"], "description": format!("As in a topology file: `{example}`.") })
}

fn quantities() -> Vec<(&'static str, Value)> {
    vec![
        ("bandwidth?", quantity("100Mbps")),
        ("delay?", quantity("10ms")),
        ("jitter?", quantity("1ms")),
        ("loss?", quantity("0.1%")),
        ("mtu?", quantity("1500")),
        ("queue?", quantity("1000")),
    ]
}

fn with<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    let all: Vec<_> = fields.into_iter().chain(quantities()).collect();
    super::object_of(&all)
}

pub(super) fn requests() -> Vec<(&'static str, Value)> {
    let from = || about("The data center that the direction leaves which changes; without it, both do.");
    let change = with([("from?", from()), ("up?", boolean())]);
    let both = || super::object_of(&quantities());
    let link = with([
        ("ends", json!({ "type": "array", "items": text(), "minItems": 2, "maxItems": 2 })),
        ("name?", text()),
        ("up?", boolean()),
        ("forward?", both()),
        ("backward?", both()),
    ]);
    let short = json!({ "type": "array", "items": text(), "minItems": 2, "maxItems": 2 });
    let capacity = object([("cpu?", quantity("4")), ("memory?", quantity("8GiB"))]);
    let datacenter = object([("name", text()), ("metadata?", map(text())), ("capacity?", capacity)]);
    let time = || quantity("1.5s");
    let single = || with([("at", time()), ("link", text()), ("from?", from()), ("up?", boolean())]);
    let repeated =
        object([("at", time()), ("repeat", integer()), ("every", time()), ("changes", list(single()))]);
    let schedule = object([("name?", text()), ("changes", list(json!({ "anyOf": [single(), repeated] })))]);
    vec![
        ("LinkChange", change),
        ("NewLink", json!({ "anyOf": [short, link] })),
        ("NewDatacenter", json!({ "anyOf": [text(), datacenter] })),
        ("NewSchedule", schedule),
    ]
}

pub(super) fn replies() -> Vec<(&'static str, Value)> {
    let direction = object([
        ("from", text()),
        ("to", text()),
        ("bandwidth_bps", or_null(integer())),
        ("delay_us", integer()),
        ("jitter_us", integer()),
        ("loss_ppm", integer()),
        ("mtu", or_null(integer())),
        ("queue_packets", or_null(integer())),
        (
            "emulated_by",
            or_null(about(
                "How that is emulated, in words; `null`: the host has no link, or could not be asked.",
            )),
        ),
    ]);
    let both = json!({ "type": "array", "items": direction, "minItems": 2, "maxItems": 2 });
    let link = object([
        ("name", text()),
        ("up", json!({ "type": "boolean", "description": "Whether it is to carry traffic." })),
        (
            "carries",
            or_null(json!({
                "type": "boolean",
                "description": "Whether the host's link does; `null`: no instance lives, and the host has none, or it could not be asked.",
            })),
        ),
        ("directions", both),
        ("not_emulated", list(text())),
        ("schedule", or_null(uuid())),
    ]);
    let datacenter = object([
        ("name", text()),
        ("metadata", map(text())),
        ("cpu_milli", or_null(integer())),
        ("memory_bytes", or_null(integer())),
        ("engine", text()),
        ("instances", list(uuid())),
    ]);
    let change = object([
        ("at_us", integer()),
        ("link", text()),
        ("change", text()),
        ("begun_us", or_null(integer())),
        ("made_us", or_null(integer())),
    ]);
    let schedule = object([
        ("id", uuid()),
        ("name", or_null(text())),
        ("state", words(&["running", "done", "stopped", "failed"])),
        ("began_at", moment()),
        ("error", or_null(text())),
        ("links", list(text())),
        ("total", integer()),
        ("made", integer()),
        ("worst_delay_us", or_null(integer())),
        ("mean_delay_us", or_null(integer())),
        ("changes?", list(of("ScheduledChange"))),
    ]);
    vec![
        ("DatacenterLink", link),
        ("Datacenter", datacenter),
        ("Schedule", schedule),
        ("ScheduledChange", change),
    ]
}
