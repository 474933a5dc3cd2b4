//! The OpenAPI document of all routes, as `GET /api/openapi.json` gives it (OpenAPI 3.1, <https://spec.openapis.org>).
//!
//! Its paths and methods come from the table of routes that is registered with actix-web, its error codes from
//! [`crate::codes`]; what an operation takes and gives stands in `operations`, the JSON in `schemas`. Tests hold
//! every reply that they see against it. Written out rather than derived: a route stands under up to three
//! prefixes, and half of the types belong to crates that know no HTTP.

mod operations;
mod schemas;
mod traffic;

use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

use crate::native;
use crate::routes::Entry;
use operations::{Gives, Operation, Takes};

/// Where the document stands.
pub const PATH: &str = "/api/openapi.json";

const DESCRIPTION: &str = "Life-cycle manager for NFV service packages. Not listed are `HEAD`, answered like `GET` \
    where the reply ends, and `OPTIONS`, answered with 204 and `Allow`. JSON bodies are read whatever their content \
    type says; an empty one is `{}`.";

pub(crate) fn entries() -> Vec<Entry> {
    vec![Entry::at(PATH).get(show)]
}

/// Below another path than `/`, the document says so.
async fn show(request: HttpRequest) -> HttpResponse {
    let mut document = document();
    if let Some(prefix) = request.path().strip_suffix(PATH).filter(|prefix| !prefix.is_empty()) {
        document["servers"] = json!([{ "url": prefix }]);
    }
    HttpResponse::Ok().json(document)
}

/// The document. An application that mounts the routes may merge it with that of its own.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for (path, allow) in crate::resources() {
        let methods = allow.split(", ").filter(|method| !matches!(*method, "HEAD" | "OPTIONS"));
        let described = methods.filter_map(|method| {
            let operation = operations::find(method, &path)?;
            Some((method.to_ascii_lowercase(), show_operation(&operation, method, &path)))
        });
        let mut item: Map<String, Value> = described.collect();
        let parameters: Vec<_> = parameters_of(&path).collect();
        if !parameters.is_empty() {
            item.insert("parameters".to_owned(), parameters.into());
        }
        paths.insert(path, item.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "llcm",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "tags": [
            { "name": "tango", "description": "The routes of 5GTANGO's life-cycle manager: they wait for what they begin." },
            { "name": "llcm", "description": "The program's own routes: what takes time is a request to be followed." },
        ],
        "paths": paths,
        "components": { "schemas": schemas::all(), "responses": schemas::errors() },
    })
}

/// The parameters in a path's braces.
fn parameters_of(path: &str) -> impl Iterator<Item = Value> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
}

fn show_operation(operation: &Operation, method: &str, path: &str) -> Value {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id: Vec<_> = std::iter::once(method).chain(words).map(str::to_ascii_lowercase).collect();
    let own = path.starts_with(native::PREFIX) || path == PATH;
    let mut shown = json!({
        "operationId": id.join("_"),
        "summary": operation.summary,
        "tags": [if own { "llcm" } else { "tango" }],
    });
    let query = operation.query.iter().map(|(name, kind, description)| {
        json!({ "name": name, "in": "query", "description": description, "schema": { "type": kind } })
    });
    if !operation.query.is_empty() {
        shown["parameters"] = query.collect();
    }
    match operation.takes {
        Takes::Nothing => {}
        Takes::Json(name) => {
            shown["requestBody"] =
                json!({ "content": { "application/json": { "schema": schemas::of(name) } } });
        }
        Takes::Yaml(name) => {
            let content = json!({ "schema": schemas::of(name) });
            shown["requestBody"] = json!({ "required": true, "content": {
                "application/json": content, "application/yaml": content,
            } });
        }
        Takes::Package => {
            let form = json!({ "type": "object", "required": ["package"], "properties": { "package": {} } });
            shown["requestBody"] = json!({ "required": true, "content": {
                "multipart/form-data": { "schema": form },
                "application/octet-stream": {},
            } });
        }
    }
    let (status, gives) = operation.gives;
    shown["responses"][status.to_string()] = show_success(gives);
    for (status, name) in operation.errors {
        shown["responses"][*status] = json!({ "$ref": format!("#/components/responses/{name}") });
    }
    shown
}

fn show_success(gives: Gives) -> Value {
    match gives {
        Gives::Nothing => json!({ "description": "Done." }),
        Gives::Json(name) => json!({
            "description": "Done.",
            "content": { "application/json": { "schema": schemas::of(name) } },
        }),
        Gives::List(name) => json!({
            "description": "All, oldest first.",
            "content": { "application/json": { "schema": { "type": "array", "items": schemas::of(name) } } },
        }),
        Gives::Lines(name) => json!({
            "description": "A JSON value a line, sent as it comes; the schema is a line's. Empty lines say nothing.",
            "content": { "application/x-ndjson": { "schema": schemas::of(name) } },
        }),
    }
}

#[cfg(test)]
mod tests;
