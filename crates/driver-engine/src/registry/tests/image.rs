//! Images in memory, as registries have them.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::{Value, json};

use super::super::manifest::{Platform, digest_of};
use super::server::{Asked, Reply};

/// A repository: what is found under which path.
#[derive(Debug, Clone, Default)]
pub(super) struct Repository {
    files: BTreeMap<String, (String, Vec<u8>)>,
}

/// How layers are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    Plain,
    Gzip,
    Zstd,
}

/// Docker's words or OCI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Docker,
    Oci,
}

impl Words {
    fn media_types(self) -> [&'static str; 4] {
        match self {
            Self::Docker => [
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "application/vnd.docker.distribution.manifest.list.v2+json",
            ],
            Self::Oci => [
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
                "application/vnd.oci.image.index.v1+json",
            ],
        }
    }
}

/// A layer with one file `name` that holds its own name.
pub(super) fn layer(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(name.len()).unwrap());
    header.set_mode(0o644);
    let [user, group] = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
    header.set_uid(user.into());
    header.set_gid(group.into());
    builder.append_data(&mut header, name, name.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

pub(super) fn pack(plain: &[u8], packed: Packed) -> Vec<u8> {
    match packed {
        Packed::Plain => plain.to_vec(),
        Packed::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(plain).unwrap();
            gzip.finish().unwrap()
        }
        Packed::Zstd => ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest),
    }
}

pub(super) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": digest_of(bytes), "size": bytes.len()})
}

impl Repository {
    /// The image `names` has a layer for each, and is for `platform`. Its manifest is filed under its digest,
    /// which is returned with that of its configuration.
    pub(super) fn image(
        &mut self,
        words: Words,
        packed: Packed,
        names: &[&str],
        platform: &Platform,
    ) -> (String, String) {
        let [manifest_type, config_type, layer_type, _] = words.media_types();
        let plain: Vec<_> = names.iter().map(|name| layer(name)).collect();
        let diff_ids: Vec<_> = plain.iter().map(|layer| digest_of(layer)).collect();
        let config = json!({
            "os": platform.os, "architecture": platform.architecture,
            "config": {"Cmd": names}, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let layers: Vec<_> = plain.iter().map(|layer| self.blob(layer_type, &pack(layer, packed))).collect();
        let config_descriptor = self.blob(config_type, &config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type, "config": config_descriptor, "layers": layers,
        });
        (self.manifest(manifest_type, &manifest), digest_of(&config))
    }

    /// A list of manifests, filed as [`Repository::manifest`] does.
    pub(super) fn list(&mut self, words: Words, entries: &[(&str, Platform)]) -> String {
        let [manifest_type, _, _, list_type] = words.media_types();
        let entries: Vec<_> = entries
            .iter()
            .map(|(digest, platform)| {
                json!({
                    "mediaType": manifest_type, "digest": digest, "size": 1,
                    "platform": {
                        "os": platform.os, "architecture": platform.architecture, "variant": platform.variant,
                    },
                })
            })
            .collect();
        self.manifest(list_type, &json!({"schemaVersion": 2, "mediaType": list_type, "manifests": entries}))
    }

    /// Files a blob under its digest.
    pub(super) fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        self.put(&format!("blobs/{}", digest_of(bytes)), "application/octet-stream", bytes);
        descriptor(media_type, bytes)
    }

    /// Files a manifest under its digest, which is returned.
    pub(super) fn manifest(&mut self, media_type: &str, manifest: &Value) -> String {
        let bytes = manifest.to_string().into_bytes();
        let digest = digest_of(&bytes);
        self.put(&format!("manifests/{digest}"), media_type, &bytes);
        digest
    }

    /// Gives a manifest a tag.
    pub(super) fn tag(&mut self, tag: &str, digest: &str) {
        let (media_type, bytes) = self.files[&format!("manifests/{digest}")].clone();
        self.put(&format!("manifests/{tag}"), &media_type, &bytes);
    }

    /// Files anything anywhere.
    pub(super) fn put(&mut self, path: &str, media_type: &str, bytes: &[u8]) {
        self.files.insert(path.to_owned(), (media_type.to_owned(), bytes.to_vec()));
    }

    /// What a registry answers that has this as `vnf`.
    pub(super) fn reply(&self, asked: &Asked) -> Reply {
        let path = asked.path.strip_prefix("/v2/vnf/").unwrap_or_default();
        match self.files.get(path) {
            Some((media_type, bytes)) => {
                Reply::ok(bytes.clone()).with(&format!("Content-Type: {media_type}"))
            }
            None => Reply::status(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        }
    }

    /// The bytes under a path.
    pub(super) fn get(&self, path: &str) -> &[u8] {
        &self.files[path].1
    }

    /// The digests of the layers of the image with this manifest.
    pub(super) fn layers(&self, manifest: &str) -> Vec<String> {
        let manifest: Value = serde_json::from_slice(self.get(&format!("manifests/{manifest}"))).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect()
    }
}
