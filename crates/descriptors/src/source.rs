//! Where the bytes of a package's files come from.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The files of an unpacked package, by their relative, normalised paths (`Definitions/mynsd.yaml`).
pub trait Source {
    /// All paths, sorted.
    fn paths(&self) -> Vec<String>;

    /// The bytes of a file; `Ok(None)` when there is no such file, `Err` with the reason when it cannot be
    /// read or is larger than descriptors may be.
    ///
    /// # Errors
    /// A reason in words, shown to the user.
    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, String>;
}

impl Source for BTreeMap<String, Vec<u8>> {
    fn paths(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, String> {
        Ok(self.get(path).map(|bytes| Cow::Borrowed(bytes.as_slice())))
    }
}

/// A source made of a list of paths and a function: for files that something else keeps.
///
/// ```
/// use llcm_descriptors::{LoadOptions, SourceFn, load};
///
/// let source = SourceFn::new(vec!["readme.txt".to_owned()], |_path| Ok(Some(b"hello".to_vec())));
/// assert_eq!(load(&source, &LoadOptions::default()).diagnostics[0].code, "no-manifest");
/// ```
#[derive(Clone)]
pub struct SourceFn<F> {
    paths: Vec<String>,
    read: F,
}

impl<F: Fn(&str) -> Result<Option<Vec<u8>>, String>> SourceFn<F> {
    /// From all paths, in any order, and what [`Source::read`] answers.
    pub fn new(mut paths: Vec<String>, read: F) -> Self {
        paths.sort();
        Self { paths, read }
    }
}

impl<F> std::fmt::Debug for SourceFn<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceFn").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl<F: Fn(&str) -> Result<Option<Vec<u8>>, String>> Source for SourceFn<F> {
    fn paths(&self) -> Vec<String> {
        self.paths.clone()
    }

    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, String> {
        (self.read)(path).map(|bytes| bytes.map(Cow::Owned))
    }
}
