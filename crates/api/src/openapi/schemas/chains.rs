//! Chains.

use serde_json::Value;

use super::{about, boolean, integer, moment, object, uuid};

/// What is posted.
pub(super) fn wanted() -> Value {
    let end = || about("`container:interface`, or a container alone for its first interface.");
    object([
        ("source", end()),
        ("destination", end()),
        ("bidirectional?", boolean()),
        ("match?", about("Fields of OpenFlow, `field=value,...`; all frames if left out.")),
        ("priority?", integer()),
        ("cookie?", integer()),
    ])
}

/// What comes back.
pub(super) fn added() -> Value {
    object([
        ("id", integer()),
        ("instance", uuid()),
        ("source", about("`container:interface`")),
        ("destination", about("`container:interface`")),
        ("bidirectional", boolean()),
        ("match", about("In canonical form; empty: all frames.")),
        ("priority", integer()),
        ("cookie", integer()),
        ("created_at", moment()),
    ])
}
