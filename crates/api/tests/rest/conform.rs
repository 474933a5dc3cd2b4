//! Replies held against the OpenAPI document: every reply that a test sees, whatever the test is about.
//!
//! Stricter than a reader of the document needs to be: a field that the document does not name is an error.

use std::sync::LazyLock;

use actix_web::http::Method;
use llcm_api::{Moment, openapi};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::common::Reply;

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);

/// Fails the test when the reply is not one that the document describes.
pub(crate) fn check(method: &Method, path: &str, reply: &Reply) {
    // Their replies have no body, or none but the usual error; other tests look at them.
    if matches!(*method, Method::HEAD | Method::OPTIONS) {
        return;
    }
    let operation = operation(path).map(|item| &item[method.as_str().to_ascii_lowercase()]);
    let verdict = match operation {
        Some(operation) if operation.is_object() => check_reply(operation, reply),
        // Nothing there, or not with this method.
        _ if reply.status >= 400 => conforms(&reply.json(), "Error"),
        _ => Err("not in the document".to_owned()),
    };
    if let Err(problem) = verdict {
        panic!("{method} {path}: {problem}: {reply:?}");
    }
}

/// The document's item for a path: its segments are the same, or parameters.
fn operation(path: &str) -> Option<&'static Value> {
    let matches = |pattern: &str| {
        let (given, known): (Vec<_>, Vec<_>) = (path.split('/').collect(), pattern.split('/').collect());
        let same =
            |(given, known): (&&str, &&str)| given == known || known.starts_with('{') && !given.is_empty();
        given.len() == known.len() && given.iter().zip(&known).all(same)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    paths.iter().find(|(pattern, _)| matches(pattern)).map(|(_, item)| item)
}

fn check_reply(operation: &'static Value, reply: &Reply) -> Result<(), String> {
    let described = &operation["responses"][reply.status.to_string()];
    let response = match described {
        Value::Null if reply.status >= 400 => &operation["responses"]["default"],
        Value::Null => return Err(format!("the status {} is not described", reply.status)),
        described => described,
    };
    let response = resolve(response);
    let Some(content) = response["content"].as_object() else {
        return if reply.body.is_empty() { Ok(()) } else { Err("no body is described".to_owned()) };
    };
    let (kind, media) = content.iter().next().unwrap();
    if reply.header("content-type") != Some(kind) {
        return Err(format!("expected {kind}"));
    }
    if kind == "application/x-ndjson" {
        let text = std::str::from_utf8(&reply.body).unwrap();
        let mut lines = text.lines().filter(|line| !line.is_empty());
        return lines.try_for_each(|line| validate(&serde_json::from_str(line).unwrap(), &media["schema"]));
    }
    validate(&reply.json(), &media["schema"])
}

/// Whether a value is what the named schema says.
pub(crate) fn conforms(value: &Value, name: &str) -> Result<(), String> {
    let schema = &DOCUMENT["components"]["schemas"][name];
    if schema.is_null() {
        return Err(format!("there is no schema {name}"));
    }
    validate(value, schema).map_err(|problem| format!("{name}: {problem}"))
}

fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(reference) => resolve(DOCUMENT.pointer(reference.strip_prefix('#').unwrap()).unwrap()),
        None => value,
    }
}

fn validate(value: &Value, schema: &'static Value) -> Result<(), String> {
    let schema = resolve(schema).as_object().unwrap();
    for (keyword, rule) in schema {
        let holds = match keyword.as_str() {
            "type" => is_a(value, rule.as_str().unwrap()),
            "enum" => rule.as_array().unwrap().contains(value),
            "anyOf" => rule.as_array().unwrap().iter().any(|schema| validate(value, schema).is_ok()),
            "format" => has_format(value.as_str().unwrap_or_default(), rule.as_str().unwrap()),
            "minItems" => value.as_array().unwrap().len() >= size(rule),
            "maxItems" => value.as_array().unwrap().len() <= size(rule),
            "required" => {
                rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "prefixItems" => {
                let pairs = value.as_array().unwrap().iter().zip(rule.as_array().unwrap());
                pairs.into_iter().try_for_each(|(item, schema)| validate(item, schema))?;
                true
            }
            "items" => {
                value.as_array().unwrap().iter().try_for_each(|item| validate(item, rule))?;
                true
            }
            "properties" | "additionalProperties" | "description" | "contentEncoding" => true,
            unknown => return Err(format!("the test does not know the keyword {unknown}")),
        };
        if !holds {
            return Err(format!("{value} is against {keyword}: {rule}"));
        }
    }
    value.as_object().map_or(Ok(()), |fields| check_fields(fields, schema))
}

fn check_fields(fields: &Map<String, Value>, schema: &'static Map<String, Value>) -> Result<(), String> {
    let others = schema.get("additionalProperties");
    for (name, value) in fields {
        match schema.get("properties").and_then(|properties| properties.get(name)).or(others) {
            Some(Value::Bool(true)) => {}
            Some(schema) => validate(value, schema).map_err(|problem| format!("{name}: {problem}"))?,
            // The rules of an alternative stand in the alternative.
            None if schema.contains_key("anyOf") => {}
            None => return Err(format!("the field {name} is not described")),
        }
    }
    Ok(())
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the test does not know the type {other}"),
    }
}

fn has_format(text: &str, format: &str) -> bool {
    match format {
        "uuid" => Uuid::try_parse(text).is_ok(),
        "date-time" => Moment::parse(text).is_ok(),
        other => panic!("the test does not know the format {other}"),
    }
}

fn size(rule: &Value) -> usize {
    usize::try_from(rule.as_u64().unwrap()).unwrap()
}
