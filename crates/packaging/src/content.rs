//! Reading an unpacked package.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::error::PackagingError;

/// The files of an unpacked package, as they are on disk. Links are neither listed nor followed, at no level.
///
/// [`ContentDir::paths`] and [`ContentDir::read`] have the form that the descriptors' reader takes:
/// `llcm_descriptors::SourceFn::new(content.paths(), |path| content.read(path))`.
#[derive(Debug, Clone)]
pub struct ContentDir {
    root: PathBuf,
    descriptor_bytes: u64,
    /// Path -> size.
    files: BTreeMap<String, u64>,
}

impl ContentDir {
    /// Lists a directory; `descriptor_bytes` limits [`ContentDir::read`].
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn open(root: &Path, descriptor_bytes: u64) -> Result<Self, PackagingError> {
        let mut files = BTreeMap::new();
        let mut open = vec![(root.to_owned(), String::new())];
        while let Some((directory, prefix)) = open.pop() {
            let fail = || PackagingError::io("list", &directory);
            for entry in std::fs::read_dir(&directory).map_err(fail())? {
                let entry = entry.map_err(fail())?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{prefix}{name}");
                let metadata = entry.metadata().map_err(fail())?;
                if metadata.is_dir() {
                    open.push((entry.path(), format!("{path}/")));
                } else if metadata.is_file() {
                    files.insert(path, metadata.len());
                }
            }
        }
        Ok(Self { root: root.to_owned(), descriptor_bytes, files })
    }

    /// Where the files are.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All paths, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    /// The size of a file in bytes, as listed.
    #[must_use]
    pub fn size(&self, path: &str) -> Option<u64> {
        self.files.get(path).copied()
    }

    /// The bytes of a descriptor; `Ok(None)` when there is no such file.
    ///
    /// # Errors
    /// In words: it cannot be read, or is larger than descriptors may be.
    pub fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        let Some(file) = self.file(path).map_err(|error| error.to_string())? else { return Ok(None) };
        let limit = self.descriptor_bytes;
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= limit) {
            Ok(Some(bytes))
        } else {
            Err(format!("it is larger than the {limit} bytes that a descriptor may have (`max_descriptor`)"))
        }
    }

    /// Opens a listed file; `Ok(None)` when it was not listed.
    pub(crate) fn file(&self, path: &str) -> std::io::Result<Option<File>> {
        if !self.files.contains_key(path) {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mut directory: OwnedFd = openat(CWD, &self.root, flags | OFlags::DIRECTORY, Mode::empty())?;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let kind = if last { OFlags::NONBLOCK } else { OFlags::DIRECTORY };
            let next = openat(&directory, part, flags | OFlags::NOFOLLOW | kind, Mode::empty())?;
            if last {
                let file = File::from(next);
                let regular = file.metadata()?.is_file();
                return if regular { Ok(Some(file)) } else { Err(std::io::ErrorKind::InvalidInput.into()) };
            }
            directory = next;
        }
        Ok(None)
    }
}
