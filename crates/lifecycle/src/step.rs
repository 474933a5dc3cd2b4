//! The steps of making an instance, derived from its plan, and what takes each back.
//!
//! A [`Step`] names what it is about by the plan's own ids, so that a journal reads without the program that
//! wrote it. Both matches over it, `apply` (do) and [`Step::undo`], are exhaustive: a new step does not
//! compile until somebody has said how it is undone. The order of undoing is never written down; it follows
//! from which steps have an intent in the journal ([`TakeDown::of`]).

use std::collections::BTreeSet;

use llcm_names::{EngineName, PortId, SegmentId};
use llcm_runtime::{EngineId, ImageView};
use serde::{Deserialize, Serialize};

use crate::plan::{ContainerPlan, InstancePlan, Script};

pub(crate) mod apply;

/// One thing that is done to make an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Step {
    /// Makes sure that an image is there: the engine may have lost it since the service was on-boarded, or never
    /// have had it where there are several.
    EnsureImage {
        /// What the engine calls it.
        image: String,
        /// The engine; `None`: there was one only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        engine: Option<EngineId>,
    },
    /// Makes a segment exist in all its data centers.
    EnsureSegment {
        /// The segment.
        segment: SegmentId,
    },
    /// Creates a container.
    CreateContainer {
        /// Its name in the engine.
        container: EngineName,
    },
    /// Starts a container.
    StartContainer {
        /// Its name in the engine.
        container: EngineName,
    },
    /// Gives the engine's own interface in a container the name of a connection point.
    NameManagement {
        /// The container's name in the engine.
        container: EngineName,
    },
    /// Plugs one of a container's interfaces into its segments.
    AttachPort {
        /// The container's name in the engine.
        container: EngineName,
        /// The port.
        port: PortId,
    },
    /// Plugs an interface of the host into its segments: an external service access point.
    AttachHostPort {
        /// The port.
        port: PortId,
    },
    /// Launches a container's start script in the background.
    LaunchScript {
        /// The container's name in the engine.
        container: EngineName,
    },
}

/// What takes a step back. All of it may be repeated, and be done when the step's effect never came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Remove the container, running or not.
    RemoveContainer(EngineName),
    /// Remove all ports and segments of the instance in one go: a network driver does that in a fraction of
    /// the time that single removals take.
    RemoveNetwork,
    /// Something else that is undone takes this with it, or it is left on purpose.
    Nothing,
}

impl Step {
    /// What takes this step back.
    #[must_use]
    pub fn undo(&self) -> Undo {
        match self {
            Self::EnsureSegment { .. } | Self::AttachPort { .. } | Self::AttachHostPort { .. } => {
                Undo::RemoveNetwork
            }
            Self::CreateContainer { container } => Undo::RemoveContainer(container.clone()),
            // Images stay: the engine's store is a cache, and others may use them.
            Self::EnsureImage { .. } => Undo::Nothing,
            // A container is never started without being created first, and removing it stops it; what runs
            // in it ends with it.
            Self::StartContainer { .. } | Self::LaunchScript { .. } => Undo::Nothing,
            // The interface goes with the container.
            Self::NameManagement { .. } => Undo::Nothing,
        }
    }
}

/// What is to be undone: everything that has an intent, the network before the containers it reaches into,
/// the containers newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakeDown {
    /// Whether the instance has ports or segments.
    pub network: bool,
    /// The containers to be removed.
    pub containers: Vec<EngineName>,
}

impl TakeDown {
    /// What undoes the given steps, which stand in the order they were begun.
    pub fn of<'a>(begun: impl DoubleEndedIterator<Item = &'a Step>) -> Self {
        let mut take_down = Self::default();
        let mut seen = BTreeSet::new();
        for step in begun.rev() {
            match step.undo() {
                Undo::RemoveContainer(name) => {
                    if seen.insert(name.clone()) {
                        take_down.containers.push(name);
                    }
                }
                Undo::RemoveNetwork => take_down.network = true,
                Undo::Nothing => {}
            }
        }
        take_down
    }

    /// How many requests it takes, for showing progress.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.network) + self.containers.len()
    }

    /// Whether there is nothing to be undone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All steps of an instance. Images and segments come first; then the containers' chains, each in its own order, side by
/// side with the others; then the scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps {
    /// One per image and engine that is to run containers of it.
    pub images: Vec<Step>,
    /// One per segment.
    pub segments: Vec<Step>,
    /// One chain per container, in starting order, then one per external access point.
    pub chains: Vec<Vec<Step>>,
    /// One per container that may have a start script.
    pub scripts: Vec<Step>,
}

impl Steps {
    /// The steps of a plan, whose containers have the given sites.
    ///
    /// # Errors
    /// What `site_of` fails with.
    pub fn of<'a, E>(
        plan: &InstancePlan,
        site_of: impl Fn(&ContainerPlan) -> Result<Site<'a>, E>,
    ) -> Result<Self, E> {
        let mut steps =
            Self { images: Vec::new(), segments: Vec::new(), chains: Vec::new(), scripts: Vec::new() };
        let mut seen = BTreeSet::new();
        for container in &plan.containers {
            let site = site_of(container)?;
            steps.chains.push(chain(container, site.attach_first));
            if script_command(&container.start, site.image).is_some() {
                steps.scripts.push(Step::LaunchScript { container: container.spec.name.clone() });
            }
            let image = &container.spec.image;
            if seen.insert((image, site.engine.clone())) {
                steps.images.push(Step::EnsureImage { image: image.clone(), engine: site.engine });
            }
        }
        let of_host = plan.host_ports();
        steps.chains.extend(of_host.map(|port| vec![Step::AttachHostPort { port: port.id }]));
        steps.segments = plan.segments().map(|segment| Step::EnsureSegment { segment: segment.id }).collect();
        Ok(steps)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.images.len()
            + self.segments.len()
            + self.chains.iter().map(Vec::len).sum::<usize>()
            + self.scripts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a container's steps depend on that its plan does not say.
#[derive(Debug, Clone, Default)]
pub struct Site<'a> {
    /// Its engine; `None`: there is one only.
    pub engine: Option<EngineId>,
    /// Whether the engine makes network namespaces before it starts containers, so that interfaces are in place
    /// before the VNF's first instruction.
    pub attach_first: bool,
    /// What is known of its image.
    pub image: Option<&'a ImageView>,
}

fn chain(container: &ContainerPlan, attach_first: bool) -> Vec<Step> {
    let name = &container.spec.name;
    let create = Step::CreateContainer { container: name.clone() };
    let start = Step::StartContainer { container: name.clone() };
    // The engine's interface has its name before a port comes that wants the one that the engine gave it.
    let management = container.management.iter().map(|_| Step::NameManagement { container: name.clone() });
    let attach = management.chain(
        container
            .interfaces
            .iter()
            .map(|interface| Step::AttachPort { container: name.clone(), port: interface.port.id }),
    );
    let mut chain = vec![create];
    if attach_first {
        chain.extend(attach);
        chain.push(start);
    } else {
        chain.push(start);
        chain.extend(attach);
    }
    chain
}

/// The command of a container's script: as given, or from the environment of its image, if that is known. A blank
/// one is none.
#[must_use]
pub fn script_command<'a>(script: &'a Script, image: Option<&'a ImageView>) -> Option<&'a str> {
    let command = match script {
        Script::Given { command } => Some(command),
        Script::FromImage { keys } => {
            let environment = &image?.environment;
            keys.iter().find_map(|key| environment.get(key))
        }
    };
    command.map(|command| command.trim()).filter(|command| !command.is_empty())
}

impl Step {
    /// Whether the step may be given up in the middle when it is not wanted any more: it can take minutes, and
    /// there is nothing to be undone.
    pub(crate) fn can_be_left(&self) -> bool {
        matches!(self, Self::EnsureImage { .. })
    }
}

/// `start container mn.vnf0.vdu01.0`: what the step does to what.
impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::EnsureImage { image, engine: None } => write!(f, "ensure image {image}"),
            Self::EnsureImage { image, engine: Some(engine) } => {
                write!(f, "ensure image {image} in engine {engine}")
            }
            Self::EnsureSegment { segment } => write!(f, "ensure segment {segment}"),
            Self::CreateContainer { container } => write!(f, "create container {container}"),
            Self::StartContainer { container } => write!(f, "start container {container}"),
            Self::NameManagement { container } => {
                write!(f, "name the engine's interface of container {container}")
            }
            Self::AttachPort { container, port } => write!(f, "attach port {port} of container {container}"),
            Self::AttachHostPort { port } => write!(f, "attach port {port} of the host"),
            Self::LaunchScript { container } => write!(f, "launch the start script of container {container}"),
        }
    }
}

#[cfg(test)]
mod tests;
