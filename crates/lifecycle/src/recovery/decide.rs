//! Records and observations -> decisions. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use llcm_names::{DcName, EngineName, InstanceId, Owner, SegmentId};
use llcm_runtime::{ContainerState, ContainerView, EngineId, NetworkObject};

use crate::plan::InstancePlan;
use crate::request::InstanceState;

/// What the records say of an instance.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its state when the earlier run ended.
    pub state: InstanceState,
    /// Its plan.
    pub plan: Arc<InstancePlan>,
    /// The engines of its data centers; one that is not named has whichever engine knows the container.
    pub engines: BTreeMap<DcName, EngineId>,
    /// The chains that are wanted of it.
    pub chains: BTreeSet<SegmentId>,
    /// Whether a request to terminate it was accepted and did not end.
    pub to_be_terminated: bool,
}

/// What the drivers list as this installation's.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Containers, with the engine that lists each.
    pub containers: Vec<(EngineId, ContainerView)>,
    /// Ports and segments.
    pub objects: Vec<NetworkObject>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The instance goes on.
    Keep {
        /// The instance.
        instance: InstanceId,
        /// What of it is there.
        found: Found,
    },
    /// The instance is taken down: it was not wanted any more, or never came to be.
    TakeDown {
        /// The instance.
        instance: InstanceId,
    },
    /// The instance is gone, and so is the interest in its records.
    Forget {
        /// The instance.
        instance: InstanceId,
    },
    /// Something carries our mark, but nothing is known of its instance, or it is known to be gone.
    Remove {
        /// Whose it is.
        owner: Owner,
        /// The containers, with the engine of each; ports and segments go by their owner.
        containers: Vec<(EngineId, EngineName)>,
    },
}

/// What is there of an instance that goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its containers, with what tells their runs apart while they run.
    pub containers: BTreeMap<EngineName, (ContainerState, Option<String>)>,
    /// Containers that run, and some of whose interfaces are not there.
    pub unplugged: BTreeSet<EngineName>,
    /// Links and interfaces of the host that are not there, in words.
    pub lost: BTreeSet<String>,
    /// Chains that are not there.
    pub lost_chains: BTreeSet<SegmentId>,
}

/// Decides about every known instance and everything observed. What carries no mark is not even observed.
#[must_use]
pub fn decide(known: &BTreeMap<InstanceId, Known>, observed: &Observed) -> Vec<Decision> {
    let mut decisions = Vec::new();
    for (&instance, known) in known {
        match known.state {
            InstanceState::Running | InstanceState::Degraded if !known.to_be_terminated => {
                decisions.push(keep(instance, known, observed));
            }
            InstanceState::Terminated => decisions.push(Decision::Forget { instance }),
            // To terminate what has failed is to forget it.
            InstanceState::Failed if known.to_be_terminated => decisions.push(Decision::Forget { instance }),
            InstanceState::Failed => {}
            InstanceState::Planned
            | InstanceState::Creating
            | InstanceState::Running
            | InstanceState::Degraded
            | InstanceState::Terminating
            | InstanceState::Unwinding
            | InstanceState::Stuck => decisions.push(Decision::TakeDown { instance }),
        }
    }
    decisions.extend(strays(known, observed));
    decisions
}

fn keep(instance: InstanceId, known: &Known, observed: &Observed) -> Decision {
    let plan = &known.plan;
    let ours = observed.containers.iter().filter(|(_, view)| view.owner.as_ref() == Some(&plan.owner));
    let listed: BTreeMap<_, _> = ours.map(|(engine, view)| (&view.name, (engine, view))).collect();
    let mut found = Found::default();
    for container in &plan.containers {
        let name = &container.spec.name;
        let engine = known.engines.get(container.datacenter());
        let listed = listed.get(name).filter(|(lists, _)| engine.is_none_or(|engine| engine == *lists));
        if let Some((_, view)) = listed {
            let run = view.attach.as_ref().and_then(|point| point.run.clone());
            found.containers.insert(name.clone(), (view.state, run));
        }
    }
    let mut ports = BTreeSet::new();
    let mut segments = BTreeSet::new();
    for object in observed.objects.iter().filter(|object| *object.owner() == plan.owner) {
        match object {
            NetworkObject::Port { id, .. } => ports.insert(*id),
            NetworkObject::Segment { id, .. } => segments.insert(*id),
        };
    }
    // Those of a container that does not run went with it.
    let runs = |name: &EngineName| {
        found.containers.get(name).is_some_and(|(state, _)| *state == ContainerState::Running)
    };
    let lost = plan.ports().filter(|port| !ports.contains(&port.id) && runs(&port.container));
    found.unplugged = lost.map(|port| port.container.clone()).collect();
    let lost = plan.links.iter().filter(|link| !segments.contains(&link.segment.id));
    found.lost = lost.map(|link| format!("link {} is missing", link.id)).collect();
    found.lost_chains = known.chains.difference(&segments).copied().collect();
    let lost = plan.host_ports().filter(|port| !ports.contains(&port.id));
    found.lost.extend(lost.map(|port| format!("interface {} of the host is missing", port.ifname)));
    Decision::Keep { instance, found }
}

/// What belongs to no live instance.
#[must_use]
pub fn strays(known: &BTreeMap<InstanceId, Known>, observed: &Observed) -> Vec<Decision> {
    let live = |owner: &Owner| known.get(&owner.instance).is_some_and(|known| known.state.is_live());
    let mut strays: BTreeMap<Owner, Vec<(EngineId, EngineName)>> = BTreeMap::new();
    for (engine, view) in &observed.containers {
        if let Some(owner) = view.owner.as_ref().filter(|owner| !live(owner)) {
            strays.entry(owner.clone()).or_default().push((engine.clone(), view.name.clone()));
        }
    }
    for object in observed.objects.iter().filter(|object| !live(object.owner())) {
        strays.entry(object.owner().clone()).or_default();
    }
    strays.into_iter().map(|(owner, containers)| Decision::Remove { owner, containers }).collect()
}
