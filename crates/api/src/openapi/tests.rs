//! The document is complete, refers to what it holds, and is the file in `docs/`.

use std::collections::BTreeSet;

use super::*;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[test]
fn the_file_is_the_document() {
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("LLCM_UPDATE_DOCS").is_some() {
        std::fs::write(FILE, &text).unwrap();
    }
    let file = std::fs::read_to_string(FILE).unwrap();
    assert!(file == text, "run `LLCM_UPDATE_DOCS=1 cargo test -p llcm-api the_file_is_the_document`");
}

/// The methods in an item of `paths`, in capitals.
fn methods(item: &Value) -> BTreeSet<String> {
    let names = item.as_object().unwrap().keys();
    names.filter(|name| *name != "parameters").map(|name| name.to_ascii_uppercase()).collect()
}

#[test]
fn every_resource_stands_in_it_with_its_methods() {
    let document = document();
    let resources = crate::resources();
    assert_eq!(document["paths"].as_object().unwrap().len(), resources.len());
    for (path, allow) in resources {
        let known = allow.split(", ").filter(|method| !matches!(*method, "HEAD" | "OPTIONS"));
        let known: BTreeSet<_> = known.map(str::to_owned).collect();
        assert!(!known.is_empty(), "{path}");
        assert_eq!(methods(&document["paths"][&path]), known, "{path}");
        let parameters = document["paths"][&path]["parameters"].as_array().map_or(0, Vec::len);
        assert_eq!(parameters, path.matches('{').count(), "{path}");
    }
}

/// Every operation of the document.
fn operations(document: &Value) -> Vec<&Value> {
    let items = document["paths"].as_object().unwrap().values();
    let fields = items.flat_map(|item| item.as_object().unwrap());
    fields.filter(|(name, _)| *name != "parameters").map(|(_, operation)| operation).collect()
}

#[test]
fn error_replies_are_described_once() {
    let document = document();
    for operation in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("default"), "{operation}");
        for (status, response) in responses {
            let is_success = status.starts_with('2');
            let is_reference = response["$ref"].is_string() && response.as_object().unwrap().len() == 1;
            assert_eq!(is_reference, !is_success, "{status} of {operation}");
        }
    }
    let codes = document["components"]["schemas"]["Error"]["properties"]["code"]["enum"].as_array().unwrap();
    assert_eq!(codes.len(), crate::codes::Code::ALL.len());
}

#[test]
fn operations_have_ids_of_their_own() {
    let document = document();
    let operations = operations(&document);
    let ids: BTreeSet<_> =
        operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len());
    assert!(ids.contains("get_api_llcm_v1_instances_id_plan"), "{ids:?}");
}

/// All references below a value.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| references(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn references_lead_somewhere_and_nothing_is_left_over() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.strip_prefix('#').unwrap()).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(reference.as_str()), "nothing refers to {reference}");
        }
    }
}
