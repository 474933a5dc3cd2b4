//! Virtual links of services and functions.

use std::collections::BTreeSet;

use crate::model::{ConnectivityType, Endpoint, VirtualLink};
use crate::yaml::{Field, Kind, cut};

/// What endpoints can refer to.
#[derive(Debug)]
pub(crate) struct Scope {
    /// What stands before the colon: `vnf_id`s in an NSD, unit ids in a VNFD.
    pub(crate) members: BTreeSet<String>,
    /// Ids of the document's own connection points, as written.
    pub(crate) own: BTreeSet<String>,
    /// What a member is called in messages.
    pub(crate) member_word: &'static str,
}

/// The `virtual_links` of a document, ids unique.
pub(crate) fn links(document: &Field<'_>, scope: &Scope) -> Vec<VirtualLink> {
    let mut ids = BTreeSet::new();
    let mut links = Vec::new();
    for (position, field) in document.list("virtual_links").into_iter().enumerate() {
        let Some(mut link) = link(&field, position, scope) else { continue };
        if !ids.insert(link.id.clone()) {
            let unique = format!("{}-{position}", link.id);
            field.warn(
                "duplicate-link-id",
                format!(
                    "another link has the id `{}` too; this one is called `{}`",
                    cut(&link.id),
                    cut(&unique)
                ),
                "give each link an id of its own",
            );
            ids.insert(unique.clone());
            link.id = unique;
        }
        links.push(link);
    }
    links
}

fn link(field: &Field<'_>, position: usize, scope: &Scope) -> Option<VirtualLink> {
    if !field.expect_map() {
        return None;
    }
    let id = field.text_of("id").unwrap_or_else(|| format!("link-{position}"));
    let Some(kind) = field.get("connectivity_type") else {
        field.warn(
            "missing-connectivity",
            format!("the link `{}` has no `connectivity_type` and is left out", cut(&id)),
            "write E-Line, E-LAN or E-Tree",
        );
        return None;
    };
    let connectivity = connectivity(&kind);
    let mut endpoints = Vec::new();
    let mut seen = BTreeSet::new();
    let references = field.get("connection_points_reference");
    for reference in references.iter().flat_map(Field::items) {
        let Some(endpoint) = reference.text().and_then(|text| endpoint(&reference, &text, scope)) else {
            continue;
        };
        if !seen.insert(endpoint.clone()) && matches!(endpoint, Endpoint::Function { .. }) {
            reference.warn(
                "duplicate-endpoint",
                "the same connection point stands here again and is ignored",
                "remove it",
            );
        } else {
            endpoints.push(endpoint);
        }
    }
    if references.is_none_or(|list| matches!(&list.node().kind, Kind::List(items) if items.is_empty())) {
        field.warn(
            "empty-link",
            format!("the link `{}` joins nothing", cut(&id)),
            "name its connection points",
        );
    }
    Some(VirtualLink {
        roots: roots(field, &seen, scope),
        id,
        connectivity: connectivity?,
        endpoints,
        path: field.path.clone(),
    })
}

fn connectivity(field: &Field<'_>) -> Option<ConnectivityType> {
    let text = field.text()?;
    let known = [ConnectivityType::ELine, ConnectivityType::ELan, ConnectivityType::ETree];
    let found = known.into_iter().find(|kind| text.eq_ignore_ascii_case(kind.as_str()));
    if found.is_none() {
        field.error(
            "unknown-connectivity",
            format!("`{}` is no connectivity type", cut(&text)),
            "write E-Line, E-LAN or E-Tree",
        );
    }
    found
}

/// `vnf0:input`, `input`, `ns:input`. Whether a connection point of a function exists is for the plan to
/// resolve; an unknown function is noted here, as a warning, because published packages have such references.
fn endpoint(field: &Field<'_>, text: &str, scope: &Scope) -> Option<Endpoint> {
    if text.is_empty() {
        field.error("invalid-endpoint", "the reference is empty", "write `vnf_id:connection_point`");
        return None;
    }
    let parsed = parse(text, scope);
    match &parsed {
        Endpoint::Function { id, cp } if cp.is_empty() || id.is_empty() => {
            field.error(
                "invalid-endpoint",
                format!("`{}` names no connection point", cut(text)),
                "write `vnf_id:connection_point`",
            );
            return None;
        }
        Endpoint::Function { id, .. } if !scope.members.contains(id) => field.warn(
            "unknown-endpoint",
            format!("`{}` refers to `{}`, and there is no such {}", cut(text), cut(id), scope.member_word),
            "correct the id before the colon",
        ),
        Endpoint::Own { cp } if !scope.own.contains(text) && !scope.own.contains(cp) => field.warn(
            "unknown-endpoint",
            format!("`{}` is no connection point declared here", cut(text)),
            "declare it under `connection_points`, or write `vnf_id:connection_point`",
        ),
        Endpoint::Function { .. } | Endpoint::Own { .. } => {}
    }
    Some(parsed)
}

/// The declared own connection points come first, because some are declared with a colon in their ids
/// (`ns:mgmt`, `vnf:mgmt`).
fn parse(text: &str, scope: &Scope) -> Endpoint {
    let own = |cp: &str| Endpoint::Own { cp: cp.strip_prefix("ns:").unwrap_or(cp).to_owned() };
    match text.split_once(':') {
        Some((id, cp)) if scope.members.contains(id) => {
            Endpoint::Function { id: id.to_owned(), cp: cp.to_owned() }
        }
        _ if scope.own.contains(text) => own(text),
        Some(("ns", _)) | None => own(text),
        Some((id, cp)) => Endpoint::Function { id: id.to_owned(), cp: cp.to_owned() },
    }
}

/// `root_requirement` where it names endpoints of the link; other texts there are free-form requirements.
fn roots(field: &Field<'_>, endpoints: &BTreeSet<Endpoint>, scope: &Scope) -> Vec<Endpoint> {
    let named = field.list_or_one("root_requirement");
    let texts = named.iter().filter_map(|field| field.node().scalar());
    texts.map(|text| parse(text.trim(), scope)).filter(|endpoint| endpoints.contains(endpoint)).collect()
}
