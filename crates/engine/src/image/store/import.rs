//! An image of a plain root file system.

use std::fs;
use std::path::Path;

use super::super::layer::{Budget, unpack};
use super::super::manifest::id_of_made;
use super::super::{Image, ImageConfig, ImageError, normal_reference};
use super::{ImageStore, Named, layer_name, make_readable_dir};
use crate::error::{Context as _, EngineError};

impl ImageStore {
    /// Makes an image of a root file system: a tar file, compressed or not, as `docker export`, `tar` or
    /// debootstrap's users make it. It has one layer, the name `name`, and runs as `config` says.
    ///
    /// Returns the digest of the configuration that is made for it.
    ///
    /// # Errors
    /// `Image` when the file is not in order; then nothing is in the store.
    pub fn import(&self, file: &Path, name: &str, config: ImageConfig) -> Result<String, EngineError> {
        self.staged(|staging| self.import_by(staging, file, name, config))
    }

    fn import_by(
        &self,
        staging: &Path,
        file: &Path,
        name: &str,
        config: ImageConfig,
    ) -> Result<String, EngineError> {
        let refused = |source| EngineError::Image { archive: file.to_path_buf(), source };
        let stream = fs::File::open(file).context("open", file)?;
        let staged = staging.join("import");
        make_readable_dir(&staged)?;
        let shown = "the root file system";
        let diff_id = unpack(shown, stream, &staged, &mut Budget::new(self.limits)).map_err(refused)?;
        if fs::read_dir(&staged).context("list", &staged)?.next().is_none() {
            return Err(refused(ImageError::Malformed("no file is in it".to_owned())));
        }
        if ["manifest.json", "oci-layout"].iter().any(|name| staged.join(name).is_file()) {
            let text = "it is an image's archive and no root file system: load it".to_owned();
            return Err(refused(ImageError::Malformed(text)));
        }
        let layer = layer_name(&diff_id).map_err(refused)?;
        let directory = self.layers_dir().join(&layer);
        if !directory.is_dir() {
            fs::rename(&staged, &directory).context("rename", &staged)?;
        }
        let id = id_of_made(&config, &diff_id);
        let mut references = self.references()?;
        references.insert(normal_reference(name), Named { id: id.clone(), origin: None });
        let image = Image { id: id.clone(), layers: vec![layer], host_paths: Vec::new(), config };
        self.write(&[image], &references)?;
        Ok(id)
    }
}
