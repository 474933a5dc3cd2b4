//! From a package file to checked descriptors. Blocks; runs off the async threads.

use std::path::Path;

use llcm_descriptors::{Descriptors, Diagnostic, Severity};
use llcm_packaging::{ErrorKind, PackagingError, Unpacked};

use super::{invalid, staging};
use crate::admission::check_room;
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError, disk_code};
use crate::package::load;
use crate::request::Upload;
use crate::settings::Dialect;

/// A package that was read and found to be in order.
pub(super) struct Package {
    pub(super) descriptors: Descriptors,
    pub(super) warnings: Vec<Diagnostic>,
    /// Its files, still in the staging directory; removed when dropped.
    pub(super) unpacked: Unpacked,
}

/// Unpacks and reads an upload. Its file is removed, whatever comes of it.
pub(super) fn read(core: &Core, upload: Upload, dialect: Dialect) -> Result<Package, LifecycleError> {
    // What it unpacks to is seldom less than it is.
    check_room(core, upload.size)?;
    let settings = core.settings(dialect);
    let limits = settings.limits;
    let file = upload.file.reopen().map_err(|error| {
        LifecycleError::new(ErrorCode::StoreFailed, format!("open {}: {error}", upload.file.path().display()))
    })?;
    let unpacked = llcm_packaging::unpack(file, &staging(&core.parts.data_dir), &limits).map_err(refused)?;
    drop(upload);
    check_room(core, 0)?;
    let content = unpacked.content(&limits).map_err(refused)?;
    let loaded = load(&content, settings);
    match loaded.descriptors {
        Some(descriptors) => Ok(Package { descriptors, warnings: loaded.diagnostics, unpacked }),
        None => Err(invalid(loaded.diagnostics)),
    }
}

/// Moves a package's files into place.
pub(super) fn commit(unpacked: Unpacked, target: &Path) -> Result<(), LifecycleError> {
    unpacked.commit(target).map(|_path| ()).map_err(refused)
}

fn refused(error: PackagingError) -> LifecycleError {
    let message = match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    match error.kind() {
        ErrorKind::NotAPackage => LifecycleError::new(ErrorCode::NotAPackage, message),
        ErrorKind::TooLarge => LifecycleError::new(ErrorCode::TooLarge, message),
        ErrorKind::Io => {
            let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref());
            LifecycleError::new(cause.map_or(ErrorCode::StoreFailed, disk_code), message)
        }
        ErrorKind::Invalid => invalid(vec![Diagnostic::new(Severity::Error, error.code(), "", "", message)]),
    }
}
