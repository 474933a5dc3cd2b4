//! Every published package through either listener: on-boarded, or refused with exactly these findings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use actix_web::http::Method;
use llcm_lifecycle::Dialect;
use serde_json::Value;

use crate::common::Server;

fn corpus() -> Option<PathBuf> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: no corpus at {}", corpus.display());
        return None;
    }
    Some(corpus)
}

fn packages(corpus: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut packages = BTreeMap::new();
    for kind in ["son", "tgo"] {
        for entry in std::fs::read_dir(corpus.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            packages.insert(format!("{kind}/{name}"), std::fs::read(path).unwrap());
        }
    }
    packages
}

/// The packages that are refused: status, and the codes of all errors in order.
/// What is not among them is on-boarded and can be run. Both listeners say the same.
const REFUSED: &[(&str, u16, &[&str])] = &[
    // The virtual machine of the demo that son-access brings.
    ("son/son-cli__src__son__access__samples__sonata-demo.son", 422, &[QCOW2]),
    (
        "son/son-cli__src__son__validate__tests__samples__packages__sonata-demo-invalid-integrity-1.son",
        422,
        &["missing-file", "unknown-vnfd", QCOW2, DOCKERFILE],
    ),
    (
        "son/son-cli__src__son__validate__tests__samples__packages__sonata-demo-invalid-md5.son",
        422,
        &[QCOW2, DOCKERFILE, DOCKERFILE],
    ),
    // Its manifest is called `_MANIFEST.MF`.
    (
        "son/son-cli__src__son__validate__tests__samples__packages__sonata-demo-invalid-struct-1.son",
        422,
        &["no-manifest"],
    ),
    ("son/son-cli__src__son__validate__tests__samples__packages__sonata-demo-valid.son", 422, &[QCOW2]),
    ("son/son-tutorials__ETSI_plugtest__eu.sonata.etsi-alpha.0.5.son", 422, &[QCOW2]),
    // An empty file.
    ("son/tng-cat__samples__dependencies_mapping__sonata-demo-2.son", 400, &[]),
    // Of tests only.
    (
        "tgo/tng-schema__package-specification__example-projects__eu.5gtango.simple-ttcn3-test.0.1.tgo",
        422,
        &["no-nsd"],
    ),
    (
        "tgo/tng-sdk-package__misc__5gtango-ns-package-example-bad-checksum.tgo",
        422,
        &[QCOW2, "hash-mismatch"],
    ),
    ("tgo/tng-sdk-package__misc__5gtango-ns-package-example-bad.tgo", 422, &["no-functions"]),
    ("tgo/tng-sdk-package__misc__eu.5gtango.idempotency_test.0.1.tgo", 422, &[QCOW2, QCOW2]),
    ("tgo/tng-vnv-platform-adapter__packages__basic_package.tgo", 422, &[QCOW2]),
    ("tgo/tng-y1-demo__tango__eu.5gtango.ns-squid-haproxy.0.1.tgo", 422, &[QCOW2, QCOW2]),
];
const QCOW2: &str = "unstartable-image-format";
const DOCKERFILE: &str = "build-images-off";

#[tokio::test]
async fn each_is_run_or_refused_with_document_and_place() {
    let Some(corpus) = corpus() else { return };
    let mut server = Server::start().await;
    let packages = packages(&corpus);
    let mut refused =
        BTreeMap::from_iter(REFUSED.iter().map(|(name, status, codes)| (*name, (*status, *codes))));
    for (name, bytes) in packages {
        let expected = refused.remove(name.as_str());
        for dialect in [Dialect::Tango, Dialect::Sonata] {
            server.speak(dialect);
            let reply = server.post("/packages", bytes.clone()).await;
            let json = reply.json();
            let findings = json["diagnostics"].as_array().or(json["warnings"].as_array()).unwrap();
            for finding in findings {
                has_a_place(&name, finding);
            }
            let errors = findings.iter().filter(|finding| finding["severity"] == "error");
            let codes: Vec<_> = errors.map(|finding| finding["code"].as_str().unwrap()).collect();
            let (status, wanted) = expected.unwrap_or((201, &[]));
            assert_eq!((reply.status, codes.as_slice()), (status, wanted), "{name} {dialect:?}: {json:#}");
            if status == 201 {
                runs(&server, &name, json["service_uuid"].as_str().unwrap()).await;
            }
        }
    }
    assert!(refused.is_empty(), "not in the corpus: {refused:?}");
}

/// A finding names its document, and the place in it; but for the one that says that there is no manifest.
fn has_a_place(name: &str, finding: &Value) {
    let text = |key: &str| finding[key].as_str().unwrap();
    if text("code") != "no-manifest" {
        assert!(!text("document").is_empty(), "{name}: {finding}");
        assert!(!text("path").is_empty() || finding["line"].is_u64(), "{name}: {finding}");
    }
    assert!(!text("message").is_empty());
}

/// The service can be run, and nothing of it is left then.
async fn runs(server: &Server, name: &str, service: &str) {
    let body = format!("{{\"service_uuid\": \"{service}\"}}");
    let reply = server.post("/instantiations", body.clone()).await;
    assert_eq!(reply.status, 201, "{name}: {reply:?}");
    assert!(!server.world.snapshot().containers.is_empty(), "{name}");
    let reply = server.send(Method::DELETE, "/instantiations", body).await;
    assert_eq!(reply.status, 200, "{name}: {reply:?}");
    assert!(server.world.snapshot().containers.is_empty(), "{name}");
}
