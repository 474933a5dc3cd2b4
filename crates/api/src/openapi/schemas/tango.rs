//! What clients of the tango dialect send and are answered.

use serde_json::{Value, json};

use super::placement::PLACEMENT;
use super::{
    REQUEST_STATUSES, REQUEST_TYPES, STATES, about, integer, list, moment, object, of, or_null, text, uuid,
    words,
};

pub(super) fn requests() -> Vec<(&'static str, Value)> {
    let service = || or_null(about("An id or a package's name; none, or `latest`: the newest."));
    let new_request = object([
        ("request_type?", or_null(words(REQUEST_TYPES))),
        ("instance_uuid?", or_null(about("The instance to terminate."))),
        ("service_uuid?", service()),
        ("service_name?", service()),
        ("placement?", or_null(about(PLACEMENT))),
    ]);
    let instantiate = object([
        ("service_uuid?", service()),
        ("service_name?", service()),
        ("placement?", or_null(about(PLACEMENT))),
    ]);
    let stop = object([
        ("service_uuid?", or_null(about("All instances of this service."))),
        ("service_instance_uuid?", or_null(about("This instance; without either, all."))),
    ]);
    vec![("TangoInstantiate", instantiate), ("TangoStop", stop), ("TangoNewRequest", new_request)]
}

pub(super) fn replies() -> Vec<(&'static str, Value)> {
    let uploaded = object([
        ("service_uuid", uuid()),
        ("size", integer()),
        ("sha1", text()),
        ("error", json!({ "type": "null" })),
        ("warnings", list(of("Diagnostic"))),
        ("service_instance_uuid?", uuid()),
        ("request_uuid?", uuid()),
    ]);
    let nothing = json!({ "type": "null" });
    let refused = object([
        ("service_uuid", nothing.clone()),
        ("size", integer()),
        ("sha1", nothing),
        ("error", text()),
        ("code", json!({ "$ref": "#/components/schemas/Error/properties/code" })),
        ("diagnostics", list(of("Diagnostic"))),
        ("others?", list(text())),
    ]);
    let identity = || object([("name", text()), ("version", text())]);
    let descriptor = |kind| {
        let platform = words(&["5gtango"]);
        object([("uuid", uuid()), (kind, identity()), ("created_at", moment()), ("platform", platform)])
    };
    let instance = object([
        ("uuid", uuid()),
        ("service_uuid", uuid()),
        ("instance_name", text()),
        ("status", words(STATES)),
        ("created_at", moment()),
    ]);
    let request = object([
        ("id", uuid()),
        ("request_type", words(REQUEST_TYPES)),
        ("status", words(REQUEST_STATUSES)),
        ("created_at", moment()),
        ("instance_uuid", uuid()),
        ("service_uuid", uuid()),
    ]);
    vec![
        ("TangoUploaded", uploaded),
        ("TangoRefusedUpload", refused),
        ("TangoPackage", object([("uuid", uuid()), ("pd", identity()), ("created_at", moment())])),
        ("TangoService", descriptor("nsd")),
        ("TangoFunction", descriptor("vnfd")),
        ("TangoInstance", instance),
        ("TangoInstantiated", object([("service_instance_uuid", uuid()), ("id", uuid())])),
        ("TangoRequested", object([("service_instance_uuid?", uuid()), ("id", uuid())])),
        ("TangoRequest", request),
    ]
}
