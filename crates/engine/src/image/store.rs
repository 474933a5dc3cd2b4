//! The image store: archives in, unpacked layers and their descriptions on disk.
//!
//! ```text
//! STORE/layers/<32 digits>/   a layer, unpacked once, whoever uses it; `host`: the built-in base;
//!                             `host-tools.<names>`: the tools on top of it
//! STORE/images/<64 digits>.json   an image: its layers and how to run it
//! STORE/references.json   names, each with the digest of its image and where that came from
//! STORE/staging/   what is being unpacked; emptied by the next load, and by the next engine that is opened
//! STORE/lock   held by who changes the store
//! STORE/removal.lock   held by who removes an image, and shared by those who are about to use one
//! ```
//! Directories appear by one rename when they are whole. Changes are serialised by lock files, so several
//! programs may share a store. Whoever needs both locks takes `lock` first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

mod import;
mod list;
mod remove;

use serde::{Deserialize, Serialize};

pub use list::Listed;

use super::archive::Archive;
use super::layer::{Budget, unpack};
use super::manifest::{Described, describe, hex_of};
use super::{HOST_IMAGE, HostTools, Image, ImageError, ImageLimits, host, normal_reference};
use crate::error::{Context as _, EngineError};
use crate::files::{Lock, lock, lock_shared, make_private_dir, read_json, remove_tree, try_lock, write_json};

/// A layer's directory is named by so many digits of its digest: all layers of a container must fit into the
/// 4096 bytes that the kernel takes as options of a mount. 128 bits leave no second one to be found.
const LAYER_DIGITS: usize = 32;

/// Images on disk.
#[derive(Debug, Clone)]
pub struct ImageStore {
    root: PathBuf,
    limits: ImageLimits,
    /// Names of the tools that the built-in image has.
    host_tools: Vec<String>,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    /// Digest of the image's configuration.
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
}

type References = BTreeMap<String, Named>;

/// While it lives, the image it was given out with is not removed, by no program.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: Option<Lock>,
}

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
        Ok(Self { root, limits, host_tools: Vec::new() })
    }

    /// Gives the built-in image tools.
    pub(crate) fn with_tools(self, tools: Option<&HostTools>) -> Self {
        Self { host_tools: tools.map(|tools| tools.names.clone()).unwrap_or_default(), ..self }
    }

    /// The directory with the layers, in which an image's layer names are meant.
    #[must_use]
    pub fn layers_dir(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// Loads all images of an archive: a `docker save` file, an OCI archive, or an OCI layout's directory;
    /// compressed or not. `name` is given to the archive's image beside the names that it brings. That
    /// somebody else may bring the image again is forgotten: see [`ImageStore::load_from`].
    ///
    /// Returns the references, or the digest where there is none.
    ///
    /// # Errors
    /// `Image` when the archive is not in order; then none of its images is in the store. `Invalid` for a name
    /// and an archive with several images.
    pub fn load(&self, archive: &Path, name: Option<&str>) -> Result<Vec<String>, EngineError> {
        self.load_from(archive, name, None)
    }

    /// As [`ImageStore::load`], and writes down with the names where the archive came from, in whichever words;
    /// [`ImageStore::origin`] tells it.
    ///
    /// # Errors
    /// As there.
    pub fn load_from(
        &self,
        archive: &Path,
        name: Option<&str>,
        origin: Option<&str>,
    ) -> Result<Vec<String>, EngineError> {
        self.staged(|staging| self.load_by(staging, archive, name, origin))
    }

    /// Does something that unpacks into the staging directory, which is empty before and after: of what is refused,
    /// nothing stays.
    fn staged<T>(&self, work: impl FnOnce(&Path) -> Result<T, EngineError>) -> Result<T, EngineError> {
        let _lock = self.lock()?;
        let done = work(&self.empty_staging()?);
        let emptied = self.empty_staging();
        let done = done?;
        emptied.map(|_empty| done)
    }

    fn load_by(
        &self,
        staging: &Path,
        archive: &Path,
        name: Option<&str>,
        origin: Option<&str>,
    ) -> Result<Vec<String>, EngineError> {
        let refused = |source| EngineError::Image { archive: archive.to_path_buf(), source };
        let opened = Archive::open(archive, staging, &self.limits).map_err(refused)?;
        let found = describe(&opened, &self.limits).map_err(refused)?;
        let distinct: BTreeSet<_> = found.iter().map(|it| it.id.as_str()).collect();
        if let (Some(name), true) = (name, distinct.len() > 1) {
            let (archive, count) = (archive.display(), distinct.len());
            let text = format!("{archive} holds {count} images: `{name}` can be the name of one only");
            return Err(EngineError::Invalid(text));
        }
        let mut references = self.references()?;
        let mut loaded = Vec::new();
        let mut images = Vec::new();
        let mut new_layers = Vec::new();
        for described in found {
            let unpacked = self.unpack_layers(&opened, &described, staging, archive, &mut new_layers);
            let layers = match unpacked {
                Ok(layers) => layers,
                Err(error) => {
                    for directory in new_layers {
                        remove_tree(&directory)?;
                    }
                    return Err(error);
                }
            };
            let names = described.references.iter().map(String::as_str).chain(name);
            let names: BTreeSet<_> = names.map(normal_reference).collect();
            let named = Named { id: described.id.clone(), origin: origin.map(str::to_owned) };
            references.extend(names.iter().map(|name| (name.clone(), named.clone())));
            loaded.extend(if names.is_empty() { BTreeSet::from([described.id.clone()]) } else { names });
            images.push(Image { id: described.id, layers, host_paths: Vec::new(), config: described.config });
        }
        self.write(&images, &references)?;
        // An archive may describe one image twice, for each of its tags; `name` then comes twice, too.
        loaded.sort();
        loaded.dedup();
        Ok(loaded)
    }

    /// Removes what a program that was killed was unpacking, unless another one is at it now.
    pub(crate) fn sweep(&self) -> Result<(), EngineError> {
        match try_lock(&self.root.join("lock"), Duration::ZERO)? {
            Some(_lock) => self.empty_staging().map(drop),
            None => Ok(()),
        }
    }

    fn empty_staging(&self) -> Result<PathBuf, EngineError> {
        let staging = self.root.join("staging");
        remove_tree(&staging)?;
        make_private_dir(&staging)?;
        Ok(staging)
    }

    /// Images first: a name never means one that is not there.
    fn write(&self, images: &[Image], references: &References) -> Result<(), EngineError> {
        for image in images {
            write_json(&self.image_file(&image.id), image)?;
        }
        write_json(&self.root.join("references.json"), references)
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
            let is_made = host::is_made(&self.layers_dir(), &self.host_tools);
            let _lock = if is_made { None } else { Some(self.lock()?) };
            return host::make(&self.layers_dir(), &self.host_tools);
        }
        let missing = || EngineError::NotFound { kind: "image", name: reference.to_owned() };
        let id = if name.starts_with("sha256:") {
            hex_of(&name).map_err(|_| missing())?;
            name
        } else {
            self.references()?.remove(&name).ok_or_else(missing)?.id
        };
        read_json(&self.image_file(&id))?.ok_or_else(missing)
    }

    /// Finds an image as [`ImageStore::find`] does and keeps it from being removed, by this program or another,
    /// until it is dropped: who makes a container writes down meanwhile that it uses the image's layers.
    pub(crate) fn hold(&self, reference: &str) -> Result<(Image, Held), EngineError> {
        // The built-in image is never removed, and making it takes the other lock.
        let built_in = normal_reference(reference) == HOST_IMAGE;
        let lock = if built_in { None } else { Some(lock_shared(&self.removal_lock())?) };
        Ok((self.find(reference)?, Held { _lock: lock }))
    }

    /// Where the image of this name came from, if [`ImageStore::load_from`] was told; `None` when it was loaded
    /// by hand, and for digests and the built-in image.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn origin(&self, reference: &str) -> Result<Option<String>, EngineError> {
        let name = normal_reference(reference);
        match self.references()?.remove(&name) {
            Some(named) => Ok(named.origin),
            None => self.find(reference).map(|_| None),
        }
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

    fn lock(&self) -> Result<Lock, EngineError> {
        lock(&self.root.join("lock"))
    }

    fn removal_lock(&self) -> PathBuf {
        self.root.join("removal.lock")
    }
}

fn layer_name(diff_id: &str) -> Result<String, ImageError> {
    let hex = hex_of(diff_id)?;
    Ok(hex.get(..LAYER_DIGITS).unwrap_or(hex).to_owned())
}

/// The root of a layer becomes the root of a container, which all its users may enter.
pub(super) fn make_readable_dir(path: &Path) -> Result<(), EngineError> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::create_dir(path).context("make directory", path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).context("set the mode of", path)
}
