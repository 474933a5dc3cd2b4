//! Builds service packages from text.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use md5::Md5;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Where the manifest of a 5GTANGO package lies.
pub const NAPD: &str = "TOSCA-Metadata/NAPD.yaml";
/// Where the manifest of a SONATA package lies.
pub const MANIFEST: &str = "META-INF/MANIFEST.MF";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Tgo,
    Son,
}

/// A package in the making.
///
/// The fixture is one text; each file begins with a line `//- /path`:
///
/// ```
/// use llcm_testkit::PackageBuilder;
///
/// let package = PackageBuilder::tgo(
///     "
/// //- /Definitions/nsd.yaml
/// name: demo
/// network_functions:
/// - {vnf_id: vnf0, vnf_name: fw}
/// //- /Definitions/fw-vnfd.yaml
/// name: fw
/// cloudnative_deployment_units:
/// - {id: cdu01, image: 'llcm-test:latest'}
/// ",
/// )
/// .build();
/// assert!(package.starts_with(b"PK"));
/// ```
///
/// A fixture without a manifest gets one that lists all files with their hashes; files whose name holds
/// `vnfd` are VNFDs, those with `nsd` the NSD. In a manifest that the fixture brings, `{hash:PATH}` becomes
/// the file's hash (SHA-256 in a `.tgo`, MD5 in a `.son`).
#[derive(Debug, Clone)]
pub struct PackageBuilder {
    format: Format,
    name: String,
    version: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl PackageBuilder {
    /// A 5GTANGO package of the fixture's files.
    #[must_use]
    pub fn tgo(fixture: &str) -> Self {
        Self::new(Format::Tgo, fixture)
    }

    /// A SONATA package of the fixture's files.
    #[must_use]
    pub fn son(fixture: &str) -> Self {
        Self::new(Format::Son, fixture)
    }

    fn new(format: Format, fixture: &str) -> Self {
        Self { format, name: "test-package".to_owned(), version: "0.1".to_owned(), files: parse(fixture) }
    }

    /// The package's name in a generated manifest (default `test-package`).
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The package's version in a generated manifest (default `0.1`).
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.trim_start_matches('/').to_owned(), bytes.into());
        self
    }

    /// Replaces a text wherever it stands in the files.
    ///
    /// # Panics
    /// When no file has it: a test that changes nothing would test nothing.
    #[must_use]
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        let mut found = false;
        for bytes in self.files.values_mut() {
            if let Ok(text) = std::str::from_utf8(bytes)
                && text.contains(from)
            {
                found = true;
                *bytes = text.replace(from, to).into_bytes();
            }
        }
        assert!(found, "no file of the fixture has {from:?}");
        self
    }

    /// The files as they will be packed, the manifest included: for tests that need no archive.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files.clone();
        let manifest = match self.format {
            Format::Tgo => NAPD,
            Format::Son => MANIFEST,
        };
        let text = match files.get(manifest) {
            Some(bytes) => self.fill_hashes(&String::from_utf8_lossy(bytes)),
            None => self.manifest(),
        };
        files.insert(manifest.to_owned(), text.into_bytes());
        files
    }

    /// The package's bytes; equal fixtures give equal bytes.
    ///
    /// # Panics
    /// When the archive cannot be written, which memory does not do.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        zip(self.files().iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
    }

    fn hash(&self, bytes: &[u8]) -> String {
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.format {
            Format::Tgo => hex(&Sha256::digest(bytes)),
            Format::Son => hex(&Md5::digest(bytes)),
        }
    }

    fn fill_hashes(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (path, bytes) in &self.files {
            text = text.replace(&format!("{{hash:{path}}}"), &self.hash(bytes));
        }
        text
    }

    fn manifest(&self) -> String {
        let Self { name, version, .. } = self;
        let mut text = format!("vendor: eu.llcm\nname: {name}\nversion: '{version}'\npackage_content:\n");
        let mut nsd = None;
        for (path, bytes) in &self.files {
            let hash = self.hash(bytes);
            let file = path.rsplit('/').next().unwrap_or(path);
            let kind = if file.contains("vnfd") {
                "vnfd"
            } else if file.contains("nsd") {
                nsd = nsd.or(Some(path));
                "nsd"
            } else {
                ""
            };
            text += &match (self.format, kind) {
                (Format::Tgo, "") => {
                    format!(
                        "- {{source: {path}, algorithm: SHA-256, hash: {hash}, content-type: text/plain}}\n"
                    )
                }
                (Format::Tgo, kind) => format!(
                    "- source: {path}\n  algorithm: SHA-256\n  hash: {hash}\n  content-type: application/vnd.5gtango.{kind}\n"
                ),
                (Format::Son, kind) => {
                    let kind = match kind {
                        "vnfd" => "application/sonata.function_descriptor",
                        "nsd" => "application/sonata.service_descriptors",
                        _ => "text/plain",
                    };
                    format!("- name: /{path}\n  content-type: {kind}\n  md5: {hash}\n")
                }
            };
        }
        if let (Format::Son, Some(nsd)) = (self.format, nsd) {
            text += &format!("entry_service_template: /{nsd}\n");
        }
        text
    }
}

/// Packs files as they are, in the given order: for archives that no builder should make.
///
/// # Panics
/// When a name is given twice (the writer refuses it).
#[must_use]
pub fn zip<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (path, bytes) in files {
        writer.start_file(path, options).expect("a new entry");
        writer.write_all(bytes).expect("memory takes all bytes");
    }
    writer.finish().expect("memory takes all bytes").into_inner()
}

fn parse(fixture: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in fixture.lines() {
        if let Some(path) = line.trim_start().strip_prefix("//- ") {
            let path = path.trim().trim_start_matches('/').to_owned();
            files.insert(path.clone(), Vec::new());
            current = Some(path);
        } else if let Some(file) = current.as_ref().and_then(|path| files.get_mut(path)) {
            file.extend_from_slice(line.as_bytes());
            file.push(b'\n');
        } else {
            assert!(line.trim().is_empty(), "text before the first `//- /path` line: {line:?}");
        }
    }
    files
}
