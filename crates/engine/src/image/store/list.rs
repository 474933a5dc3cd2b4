//! What is in the store.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use super::super::usage::disk_bytes;
use super::ImageStore;
use crate::error::{Context as _, EngineError};

/// A line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name; an image without any is listed by its digest.
    pub reference: String,
    /// Digest of the configuration.
    pub id: String,
    /// How many layers it has.
    pub layers: usize,
    /// Bytes that its layers take on disk; those of a layer that others have, too, count for each.
    pub bytes: u64,
    /// When it was loaded last.
    pub loaded: SystemTime,
    /// Where the name's image came from, in the words of [`ImageStore::load_from`]; `None`: loaded by hand.
    pub origin: Option<String>,
}

impl ImageStore {
    /// All images, by name; the built-in one is not listed. What they take on disk is counted file by file.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let references = self.references()?;
        let mut sizes = BTreeMap::new();
        let mut listed = Vec::new();
        for image in self.images()? {
            let mut bytes = 0_u64;
            for layer in &image.layers {
                let size = match sizes.get(layer) {
                    Some(size) => *size,
                    None => disk_bytes(&self.layers_dir().join(layer))?,
                };
                sizes.insert(layer.clone(), size);
                bytes = bytes.saturating_add(size);
            }
            let file = self.image_file(&image.id);
            let loaded = match fs::metadata(&file).and_then(|found| found.modified()) {
                Ok(loaded) => loaded,
                // Somebody removed it meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error).context("look at", &file),
            };
            let line = |reference: &str, origin: Option<String>| Listed {
                reference: reference.to_owned(),
                id: image.id.clone(),
                layers: image.layers.len(),
                bytes,
                loaded,
                origin,
            };
            let before = listed.len();
            let named = references.iter().filter(|(_, named)| named.id == image.id);
            listed.extend(named.map(|(name, named)| line(name, named.origin.clone())));
            if listed.len() == before {
                listed.push(line(&image.id, None));
            }
        }
        listed.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(listed)
    }
}
