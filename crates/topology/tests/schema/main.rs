//! The JSON schema says what the loader says: a document is valid for it when the loader has no findings, errors or
//! warnings, apart from what a schema cannot tell.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests may")]

mod documents;
mod random;

use std::path::Path;

use jsonschema::Validator;
use serde_json::{Value, json};

use random::Documents;

/// What a schema cannot tell, by the loader's words: `docs/topology.md` lists the same.
const BEYOND: [&str; 13] = [
    // Names are unique, and those of ends are there.
    "there is another data center",
    "there is another link",
    "there is no data center",
    "to itself",
    // One value against another.
    "the jitter is larger than the delay",
    // The bounds of all together, of templates, and of their names.
    "there can be at most",
    "a grid has at least",
    "must be 1 to 64 bytes long",
    // Bytes, where a schema counts characters.
    "the metadata of a data center has at most 4096 bytes",
    "expected a name of 1 to 200 bytes",
    // Bounds of quantities that are texts.
    "expected a duration",
    "expected a bandwidth",
    "expected a number of packets",
];

/// Bounds of further quantities that are texts.
const BEYOND_TOO: [&str; 5] = [
    "expected a number of CPUs",
    "expected an amount of memory",
    "expected a loss",
    "expected a number of bytes",
    "expected a number from 1 to 4096",
];

fn validator() -> Validator {
    jsonschema::draft202012::new(&llcm_topology::schema()).unwrap()
}

/// The loader's findings; JSON is YAML.
fn findings(document: &Value) -> Vec<String> {
    let (_, findings) = llcm_topology::load(document.to_string().as_bytes());
    findings.iter().map(ToString::to_string).collect()
}

fn beyond(finding: &str) -> bool {
    BEYOND.iter().any(|words| finding.contains(words))
}

#[test]
fn the_printed_schema_is_the_one_in_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/topology.schema.json");
    let schema = serde_json::to_string_pretty(&llcm_topology::schema()).unwrap() + "\n";
    if std::env::var_os("LLCM_UPDATE_DOCS").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == schema,
        "docs/topology.schema.json is not up to date: LLCM_UPDATE_DOCS=1 cargo test -p llcm-topology"
    );
    assert!(jsonschema::meta::is_valid(&llcm_topology::schema()));
}

#[test]
fn examples_are_valid() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("topology") {
            let text = std::fs::read_to_string(&path).unwrap();
            let document: Value = serde_saphyr::from_str(&text).unwrap();
            assert!(validator().is_valid(&document), "{path:?}");
            assert!(llcm_topology::load(text.as_bytes()).1.is_empty(), "{path:?}");
            seen += 1;
        }
    }
    assert!(seen >= 2, "{seen}");
}

/// What is in order, each key and each way to write it.
#[test]
fn both_accept() {
    let validator = validator();
    for document in documents::good() {
        assert_eq!(findings(&document), Vec::<String>::new(), "{document}");
        if let Err(error) = validator.validate(&document) {
            panic!("{document}: {error}");
        }
    }
}

/// One fault each.
#[test]
fn both_refuse() {
    let validator = validator();
    for document in documents::bad() {
        assert!(!findings(&document).is_empty(), "{document}");
        assert!(!validator.is_valid(&document), "{document}");
    }
}

/// Each thing that a schema cannot tell, so that what is said of it is true.
#[test]
fn what_a_schema_cannot_tell() {
    let validator = validator();
    let link = |key: &str, value: &str| json!({ "datacenters": ["a", "b"], "links": [{ "ends": ["a", "b"], key: value }] });
    let template = |template: Value| json!({ "templates": [template] });
    let mut told = Vec::new();
    for document in [
        json!({ "datacenters": ["a", "a"] }),
        json!({ "datacenters": ["a", "b"], "links": [{ "ends": ["a", "b"], "name": "x" }, { "ends": ["a", "b"], "name": "x" }] }),
        json!({ "datacenters": ["a"], "links": [["a", "b"]] }),
        // 7 and "7" are one name.
        json!({ "datacenters": ["7"], "links": [["7", 7]] }),
        link("jitter", "1ms"),
        template(json!({ "shape": "tree", "prefix": "t", "fanout": 9, "depth": 9 })),
        template(json!({ "shape": "grid", "prefix": "g", "rows": "1", "columns": "1" })),
        template(json!({ "shape": "ring", "prefix": "p".repeat(63), "count": 10 })),
        json!({ "datacenters": [{ "name": "a", "metadata": { "k": "x".repeat(4096) } }] }),
        link("name", &"é".repeat(101)),
        link("delay", "61s"),
        link("bandwidth", "101Tbps"),
        link("queue", "0"),
    ] {
        assert!(validator.is_valid(&document), "{document}");
        let findings = findings(&document);
        assert!(findings.len() == 1 && beyond(&findings[0]), "{findings:?}");
        told.extend(BEYOND.iter().position(|words| findings[0].contains(words)));
    }
    let cpu = |value: &str| json!({ "datacenters": [{ "name": "a", "capacity": { "cpu": value } }] });
    let memory = |value: &str| json!({ "datacenters": [{ "name": "a", "capacity": { "memory": value } }] });
    let further = [
        cpu("1000001"),
        memory("1025TiB"),
        link("loss", "101%"),
        link("mtu", "1279"),
        template(json!({ "shape": "ring", "prefix": "r", "count": "4097" })),
    ];
    for (document, words) in further.iter().zip(BEYOND_TOO) {
        assert!(validator.is_valid(document), "{document}");
        assert!(findings(document)[0].contains(words), "{document}");
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), BEYOND.len(), "each of them is shown");
}

/// Documents made at random, most of them nearly right.
#[test]
fn they_agree_on_documents_made_at_random() {
    let validator = validator();
    let mut documents = Documents::new(20_260_101);
    let (mut accepted, mut refused, mut by_loader_alone) = (0, 0, 0);
    for _ in 0..20_000 {
        let document = documents.next();
        let findings = findings(&document);
        let valid = validator.is_valid(&document);
        match (valid, findings.is_empty()) {
            (true, true) => accepted += 1,
            (false, false) => refused += 1,
            (false, true) => {
                panic!("the schema alone refuses {document}: {}", validator.validate(&document).unwrap_err())
            }
            (true, false) => {
                assert!(
                    findings.iter().all(|finding| beyond(finding)),
                    "the schema alone accepts {document}: {findings:?}"
                );
                by_loader_alone += 1;
            }
        }
    }
    // A generator that makes only one kind shows nothing.
    assert!(
        accepted > 2000 && refused > 2000 && by_loader_alone > 200,
        "{accepted} {refused} {by_loader_alone}"
    );
}
