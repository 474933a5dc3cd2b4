//! The topology as it is now: what the file says, and what was changed since.
//!
//! A change is made on the host and written down, or neither: it is decided with nobody else deciding
//! (`Core::allocation`), the network driver brings the host to the changed topology, and then it is recorded. When
//! either fails, the host is brought back to what the record says; when the server is killed in between, the next start
//! does that.
//!
//! Changes outlive the server. They are kept with the file's topology that they were made to: a file that says something
//! else at a later start is newer than they are, and wins.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use llcm_names::{DcName, InstanceId, ScheduleId};
use llcm_runtime::{EngineId, LinkView, NotEmulated};
use llcm_topology::{DataCenter, Link, Topology};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::error::LifecycleError;
use crate::ground;

pub(crate) mod change;
pub(crate) mod checks;
mod differences;

use differences::differences;

/// A topology that was changed, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedTopology {
    /// What the file said when the changes were made.
    pub file: Topology,
    /// What has become of it.
    pub current: Topology,
}

/// A link between data centers, as it is asked for and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// What is asked for.
    pub link: Link,
    /// Whether the host's link carries traffic; `None`: nothing stands on it, and the host has none, or the host could
    /// not be asked.
    pub carries: Option<bool>,
    /// How the properties of both directions are emulated, in words; `None` likewise.
    pub emulated_by: Option<[String; 2]>,
    /// What the host cannot emulate of it, in words.
    pub not_emulated: Vec<String>,
    /// The schedule that changes it now.
    pub schedule: Option<ScheduleId>,
}

/// A data center as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatacenterReport {
    /// What is asked for.
    pub datacenter: DataCenter,
    /// The engine that its containers run in.
    pub engine: EngineId,
    /// The live instances that have something in it.
    pub instances: Vec<InstanceId>,
}

/// The topology as it is now.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<Topology>>);

impl Current {
    pub(crate) fn new(topology: Topology) -> Self {
        Self(RwLock::new(Arc::new(topology)))
    }

    /// What it is at this moment; it stays so for whoever holds `Core::allocation`.
    pub(crate) fn get(&self) -> Arc<Topology> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, topology: Arc<Topology>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = topology;
    }
}

/// The topology that a server begins with, and the changes that its file makes void, in words.
pub(crate) fn at_start(file: &Topology, stored: Option<&ChangedTopology>) -> (Topology, Option<Vec<String>>) {
    match stored {
        None => (file.clone(), None),
        Some(stored) if stored.file == *file => {
            log::info!("the topology is as it was changed, not as its file says:");
            differences(file, &stored.current).iter().for_each(|difference| log::info!("  {difference}"));
            (stored.current.clone(), None)
        }
        Some(stored) => (file.clone(), Some(differences(&stored.file, &stored.current))),
    }
}

/// Says which changes are forgotten; they must be by then.
pub(crate) fn tell_forgotten(changes: &[String]) {
    log::warn!(
        "the topology file says something else than when links and data centers were changed: the file holds, and the \
         changes are forgotten. They were:"
    );
    changes.iter().for_each(|change| log::warn!("  {change}"));
}

/// All links, in their order.
pub(crate) async fn links(core: &Core) -> Result<Vec<LinkReport>, LifecycleError> {
    let seen = look(core).await?;
    Ok(reports(core, &core.topology.get().links, seen))
}

/// A link that is known, with what can be seen of it: when the network does not answer, nothing.
pub(crate) async fn link(core: &Core, link: &Link) -> LinkReport {
    let seen = look(core).await.unwrap_or_else(|error| {
        log::warn!("link {} cannot be looked at: {error}", link.name);
        Vec::new()
    });
    let mut reports = reports(core, std::slice::from_ref(link), seen);
    reports.pop().unwrap_or_else(|| LinkReport {
        link: link.clone(),
        carries: None,
        emulated_by: None,
        not_emulated: Vec::new(),
        schedule: None,
    })
}

/// The host's links. It has some also where it is in doubt which.
async fn look(core: &Core) -> Result<Vec<LinkView>, LifecycleError> {
    if core.ground.is_prepared() || ground::in_use(core) {
        return Ok(core.parts.backend.network().links().await?);
    }
    Ok(Vec::new())
}

fn reports(core: &Core, links: &[Link], seen: Vec<LinkView>) -> Vec<LinkReport> {
    let mut seen: BTreeMap<String, LinkView> =
        seen.into_iter().map(|view| (view.name.clone(), view)).collect();
    let mut lacking: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for NotEmulated { link, what } in core.ground.not_emulated() {
        lacking.entry(link).or_default().push(what);
    }
    let scheduled = core.schedules.by_link();
    let report = |link: &Link| {
        let view = seen.remove(&link.name);
        LinkReport {
            link: link.clone(),
            carries: view.as_ref().map(|view| view.up),
            emulated_by: view.map(|view| view.emulated_by),
            not_emulated: lacking.remove(&link.name).unwrap_or_default(),
            schedule: scheduled.get(&*link.name).copied(),
        }
    };
    links.iter().map(report).collect()
}

/// All data centers, in their order.
pub(crate) fn datacenters(core: &Core) -> Vec<DatacenterReport> {
    core.topology.get().datacenters.iter().map(|known| datacenter(core, known)).collect()
}

/// A data center that is known.
pub(crate) fn datacenter(core: &Core, datacenter: &DataCenter) -> DatacenterReport {
    DatacenterReport {
        datacenter: datacenter.clone(),
        engine: core.parts.backend.engine_of(&datacenter.name),
        instances: users(core, &datacenter.name),
    }
}

/// The live instances that have something in a data center.
fn users(core: &Core, name: &DcName) -> Vec<InstanceId> {
    let state = core.state();
    let live = state.instances.values().filter(|instance| instance.state().is_live());
    live.filter(|instance| checks::uses(&instance.plan, name)).map(|instance| instance.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(text: &str) -> Topology {
        llcm_topology::load(text.as_bytes()).0.unwrap()
    }

    #[test]
    fn a_file_that_says_something_else_is_newer_than_the_changes() {
        let file = topology("datacenters: [a, b]\nlinks: [[a, b]]");
        let current = topology("datacenters: [a, b, c]\nlinks: [{ends: [a, b], up: false}, [b, c]]");
        assert_eq!(at_start(&file, None), (file.clone(), None));
        let stored = ChangedTopology { file: file.clone(), current: current.clone() };
        assert_eq!(at_start(&file, Some(&stored)), (current.clone(), None));
        let newer = topology("datacenters: [a, b]\nlinks: [{ends: [a, b], delay: 1ms}]");
        assert_eq!(at_start(&newer, Some(&stored)), (newer, Some(differences(&file, &current))));
    }
}
