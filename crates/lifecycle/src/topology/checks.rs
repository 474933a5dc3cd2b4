//! What running instances forbid.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use llcm_names::{DcName, PortId};
use llcm_runtime::{PortSpec, SegmentSpec};
use llcm_topology::{Batch, Change, LinkEnd, Topology, Ways};

use crate::core::{Core, State};
use crate::error::{ErrorCode, LifecycleError};
use crate::instance::Instance;
use crate::plan::InstancePlan;
use crate::request::{InstanceState, RequestType};

/// The packets of a link that states nothing, in bytes.
const USUAL_MTU: u32 = 9000;
/// Findings that are listed.
const LISTED: usize = 100;

/// Refuses what a change would take away from what runs.
pub(super) fn check(core: &Core, before: &mut Batch, change: &Change) -> Result<(), LifecycleError> {
    match change {
        Change::Link { name, change } if change.mtu.is_some() => {
            let Some(link) = before.link(name) else { return Ok(()) };
            // What it cannot be made for is said when it is made.
            let Ok(after) = change.applied(link) else { return Ok(()) };
            let wanted = mtu(&after.a, &after.b);
            if wanted >= mtu(&link.a, &link.b) {
                return Ok(());
            }
            let refused = format!("the MTU of link {name} cannot become {wanted}");
            check_mtu(core, before.topology(), [&after.a.dc, &after.b.dc], wanted, &refused)
        }
        Change::AddLink(new) => {
            let wanted = mtu(&new.a, &new.b);
            let (a, b) = (&new.a.dc, &new.b.dc);
            let name = new.name.as_ref().map(|name| format!("link {name}"));
            let name = name.unwrap_or_else(|| format!("a link from {a} to {b}"));
            let refused = format!("{name} cannot have the MTU {wanted}");
            check_mtu(core, before.topology(), [a, b], wanted, &refused)
        }
        Change::RemoveDatacenter { name } => check_unused(core, name),
        Change::Link { .. } | Change::RemoveLink { .. } | Change::AddDatacenter(_) => Ok(()),
    }
}

/// Refuses to begin with a topology that lacks data centers in which instances are that go on: their interfaces there
/// would be removed.
pub(crate) fn check_start(state: &State, topology: &Topology) -> Result<(), LifecycleError> {
    let unended = state.requests.unended().into_iter().map(|request| request.view);
    let ending: BTreeSet<_> = unended
        .filter(|request| request.request_type == RequestType::Terminate)
        .map(|request| request.instance_id)
        .collect();
    let goes_on = |instance: &&Arc<Instance>| {
        matches!(instance.state(), InstanceState::Running | InstanceState::Degraded)
            && !ending.contains(&instance.id)
    };
    let mut missing = BTreeSet::new();
    let mut held = Vec::new();
    for instance in state.instances.values().filter(goes_on) {
        let (units, lacking) = held_in(&instance.plan, |name| topology.datacenter(name).is_none());
        held.extend(units);
        missing.extend(lacking);
    }
    if held.is_empty() {
        return Ok(());
    }
    let missing: Vec<_> = missing.iter().map(DcName::as_str).collect();
    let message = format!(
        "the topology has no data center {}, in which there are {}; nothing was changed: put it into the topology file, \
         or begin once more with the topology as it was, and terminate them",
        missing.join(", "),
        listed(&held, "units of live instances"),
    );
    Err(refused(message, held))
}

/// Whether a plan has something in a data center.
pub(super) fn uses(plan: &InstancePlan, name: &DcName) -> bool {
    plan.containers.iter().any(|container| container.datacenter() == name)
        || plan.ports().any(|port| port.datacenter == *name)
}

/// What a plan has in data centers, in words, and which ones these are.
fn held_in(plan: &InstancePlan, wanted: impl Fn(&DcName) -> bool) -> (Vec<String>, BTreeSet<DcName>) {
    let units =
        plan.containers.iter().map(|unit| (unit.datacenter(), format!("{}: {}", plan.name, unit.name)));
    let host = plan
        .host_ports()
        .map(|port| (&port.datacenter, format!("{}: access point {}", plan.name, port.container)));
    let (mut held, mut names) = (Vec::new(), BTreeSet::new());
    for (name, what) in units.chain(host).filter(|(name, _)| wanted(name)) {
        held.push(what);
        names.insert(name.clone());
    }
    (held, names)
}

fn check_unused(core: &Core, name: &DcName) -> Result<(), LifecycleError> {
    let mut held = Vec::new();
    for instance in core.state().instances.values().filter(|instance| instance.state().is_live()) {
        held.extend(held_in(&instance.plan, |other| other == name).0);
    }
    if held.is_empty() {
        return Ok(());
    }
    let message = format!(
        "data center {name} is in use by {}: terminate what runs there first",
        listed(&held, "units of live instances")
    );
    Err(refused(message, held))
}

fn mtu(a: &LinkEnd, b: &LinkEnd) -> u32 {
    let stated = [a.egress.mtu, b.egress.mtu];
    stated.into_iter().map(|mtu| mtu.unwrap_or(USUAL_MTU)).min().unwrap_or(USUAL_MTU)
}

/// Interfaces keep the MTU that they were planned with: a link that they may be heard over, whatever is cut and comes
/// back meanwhile, has to carry that.
fn check_mtu(
    core: &Core,
    topology: &Topology,
    ends: [&DcName; 2],
    wanted: u32,
    message: &str,
) -> Result<(), LifecycleError> {
    if wanted >= USUAL_MTU {
        return Ok(());
    }
    let ways = Ways::new(topology);
    // Many segments have the same ones.
    let mut known: BTreeMap<BTreeSet<DcName>, bool> = BTreeMap::new();
    let mut larger = Vec::new();
    let instances: Vec<_> = core.state().instances.values().cloned().collect();
    for instance in instances.iter().filter(|instance| instance.state().is_live()) {
        let ports: BTreeMap<PortId, &PortSpec> = instance.plan.ports().map(|port| (port.id, port)).collect();
        let mut seen = BTreeSet::new();
        let chains: Vec<SegmentSpec> =
            instance.memory().record.chains.values().map(|chain| chain.spec.segment()).collect();
        for segment in instance.plan.segments().chain(&chains) {
            let of_segment = segment.ends.iter().filter_map(|end| ports.get(&end.port));
            let of_segment: Vec<_> = of_segment.filter(|port| port.mtu > wanted).collect();
            let sites: BTreeSet<DcName> = segment.ends.iter().map(|end| end.datacenter.clone()).collect();
            if of_segment.is_empty() || sites.len() < 2 {
                continue;
            }
            if !*known.entry(sites).or_insert_with_key(|sites| ways.lead_over(ends, &sites.iter().collect()))
            {
                continue;
            }
            for port in of_segment.into_iter().filter(|port| seen.insert(port.id)) {
                larger.push(format!(
                    "{}: {} of {} has {}",
                    instance.plan.name, port.ifname, port.container, port.mtu
                ));
            }
        }
    }
    if larger.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{message}: {} are larger, and keep the MTU that they were planned with; terminate them first",
        listed(&larger, "running interfaces")
    );
    Err(refused(message, larger))
}

/// `3 units of live instances (a, b, c)`.
fn listed(all: &[String], what: &str) -> String {
    const SHOWN: usize = 5;
    let mut shown = all.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > SHOWN {
        shown.push_str(", ...");
    }
    format!("{} {what} ({shown})", all.len())
}

fn refused(message: String, mut all: Vec<String>) -> LifecycleError {
    all.truncate(LISTED);
    LifecycleError { others: all, ..LifecycleError::new(ErrorCode::TopologyConflict, message) }
}
