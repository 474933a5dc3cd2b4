//! Hostile documents fail fast and within bounded memory. One test, alone in its process, so that the peak
//! of the resident memory is its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use llcm_descriptors::{LoadOptions, load};

const NAPD: &str =
    "name: x\npackage_content:\n- {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}\n";

/// The peak of this process's resident memory in KiB (proc(5), `VmHWM`).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn hostile_documents_cost_little() {
    let scalar = "x".repeat(1_000_000);
    let laughs: String =
        (1..40).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(","))).collect();
    let chain: String = (1..20_000).map(|n| format!("l{n}: &l{n} [*l{}]\n", n - 1)).collect();
    let documents = [
        (
            "aliases of a plain scalar",
            format!("base: &a {scalar}\nlist:\n{}", "- *a\n".repeat(3000)),
            "document-too-large",
        ),
        (
            "aliases of a quoted scalar",
            format!("base: &a \"{scalar}\\n\"\nlist:\n{}", "- *a\n".repeat(3000)),
            "document-too-large",
        ),
        (
            "aliases as keys",
            format!("base: &a \"{scalar}\"\n{}", "? *a\n: 1\n".repeat(3000)),
            "document-too-large",
        ),
        ("a billion laughs", format!("l0: &l0 [ha, ha]\n{laughs}"), "document-too-large"),
        ("a chain of aliases", format!("l0: &l0 [ha]\n{chain}"), "too-deep"),
        (
            "merges of merges",
            format!(
                "l0: &l0 {{a: b}}\n{}",
                (1..20_000)
                    .map(|n| format!("l{n}: &l{n} {{<<: *l{}, k{n}: v}}\n", n - 1))
                    .collect::<String>()
            ),
            "too-deep",
        ),
        ("flow nesting", "[".repeat(1_000_000), "too-deep"),
        ("flow maps", "{a: ".repeat(200_000), "too-deep"),
        ("block sequences", "- ".repeat(500_000), "too-deep"),
        ("block nesting", (0..1000).map(|n| format!("{}k:\n", " ".repeat(n))).collect(), "too-deep"),
        ("equal keys", "a: 1\n".repeat(200_000), "missing-name"),
        (
            "many functions",
            format!("name: x\nnetwork_functions:\n{}", "- {}\n".repeat(200_000)),
            "missing-id",
        ),
        ("many documents", "--- a\n".repeat(100_000), "several-documents"),
        ("a long line of quotes", "'".repeat(1_000_000), "wrong-type"),
        ("question marks", "? ".repeat(300_000), "too-deep"),
        ("anchors", "&a ".repeat(300_000), "broken-yaml"),
        ("exclamation marks", "!".repeat(1_000_000), "broken-yaml"),
        ("directives", "%YAML 1.2\n".repeat(100_000), "broken-yaml"),
        ("comments", "#\n".repeat(500_000), "empty-document"),
    ];
    let before = peak();
    for (name, text, code) in documents {
        let start = Instant::now();
        let files = BTreeMap::from([
            ("TOSCA-Metadata/NAPD.yaml".to_owned(), NAPD.as_bytes().to_vec()),
            ("nsd.yaml".to_owned(), text.into_bytes()),
        ]);
        let loaded = load(&files, &LoadOptions::default());
        let took = start.elapsed();
        assert!(loaded.descriptors.is_none(), "{name}");
        let codes: Vec<_> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
        assert!(codes.contains(&code), "{name}: {:?}", codes.first());
        assert!(loaded.diagnostics.len() <= 210, "{name}: {} findings", loaded.diagnostics.len());
        let longest = loaded.diagnostics.iter().map(|diagnostic| diagnostic.to_string().len()).max();
        assert!(longest < Some(2000), "{name}: a finding of {longest:?} bytes");
        assert!(took < Duration::from_secs(10), "{name}: {took:?}");
        println!("{name}: {took:?}, peak {} MiB", peak() >> 10);
    }
    let grown = (peak() - before) >> 10;
    assert!(grown < 200, "memory grew by {grown} MiB");
}
