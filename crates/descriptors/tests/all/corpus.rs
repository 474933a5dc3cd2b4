//! Published packages against what the originals made of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use llcm_descriptors::{ImageSource, LoadOptions, Loaded, load};
use serde_json::Value;

fn corpus() -> Option<PathBuf> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: no corpus at {}", corpus.display());
        return None;
    }
    Some(corpus)
}

fn open(package: &Path) -> Option<Loaded> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(package).unwrap()).ok()?;
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).unwrap();
        if !entry.is_dir() {
            files.insert(entry.name().unwrap().into_owned(), bytes);
        }
    }
    Some(load(&files, &LoadOptions { build_images: true }))
}

fn records(corpus: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(corpus.join("oracle").join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The images of a package as the originals record them: `vnf_id.du_id` -> reference.
fn images(loaded: &Loaded) -> BTreeMap<String, String> {
    let descriptors = loaded.descriptors.as_ref().unwrap();
    let mut images = BTreeMap::new();
    for function in &descriptors.nsd.functions {
        for unit in &descriptors.vnfds[&function.vnf_name].units {
            let image = match &unit.image {
                ImageSource::Reference { reference } => reference.clone(),
                ImageSource::Dockerfile { .. } => String::new(),
            };
            images.insert(format!("{}.{}", function.vnf_id, unit.id), image);
        }
    }
    images
}

#[test]
fn tango_packages_are_read_as_the_original_read_them() {
    let Some(corpus) = corpus() else { return };
    let mut accepted = 0;
    for record in records(&corpus, "tango.jsonl") {
        let name = text(&record["package"]);
        let loaded = open(&corpus.join("tgo").join(&name)).unwrap();
        let errors: Vec<_> = loaded.diagnostics.iter().map(ToString::to_string).collect();
        // The original accepted what it could not start, and failed then.
        let started = record["onboard"] == "ok" && record["inst0"] == "ok";
        assert_eq!(loaded.is_valid(), started, "{name}: {errors:?}");
        if record["onboard"] == "ok" {
            assert_eq!(loaded.package.as_ref().unwrap().id.name, text(&record["name"]), "{name}");
        }
        if started {
            accepted += 1;
            let map = |value: &Value| -> BTreeMap<String, String> {
                value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value))).collect()
            };
            let nsd = &loaded.descriptors.as_ref().unwrap().nsd;
            let vnfs = nsd.functions.iter().map(|f| (f.vnf_id.clone(), f.vnf_name.clone()));
            assert_eq!(vnfs.collect::<BTreeMap<_, _>>(), map(&record["vnfs"]), "{name}");
            assert_eq!(images(&loaded), map(&record["images"]), "{name}");
        } else if record["onboard"] == "ok" {
            assert!(errors.iter().any(|error| error.contains("vm_image")), "{name}: {errors:?}");
        }
    }
    assert_eq!(accepted, 10);
}

#[test]
fn sonata_packages_are_read_or_refused_with_a_reason() {
    let Some(corpus) = corpus() else { return };
    let (mut accepted, mut refused) = (0, Vec::new());
    for record in records(&corpus, "sonata.jsonl") {
        let name = text(&record["package"]);
        let Some(loaded) = open(&corpus.join("son").join(&name)) else { continue };
        if loaded.is_valid() {
            assert_eq!(record["onboard"], "ok", "{name}");
            accepted += 1;
        } else {
            let error = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.clone()).next().unwrap();
            refused.push((name, error));
        }
    }
    assert!(accepted >= 4, "{accepted} accepted; refused: {refused:?}");
    let reasons = ["unstartable-image-format", "missing-file", "no-manifest"];
    assert!(refused.iter().all(|(_, code)| reasons.contains(&code.as_str())), "{refused:?}");
}
