//! What others do to containers behind the drivers' backs.

use llcm_names::EngineName;

use super::containers::SimulatedContainers;
use super::state::Container;
use super::world::World;
use crate::{ContainerState, EngineId};

impl World {
    /// A running container that somebody else made in the default engine: it carries no mark.
    pub fn add_foreign(&self, name: &EngineName, image: &str) {
        self.add_foreign_to(&SimulatedContainers::default_engine(), name, image);
    }

    /// A running container that somebody else made in an engine: it carries no mark.
    pub fn add_foreign_to(&self, engine: &EngineId, name: &EngineName, image: &str) {
        let mut state = self.lock();
        state.next_container += 1;
        let mut container = Container::new(state.next_container, engine, image, None);
        container.state = ContainerState::Running;
        state.containers.insert(name.clone(), container);
        drop(state);
        self.changed();
    }

    /// The first process of a running container ends by itself. Tells whether there was such a container.
    pub fn exit(&self, name: &EngineName, code: i64) -> bool {
        self.alter(name, |container| container.end(code))
    }

    /// The processes of a running container are frozen. Tells whether there was such a container.
    pub fn pause(&self, name: &EngineName) -> bool {
        self.alter(name, |container| container.state = ContainerState::Paused)
    }

    /// The processes of a paused container go on. Tells whether there was such a container.
    pub fn unpause(&self, name: &EngineName) -> bool {
        self.alter(name, |container| container.state = ContainerState::Running)
    }

    /// Somebody restarts a container of this program: its first process ends if it runs, and begins anew in a network
    /// namespace without interfaces. Tells whether there was such a container.
    pub fn restart(&self, name: &EngineName) -> bool {
        let at = self.time();
        let mut state = self.lock();
        let found = state.containers.get_mut(name).filter(|it| it.spec.is_some());
        let found = found.map(|container| {
            if container.is_live() {
                container.end(137);
            }
            container.run();
        });
        if found.is_some() {
            state.begin_process(name, at);
        }
        drop(state);
        self.changed();
        found.is_some()
    }
}
