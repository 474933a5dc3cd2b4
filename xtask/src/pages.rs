//! Rules on the pages for readers: every crate and every error code has its place.

use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::metadata::Member;

/// What is missing in the pages.
///
/// # Errors
/// When a page cannot be read.
pub fn check(root: &Path, members: &[Member]) -> anyhow::Result<Vec<String>> {
    let read =
        |name: &str| fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"));
    let mut findings = Vec::new();
    let architecture = read("docs/ARCHITECTURE.md")?;
    for member in members {
        if !architecture.contains(&format!("`{}`", member.name)) {
            findings.push(format!("docs/ARCHITECTURE.md: says nothing of `{}`", member.name));
        }
    }
    let readme = read("README.md")?;
    for page in ["docs/ARCHITECTURE.md", "docs/GLOSSARY.md", "docs/errors.md", "CHANGELOG.md"] {
        if !readme.contains(page) {
            findings.push(format!("README.md: leads nowhere to {page}"));
        }
    }
    findings.extend(codes(&read("crates/lifecycle/src/error.rs")?, &read("docs/errors.md")?));
    for name in markdown(root)? {
        findings.extend(dead_links(root, &name, &read(&name)?));
    }
    Ok(findings)
}

/// Codes of `ErrorCode` in the lifecycle's source that the page of errors has no row for.
fn codes(source: &str, page: &str) -> Vec<String> {
    let body = source.split_once("pub enum ErrorCode {").map_or("", |(_, rest)| rest);
    let body = body.split("\n}").next().unwrap_or("");
    let variants: Vec<_> = body
        .lines()
        .filter_map(|line| line.trim().strip_suffix(','))
        .filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric()))
        .collect();
    if variants.is_empty() {
        return vec![
            "crates/lifecycle/src/error.rs: no `pub enum ErrorCode` with variants was found".to_owned(),
        ];
    }
    let missing = variants.into_iter().map(kebab).filter(|code| !page.contains(&format!("| `{code}` |")));
    missing.map(|code| format!("docs/errors.md: has no row for `{code}`")).collect()
}

/// `NotAPackage` -> `not-a-package`.
fn kebab(variant: &str) -> String {
    let mut word = String::new();
    for c in variant.chars() {
        if c.is_ascii_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.push(c.to_ascii_lowercase());
    }
    word
}

fn markdown(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    for directory in ["docs", "docs/adr"] {
        for entry in fs::read_dir(root.join(directory)).with_context(|| format!("cannot list {directory}"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                names.push(format!("{directory}/{name}"));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Links of a page to files, and pages of `docs/` named in it, that are not there.
fn dead_links(root: &Path, name: &str, text: &str) -> Vec<String> {
    let directory = Path::new(name).parent().unwrap_or(Path::new(""));
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '<']));
    let mentioned =
        text.split('`').skip(1).step_by(2).filter(|word| word.starts_with("docs/") && word.ends_with(".md"));
    let gone = mentioned.filter(|page| !root.join(page).exists());
    let gone = gone.map(|page| format!("{name}: names {page}, which is not there"));
    let dead = files.filter(|target| {
        let file = target.split('#').next().unwrap_or(target);
        !root.join(directory).join(file).exists()
    });
    dead.map(|target| format!("{name}: leads to {target}, which is not there")).chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_without_a_row_are_found() {
        let source = "pub enum ErrorCode {\n    /// A.\n    NotAPackage,\n    /// B.\n    Stuck,\n}\n";
        assert!(codes(source, "| `not-a-package` | 400 |\n| `stuck` | 500 |").is_empty());
        assert_eq!(codes(source, "| `stuck` | 500 |"), ["docs/errors.md: has no row for `not-a-package`"]);
        assert_eq!(codes("nothing", "").len(), 1);
    }

    #[test]
    fn dead_links_are_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = "[a](Cargo.toml) [b](src/lib.rs#top) [c](https://x.org/y) [d](#here) [e](gone.md)";
        assert_eq!(dead_links(root, "README.md", text), ["README.md: leads to gone.md, which is not there"]);
    }
}
