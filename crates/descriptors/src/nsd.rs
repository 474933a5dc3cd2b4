//! Network service descriptors.

use std::collections::BTreeSet;

use llcm_names::{ContainerName, Ssiid};

use crate::interface::kind;
use crate::link::{Scope, links};
use crate::model::{NetworkFunction, Nsd, ServiceConnectionPoint, Triple};
use crate::yaml::{Field, Kind, cut};

/// A function of the service with its place, for what is found out about it later.
pub(crate) type FunctionField<'a> = (NetworkFunction, Field<'a>);

/// Reads an NSD.
pub(crate) fn nsd<'a>(root: &Field<'a>, id: Triple) -> (Nsd, Vec<FunctionField<'a>>) {
    let functions = functions(root);
    let connection_points: Vec<_> =
        root.list("connection_points").iter().filter_map(connection_point).collect();
    let scope = Scope {
        members: functions.iter().map(|(function, _)| function.vnf_id.clone()).collect(),
        own: connection_points.iter().map(|point| point.id.clone()).collect(),
        member_word: "network function",
    };
    let nsd = Nsd {
        id,
        document: root.findings().document().to_owned(),
        functions: functions.iter().map(|(function, _)| function.clone()).collect(),
        links: links(root, &scope),
        connection_points,
        has_forwarding_graphs: root.has("forwarding_graphs"),
    };
    (nsd, functions)
}

fn functions<'a>(root: &Field<'a>) -> Vec<FunctionField<'a>> {
    let mut ids = BTreeSet::new();
    let mut functions = Vec::new();
    for field in root.list("network_functions") {
        if !field.expect_map() {
            continue;
        }
        let require = |key| {
            let text = field.text_of(key).filter(|text| !text.is_empty());
            if text.is_none() {
                field.error(
                    "missing-id",
                    format!("the network function has no `{key}`"),
                    format!("write `{key}: ...`"),
                );
            }
            text
        };
        let (Some(vnf_id), Some(vnf_name)) = (require("vnf_id"), require("vnf_name")) else { continue };
        if let Err(error) = ContainerName::derive(&vnf_id, "x", Ssiid::new(0)) {
            field.error("invalid-id", error.to_string(), "give the function another `vnf_id`");
        } else if ids.insert(vnf_id.clone()) {
            functions.push((NetworkFunction { vnf_id, vnf_name }, field));
        } else {
            field.error(
                "duplicate-vnf-id",
                format!("another network function has the vnf_id `{}` too", cut(&vnf_id)),
                "give each function a vnf_id of its own",
            );
        }
    }
    let section = root.get("network_functions");
    if section.is_none_or(|section| matches!(&section.node().kind, Kind::List(items) if items.is_empty())) {
        root.error(
            "no-functions",
            "the service has no network functions: there is nothing to start",
            "name its functions under `network_functions`",
        );
    }
    functions
}

fn connection_point(field: &Field<'_>) -> Option<ServiceConnectionPoint> {
    if !field.expect_map() {
        return None;
    }
    let id = field.text_of("id")?;
    Some(ServiceConnectionPoint { id, kind: kind(field) })
}
