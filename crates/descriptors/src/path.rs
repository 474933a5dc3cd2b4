//! Paths that descriptors write.

/// The path within the package that a descriptor means: `file://` and one leading `/` stripped, `.` and empty
/// components dropped.
///
/// # Errors
/// Why it is no path inside the package.
pub(crate) fn package_path(text: &str) -> Result<String, &'static str> {
    let text = text.strip_prefix("file://").unwrap_or(text);
    let text = text.strip_prefix('/').unwrap_or(text);
    if text.starts_with('/') {
        return Err("it is absolute");
    }
    if text.contains(['\\', '\0']) {
        return Err("it holds a backslash or a zero byte");
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err("it leaves the package with `..`"),
            _ => parts.push(part),
        }
    }
    if parts.is_empty() { Err("it is empty") } else { Ok(parts.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_path() {
        for text in
            ["Definitions/a.yml", "/Definitions/a.yml", "file:///Definitions/a.yml", "./Definitions//a.yml"]
        {
            assert_eq!(package_path(text), Ok("Definitions/a.yml".to_owned()), "{text}");
        }
    }

    #[test]
    fn what_leaves_the_package_is_refused() {
        for text in
            ["../a", "a/../../b", "a/../b", "//etc/passwd", "file:////etc/passwd", "a\\b", "", "/", "."]
        {
            assert!(package_path(text).is_err(), "{text}");
        }
    }
}
