//! What layers take on disk, and which of them containers use.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Context as _, EngineError};
use crate::files::read_json;

/// The part of a container's record that is read here, whichever version wrote it.
#[derive(Debug, Deserialize)]
struct Record {
    image: Used,
}

#[derive(Debug, Deserialize)]
struct Used {
    layers: Vec<String>,
}

/// Layers of the containers of the engine in `state_dir`, by what is on disk.
pub(crate) fn layers_in_use(state_dir: &Path) -> Result<BTreeSet<String>, EngineError> {
    let root = state_dir.join("containers");
    let mut layers = BTreeSet::new();
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(layers),
        Err(error) => return Err(error).context("list", &root),
    };
    for entry in entries {
        let directory = entry.context("list", &root)?.path();
        // What begins with a dot was never finished.
        if directory.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        if let Some(record) = read_json::<Record>(&directory.join("spec.json"))? {
            layers.extend(record.image.layers);
        }
    }
    Ok(layers)
}

/// Bytes of the blocks of all files below `root`, those with several names once. What vanishes meanwhile takes
/// none.
pub(crate) fn disk_bytes(root: &Path) -> Result<u64, EngineError> {
    let mut bytes = 0_u64;
    let mut linked = BTreeSet::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(path) = left.pop() {
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).context("look at", &path),
        };
        if !found.is_dir() && found.nlink() > 1 && !linked.insert((found.dev(), found.ino())) {
            continue;
        }
        // POSIX: `st_blocks` counts 512 bytes each, whatever the file system's own blocks are.
        bytes = bytes.saturating_add(found.blocks().saturating_mul(512));
        if found.is_dir() {
            match fs::read_dir(&path) {
                Ok(entries) => {
                    for entry in entries {
                        left.push(entry.context("list", &path)?.path());
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).context("list", &path),
            }
        }
    }
    Ok(bytes)
}
