//! Reading a package and what belongs to it from disk, for onboarding and for those who plan without a server.
//! Blocks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use llcm_descriptors::{ContentEntry, Diagnostic, LoadOptions, Loaded, Severity, Source};
use llcm_packaging::{ContentDir, Expected};

use crate::plan::parse_env_file;
use crate::settings::{Integrity, Settings};

/// The largest environment file that is read.
const ENV_FILE_MAX: u64 = 1024 * 1024;

/// Loads the descriptors of an unpacked package and compares its hashes, as the settings say. What is found
/// about the hashes stands behind the other findings; with an error among them there are no descriptors.
#[must_use]
pub fn load(content: &ContentDir, settings: &Settings) -> Loaded {
    let options = LoadOptions { build_images: settings.build_images };
    let mut loaded = llcm_descriptors::load(&Files(content), &options);
    loaded.diagnostics.extend(check_hashes(content, &loaded.contents, settings.integrity));
    if loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error) {
        loaded.descriptors = None;
    }
    loaded
}

/// The files of a package for the descriptors' loader.
struct Files<'a>(&'a ContentDir);

impl Source for Files<'_> {
    fn paths(&self) -> Vec<String> {
        self.0.paths()
    }

    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, String> {
        self.0.read(path).map(|bytes| bytes.map(Cow::Owned))
    }
}

fn check_hashes(content: &ContentDir, entries: &[ContentEntry], integrity: Integrity) -> Vec<Diagnostic> {
    // An MD5 that differs only ever warns, whatever the setting; the setting is about SHA-256.
    let usual = match integrity {
        Integrity::Enforce => Some(Severity::Error),
        Integrity::Warn => Some(Severity::Warning),
        Integrity::Off => None,
    };
    let expected: Vec<_> = entries
        .iter()
        .map(|entry| Expected { path: &entry.path, algorithm: &entry.algorithm, hash: &entry.hash })
        .collect();
    let problems = llcm_packaging::verify(content, &expected);
    problems
        .into_iter()
        .filter_map(|(index, problem)| {
            let severity = if problem.only_warns() { Severity::Warning } else { usual? };
            let entry = &entries[index];
            let finding = Diagnostic::new(
                severity,
                "hash-mismatch",
                entry.document.clone(),
                entry.location.clone(),
                problem.to_string(),
            )
            .at(entry.line, entry.column);
            Some(if severity == Severity::Error {
                finding.hint("setting `integrity: warn` accepts the package nevertheless")
            } else {
                finding
            })
        })
        .collect()
}

/// Reads the environment file of a container; `None` when there is none.
///
/// # Errors
/// A finding about the file: it cannot be read, is too large, or is no mapping of names to texts.
#[expect(clippy::result_large_err, reason = "read once per container; a finding is what the caller collects")]
pub fn read_env_file(dir: &Path, container: &str) -> Result<Option<BTreeMap<String, String>>, Diagnostic> {
    let path = dir.join(format!("{container}.env.yml"));
    let shown = path.display().to_string();
    let bad = |message: String| Diagnostic::new(Severity::Error, "env-file", shown.clone(), "", message);
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| bad(format!("cannot be read: {error}")))?,
    };
    let mut bytes = Vec::new();
    file.take(ENV_FILE_MAX + 1).read_to_end(&mut bytes).map_err(|e| bad(format!("cannot be read: {e}")))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > ENV_FILE_MAX) {
        return Err(bad(format!("is larger than {ENV_FILE_MAX} bytes")));
    }
    parse_env_file(&shown, &bytes).map(Some)
}
