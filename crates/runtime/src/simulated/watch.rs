//! Watching a world's containers: each look is compared with the one before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId, Owner};
use tokio::sync::watch;

use super::state::Container;
use super::world::World;
use crate::watch::{ContainerChange, ContainerEvent, ContainerWatch};
use crate::{ContainerState, EngineId};

/// A watch on the containers of one engine and installation.
#[derive(Debug)]
pub(super) struct SimulatedWatch {
    world: Arc<World>,
    engine: EngineId,
    installation: InstallationId,
    changes: watch::Receiver<u64>,
    /// As of the last look; `None` when nobody has looked, or there was a gap.
    known: Option<BTreeMap<EngineName, Seen>>,
    ready: VecDeque<ContainerEvent>,
}

/// What a look tells of a container.
#[derive(Debug, Clone)]
struct Seen {
    id: u64,
    owner: Owner,
    state: ContainerState,
    incarnation: u64,
}

impl SimulatedWatch {
    pub(super) fn new(world: &Arc<World>, engine: &EngineId, installation: &InstallationId) -> Self {
        Self {
            world: Arc::clone(world),
            engine: engine.clone(),
            installation: installation.clone(),
            changes: world.watch(),
            known: None,
            ready: VecDeque::new(),
        }
    }

    fn look(&mut self) {
        let state = self.world.lock();
        if state.deaf {
            self.known = None;
            return;
        }
        let ours = |container: &Container| {
            let owner = container.owner().filter(|owner| owner.installation == self.installation)?.clone();
            let (id, incarnation) = (container.id, container.incarnation);
            (container.engine == self.engine).then_some(Seen {
                id,
                owner,
                state: container.state,
                incarnation,
            })
        };
        let containers = state.containers.iter();
        let now: BTreeMap<_, _> =
            containers.filter_map(|(name, container)| Some((name.clone(), ours(container)?))).collect();
        drop(state);
        match &self.known {
            None => self.ready.push_back(ContainerEvent::Resync),
            Some(before) => self.ready.extend(changes(before, &now)),
        }
        self.known = Some(now);
    }
}

#[async_trait]
impl ContainerWatch for SimulatedWatch {
    async fn next(&mut self) -> Option<ContainerEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Before the look, so that no change comes between the two.
            self.changes.borrow_and_update();
            self.look();
            if self.ready.is_empty() && self.changes.changed().await.is_err() {
                return None;
            }
        }
    }
}

fn changes(before: &BTreeMap<EngineName, Seen>, now: &BTreeMap<EngineName, Seen>) -> Vec<ContainerEvent> {
    let mut events = Vec::new();
    let mut tell = |name: &EngineName, seen: &Seen, changes: &[ContainerChange]| {
        events.extend(changes.iter().map(|&what| ContainerEvent::Changed {
            owner: seen.owner.clone(),
            container: name.clone(),
            what,
        }));
    };
    for (name, seen) in before {
        if now.get(name).is_none_or(|now| now.id != seen.id) {
            tell(name, seen, &[ContainerChange::Removed]);
        }
    }
    for (name, seen) in now {
        match before.get(name).filter(|before| before.id == seen.id) {
            Some(before) => tell(name, seen, &between(before, seen)),
            None => {
                let fresh = Seen { state: ContainerState::Created, ..seen.clone() };
                tell(name, seen, &[ContainerChange::Created]);
                tell(name, seen, &between(&fresh, seen));
            }
        }
    }
    events
}

/// What has happened to a container between two looks.
fn between(before: &Seen, now: &Seen) -> Vec<ContainerChange> {
    use ContainerState::{Created, Exited, Paused, Running};
    let unknown = ContainerChange::Ended { code: None };
    let mut changes = Vec::new();
    match (before.state, now.state) {
        (Running, Paused) | (Paused, Running) if before.incarnation == now.incarnation => {}
        (Running | Paused, Running | Paused) if before.incarnation != now.incarnation => {
            changes.extend([unknown, ContainerChange::Started]);
        }
        (Created | Exited { .. }, Running | Paused) => changes.push(ContainerChange::Started),
        (Running | Paused, Exited { code }) => changes.push(ContainerChange::Ended { code }),
        (Created | Exited { .. }, Exited { code }) if before.incarnation != now.incarnation => {
            changes.extend([ContainerChange::Started, ContainerChange::Ended { code }]);
        }
        _ => {}
    }
    match (before.state, now.state) {
        (Paused, Running) if before.incarnation == now.incarnation => changes.push(ContainerChange::Unpaused),
        (Paused, Paused) if before.incarnation == now.incarnation => {}
        (_, Paused) => changes.push(ContainerChange::Paused),
        _ => {}
    }
    changes
}
