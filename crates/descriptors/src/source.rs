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
