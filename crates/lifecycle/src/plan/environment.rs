//! Environment files and the names they are looked up by.

use std::collections::BTreeMap;

use llcm_descriptors::{Descriptors, Diagnostic};
use llcm_names::{ContainerName, Ssiid};

use crate::settings::Dialect;

/// The names of an instance's containers, in starting order: what environment files are called
/// (`<name>.env.yml`). Names that cannot be are left out; [`super::build`] reports them.
#[expect(clippy::unimplemented, reason = "skeleton")]
pub fn container_names(descriptors: &Descriptors, dialect: Dialect, ssiid: Ssiid) -> Vec<ContainerName> {
    let _ = (descriptors, dialect, ssiid);
    unimplemented!()
}

/// Reads an environment file: a YAML mapping of names to scalars.
///
/// # Errors
/// A finding about `document` when it is anything else.
#[expect(clippy::unimplemented, reason = "skeleton")]
pub fn parse_env_file(document: &str, bytes: &[u8]) -> Result<BTreeMap<String, String>, Diagnostic> {
    let _ = (document, bytes);
    unimplemented!()
}
