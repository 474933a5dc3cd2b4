//! The topology as it is now: what the file says, and what was changed since.
//!
//! A change is made on the host and written down, or neither: it is decided with nobody else deciding
//! (`Core::allocation`), the network driver brings the host to the changed topology, and then it is recorded. When
//! either fails, the host is brought back to what the record says; when the server is killed in between, the next start
//! does that.
//!
//! Changes outlive the server. They are kept with the file's topology that they were made to: a file that says something
//! else at a later start is newer than they are, and wins.

use std::sync::{Arc, PoisonError, RwLock};

use llcm_names::{DcName, InstanceId, ScheduleId};
use llcm_runtime::EngineId;
use llcm_topology::{DataCenter, Link, Topology};
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::error::LifecycleError;

pub(crate) mod change;
mod checks;

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
    /// Whether the host's link carries traffic; `None`: nothing stands on it, and the host has none.
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

/// The topology that a server begins with, and whether stored changes are outdated by it.
pub(crate) fn at_start(file: &Topology, stored: Option<&ChangedTopology>) -> (Topology, bool) {
    match stored {
        None => (file.clone(), false),
        Some(stored) if stored.file == *file => {
            log::info!("the topology is as it was changed, not as its file says:");
            differences(file, &stored.current).iter().for_each(|difference| log::info!("  {difference}"));
            (stored.current.clone(), false)
        }
        Some(stored) => {
            log::warn!(
                "the topology file says something else than when links and data centers were changed: the file holds, and \
                 the changes are forgotten. They were:"
            );
            let lost = differences(&stored.file, &stored.current);
            lost.iter().for_each(|difference| log::warn!("  {difference}"));
            (file.clone(), true)
        }
    }
}

/// What is different, in words.
fn differences(from: &Topology, to: &Topology) -> Vec<String> {
    let mut found = Vec::new();
    for datacenter in &from.datacenters {
        match to.datacenter(&datacenter.name) {
            None => found.push(format!("data center {} is not there", datacenter.name)),
            Some(other) if other != datacenter => {
                found.push(format!("data center {} is another one", datacenter.name));
            }
            Some(_) => {}
        }
    }
    let new = to.datacenters.iter().filter(|datacenter| from.datacenter(&datacenter.name).is_none());
    found.extend(new.map(|datacenter| format!("data center {} is new", datacenter.name)));
    for link in &from.links {
        match to.link(&link.name) {
            None => found.push(format!("link {} is not there", link.name)),
            Some(other) if other.up != link.up => {
                found.push(format!("link {} is {}", link.name, if other.up { "up" } else { "down" }));
            }
            Some(other) if other != link => found.push(format!("link {} has other properties", link.name)),
            Some(_) => {}
        }
    }
    let new = to.links.iter().filter(|link| from.link(&link.name).is_none());
    found.extend(new.map(|link| format!("link {} is new", link.name)));
    found
}

/// All links, in their order.
pub(crate) async fn links(core: &Core) -> Result<Vec<LinkReport>, LifecycleError> {
    let topology = core.topology.get();
    let seen =
        if core.ground.is_prepared() { core.parts.backend.network().links().await? } else { Vec::new() };
    let not_emulated = core.ground.not_emulated();
    let report = |link: &Link| {
        let view = seen.iter().find(|view| view.name == link.name);
        LinkReport {
            link: link.clone(),
            carries: view.map(|view| view.up),
            emulated_by: view.map(|view| view.emulated_by.clone()),
            not_emulated: not_emulated.iter().filter(|text| names(text, &link.name)).cloned().collect(),
            schedule: core.schedules.of_link(&link.name),
        }
    };
    Ok(topology.links.iter().map(report).collect())
}

/// Whether a text is about a link: its name stands there, and not as part of a longer one.
fn names(text: &str, link: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.match_indices(link).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + link.len()..]);
        !before.ends_with(goes_on) && !after.starts_with(goes_on)
    })
}

/// All data centers, in their order.
pub(crate) fn datacenters(core: &Core) -> Vec<DatacenterReport> {
    let report = |datacenter: &DataCenter| DatacenterReport {
        datacenter: datacenter.clone(),
        engine: core.parts.backend.engine_of(&datacenter.name),
        instances: users(core, &datacenter.name),
    };
    core.topology.get().datacenters.iter().map(report).collect()
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
        assert_eq!(at_start(&file, None), (file.clone(), false));
        let stored = ChangedTopology { file: file.clone(), current: current.clone() };
        assert_eq!(at_start(&file, Some(&stored)), (current.clone(), false));
        let newer = topology("datacenters: [a, b]\nlinks: [{ends: [a, b], delay: 1ms}]");
        assert_eq!(at_start(&newer, Some(&stored)), (newer, true));
        assert_eq!(
            differences(&file, &current),
            ["data center c is new", "link a-b is down", "link b-c is new"]
        );
        let back = differences(&current, &file);
        assert_eq!(back, ["data center c is not there", "link a-b is up", "link b-c is not there"]);
    }

    #[test]
    fn what_is_told_of_a_link_names_it() {
        let text = "link dc1-dc2, dc1 to dc2: delay of 1000 us";
        assert!(names(text, "dc1-dc2"));
        assert!(names("dc1-dc2: a drawing carries no traffic", "dc1-dc2"));
        for other in ["dc1-dc", "c1-dc2", "dc1-dc2.2"] {
            assert!(!names(text, other), "{other}");
        }
        assert!(!names("link dc1-dc2.2, dc1 to dc2: delay", "dc1-dc2"));
    }
}
