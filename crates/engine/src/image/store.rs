//! The image store: archives in, unpacked layers and their descriptions on disk.
//!
//! ```text
//! STORE/layers/<32 digits>/   a layer, unpacked once, whoever uses it; `host`: the built-in base
//! STORE/images/<64 digits>.json   an image: its layers and how to run it
//! STORE/references.json   names, each with the digest of its image
//! STORE/staging/   what is being unpacked; emptied by the next load
//! ```
//! Directories appear by one rename when they are whole. Changes are serialised by a lock file, so several
//! programs may share a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::layer::{Budget, unpack};
use super::manifest::{Described, describe, hex_of};
use super::{HOST_IMAGE, Image, ImageError, ImageLimits, host, normal_reference};
use crate::error::{Context as _, EngineError};
use crate::files::{Lock, lock, make_private_dir, read_json, remove_tree, write_json};

/// A layer's directory is named by so many digits of its digest: all layers of a container must fit into the
/// 4096 bytes that the kernel takes as options of a mount. 128 bits leave no second one to be found.
const LAYER_DIGITS: usize = 32;

/// Images on disk.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
    limits: ImageLimits,
}

/// A line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The name; an image without any is listed by its digest.
    pub reference: String,
    /// Digest of the configuration.
    pub id: String,
    /// How many layers it has.
    pub layers: usize,
}

type References = BTreeMap<String, String>;

impl ImageStore {
    /// Opens the store in the directory `root` and makes it when it is not there.
    ///
    /// # Errors
    /// When directories cannot be made, or when the path holds `:`, `,` or `\`, which have a meaning in the
    /// kernel's mount options.
    pub fn open(root: &Path, limits: ImageLimits) -> Result<Self, EngineError> {
        crate::spec::check_state_path(root)?;
        for part in ["layers", "images", "staging"] {
            make_private_dir(&root.join(part))?;
        }
        let root = root.canonicalize().context("resolve", root)?;
        Ok(Self { root, limits })
    }

    /// The directory with the layers, in which an image's layer names are meant.
    #[must_use]
    pub fn layers_dir(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// Loads all images of an archive: a `docker save` file, an OCI archive, or an OCI layout's directory;
    /// compressed or not. `name` is used for an image that the archive leaves without one.
    ///
    /// Returns the references, or the digest where there is none.
    ///
    /// # Errors
    /// `Image` when the archive is not in order; then none of its images is in the store.
    pub fn load(&self, archive: &Path, name: Option<&str>) -> Result<Vec<String>, EngineError> {
        let _lock = self.lock()?;
        let staging = self.root.join("staging");
        remove_tree(&staging)?;
        make_private_dir(&staging)?;
        let refused = |source| EngineError::Image { archive: archive.to_path_buf(), source };
        let opened = Archive::open(archive, &staging, &self.limits).map_err(refused)?;
        let found = describe(&opened, &self.limits).map_err(refused)?;
        let mut references = self.references()?;
        let mut loaded = Vec::new();
        let mut images = Vec::new();
        let mut new_layers = Vec::new();
        for described in found {
            let unpacked = self.unpack_layers(&opened, &described, &staging, archive, &mut new_layers);
            let layers = match unpacked {
                Ok(layers) => layers,
                Err(error) => {
                    for directory in new_layers {
                        remove_tree(&directory)?;
                    }
                    return Err(error);
                }
            };
            let mut names = described.references;
            if names.is_empty() {
                names.extend(name.map(str::to_owned));
            }
            let names: Vec<_> = names.iter().map(|name| normal_reference(name)).collect();
            references.extend(names.iter().map(|name| (name.clone(), described.id.clone())));
            loaded.extend(if names.is_empty() { vec![described.id.clone()] } else { names });
            images.push(Image { id: described.id, layers, host_paths: Vec::new(), config: described.config });
        }
        for image in images {
            write_json(&self.image_file(&image.id), &image)?;
        }
        write_json(&self.root.join("references.json"), &references)?;
        Ok(loaded)
    }

    /// Unpacks the layers that are not there yet.
    fn unpack_layers(
        &self,
        archive: &Archive,
        described: &Described,
        staging: &Path,
        path: &Path,
        new_layers: &mut Vec<PathBuf>,
    ) -> Result<Vec<String>, EngineError> {
        let refused = |source| EngineError::Image { archive: path.to_path_buf(), source };
        let mut budget = Budget::new(self.limits);
        let mut names = Vec::new();
        for (member, diff_id) in &described.layers {
            let name = layer_name(diff_id).map_err(refused)?;
            let directory = self.layers_dir().join(&name);
            if !directory.is_dir() {
                let staged = staging.join(&name);
                make_readable_dir(&staged)?;
                let stream = archive.member(member).map_err(refused)?;
                let found = unpack(member, stream, &staged, &mut budget).map_err(refused)?;
                if found != *diff_id {
                    remove_tree(&staged)?;
                    let (member, expected) = (member.clone(), diff_id.clone());
                    return Err(refused(ImageError::Digest { member, expected, found }));
                }
                fs::rename(&staged, &directory).context("rename", &staged)?;
                new_layers.push(directory);
            }
            // A layer twice in one image says nothing new, and the kernel refuses it.
            names.retain(|it| *it != name);
            names.push(name);
        }
        Ok(names)
    }

    /// Finds an image by a reference, by its digest, or the built-in one by [`HOST_IMAGE`].
    ///
    /// # Errors
    /// `NotFound`.
    pub fn find(&self, reference: &str) -> Result<Image, EngineError> {
        let name = normal_reference(reference);
        if name == HOST_IMAGE {
            // It appears whole, by one rename; only making it must not happen twice at once.
            let is_made = self.layers_dir().join(HOST_IMAGE).is_dir();
            let _lock = if is_made { None } else { self.lock()? };
            return host::make(&self.layers_dir());
        }
        let missing = || EngineError::NotFound { kind: "image", name: reference.to_owned() };
        let id = if name.starts_with("sha256:") {
            hex_of(&name).map_err(|_| missing())?;
            name
        } else {
            self.references()?.remove(&name).ok_or_else(missing)?
        };
        read_json(&self.image_file(&id))?.ok_or_else(missing)
    }

    /// All images, by name; the built-in one is not listed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let references = self.references()?;
        let mut listed = Vec::new();
        for image in self.images()? {
            let mut names: Vec<_> =
                references.iter().filter(|(_, id)| **id == image.id).map(|(name, _)| name.clone()).collect();
            if names.is_empty() {
                names.push(image.id.clone());
            }
            let line = |reference| Listed { reference, id: image.id.clone(), layers: image.layers.len() };
            listed.extend(names.into_iter().map(line));
        }
        listed.sort_by(|a, b| a.reference.cmp(&b.reference));
        Ok(listed)
    }

    /// Takes a reference away, and with the last one the image and the layers that no other image has; given a
    /// digest, the image with all its references. `in_use` names layers that must stay, those of containers.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the image's layers are in use and this was its last reference.
    pub fn remove(&self, reference: &str, in_use: &BTreeSet<String>) -> Result<(), EngineError> {
        let _lock = self.lock()?;
        let image = {
            let name = normal_reference(reference);
            let missing = || EngineError::NotFound { kind: "image", name: reference.to_owned() };
            let id = if name.starts_with("sha256:") { Some(name) } else { self.references()?.remove(&name) };
            let id = id.filter(|id| hex_of(id).is_ok()).ok_or_else(missing)?;
            read_json::<Image>(&self.image_file(&id))?.ok_or_else(missing)?
        };
        let mut references = self.references()?;
        references.remove(&normal_reference(reference));
        let by_digest = reference.starts_with("sha256:");
        let is_last = by_digest || !references.values().any(|id| *id == image.id);
        if is_last && image.layers.iter().any(|layer| in_use.contains(layer)) {
            return Err(EngineError::Conflict {
                kind: "image",
                name: reference.to_owned(),
                problem: "is in use: remove its containers first",
            });
        }
        references.retain(|_, id| !(by_digest && *id == image.id));
        write_json(&self.root.join("references.json"), &references)?;
        if is_last {
            let file = self.image_file(&image.id);
            fs::remove_file(&file).context("remove", &file)?;
            let kept: BTreeSet<_> = self.images()?.into_iter().flat_map(|image| image.layers).collect();
            for layer in image.layers.iter().filter(|layer| !kept.contains(*layer)) {
                remove_tree(&self.layers_dir().join(layer))?;
            }
        }
        Ok(())
    }

    fn references(&self) -> Result<References, EngineError> {
        Ok(read_json(&self.root.join("references.json"))?.unwrap_or_default())
    }

    fn images(&self) -> Result<Vec<Image>, EngineError> {
        let directory = self.root.join("images");
        let mut images = Vec::new();
        for entry in fs::read_dir(&directory).context("list", &directory)? {
            let path = entry.context("list", &directory)?.path();
            if path.extension().is_some_and(|it| it == "json") {
                images.extend(read_json::<Image>(&path)?);
            }
        }
        Ok(images)
    }

    fn image_file(&self, id: &str) -> PathBuf {
        self.root.join("images").join(format!("{}.json", id.trim_start_matches("sha256:")))
    }

    fn lock(&self) -> Result<Option<Lock>, EngineError> {
        lock(&self.root.join("lock"), true)
    }
}

fn layer_name(diff_id: &str) -> Result<String, ImageError> {
    let hex = hex_of(diff_id)?;
    Ok(hex.get(..LAYER_DIGITS).unwrap_or(hex).to_owned())
}

/// The root of a layer becomes the root of a container, which all its users may enter.
fn make_readable_dir(path: &Path) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir(path).context("make directory", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context("set the mode of", path)
}
