//! Whose ports are whose: in dialect `sonata` a container has the connection points of its function, and with them
//! their ports; in `tango` it has its unit's.

use std::collections::BTreeSet;

use llcm_names::{Port, Protocol};

use super::findings::Findings;
use super::service::{Service, UnitRef};
use crate::settings::Dialect;

/// The ports that a unit is declared to listen on; the same one may stand there twice.
pub(super) fn exposed(dialect: Dialect, unit: &UnitRef<'_>) -> Vec<(Port, Protocol)> {
    let function = match dialect {
        Dialect::Tango => &[][..],
        Dialect::Sonata => &unit.vnfd.exposed,
    };
    function.iter().chain(&unit.unit.exposed).copied().collect()
}

/// The ports that a unit publishes: container port, protocol, declared host port. What a function publishes can be
/// one container's only, and is its first unit's, the one that the original made.
pub(super) fn published(dialect: Dialect, unit: &UnitRef<'_>) -> Vec<(Port, Protocol, Port)> {
    let function = match dialect {
        Dialect::Sonata if unit.position == 0 => &unit.vnfd.published[..],
        Dialect::Tango | Dialect::Sonata => &[],
    };
    let mut seen = BTreeSet::new();
    function.iter().chain(&unit.unit.published).copied().filter(|port| seen.insert(*port)).collect()
}

/// Says what is not published although it stands in a descriptor. That a port which is only listened on is not
/// declared with the unit changes nothing, and is so in most descriptors: nothing is said of those.
pub(super) fn check(dialect: Dialect, service: &Service<'_>, findings: &mut Findings) {
    if dialect == Dialect::Sonata {
        return;
    }
    let mut seen = BTreeSet::new();
    for (_, vnfd, _) in &service.functions {
        if !vnfd.published.is_empty() && seen.insert(&vnfd.id.name) {
            let ports: Vec<_> = vnfd
                .published
                .iter()
                .map(|(port, protocol, host)| format!("{port}/{protocol} as {host}"))
                .collect();
            findings.warn(
                "publish-of-function",
                (&vnfd.document, "connection_points"),
                format!("{} would publish {}: left out", vnfd.id.name, ports.join(", ")),
                "write `publish` with a connection point of the deployment unit that listens",
            );
        }
    }
}
