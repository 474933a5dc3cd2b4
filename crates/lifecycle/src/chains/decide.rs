//! What a chain will be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use llcm_descriptors::{Diagnostic, Severity};
use llcm_names::{ContainerName, SegmentId};
use llcm_runtime::{ChainEnd, ChainSpec, FrameMatch, PortSpec};

use super::{ChainRecord, ChainRequest, EndRef, MOST, NamedEnd};
use crate::clock::Timestamp;
use crate::error::{ErrorCode, LifecycleError};
use crate::known::it_has;
use crate::plan::{ContainerPlan, InstancePlan, SapPlace};

/// Reads a match; its error is a finding with the column, too.
pub(super) fn read(text: &str) -> Result<FrameMatch, LifecycleError> {
    text.parse().map_err(|error: llcm_runtime::MatchError| {
        let column = u32::try_from(error.column).ok();
        let severity = Severity::Error;
        let finding = Diagnostic::new(severity, "invalid-match", "", "", error.message.as_str());
        LifecycleError {
            diagnostics: vec![Diagnostic { column, ..finding }],
            ..invalid(format!("the match cannot be understood: {error}"))
        }
    })
}

fn invalid(message: impl Into<String>) -> LifecycleError {
    LifecycleError::new(ErrorCode::InvalidChain, message)
}

/// Decides a chain of an instance that has those present already; `taken`: the numbers of all segments and chains.
pub(super) fn decide(
    plan: &InstancePlan,
    present: &BTreeMap<SegmentId, ChainRecord>,
    taken: &BTreeSet<SegmentId>,
    request: &ChainRequest,
    now: Timestamp,
) -> Result<ChainRecord, LifecycleError> {
    let matches = read(&request.matches)?;
    let (source, from) = find(plan, &request.source)?;
    let (destination, to) = find(plan, &request.destination)?;
    if from.id == to.id {
        return Err(invalid(format!("{source} is both the source and the destination")));
    }
    if present.len() >= MOST {
        let message = format!("instance {} has {MOST} chains, and can have no more", plan.instance());
        return Err(LifecycleError::new(ErrorCode::TooManyChains, message));
    }
    let free = (SegmentId::MIN.get()..=SegmentId::MAX.get()).filter_map(|id| SegmentId::try_from(id).ok());
    let id = free.into_iter().find(|id| !taken.contains(id)).ok_or_else(|| {
        let message = format!("all {} segment ids are taken", SegmentId::MAX);
        LifecycleError::new(ErrorCode::CannotPlan, message)
    })?;
    let end = |port: &PortSpec| ChainEnd { port: port.id, datacenter: port.datacenter.clone() };
    let spec = ChainSpec {
        owner: plan.owner.clone(),
        id,
        group: plan.group,
        source: end(from),
        destination: end(to),
        bidirectional: request.bidirectional,
        matches,
        priority: request.priority,
    };
    if let Some(other) = present.values().find(|other| in_the_way(&other.spec, &spec)) {
        let message = format!(
            "chain {} takes the same frames of the same interface with the same priority: remove it, or give another \
             priority",
            other.spec.id
        );
        return Err(LifecycleError::new(ErrorCode::ChainExists, message));
    }
    Ok(ChainRecord { spec, source, destination, cookie: request.cookie, created_at: now })
}

/// Whether of two chains one would never see a frame.
fn in_the_way(one: &ChainSpec, other: &ChainSpec) -> bool {
    let same = one.matches == other.matches && one.priority == other.priority;
    let shared =
        || one.ways().iter().any(|(from, _)| other.ways().iter().any(|(also, _)| from.port == also.port));
    same && shared()
}

/// The port that an end names.
fn find<'a>(plan: &'a InstancePlan, end: &EndRef) -> Result<(NamedEnd, &'a PortSpec), LifecycleError> {
    if let Some((name, port)) = host_port(plan, &end.container) {
        if let Some(given) = end.interface.as_deref().filter(|given| *given != port.ifname.as_str()) {
            return Err(no_interface(name, given, &[port.ifname.as_str()]));
        }
        let named = NamedEnd { container: name.clone(), interface: port.ifname.clone() };
        return Ok((named, port));
    }
    let container = container(plan, &end.container)?;
    let all = &container.interfaces;
    let found = match &end.interface {
        None => all.first(),
        Some(given) => all
            .iter()
            .find(|interface| interface.port.ifname.as_str() == given)
            .or_else(|| all.iter().find(|interface| interface.id == *given)),
    };
    let Some(found) = found else {
        let given = end.interface.as_deref().unwrap_or_default();
        if let Some(management) = &container.management
            && (management.name.as_str() == given || management.id == given)
        {
            return Err(invalid(format!(
                "{given} of {} is the engine's own interface, whose frames are not emulated",
                container.name
            )));
        }
        let known: Vec<_> = all.iter().map(|interface| interface.port.ifname.as_str()).collect();
        return Err(no_interface(&container.name, given, &known));
    };
    let named = NamedEnd { container: container.name.clone(), interface: found.port.ifname.clone() };
    Ok((named, &found.port))
}

fn no_interface(container: &ContainerName, given: &str, known: &[&str]) -> LifecycleError {
    if known.is_empty() {
        return invalid(format!("{container} has no interface"));
    }
    invalid(format!("{container} has no interface {given:?}; it has {}", known.join(", ")))
}

/// An external access point by its name, or by its connection point's id, with or without `ns:`.
fn host_port<'a>(plan: &'a InstancePlan, given: &str) -> Option<(&'a ContainerName, &'a PortSpec)> {
    plan.saps.iter().find_map(|sap| match &sap.place {
        SapPlace::Host { port } => {
            let bare = |id: &str| id.strip_prefix("ns:").unwrap_or(id).to_owned();
            (sap.name.as_str() == given || bare(&sap.id) == bare(given)).then_some((&sap.name, &**port))
        }
        SapPlace::Container => None,
    })
}

/// A container by its name, or by its function's id.
fn container<'a>(plan: &'a InstancePlan, given: &str) -> Result<&'a ContainerPlan, LifecycleError> {
    let all = &plan.containers;
    if let Some(exact) = all.iter().find(|one| one.name.as_str() == given || one.spec.name.as_str() == given)
    {
        return Ok(exact);
    }
    let of_function: Vec<_> = all.iter().filter(|one| one.vnf_id == given).collect();
    match of_function[..] {
        [only] => Ok(only),
        [] => {
            let known: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
            let it_has = it_has(&known);
            let message = format!("instance {} has no container {given:?}{it_has}", plan.instance());
            Err(LifecycleError::new(ErrorCode::ContainerNotFound, message))
        }
        _ => {
            let names: Vec<_> = of_function.iter().map(|one| one.name.as_str()).collect();
            Err(invalid(format!("{given} has several containers, name one of them: {}", names.join(", "))))
        }
    }
}
