//! Checks of the workspace that no compiler lint makes, as functions that return what is wrong.
//!
//! `cargo xtask check` runs them, and so does plain `cargo test` (`tests/workspace.rs`): there is no rule
//! that only the continuous integration knows. What needs the network or a second build, `cargo xtask ci`
//! adds: formatting, clippy, documentation.
//!
//! ```no_run
//! let root = xtask::workspace_root();
//! for finding in xtask::check_all(&root).unwrap() {
//!     println!("{finding}");
//! }
//! ```
//!
//! Suggested reading order: [`layers`] (the table of who may use whom), [`lints`], [`tidy`], [`pages`], [`licences`],
//! [`ci`].

pub mod ci;
pub mod layers;
pub mod licences;
pub mod lints;
pub mod metadata;
pub mod pages;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The root of the workspace that this crate was built in.
///
/// # Panics
/// Never: a crate of a workspace lies in a directory.
#[must_use]
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// Everything that is wrong, a line each, with the place and the rule.
///
/// # Errors
/// When files cannot be read or `cargo metadata` cannot be run.
pub fn check_all(root: &Path) -> anyhow::Result<Vec<String>> {
    let members = metadata::members(root)?;
    let mut findings = layers::check(&members);
    findings.extend(lints::check(root, &members)?);
    findings.extend(tidy::check(root)?);
    findings.extend(pages::check(root, &members)?);
    findings.extend(licences::check_manifest(root)?);
    Ok(findings)
}
