//! The JSON of requests and replies, as JSON Schema (draft 2020-12, the one of OpenAPI 3.1).

use serde_json::{Map, Value, json};

use super::traffic;
use crate::codes::Code;

mod chains;
mod graph;
mod placement;
mod tango;
mod topology;

use placement::new_instance;

/// A reference to a schema of [`all`].
pub(super) fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object with these fields; those whose name ends in `?` may be absent.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    object_of(&fields)
}

fn object_of(fields: &[(&str, Value)]) -> Value {
    let names = fields.iter().map(|(name, _)| *name);
    let required: Vec<_> = names.filter(|name| !name.ends_with('?')).collect();
    let properties: Map<_, _> =
        fields.iter().map(|(name, schema)| (name.trim_end_matches('?').to_owned(), schema.clone())).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn about(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

pub(super) fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

pub(super) fn boolean() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn integer() -> Value {
    json!({ "type": "integer" })
}

fn uuid() -> Value {
    json!({ "type": "string", "format": "uuid" })
}

fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn list(items: Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn map(values: Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// Of a kind, or `null`.
pub(super) fn or_null(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// Done and in all.
fn pair() -> Value {
    let item = integer();
    json!({ "type": "array", "prefixItems": [item, item], "minItems": 2, "maxItems": 2 })
}

/// The schemas by name.
pub(super) fn all() -> Value {
    let mut all: Map<String, Value> = Map::new();
    let network = [topology::replies(), topology::requests(), graph::schemas(), traffic::all()];
    let parts = [shared(), audit(), services(), instances()].into_iter().chain(network);
    for part in parts.chain([streams(), tango::requests(), tango::replies()]) {
        all.extend(part.into_iter().map(|(name, schema)| (name.to_owned(), schema)));
    }
    all.into()
}

fn audit() -> Vec<(&'static str, Value)> {
    let event = object([
        ("id", text()),
        ("at", moment()),
        ("listener?", about("The address listened on; absent for commands of the server's machine.")),
        ("dialect?", text()),
        ("peer?", about("Where the request came from.")),
        ("by", about("`token:NAME`, `loopback`, or `user:UID` of a command.")),
        ("method", about("The method, or `CLI`.")),
        ("route", about("The route as documented, or the command.")),
        ("path", about("The path asked for, without the query.")),
        ("ended_at", or_null(moment())),
        ("status", or_null(integer())),
        ("code", or_null(text())),
        ("objects", map(list(text()))),
    ]);
    vec![("AuditEvent", event)]
}

fn shared() -> Vec<(&'static str, Value)> {
    let codes: Vec<_> = Code::ALL.iter().map(|code| code.row().code).collect();
    let details = object([
        ("diagnostics?", list(of("Diagnostic"))),
        ("others?", list(text())),
        ("allow?", about("The methods that the resource knows.")),
        ("limit?", json!({ "type": "integer", "description": "The limit in bytes." })),
        ("instance?", uuid()),
        ("request?", uuid()),
    ]);
    let error = object([
        ("error", about("What is wrong and what to do, for people.")),
        ("code", words(&codes)),
        ("details", details),
    ]);
    let diagnostic = object([
        ("severity", words(&["error", "warning"])),
        ("code", text()),
        ("document", about("The file within the package; empty for the package as a whole.")),
        ("path", about("The place within the document; empty for the document as a whole.")),
        ("line", or_null(integer())),
        ("column", or_null(integer())),
        ("message", text()),
        ("hint", about("What to do about it; empty when the message says it all.")),
    ]);
    vec![
        ("Document", json!({ "type": "object", "additionalProperties": true })),
        ("Text", text()),
        ("Error", error),
        ("Diagnostic", diagnostic),
        ("Triple", object([("vendor", text()), ("name", text()), ("version", text())])),
    ]
}

fn services() -> Vec<(&'static str, Value)> {
    let package = object([("kind", words(&["tgo", "son"])), ("id", of("Triple"))]);
    let function =
        object([("id", uuid()), ("vnfd", of("Triple")), ("vnf_ids", list(text())), ("created_at", moment())]);
    let service = object([
        ("id", uuid()),
        ("dialect", words(&["tango", "sonata"])),
        ("package", package),
        ("sha1", about("Of the package file, in hexadecimal.")),
        ("size", json!({ "type": "integer", "description": "Of the package file, in bytes." })),
        ("nsd", of("Triple")),
        ("functions", list(of("Function"))),
        ("created_at", moment()),
        ("warnings", list(of("Diagnostic"))),
        ("instances", list(uuid())),
    ]);
    vec![
        ("Version", object([("version", text()), ("engine", text()), ("installation?", text())])),
        ("Health", object([("status", words(&["ok", "closing"]))])),
        ("Service", service),
        ("Function", function),
    ]
}

const STATES: &[&str] = &[
    "planned",
    "creating",
    "running",
    "degraded",
    "terminating",
    "unwinding",
    "stuck",
    "terminated",
    "failed",
];
const REQUEST_TYPES: &[&str] = &["CREATE_SERVICE", "TERMINATE_SERVICE"];
const REQUEST_STATUSES: &[&str] = &["NEW", "INSTANTIATING", "TERMINATING", "READY", "ERROR"];

fn retry() -> Value {
    object([("tries", integer()), ("next_at", moment())])
}

/// How both directions of a link are emulated.
fn pair_of_text() -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2 })
}

fn container_state() -> Value {
    json!({ "anyOf": [
        object([("state", words(&["created", "running", "paused", "damaged"]))]),
        object([("state", words(&["exited"])), ("code", or_null(integer()))]),
    ] })
}

fn instances() -> Vec<(&'static str, Value)> {
    let instance = object([
        ("id", uuid()),
        ("service_id", uuid()),
        ("name", text()),
        ("ssiid", integer()),
        ("state", words(STATES)),
        ("created_at", moment()),
        ("progress", pair()),
        ("activity", about("The step that was begun last.")),
        ("errors", list(about("Oldest first; of very many the latest."))),
        ("reasons", list(about("Why it is degraded now."))),
        ("retry", or_null(of("Retry"))),
        ("warnings", list(of("Diagnostic"))),
        ("containers", list(of("Container"))),
        ("links", list(of("Link"))),
        ("saps", list(of("ServiceAccessPoint"))),
        ("emulated_by?", map(pair_of_text())),
    ]);
    let container = object([
        ("name", text()),
        ("engine_name", text()),
        ("vnf_id", text()),
        ("du_id", text()),
        ("datacenter", text()),
        ("image", text()),
        ("state", or_null(of("ContainerState"))),
        ("ports", list(about("`host:container/protocol`"))),
        ("interfaces", map(list(about("CIDR")))),
        ("management?", object([("interface", text()), ("address", or_null(text()))])),
        ("scripts", list(of("Script"))),
    ]);
    let link = object([
        ("id", text()),
        ("kind", words(&["E-Line", "E-LAN", "E-Tree"])),
        ("subnet", about("CIDR")),
        ("ends", list(about("`container:interface`"))),
    ]);
    let sap = object([
        ("id", about("The connection point's id as the NSD writes it.")),
        ("kind", words(&["external", "internal", "management"])),
        ("datacenter", text()),
        ("subnet", or_null(about("CIDR"))),
        ("address", or_null(about("CIDR"))),
        ("container", or_null(about("Its container; null: it is an interface of the host."))),
        ("name", text()),
        ("interface", or_null(text())),
        ("nat", boolean()),
    ]);
    let script = object([
        ("phase", words(&["start", "stop"])),
        ("command", text()),
        ("started_at", moment()),
        ("ended_at", or_null(moment())),
        ("exit_code", or_null(integer())),
        ("output", text()),
        ("error", or_null(text())),
    ]);
    let request = object([
        ("id", uuid()),
        ("request_type", words(REQUEST_TYPES)),
        ("status", words(REQUEST_STATUSES)),
        ("created_at", moment()),
        ("instance_id", uuid()),
        ("service_id", uuid()),
        ("error", or_null(text())),
    ]);
    vec![
        ("NewInstance", new_instance()),
        ("Instance", instance),
        ("NewChain", chains::wanted()),
        ("Chain", chains::added()),
        ("Retry", retry()),
        ("Container", container),
        ("ContainerState", container_state()),
        ("Link", link),
        ("ServiceAccessPoint", sap),
        ("Script", script),
        ("Plan", json!({ "type": "object", "additionalProperties": true })),
        ("Request", request),
    ]
}

fn streams() -> Vec<(&'static str, Value)> {
    let command = object([
        ("argv", list(text())),
        ("environment?", map(text())),
        ("terminal?", json!({ "type": "boolean" })),
    ]);
    let data = json!({ "type": "string", "contentEncoding": "base64" });
    let line = json!({ "anyOf": [
        object([("stream", words(&["stdout", "stderr"])), ("data", data)]),
        object([("error", text()), ("code", text())]),
        object([("exit_code", or_null(integer()))]),
    ] });
    let progress = object([("subject", text()), ("status", text()), ("bytes", or_null(pair()))]);
    let event = json!({ "anyOf": [
        object([("event", words(&["image"])), ("progress", progress)]),
        object([("event", words(&["step"])), ("instance", uuid()), ("step", text()), ("progress", pair())]),
        object([("event", words(&["state"])), ("instance", uuid()), ("state", words(STATES))]),
        object([
            ("event", words(&["container"])),
            ("instance", uuid()),
            ("container", about("Its name in the engine.")),
            ("state", or_null(of("ContainerState"))),
        ]),
        object([("event", words(&["topology"])), ("change", about("Of links or data centers, in words."))]),
        object([("event", words(&["missed"])), ("count", integer())]),
    ] });
    vec![("Command", command), ("OutputLine", line), ("Event", event)]
}

/// The replies that are no success, by name; operations refer to them.
pub(super) fn errors() -> Value {
    let response = |description: &str, schema: Value| json!({ "description": description, "content": { "application/json": { "schema": schema } } });
    json!({
        "Error": response(
            "An error; `code` tells which, and decides the status. The page of errors explains each.",
            of("Error"),
        ),
        "NotFoundText": response(
            "An unknown service or instance, in the emulators' words (\"Service not found\"), or an error.",
            json!({ "anyOf": [text(), of("Error")] }),
        ),
        "ErrorOrRefusedUpload": response(
            "Either of the two: an error before the upload was looked at, or a refused upload.",
            json!({ "anyOf": [of("TangoRefusedUpload"), of("Error")] }),
        ),
        "TangoRefusedUpload": response(
            "An upload that was refused: the fields of one that succeeded, empty, and the error.",
            of("TangoRefusedUpload"),
        ),
    })
}
