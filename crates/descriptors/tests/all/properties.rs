//! What holds for every input.

use std::collections::BTreeMap;

use llcm_descriptors::{LoadOptions, Severity, load};
use proptest::prelude::*;

/// Text made of what descriptors are made of.
fn yaml() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("name"),
        Just("id"),
        Just("network_functions"),
        Just("vnf_id"),
        Just("vnf_name"),
        Just("virtual_links"),
        Just("connection_points_reference"),
        Just("connectivity_type"),
        Just("E-LAN"),
        Just("vnf0:mgmt"),
        Just("null"),
        Just("virtual_deployment_units"),
        Just("vm_image"),
        Just("publish"),
        Just("port"),
        Just("memory"),
        Just("size"),
        Just("1"),
        Just("-0.5"),
        Just("\"\""),
        Just("'x'"),
        Just("&a"),
        Just("*a"),
        Just("<<"),
        Just("!!str"),
        Just("\t"),
        Just(": "),
        Just("- "),
        Just("\n"),
        Just("\n  "),
        Just("\n    - "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(", "),
        Just("|"),
        Just("#"),
        Just("? "),
        Just("--- "),
        Just("\u{85}"),
        Just("\u{2028}"),
        Just("é"),
    ];
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

fn check(path: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let mut files = crate::common::files("");
    files.insert(path.to_owned(), bytes.to_vec());
    let loaded = load(&files, &LoadOptions { build_images: true });
    let failed = loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    prop_assert_eq!(loaded.descriptors.is_none(), failed);
    for diagnostic in &loaded.diagnostics {
        prop_assert!(!diagnostic.code.is_empty() && !diagnostic.message.is_empty(), "{}", diagnostic);
        prop_assert!(diagnostic.line != Some(0) && diagnostic.column != Some(0), "{}", diagnostic);
    }
    prop_assert_eq!(load(&files, &LoadOptions { build_images: true }), loaded);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_document_gives_a_model_or_an_error(text in yaml(), which in 0..3usize) {
        let path = ["TOSCA-Metadata/NAPD.yaml", "nsd.yaml", "vnfd.yaml"][which];
        check(path, text.as_bytes())?;
    }

    #[test]
    fn any_bytes_give_a_model_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check("nsd.yaml", &bytes)?;
    }

    #[test]
    fn line_ends_and_unknown_keys_do_not_matter(key in "[a-z_]{8,12}x", value in "[a-zA-Z0-9 ]{0,12}") {
        let plain = load(&crate::common::files(""), &LoadOptions::default());
        let mut files = crate::common::files("");
        for bytes in files.values_mut() {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = format!("{text}{key}: '{value}'\n").replace('\n', "\r\n").into_bytes();
        }
        let other = load(&files, &LoadOptions::default());
        prop_assert_eq!(plain.descriptors, other.descriptors);
        prop_assert_eq!(other.diagnostics, vec![]);
    }

    #[test]
    fn memory_is_the_size_times_the_unit(size in 1u32..1_000_000, unit in prop::sample::select(vec![("kB", 10), ("MB", 20), ("GB", 30)])) {
        let (name, shift) = unit;
        let (unit, codes) = crate::common::vdu(&format!("resource_requirements: {{memory: {{size: {size}, size_unit: {name}}}}}"));
        prop_assert_eq!(codes, Vec::<String>::new());
        prop_assert_eq!(unit.unwrap().memory.unwrap().0, u64::from(size) << shift);
    }

    #[test]
    fn paths_of_the_manifest_stay_inside(path in "[a./]{1,20}") {
        let napd = format!("name: x\npackage_content:\n- {{source: '{path}', content-type: application/vnd.5gtango.nsd}}\n");
        let files = BTreeMap::from([("TOSCA-Metadata/NAPD.yaml".to_owned(), napd.into_bytes())]);
        for entry in load(&files, &LoadOptions::default()).contents {
            prop_assert!(!entry.path.starts_with('/') && entry.path.split('/').all(|part| part != ".." && !part.is_empty()));
        }
    }
}
