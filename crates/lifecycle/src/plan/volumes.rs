//! Directories of the host that containers get.

use std::path::PathBuf;

use llcm_names::{ContainerName, Ssiid};
use llcm_runtime::Bind;

use super::build::PlanRequest;
use super::findings::Findings;
use super::service::UnitRef;
use crate::settings::Dialect;

/// Where functions of dialect `sonata` find the directory for what they want to keep (the original's path, which
/// profiling tools collect their figures from).
const SHARE: &str = "/mnt/share/";

/// Whether the service's directory for results can be mounted at all: where it cannot, that is one error.
pub(super) fn check(request: &PlanRequest<'_>, findings: &mut Findings) {
    let results = request.results;
    let usable = results.is_absolute() && !results.display().to_string().contains(':');
    if request.dialect == Dialect::Sonata && !usable {
        findings.error(
            "bad-results-dir",
            ("", ""),
            format!("{} cannot be mounted: it must be absolute and hold no ':'", results.display()),
            "name another directory with the setting `results_dir`",
        );
    }
}

/// What is mounted into a unit's container: in dialect `sonata` the function's directory for results, in `tango`
/// nothing. The container driver makes the directory.
pub(super) fn binds(request: &PlanRequest<'_>, unit: &UnitRef<'_>) -> Vec<Bind> {
    if request.dialect == Dialect::Tango {
        return Vec::new();
    }
    // The id as the name of the function's first container: a single component of a path, whatever characters
    // the id has. That it makes a name was checked when the containers got theirs.
    let directory = ContainerName::derive_sonata(unit.vnf_id, Ssiid::new(0));
    let bind = |directory: ContainerName| Bind {
        host: request.results.join(directory.as_str()),
        container: PathBuf::from(SHARE),
        read_only: false,
    };
    directory.into_iter().map(bind).collect()
}
