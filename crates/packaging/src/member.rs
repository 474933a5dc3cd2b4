//! Names of entries.

use crate::error::PackagingError;

/// The longest path, in bytes: descriptors are shown with it, and the kernel takes 4095 with what is before.
const MAX_BYTES: usize = 1024;
/// The longest component, in bytes (`NAME_MAX`).
const MAX_COMPONENT: usize = 255;

/// A relative, normalised path that stays inside the package: `/` between components, none of them empty,
/// `.` or `..`, no control characters, no backslash, no drive letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberPath(String);

impl MemberPath {
    /// Parses an entry's name; `.` and empty components and one `/` at the end are dropped.
    ///
    /// # Errors
    /// The rule that the name breaks; a path deeper than `max_depth`.
    pub fn parse(name: &str, max_depth: usize) -> Result<Self, PackagingError> {
        let refuse = |reason| Err(PackagingError::UnsafePath { member: shorten(name), reason });
        if name.len() > MAX_BYTES {
            return refuse("it is longer than 1024 bytes");
        }
        if name.starts_with('/') {
            return refuse("it is absolute");
        }
        if name.contains('\\') {
            return refuse("it holds a backslash");
        }
        if name.chars().any(char::is_control) {
            return refuse("it holds control characters");
        }
        let mut parts = Vec::new();
        for part in name.split('/') {
            match part {
                "" | "." => {}
                ".." => return refuse("it holds `..`"),
                _ if part.len() > MAX_COMPONENT => return refuse("a part of it is longer than 255 bytes"),
                _ => parts.push(part),
            }
        }
        let Some(first) = parts.first() else { return refuse("it is empty") };
        if first.as_bytes().get(1) == Some(&b':') {
            return refuse("it begins with a drive letter");
        }
        if parts.len() > max_depth {
            return Err(PackagingError::TooDeep {
                member: shorten(name),
                got: parts.len(),
                limit: max_depth,
            });
        }
        Ok(Self(parts.join("/")))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two paths share when they would be one file on a file system that ignores case: packages are made
    /// and opened on such systems too.
    pub(crate) fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl std::fmt::Display for MemberPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// A name for a message: short, and nothing in it that a terminal would act on.
pub(crate) fn shorten(name: &str) -> String {
    const MAX: usize = 80;
    let mut text: String = name.chars().take(MAX).flat_map(char::escape_default).collect();
    if name.chars().count() > MAX {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_normalised() {
        for name in ["a/b", "./a/b", "a//b", "a/./b/"] {
            assert_eq!(MemberPath::parse(name, 2).unwrap().as_str(), "a/b", "{name}");
        }
    }

    #[test]
    fn names_that_escape_are_refused() {
        for name in [
            "",
            "/",
            ".",
            "..",
            "../a",
            "a/../b",
            "/etc/passwd",
            "a\\b",
            "..\\a",
            "C:/a",
            "c:a",
            "./C:/a",
            ".//c:a",
            "a\0b",
            "a\nb",
        ] {
            let error = MemberPath::parse(name, 16).unwrap_err();
            assert!(matches!(error, PackagingError::UnsafePath { .. }), "{name:?}: {error}");
        }
        assert!(MemberPath::parse(&"a/".repeat(600), 1000).is_err());
        assert!(MemberPath::parse(&"a".repeat(256), 16).is_err());
        assert!(matches!(
            MemberPath::parse("a/b/c", 2),
            Err(PackagingError::TooDeep { got: 3, limit: 2, .. })
        ));
    }

    proptest! {
        #[test]
        fn a_path_never_leaves_its_directory(name in "[a./\\\\:~ ]{0,24}|\\PC{0,24}") {
            if let Ok(path) = MemberPath::parse(&name, 16) {
                let joined = std::path::Path::new("/base").join(path.as_str());
                prop_assert!(joined.starts_with("/base"));
                prop_assert!(joined.components().all(|part| part != std::path::Component::ParentDir));
                prop_assert_eq!(MemberPath::parse(path.as_str(), 16).unwrap(), path);
            }
        }
    }
}
