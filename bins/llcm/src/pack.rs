//! Makes a package file of a directory: hashes for the manifest, then a zip archive that is the same for the
//! same content.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Where a 5GTANGO package has its manifest.
const MANIFEST: &str = "TOSCA-Metadata/NAPD.yaml";
/// Files are read in pieces of this size.
const PIECE: usize = 64 * 1024;

/// A package that is ready to be packed.
#[derive(Debug)]
pub(crate) struct Content {
    manifest: Value,
    /// Path within the package -> file; without the manifest.
    files: BTreeMap<String, PathBuf>,
}

impl Content {
    /// Reads the manifest of a directory and lists its files. Names that begin with a dot are left out.
    ///
    /// # Errors
    /// When there is no manifest, it names a file that is not there, or something is neither file nor
    /// directory.
    pub(crate) fn read(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(MANIFEST);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}: a package needs a manifest there", path.display()))?;
        let manifest: Value = serde_saphyr::from_str(&text)
            .map_err(|error| anyhow!("{}: {}", path.display(), error.without_snippet()))?;
        let mut files = BTreeMap::new();
        collect(directory, "", &mut files)?;
        files.remove(MANIFEST);
        let content = Self { manifest, files };
        for source in content.sources() {
            if !content.files.contains_key(&source) {
                bail!("{} lists {source}, which is not in {}", path.display(), directory.display());
            }
        }
        Ok(content)
    }

    /// `<vendor>.<name>.<version>.tgo`.
    ///
    /// # Errors
    /// When the manifest does not have the three, or they are no part of a file name.
    pub(crate) fn file_name(&self) -> anyhow::Result<String> {
        let mut name = String::new();
        for key in ["vendor", "name", "version"] {
            let word = match self.manifest.get(key) {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => bail!("the manifest has no `{key}`: add it, or name the package file with --to"),
            };
            if word.is_empty() || word.contains(['/', '\0']) {
                bail!("the manifest's `{key}` is no part of a file name: name the package file with --to");
            }
            name.push_str(&word);
            name.push('.');
        }
        Ok(name + "tgo")
    }

    /// The files that the manifest lists, as paths within the package.
    fn sources(&self) -> impl Iterator<Item = String> + '_ {
        let listed = self.manifest.get("package_content").and_then(Value::as_array);
        listed.into_iter().flatten().filter_map(|entry| entry.get("source")?.as_str().map(within))
    }

    /// Writes the package; the file appears when it is complete.
    ///
    /// # Errors
    /// When a file cannot be read or the package cannot be written.
    pub(crate) fn write(mut self, to: &Path) -> anyhow::Result<u64> {
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = || format!("cannot write {}", to.display());
        let staged = tempfile::NamedTempFile::new_in(parent).with_context(failed)?;
        let mut archive = ZipWriter::new(BufWriter::new(staged.as_file()));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(0o644);
        let mut hashes = BTreeMap::new();
        for (name, path) in &self.files {
            archive.start_file(name.as_str(), options).with_context(failed)?;
            let hash = copy(path, &mut archive).with_context(|| format!("cannot pack {}", path.display()))?;
            hashes.insert(name.clone(), hash);
        }
        self.fill_in(&hashes);
        archive.start_file(MANIFEST, options).with_context(failed)?;
        archive.write_all(serde_yaml::to_string(&self.manifest)?.as_bytes()).with_context(failed)?;
        archive.finish().with_context(failed)?.flush().with_context(failed)?;
        let size = staged.as_file().metadata().with_context(failed)?.len();
        readable_by_all(staged.as_file()).with_context(failed)?;
        staged.persist(to).with_context(failed)?;
        Ok(size)
    }

    fn fill_in(&mut self, hashes: &BTreeMap<String, String>) {
        let listed = self.manifest.get_mut("package_content").and_then(Value::as_array_mut);
        for entry in listed.into_iter().flatten().filter_map(Value::as_object_mut) {
            let source = entry.get("source").and_then(Value::as_str).map(within);
            if let Some(hash) = source.and_then(|source| hashes.get(&source)) {
                entry.insert("algorithm".to_owned(), "SHA-256".into());
                entry.insert("hash".to_owned(), hash.as_str().into());
            }
        }
    }
}

/// A manifest's path, as a path within the package.
fn within(source: &str) -> String {
    let path = source.strip_prefix("file://").unwrap_or(source);
    path.strip_prefix('/').unwrap_or(path).to_owned()
}

fn collect(directory: &Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
    let cannot = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let path = entry.path();
        let Ok(name) = entry.file_name().into_string() else {
            bail!("{}: names of files in a package are UTF-8", path.display());
        };
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().with_context(cannot)?;
        let name = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else if kind.is_file() {
            files.insert(name, path);
        } else {
            bail!("{} is neither a file nor a directory: packages have no links", path.display());
        }
    }
    Ok(())
}

/// Copies a file into the archive; returns its SHA-256 in lower-case hexadecimal.
fn copy(path: &Path, to: &mut impl io::Write) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            break;
        }
        hash.update(&piece[..length]);
        to.write_all(&piece[..length])?;
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Temporary files are private; a package is not.
fn readable_by_all(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}
