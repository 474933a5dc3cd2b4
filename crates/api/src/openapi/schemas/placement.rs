//! The JSON of requests that may name a placement.

use serde_json::Value;

use super::{about, object, or_null};

/// What is said of a request's placement.
pub(super) const PLACEMENT: &str = "The placement algorithm of this instance; none: as the settings say.";

/// A request for an instance.
pub(super) fn new_instance() -> Value {
    object([
        ("service", about("An id, a package's name, or `latest`.")),
        ("placement?", or_null(about(PLACEMENT))),
    ])
}
