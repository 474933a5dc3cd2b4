//! What running instances forbid.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::{DcName, PortId};
use llcm_runtime::PortSpec;
use llcm_topology::{Change, Link, Paths, Topology};

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::plan::InstancePlan;

/// The packets of a link that states nothing, in bytes.
const USUAL_MTU: u32 = 9000;
/// Findings that are listed.
const LISTED: usize = 100;

/// Refuses what a change would take away from what runs.
pub(super) fn check(core: &Core, before: &Topology, change: &Change) -> Result<(), LifecycleError> {
    match change {
        Change::Link { name, change } if change.mtu.is_some() => {
            let after = before.changed(&Change::Link { name: name.clone(), change: change.clone() });
            let (Some(link), Ok(after)) = (before.link(name), after) else { return Ok(()) };
            after.link(name).map_or(Ok(()), |smaller| check_mtu(core, before, link, smaller))
        }
        Change::RemoveDatacenter { name } => check_unused(core, name),
        Change::Link { .. } | Change::AddLink(_) | Change::RemoveLink { .. } | Change::AddDatacenter(_) => {
            Ok(())
        }
    }
}

/// Whether a plan has something in a data center.
pub(super) fn uses(plan: &InstancePlan, name: &DcName) -> bool {
    plan.containers.iter().any(|container| container.datacenter() == name)
        || plan.ports().any(|port| port.datacenter == *name)
}

fn check_unused(core: &Core, name: &DcName) -> Result<(), LifecycleError> {
    let mut held = Vec::new();
    for instance in core.state().instances.values().filter(|instance| instance.state().is_live()) {
        let units = instance.plan.containers.iter().filter(|container| container.datacenter() == name);
        held.extend(units.map(|unit| format!("{}: {}", instance.plan.name, unit.name)));
        let host = instance.plan.host_ports().filter(|port| port.datacenter == *name);
        held.extend(host.map(|port| format!("{}: access point {}", instance.plan.name, port.container)));
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

fn mtu(link: &Link) -> u32 {
    let stated = [link.a.egress.mtu, link.b.egress.mtu];
    stated.into_iter().map(|mtu| mtu.unwrap_or(USUAL_MTU)).min().unwrap_or(USUAL_MTU)
}

/// Interfaces keep the MTU that they were planned with: a link that they may be heard over has to carry that.
fn check_mtu(core: &Core, topology: &Topology, before: &Link, after: &Link) -> Result<(), LifecycleError> {
    let wanted = mtu(after);
    if wanted >= mtu(before) {
        return Ok(());
    }
    // Whatever is cut and comes back meanwhile.
    let paths = Paths::of_all_links(topology);
    let reaches = |dc: &DcName| paths.between(&before.a.dc, dc).is_some();
    let mut larger = Vec::new();
    for instance in core.state().instances.values().filter(|instance| instance.state().is_live()) {
        let ports: BTreeMap<PortId, &PortSpec> = instance.plan.ports().map(|port| (port.id, port)).collect();
        let mut seen = BTreeSet::new();
        for segment in instance.plan.segments() {
            let sites: BTreeSet<&DcName> = segment.ends.iter().map(|end| &end.datacenter).collect();
            if sites.len() < 2 || !sites.iter().any(|site| reaches(site)) {
                continue;
            }
            let of_segment = segment.ends.iter().filter_map(|end| ports.get(&end.port));
            for port in of_segment.filter(|port| port.mtu > wanted && seen.insert(port.id)) {
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
        "the MTU of link {} cannot become {wanted}: {} are larger, and keep the MTU that they were planned with; \
         terminate them first",
        before.name,
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
