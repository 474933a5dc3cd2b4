//! Network function descriptors.

use std::collections::BTreeSet;

use crate::interface::interfaces;
use crate::link::{Scope, links};
use crate::load::Context;
use crate::model::{Triple, Vnfd};
use crate::ports::Ports;
use crate::unit::{UnitKind, unit};
use crate::yaml::{Field, Kind, cut};

/// Reads a VNFD that the service uses.
pub(crate) fn vnfd(root: &Field<'_>, id: Triple, context: &Context<'_>) -> Vnfd {
    let interfaces = interfaces(root);
    let kinds = [
        ("virtual_deployment_units", UnitKind::Virtual),
        ("cloudnative_deployment_units", UnitKind::CloudNative),
    ];
    let mut units = Vec::new();
    let mut ids = BTreeSet::new();
    let mut described = false;
    for (key, kind) in kinds {
        for field in root.list(key) {
            described = true;
            // The ids of broken units count as well: links that name them are not to be blamed.
            if let Some(id) = field.get("id").and_then(|id| id.node().scalar()).map(str::trim)
                && !ids.insert(id.to_owned())
            {
                field.error(
                    "duplicate-unit",
                    format!("another deployment unit has the id `{}` too", cut(id)),
                    "give each unit an id of its own",
                );
            }
            units.extend(unit(&field, kind, context));
        }
    }
    if !described {
        root.warn(
            "no-units",
            "the function has no virtual or cloud-native deployment unit: nothing is started for it",
            "describe its containers under `cloudnative_deployment_units`",
        );
    }
    let scope = Scope {
        members: ids,
        own: interfaces.iter().map(|interface| interface.id.clone()).collect(),
        member_word: "deployment unit",
    };
    let links = links(root, &scope);
    let mut ports = Ports::default();
    // Heeded in dialect `sonata` only, and which one is spoken is not known here. A list that is none was noted above.
    if let Some(points) =
        root.get("connection_points").filter(|field| matches!(field.node().kind, Kind::List(_)))
    {
        points.lenient().items().iter().for_each(|point| ports.read(point));
    }
    let (exposed, published) = (ports.exposed, ports.published);
    Vnfd { id, document: root.findings().document().to_owned(), interfaces, exposed, published, units, links }
}
