//! The JSON schema of topology files, for editors (<https://json-schema.org>, draft 2020-12).
//!
//! A test holds it against the loader: it accepts what [`load()`](crate::load()) has no findings about, as far as a
//! schema can tell. What it cannot tell stands in `docs/topology.md`, and in the same test.

use serde_json::{Map, Value, json};

use crate::assemble::{MAX_DATACENTERS, MAX_LINKS, MAX_METADATA};
use crate::load::{MAX_ENGINE, MAX_LINK_NAME};
use crate::model::DEFAULT_MTU;

/// A decimal number as quantities have it.
const NUMBER: &str = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)";
/// A number alone, with an exponent if need be.
const BARE: &str = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?";

/// The schema.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Topology of llcm",
        "description": "Data centers and the links between them. See docs/topology.md.",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "datacenters": or_null(json!({
                "description": "Data centers, in the order that placement follows.",
                "type": "array",
                "maxItems": MAX_DATACENTERS,
                "items": reference("datacenter"),
            })),
            "links": or_null(json!({
                "description": "Links between data centers.",
                "type": "array",
                "maxItems": MAX_LINKS,
                "items": reference("link"),
            })),
            "templates": or_null(json!({
                "description": "Rings, stars, trees, full meshes and grids; they come behind what is written out.",
                "type": "array",
                "items": reference("template"),
            })),
        },
        "anyOf": [some("datacenters"), some("templates")],
        "$defs": definitions(),
    })
}

fn definitions() -> Value {
    json!({
        "name": {
            "description": "Letters, digits, _, . and -, beginning with a letter or a digit, at most 64; not ending in .ul.",
            "anyOf": [
                { "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$", "not": { "pattern": r"\.ul$" } },
                // What other readers take for numbers and booleans are names all the same.
                { "type": "number", "minimum": 0 },
                { "type": "boolean" },
            ],
        },
        "text": { "type": ["string", "number", "boolean"] },
        "datacenter": {
            "anyOf": [
                reference("name"),
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["name"],
                    "properties": with(json!({ "name": reference("name") }), traits()),
                },
            ],
        },
        "capacity": {
            "description": "What the data center offers; what is not stated is not limited.",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "cpu": or_null(quantity("CPUs.", &format!("^\\s*{BARE}\\s*$"), json!({ "minimum": 0.0005, "maximum": 1_000_000 }))),
                "memory": or_null(quantity(
                    "Bytes, or with a unit: 8GiB. K, M, G and T are powers of 1024.",
                    &format!("^\\s*(?:{BARE}|{NUMBER}\\s*(?:[bB]|[kKmMgGtT](?:[iI]?[bB])?))\\s*$"),
                    json!({ "minimum": 0.5, "maximum": 1_u64 << 50 }),
                )),
            },
        },
        "ends": {
            "description": "The two data centers that the link joins.",
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "uniqueItems": true,
            "items": reference("name"),
        },
        "link": {
            "anyOf": [
                reference("ends"),
                {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["ends"],
                    "properties": with(json!({ "ends": reference("ends"), "name": or_null(link_name()), "up": or_null(up()) }), directions()),
                },
            ],
        },
        "direction": { "type": "object", "additionalProperties": false, "properties": properties() },
        "template": { "anyOf": templates() },
    })
}

/// What is said of a data center beside its name.
fn traits() -> Value {
    json!({
        "metadata": or_null(json!({
            "description": "Anything; nothing is decided by it.",
            "type": "object",
            "maxProperties": MAX_METADATA,
            "additionalProperties": reference("text"),
        })),
        "capacity": or_null(reference("capacity")),
        "engine": or_null(json!({
            "description": "The container engine, as the server calls it, where it is not its default one.",
            "type": ["string", "number", "boolean"],
            "minLength": 1,
            "maxLength": MAX_ENGINE,
        })),
    })
}

fn link_name() -> Value {
    json!({
        "description": "Unique. Without it the link is named by its ends.",
        "type": ["string", "number", "boolean"],
        "pattern": format!("^[^\\u0000-\\u001f\\u007f-\\u009f]{{1,{MAX_LINK_NAME}}}$"),
    })
}

fn up() -> Value {
    json!({
        "description": "Whether the link carries traffic. Default: true.",
        "enum": [true, false, "true", "false"],
    })
}

/// The properties of both directions, and of each where it differs.
fn directions() -> Value {
    let mut both = properties();
    for (key, description) in
        [("forward", "From the first end to the second, where it differs."), ("backward", "And back.")]
    {
        both[key] = or_null(json!({ "description": description, "$ref": "#/$defs/direction" }));
    }
    both
}

fn properties() -> Value {
    let duration = |description| {
        let pattern =
            format!("^\\s*(?:{NUMBER}\\s*(?:us|µs|ms|s)|(?:0+\\.?0*|\\.0+)(?:[eE][+-]?[0-9]+)?)\\s*$");
        or_null(quantity(description, &pattern, json!({ "const": 0 })))
    };
    let whole = |description: &str, least: u32, most: u32| {
        or_null(json!({ "description": description, "anyOf": [
            { "type": "integer", "minimum": least, "maximum": most },
            { "type": "string", "pattern": "^\\s*[0-9]+(?:\\.0*)?\\s*$" },
        ] }))
    };
    json!({
        "bandwidth": or_null(quantity(
            "Bits per second, or with a unit: 100Mbps. From 1bps to 100Tbps. Default: not limited.",
            &format!("^\\s*(?:{BARE}|{NUMBER}\\s*[kKmMgGtT]?(?:[bB][pP][sS]|[bB][iI][tT])(?:/[sS])?)\\s*$"),
            json!({ "minimum": 0.5, "maximum": 100_000_000_000_000_u64 }),
        )),
        "delay": duration("One way, with a unit: 10ms. Up to 60s. Default: 0."),
        "jitter": duration("The largest deviation from the delay, with a unit; not larger than it. Default: 0."),
        "loss": or_null(quantity(
            "Packets that are lost: 0.1%, 50ppm, or a share from 0 to 1. Default: 0.",
            &format!("^\\s*(?:{BARE}|{NUMBER}\\s*(?:%|ppm))\\s*$"),
            json!({ "minimum": 0, "maximum": 1 }),
        )),
        "mtu": whole(&format!("The largest IP packet in bytes that passes unfragmented. Default: {DEFAULT_MTU}."), 1280, 9000),
        "queue": whole("Packets that may wait. Default: as the rate needs.", 1, 1_000_000),
    })
}

fn templates() -> Vec<Value> {
    let size = |description: &str, least: u32| {
        json!({ "description": description, "anyOf": [
            { "type": "integer", "minimum": least, "maximum": MAX_DATACENTERS },
            { "type": "string", "pattern": "^\\s*[0-9]+(?:\\.0*)?\\s*$" },
        ] })
    };
    let template = |shapes: &[&str], sizes: Value| {
        let required: Vec<_> = ["shape", "prefix"]
            .into_iter()
            .map(str::to_owned)
            .chain(sizes.as_object().into_iter().flat_map(Map::keys).cloned())
            .collect();
        let common = json!({
            "shape": { "enum": shapes },
            "prefix": {
                "description": "What the names of the data centers begin with; a number follows.",
                "anyOf": [
                    { "type": "string", "pattern": "^(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,62})?$" },
                    { "type": "number", "minimum": 0 },
                    { "type": "boolean" },
                ],
            },
            "links": or_null(json!({
                "description": "The properties of each link.",
                "type": "object",
                "additionalProperties": false,
                "properties": directions(),
            })),
        });
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": with(with(common, traits()), sizes),
        })
    };
    let mut grid = template(
        &["grid"],
        json!({ "rows": size("Rows.", 1), "columns": size("Columns; there are at least two data centers.", 1) }),
    );
    grid["anyOf"] = json!([{ "properties": { "rows": { "minimum": 2 } } }, { "properties": { "columns": { "minimum": 2 } } }]);
    vec![
        template(&["ring"], json!({ "count": size("Data centers; each is joined to the next.", 3) })),
        template(
            &["star", "mesh"],
            json!({ "count": size("Data centers; the first is a star's centre, in a mesh each is joined to each.", 2) }),
        ),
        template(
            &["tree"],
            json!({ "fanout": size("Data centers below each.", 1), "depth": size("Levels below the root.", 1) }),
        ),
        grid,
    ]
}

/// A quantity: a text of that pattern, or a number of those bounds.
fn quantity(description: &str, pattern: &str, number: Value) -> Value {
    let number = with(json!({ "type": "number" }), number);
    json!({ "description": description, "anyOf": [{ "type": "string", "pattern": pattern }, number] })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A key whose value may be nothing, as if the key were not there.
fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// A list of that key that is not empty.
fn some(key: &str) -> Value {
    json!({ "required": [key], "properties": { key: { "type": "array", "minItems": 1 } } })
}

/// The entries of two objects.
fn with(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            first.extend(second);
            first.into()
        }
        (first, _) => first,
    }
}
