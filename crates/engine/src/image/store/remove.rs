//! Images go, and layers that nobody needs any more.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::super::manifest::hex_of;
use super::super::usage::layers_in_use;
use super::super::{Image, normal_reference};
use super::ImageStore;
use crate::error::{Context as _, EngineError};
use crate::files::{lock, read_json, remove_tree, write_json};

impl ImageStore {
    /// Takes a reference away, and with the last one the image and the layers that no other image has; given a
    /// digest, the image with all its references. Layers of the containers in `state_dir`, the directory of the
    /// engine that uses this store, must stay. They are looked up on disk while no container can be made, so
    /// that this may be called beside the program that runs the engine.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the image's layers are in use and this was its last reference; `System` when
    /// a container's record cannot be read, for then nobody knows what it uses.
    pub fn remove(&self, reference: &str, state_dir: &Path) -> Result<(), EngineError> {
        let _lock = self.lock()?;
        let _removal = lock(&self.removal_lock())?;
        let name = normal_reference(reference);
        let missing = || EngineError::NotFound { kind: "image", name: reference.to_owned() };
        let mut references = self.references()?;
        let by_digest = name.starts_with("sha256:");
        let id = match references.remove(&name) {
            Some(named) => named.id,
            None if by_digest && hex_of(&name).is_ok() => name,
            None => return Err(missing()),
        };
        let image = read_json::<Image>(&self.image_file(&id))?.ok_or_else(missing)?;
        let is_last = by_digest || !references.values().any(|named| named.id == id);
        let in_use = if is_last { layers_in_use(state_dir)? } else { BTreeSet::new() };
        if image.layers.iter().any(|layer| in_use.contains(layer)) {
            return Err(EngineError::Conflict {
                kind: "image",
                name: reference.to_owned(),
                problem: "is in use: remove its containers first",
            });
        }
        references.retain(|_, named| !(by_digest && named.id == id));
        write_json(&self.root.join("references.json"), &references)?;
        if is_last {
            let file = self.image_file(&id);
            fs::remove_file(&file).context("remove", &file)?;
            let kept: BTreeSet<_> = self.images()?.into_iter().flat_map(|image| image.layers).collect();
            for layer in image.layers.iter().filter(|layer| !kept.contains(*layer)) {
                remove_tree(&self.layers_dir().join(layer))?;
            }
        }
        Ok(())
    }
}
