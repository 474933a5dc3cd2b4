//! Loading an archive of images, and what must hold afterwards.

use std::fs;
use std::path::Path;

use llcm_engine::image::ImageLimits;
use llcm_engine::image::store::ImageStore;
use sha2::{Digest, Sha256};

const LIMITS: ImageLimits = ImageLimits { bytes: 1 << 20, entries: 200, layers: 8, document_bytes: 1 << 16 };

/// # Panics
/// When something is left of a refused archive, or anything is outside of the store.
pub fn image(bytes: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (root, archive) = (dir.path().join("store"), dir.path().join("image.tar"));
    match bytes.split_first() {
        Some((0, layer)) => fs::write(&archive, wrapped(layer)).expect("it can be written"),
        _ => fs::write(&archive, bytes).expect("it can be written"),
    }
    let store = ImageStore::open(&root, LIMITS).expect("an empty directory");
    match store.load(&archive, None) {
        Ok(names) => {
            assert!(!names.is_empty());
            for name in names.iter().filter(|name| !name.starts_with("sha256:")) {
                store.find(name).expect("it was loaded");
            }
        }
        Err(error) => {
            assert!(error.to_string().len() < 4096);
            assert_eq!(entries(&store.layers_dir()), 0, "a layer of a refused archive");
        }
    }
    assert_eq!(entries(&root.join("staging")), 0, "something in the staging directory");
    assert_eq!(entries(dir.path()), 2, "something beside the store");
}

fn entries(path: &Path) -> usize {
    fs::read_dir(path).expect("it is there").count()
}

/// The archive of an image with one layer.
fn wrapped(layer: &[u8]) -> Vec<u8> {
    let digest: String = Sha256::digest(layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let config =
        format!(r#"{{"rootfs": {{"type": "layers", "diff_ids": ["sha256:{digest}"]}}, "config": {{}}}}"#);
    let manifest = br#"[{"Config": "config.json", "RepoTags": ["fuzz:1"], "Layers": ["layer.tar"]}]"#;
    let mut tar = tar::Builder::new(Vec::new());
    let members: [(&str, &[u8]); 3] =
        [("manifest.json", manifest), ("config.json", config.as_bytes()), ("layer.tar", layer)];
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).expect("memory");
    }
    tar.into_inner().expect("memory")
}
