//! Which links a service has, of which shape and with which members - before any of them has an address.

use std::collections::{BTreeMap, BTreeSet};

use llcm_descriptors::{ConnectivityType, Endpoint, VirtualLink};
use llcm_netplan::{Shape, shape};
use llcm_runtime::TreeRole;

use super::findings::Findings;
use super::management::Management;
use super::saps::Saps;
use super::service::{Service, Socket};
use crate::settings::{Dialect, LinkRule, Settings};

/// Ends of all links of a service together. Few bytes of descriptors can mean very many ends, because a
/// reference may lead to many interfaces and every use of a function has all of its internal links.
const MAX_ENDS: usize = 1 << 19;

/// What is at an end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    /// An interface of a unit.
    Unit(Socket),
    /// An external service access point: its position among those of [`Saps::external`].
    Sap(usize),
}

/// A link before addresses are given. One without members is declared, but not deployed.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// Its id in the plan.
    pub(super) id: String,
    /// What it is called: its own type, or E-LAN for an E-Line with more than two endpoints.
    pub(super) connectivity: ConnectivityType,
    pub(super) shape: Shape,
    /// In the order of the references, each once.
    pub(super) members: Vec<(Member, TreeRole)>,
    pub(super) document: &'a str,
    pub(super) path: &'a str,
}

impl Draft<'_> {
    /// Where it stands, for findings.
    pub(super) fn place(&self) -> (&str, &str) {
        (self.document, self.path)
    }

    /// The external access point whose subnet the link has.
    pub(super) fn sap(&self) -> Option<usize> {
        self.members.iter().find_map(|(member, _)| match member {
            Member::Sap(sap) => Some(*sap),
            Member::Unit(_) => None,
        })
    }
}

/// All links of a service: the NSD's in order, then the functions' internal ones. In dialect `tango` those
/// that are declared but not deployed are among them, because subnets are reserved for them, too.
pub(super) fn drafts<'a>(
    saps: &'a Saps<'_>,
    service: &Service<'a>,
    settings: &Settings,
    dialect: Dialect,
    findings: &mut Findings,
) -> Vec<Draft<'a>> {
    let nsd = &saps.descriptors.nsd;
    let external = saps.external().enumerate().map(|(position, sap)| (sap.cp.as_str(), position)).collect();
    let mut reader = Reader {
        service,
        document: &nsd.document,
        findings,
        used: BTreeSet::new(),
        external,
        sap_functions: saps.functions(),
        management: settings.docker_management.then(|| Management::new(saps, service)),
    };
    let mut list = Vec::new();
    if nsd.has_forwarding_graphs || settings.links == LinkRule::Declared {
        let mut ends = 0;
        for link in &nsd.links {
            let draft = reader.service_link(link);
            ends += draft.members.len().max(link.endpoints.len());
            if ends > MAX_ENDS {
                too_many(reader.findings, draft.place());
                return Vec::new();
            }
            list.push(draft);
        }
    } else if !nsd.links.is_empty() {
        reader.findings.warn(
            "links-not-deployed",
            (&nsd.document, "virtual_links"),
            format!("{} links are declared and left out: there is no forwarding_graphs", nsd.links.len()),
            "add the key forwarding_graphs, or deploy links always with the setting `links: declared`",
        );
    }
    let used = reader.used;
    let mut ends = 0;
    for &(vnf_id, vnfd, first) in &service.functions {
        for internal in service.internal_links(vnfd) {
            // Where a service's link goes on from a connection point of the function, this link is the inner
            // part of that one and not a segment of its own.
            ends += internal.points.len() + internal.spots.len();
            if ends > MAX_ENDS {
                too_many(findings, (&vnfd.document, &internal.link.path));
                return Vec::new();
            }
            if internal.points.iter().any(|point| used.contains(&(vnf_id, *point))) {
                continue;
            }
            let line = internal.link.connectivity == ConnectivityType::ELine;
            let roots = internal.spots.iter().filter(|(_, root)| *root).count();
            let shape = shape(line, roots, internal.spots.len());
            let spots = internal.spots.iter();
            let members = spots.map(|&(spot, root)| (Member::Unit(spot.of(first)), role(shape, root)));
            list.push(Draft {
                id: format!("{vnf_id}:{}", internal.link.id),
                connectivity: name_of(internal.link, shape),
                shape,
                members: members.collect(),
                document: &vnfd.document,
                path: &internal.link.path,
            });
        }
    }
    if dialect == Dialect::Sonata {
        list.retain(|draft| !draft.members.is_empty());
    }
    list
}

fn too_many(findings: &mut Findings, place: (&str, &str)) {
    let message = format!("the links of the service have more than {MAX_ENDS} ends");
    findings.error("service-too-large", place, message, "split it into several services");
}

fn role(shape: Shape, root: bool) -> TreeRole {
    if shape == Shape::Tree && !root { TreeRole::Leaf } else { TreeRole::Root }
}

fn name_of(link: &VirtualLink, shape: Shape) -> ConnectivityType {
    match (link.connectivity, shape) {
        (ConnectivityType::ELine, Shape::Lan | Shape::Tree) => ConnectivityType::ELan,
        (connectivity, _) => connectivity,
    }
}

struct Reader<'a, 'r> {
    service: &'r Service<'a>,
    document: &'a str,
    findings: &'r mut Findings,
    /// Connection points of functions that are on a deployed link: `vnf_id`, connection point.
    used: BTreeSet<(&'a str, &'a str)>,
    /// Connection point -> position of the external access point there.
    external: BTreeMap<&'a str, usize>,
    /// The functions that are access points.
    sap_functions: BTreeSet<&'a str>,
    /// `None`: all links are deployed.
    management: Option<Management<'a>>,
}

impl<'a> Reader<'a, '_> {
    fn service_link(&mut self, link: &'a VirtualLink) -> Draft<'a> {
        let line = link.connectivity == ConnectivityType::ELine;
        let shape = shape(line, link.roots.len(), link.endpoints.len());
        let mut draft = Draft {
            id: link.id.clone(),
            connectivity: name_of(link, shape),
            shape,
            members: Vec::new(),
            document: self.document,
            path: &link.path,
        };
        let engines = self.management.as_ref().is_some_and(|management| management.has(link));
        if engines {
            // The engine's network joins them.
        } else if shape == Shape::Line {
            self.line(link, &mut draft);
        } else {
            if line {
                self.findings.warn(
                    "eline-with-many-endpoints",
                    draft.place(),
                    format!("E-Line {} has {} endpoints: treated as an E-LAN", link.id, link.endpoints.len()),
                    "an E-Line joins two; write E-LAN",
                );
            }
            self.lan(link, &mut draft);
        }
        if engines || !draft.members.is_empty() {
            self.used.extend(link.endpoints.iter().filter_map(|endpoint| match endpoint {
                Endpoint::Function { id, cp } => Some((id.as_str(), cp.as_str())),
                Endpoint::Own { .. } => None,
            }));
        }
        draft
    }

    fn line(&mut self, link: &VirtualLink, draft: &mut Draft<'a>) {
        let [from, to] = link.endpoints.as_slice() else {
            return self.skip(draft, "does not have two endpoints");
        };
        if self.is_sap(from) && self.is_sap(to) {
            return self.skip(draft, "joins two service access points");
        }
        let mut ends = Vec::with_capacity(2);
        for endpoint in [from, to] {
            match endpoint {
                Endpoint::Own { cp } => match self.external.get(cp.as_str()) {
                    Some(&sap) => ends.push(Member::Sap(sap)),
                    None => {
                        let why = "ends at a service connection point, and no SAP is deployed there";
                        return self.skip(draft, why);
                    }
                },
                Endpoint::Function { id, cp } => match self.service.resolve(id, cp).as_slice() {
                    [] => {
                        return self.skip(draft, &format!("has the endpoint {id}:{cp}, which there is not"));
                    }
                    [socket] => ends.push(Member::Unit(*socket)),
                    several => {
                        self.findings.error(
                            "ambiguous-endpoint",
                            draft.place(),
                            format!("E-Line {} ends at {id}:{cp}: {} units", link.id, several.len()),
                            "an E-Line joins two interfaces; write E-LAN, or let the connection point lead to one unit",
                        );
                        return;
                    }
                },
            }
        }
        if ends.first() == ends.last() {
            return self.skip(draft, "joins an interface to itself");
        }
        draft.members = ends.into_iter().map(|member| (member, TreeRole::Root)).collect();
    }

    fn is_sap(&self, endpoint: &Endpoint) -> bool {
        match endpoint {
            Endpoint::Own { cp } => self.external.contains_key(cp.as_str()),
            Endpoint::Function { id, .. } => self.sap_functions.contains(id.as_str()),
        }
    }

    fn skip(&mut self, draft: &Draft<'_>, why: &str) {
        self.findings.warn(
            "link-skipped",
            draft.place(),
            format!("{} {} {why}: skipped", draft.connectivity.as_str(), draft.id),
            "",
        );
    }

    fn lan(&mut self, link: &VirtualLink, draft: &mut Draft<'a>) {
        let roots: BTreeSet<&Endpoint> = link.roots.iter().collect();
        let mut seen = BTreeSet::new();
        let mut looked_at = 0;
        for endpoint in &link.endpoints {
            let role = role(draft.shape, roots.contains(endpoint));
            let (id, cp) = match endpoint {
                Endpoint::Function { id, cp } => (id, cp),
                Endpoint::Own { cp } => {
                    let sap = self.external.get(cp.as_str()).map(|&sap| Member::Sap(sap));
                    draft.members.extend(sap.filter(|it| seen.insert(*it)).map(|sap| (sap, role)));
                    continue;
                }
            };
            let sockets = self.service.resolve(id, cp);
            looked_at += sockets.len();
            if looked_at > MAX_ENDS {
                too_many(self.findings, draft.place());
                return;
            }
            // An unknown function was noted when the package was read.
            if sockets.is_empty() && self.service.has_function(id) {
                self.findings.warn(
                    "unresolved-endpoint",
                    draft.place(),
                    format!("{} {}: {id}:{cp} leads to no interface: left out", link.connectivity.as_str(), link.id),
                    "name a connection point of the function, or join it to a unit's in the VNFD's virtual_links",
                );
            }
            let members = sockets.into_iter().map(Member::Unit);
            draft.members.extend(members.filter(|it| seen.insert(*it)).map(|it| (it, role)));
        }
        // Access points alone have nothing to speak with.
        if !draft.members.iter().any(|(member, _)| matches!(member, Member::Unit(_))) {
            draft.members.clear();
        }
        if draft.members.is_empty() {
            self.skip(draft, "joins no interface of any function");
        }
    }
}
