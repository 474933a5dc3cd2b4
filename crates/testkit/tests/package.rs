//! The packages of this crate are what they say they are.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::time::{Duration, Instant};

use llcm_descriptors::{LoadOptions, Severity, SourceFn, load};
use llcm_testkit::{PackageBuilder, Stage, demo_chain, every_step, hostile};

#[test]
fn the_samples_load_without_a_finding() {
    for (sample, functions) in [(demo_chain(), 3), (every_step(), 4)] {
        let loaded = load(&sample.files(), &LoadOptions::default());
        assert_eq!(loaded.diagnostics, [], "{sample:?}");
        assert_eq!(loaded.descriptors.unwrap().nsd.functions.len(), functions);
    }
}

#[test]
fn a_sonata_package_gets_its_manifest() {
    let fixture = "//- /nsd.yml\nname: ns\nnetwork_functions: [{vnf_id: a, vnf_name: fw}]\n\
        //- /fw-vnfd.yml\nname: fw\ncloudnative_deployment_units: [{id: c, image: x}]\n";
    let loaded = load(&PackageBuilder::son(fixture).files(), &LoadOptions::default());
    assert_eq!(loaded.diagnostics, []);
    assert!(loaded.contents.iter().all(|entry| entry.algorithm == "MD5" && entry.hash.len() == 32));
}

#[test]
fn equal_fixtures_give_equal_bytes() {
    assert_eq!(demo_chain().build(), demo_chain().build());
    assert_ne!(demo_chain().build(), demo_chain().version("0.2").build());
}

/// Unpacked with nothing but the zip crate: these archives are in order.
fn unzip(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.name().unwrap().into_owned(), bytes);
    }
    files
}

#[test]
fn broken_descriptors_are_refused_with_the_stated_finding() {
    let mut count = 0;
    for upload in hostile().iter().filter(|upload| upload.stage == Stage::Descriptors) {
        let files = unzip(&upload.bytes);
        let limited = SourceFn::new(files.keys().cloned().collect(), |path| match files.get(path) {
            Some(bytes) if bytes.len() > 1 << 20 => Err("it is larger than descriptors may be".to_owned()),
            bytes => Ok(bytes.cloned()),
        });
        let start = Instant::now();
        let loaded = load(&limited, &LoadOptions::default());
        assert!(start.elapsed() < Duration::from_secs(10), "{}", upload.name);
        let errors: Vec<_> =
            loaded.diagnostics.iter().filter(|found| found.severity == Severity::Error).collect();
        let stated = |found: &&llcm_descriptors::Diagnostic| {
            found.code == upload.code && found.to_string().contains(upload.says) && !found.hint.is_empty()
        };
        assert!(errors.iter().any(stated), "{}: {errors:?}", upload.name);
        count += 1;
    }
    assert!(count >= 12, "only {count}");
}
