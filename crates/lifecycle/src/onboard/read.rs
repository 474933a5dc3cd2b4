//! From a package file to checked descriptors. Blocks; runs off the async threads.

use std::borrow::Cow;
use std::path::Path;

use llcm_descriptors::{ContentEntry, Descriptors, Diagnostic, LoadOptions, Severity, Source};
use llcm_packaging::{ContentDir, ErrorKind, Expected, PackagingError, Unpacked};

use super::{invalid, staging};
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::request::Upload;
use crate::settings::Integrity;

/// A package that was read and found to be in order.
pub(super) struct Package {
    pub(super) descriptors: Descriptors,
    pub(super) warnings: Vec<Diagnostic>,
    /// Its files, still in the staging directory; removed when dropped.
    pub(super) unpacked: Unpacked,
}

/// Unpacks and reads an upload. Its file is removed, whatever comes of it.
pub(super) fn read(core: &Core, upload: Upload) -> Result<Package, LifecycleError> {
    let settings = &core.parts.settings;
    let limits = settings.limits;
    let file = upload.file.reopen().map_err(|error| {
        LifecycleError::new(ErrorCode::StoreFailed, format!("open {}: {error}", upload.file.path().display()))
    })?;
    let unpacked = llcm_packaging::unpack(file, &staging(&core.parts.data_dir), &limits).map_err(refused)?;
    drop(upload);
    let content = unpacked.content(&limits).map_err(refused)?;
    let options = LoadOptions { build_images: settings.build_images };
    let loaded = llcm_descriptors::load(&Files(&content), &options);
    let mut findings = loaded.diagnostics;
    findings.extend(check_hashes(&content, &loaded.contents, settings.integrity));
    let wrong = findings.iter().any(|finding| finding.severity == Severity::Error);
    match loaded.descriptors {
        Some(descriptors) if !wrong => Ok(Package { descriptors, warnings: findings, unpacked }),
        _ => Err(invalid(findings)),
    }
}

/// Moves a package's files into place.
pub(super) fn commit(unpacked: Unpacked, target: &Path) -> Result<(), LifecycleError> {
    unpacked.commit(target).map(|_path| ()).map_err(refused)
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
    let usual = match integrity {
        Integrity::Enforce => Severity::Error,
        Integrity::Warn => Severity::Warning,
        Integrity::Off => return Vec::new(),
    };
    let expected: Vec<_> = entries
        .iter()
        .map(|entry| Expected { path: &entry.path, algorithm: &entry.algorithm, hash: &entry.hash })
        .collect();
    let problems = llcm_packaging::verify(content, &expected);
    problems
        .into_iter()
        .map(|(index, problem)| {
            let severity = if problem.only_warns() { Severity::Warning } else { usual };
            let entry = &entries[index];
            let finding = Diagnostic::new(
                severity,
                "hash",
                entry.document.clone(),
                entry.location.clone(),
                problem.to_string(),
            )
            .at(entry.line, entry.column);
            if severity == Severity::Error {
                finding.hint("setting `integrity: warn` accepts the package nevertheless")
            } else {
                finding
            }
        })
        .collect()
}

fn refused(error: PackagingError) -> LifecycleError {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::NotAPackage => LifecycleError::new(ErrorCode::NotAPackage, message),
        ErrorKind::TooLarge => LifecycleError::new(ErrorCode::TooLarge, message),
        ErrorKind::Io => LifecycleError::new(ErrorCode::StoreFailed, message),
        ErrorKind::Invalid => invalid(vec![Diagnostic::new(Severity::Error, error.code(), "", "", message)]),
    }
}
