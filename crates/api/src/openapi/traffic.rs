//! The JSON of counters and captures.

use serde_json::{Value, json};

use super::schemas::{about, boolean, integer, object, of, or_null, text, words};

/// The schemas by name.
pub(super) fn all() -> Vec<(&'static str, Value)> {
    let counts = object([("packets", integer()), ("bytes", integer()), ("dropped", integer())]);
    let interface = object([
        ("container", about("Its container's logical name; of one of the host, the access point's.")),
        ("vnf_id", text()),
        ("interface", text()),
        ("datacenter", text()),
        ("sent", or_null(of("Counts"))),
        ("received", or_null(of("Counts"))),
    ]);
    let link = object([
        ("link", text()),
        ("from", text()),
        ("to", text()),
        ("packets", integer()),
        ("bytes", integer()),
        ("dropped", integer()),
    ]);
    let capture = object([
        ("instance?", about("With `container` and `interface`: what is looked at.")),
        ("container?", about("A container's name, or a function's id if that is enough.")),
        ("interface?", about("Its name, or its connection point's id.")),
        ("link?", about("A link of the topology: what is looked at.")),
        ("end?", or_null(about("The data center at the end where it is looked; none: the first."))),
        ("count?", integer()),
        ("seconds?", integer()),
        ("snap_length?", integer()),
    ]);
    let line = json!({ "anyOf": [
        object([
            ("at_ns", integer()),
            ("direction", words(&["sent", "received"])),
            ("length", integer()),
            ("data", json!({ "type": "string", "contentEncoding": "base64" })),
            ("dropped?", integer()),
        ]),
        object([("capturing", boolean())]),
        object([("error", text()), ("code", text()), ("dropped?", integer())]),
        object([("frames", integer()), ("dropped", integer())]),
    ] });
    vec![
        ("Counts", counts),
        ("InterfaceStats", interface),
        ("LinkStats", link),
        ("NewCapture", capture),
        ("CaptureLine", line),
    ]
}
