//! Descriptors, topology, settings, what is live -> the plan of one instance.

use std::collections::BTreeMap;
use std::path::Path;

use llcm_descriptors::{Descriptors, Diagnostic};
use llcm_names::{InstallationId, InstanceId, LinkGroup, Owner, PortId, SegmentId, Ssiid};
use llcm_placement::Placement;
use llcm_topology::Topology;

use super::access::Access;
use super::containers::containers;
use super::drafts::drafts;
use super::findings::Findings;
use super::links::links;
use super::management;
use super::reserve::{lease, lease_saps};
use super::saps::{Saps, Without};
use super::service::Service;
use super::{HostFacts, InstancePlan, PlanState, Reserved};
use crate::settings::{Dialect, Settings};

/// What a plan is made from.
#[derive(Clone, Copy)]
pub struct PlanRequest<'a> {
    /// The package's descriptors.
    pub descriptors: &'a Descriptors,
    /// What [`super::reserve`] gave the service at onboarding. Not looked at in dialect `sonata`, where the
    /// plan itself reserves.
    pub reserved: &'a Reserved,
    /// Data centers and links.
    pub topology: &'a Topology,
    /// What can be set.
    pub settings: &'a Settings,
    /// The conventions to follow.
    pub dialect: Dialect,
    /// What is live.
    pub state: &'a PlanState,
    /// What the host has; `None`: planned offline, everything is taken to exist.
    pub facts: Option<&'a HostFacts>,
    /// The environment files: container name -> variables.
    pub env_files: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// The service's directory for results, absolute: [`Settings::results_of`]. Not looked at in dialect
    /// `tango`.
    pub results: &'a Path,
    /// The placement; `None`: the one that the settings name.
    pub placement: Option<&'a dyn Placement>,
    /// The installation.
    pub installation: &'a InstallationId,
    /// The new instance.
    pub instance: InstanceId,
    /// Its number within the service.
    pub ssiid: Ssiid,
}

impl std::fmt::Debug for PlanRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanRequest")
            .field("service", &self.descriptors.nsd.id)
            .field("dialect", &self.dialect)
            .field("instance", &self.instance)
            .field("ssiid", &self.ssiid)
            .finish_non_exhaustive()
    }
}

/// Decides everything about one instance. Takes time in proportion to what is in it.
///
/// # Errors
/// All findings, at least one of them an error, when the instance cannot be: a data center has too little room, a pool is exhausted, a port is
/// taken, the policy refuses something, an endpoint of an E-Line leads to several units, a subnet overlaps a
/// network of the engine, data centers that a link joins do not reach one another.
pub fn build(request: &PlanRequest<'_>) -> Result<InstancePlan, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let without = Without { host_ports: request.facts.and_then(|facts| facts.host.obstacle.as_deref()) };
    let saps = Saps::new(request.descriptors, request.settings, without, &mut findings);
    let service = Service::new(&saps.descriptors, request.dialect, &mut findings);
    let drafts = drafts(&saps, &service, request.settings, request.dialect, &mut findings);
    let ids = Ids::new(request.state);
    let Some(group) = ids.group() else {
        findings.error(
            "no-link-group",
            ("", ""),
            "all link groups are taken".to_owned(),
            "terminate instances",
        );
        return Err(findings.into_list());
    };
    let owner = Owner { installation: request.installation.clone(), instance: request.instance };
    let mut making = Making { request, service: &service, owner, group, ids, findings };
    let (mut containers, placed, placement) = containers(&mut making, &saps, &drafts);
    let mut leases = match request.dialect {
        Dialect::Tango => Reserved::default(),
        Dialect::Sonata => {
            let taken = &request.state.subnets;
            lease(&drafts, request.settings, request.dialect, taken, &mut making.findings)
        }
    };
    let sap_subnets = {
        let taken = request.state.subnets.iter().copied().chain(leases.iter()).collect();
        let known = request.facts.map(|facts| facts.host.networks.as_slice()).unwrap_or_default();
        lease_saps(&saps, &drafts, request.settings, &taken, known, &mut making.findings)
    };
    let reserved = match request.dialect {
        Dialect::Tango => request.reserved,
        Dialect::Sonata => &leases,
    };
    // Without all containers there is an error already, and the links would only repeat it.
    let (links, saps) = if containers.len() == service.units.len() {
        let mut access = Access::new(&mut making, &saps, &drafts, sap_subnets.clone(), &placed);
        let links = links(&mut making, &drafts, reserved, &mut containers, &mut access);
        management::take(&mut making, &saps, &mut containers);
        (links, saps.plans(&containers, access))
    } else {
        Default::default()
    };
    leases.sap.extend(sap_subnets.into_values());
    let placed = u64::try_from(containers.len()).unwrap_or(u64::MAX);
    let plan = InstancePlan {
        owner: making.owner,
        ssiid: request.ssiid,
        name: format!("{}-inst.{}", request.descriptors.nsd.id, request.ssiid),
        dialect: request.dialect,
        group,
        placement: Some(placement),
        containers,
        links,
        saps,
        leases,
        placement_turn: request.state.placement_turn.wrapping_add(placed),
        warnings: Vec::new(),
    };
    let (mut plan, warnings) = making.findings.finish(plan)?;
    plan.warnings = warnings;
    Ok(plan)
}

/// A plan in the making: what all parts of it need.
pub(super) struct Making<'a> {
    pub(super) request: &'a PlanRequest<'a>,
    pub(super) service: &'a Service<'a>,
    pub(super) owner: Owner,
    pub(super) group: LinkGroup,
    pub(super) ids: Ids<'a>,
    pub(super) findings: Findings,
}

/// Gives out the lowest numbers that nothing live has.
pub(super) struct Ids<'a> {
    state: &'a PlanState,
    next_port: u32,
    next_segment: u32,
}

impl<'a> Ids<'a> {
    fn new(state: &'a PlanState) -> Self {
        Self { state, next_port: 1, next_segment: SegmentId::MIN.get() }
    }

    /// A port of its own. There are four thousand million; they do not run out before memory does.
    pub(super) fn port(&mut self) -> PortId {
        loop {
            let id = PortId::new(self.next_port);
            self.next_port = self.next_port.wrapping_add(1);
            if !self.state.ports.contains(&id) {
                return id;
            }
        }
    }

    /// A segment of its own; `None`: all are taken.
    pub(super) fn segment(&mut self) -> Option<SegmentId> {
        while let Ok(id) = SegmentId::try_from(self.next_segment) {
            self.next_segment += 1;
            if !self.state.segments.contains(&id) {
                return Some(id);
            }
        }
        None
    }

    /// A kernel group of its own; `None`: all are taken.
    fn group(&self) -> Option<LinkGroup> {
        (1..)
            .map_while(|number| LinkGroup::try_from(number).ok())
            .find(|group| !self.state.groups.contains(group))
    }
}
