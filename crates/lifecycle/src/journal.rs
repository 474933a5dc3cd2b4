//! What is written down about an instance, in the order it happens, and what all of it together says.
//!
//! `Planned` is the reservation: from that record on the instance's names, ports, addresses and ids are taken,
//! until the record of its end. Every step has an `Intent` that is on disk before the step is done, and a
//! `Done` or `Failed` behind it. A step with an intent and nothing behind it may or may not have had its
//! effect: it is undone all the same, for every undo may be done in vain.

use std::collections::BTreeMap;
use std::sync::Arc;

use llcm_names::{ContainerName, DcName, EngineName, InstanceId, RequestId, SegmentId, ServiceId};
use llcm_runtime::{ContainerState, EngineId};
use serde::{Deserialize, Serialize};

use crate::chains::ChainRecord;
use crate::clock::Timestamp;
use crate::plan::InstancePlan;
use crate::request::{InstanceState, RetryView, ScriptRun};
use crate::step::Step;

/// Something that happened to an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// It was planned; everything in the plan is taken.
    Planned(Planned),
    /// It changed its state.
    State {
        /// The new state.
        state: InstanceState,
        /// When.
        at: Timestamp,
    },
    /// A step is going to be done, if none before it fails.
    Intent {
        /// The step.
        step: Step,
    },
    /// A step was done.
    Done {
        /// The step.
        step: Step,
    },
    /// A step failed; its effect may have come all the same.
    Failed {
        /// The step.
        step: Step,
        /// Why.
        error: String,
    },
    /// Something went wrong that is shown with the instance.
    Error {
        /// What, for people.
        message: String,
    },
    /// A container was started, or was seen to do something else than before.
    Container {
        /// Its name in the engine.
        container: EngineName,
        /// What it does; `None`: the engine has no such container.
        seen: Option<Seen>,
    },
    /// Taking it down did not finish, and is tried again.
    Retry(RetryView),
    /// A chain is wanted.
    Chain(Box<ChainRecord>),
    /// A chain was removed.
    Unchained {
        /// The chain.
        chain: SegmentId,
    },
    /// A script began or ended.
    Script {
        /// The container it runs in.
        container: ContainerName,
        /// How it stands.
        run: ScriptRun,
    },
}

/// What is known of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it does.
    pub state: ContainerState,
    /// The run of it that its ports are plugged into ([`llcm_runtime::AttachPoint::run`]).
    pub run: Option<String>,
}

/// Errors of one instance that are kept in memory and shown: the latest ones.
pub const ERRORS_KEPT: usize = 100;

/// The beginning of an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// When.
    pub at: Timestamp,
    /// Its service.
    pub service: ServiceId,
    /// The request it was planned for.
    pub request: RequestId,
    /// The plan.
    #[serde(with = "shared")]
    pub plan: Arc<InstancePlan>,
    /// The engines of the data centers that it places containers on; a data center that is not named has the
    /// default one, as all had before there could be several.
    #[serde(default)]
    pub engines: BTreeMap<DcName, EngineId>,
    /// How links between data centers that have properties were emulated then, by link and end, in words.
    #[serde(default)]
    pub emulated_by: BTreeMap<String, [String; 2]>,
}

/// A shared plan is stored as the plan itself.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::plan::InstancePlan;

    pub(super) fn serialize<S: Serializer>(plan: &Arc<InstancePlan>, to: S) -> Result<S::Ok, S::Error> {
        plan.as_ref().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<InstancePlan>, D::Error> {
        InstancePlan::deserialize(from).map(Arc::new)
    }
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepStatus {
    /// It was going to be done; nobody wrote down what came of it.
    Begun,
    /// Done.
    Done,
    /// Failed.
    Failed,
}

/// What an instance's records say together.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceRecord {
    /// Its beginning.
    pub planned: Planned,
    /// Its state.
    pub state: InstanceState,
    /// Since when.
    pub since: Timestamp,
    /// The steps that were begun, in the order they were begun.
    pub begun: Vec<Step>,
    /// How they stand.
    pub steps: BTreeMap<Step, StepStatus>,
    /// Errors, oldest first.
    pub errors: Vec<String>,
    /// The scripts that ran or run, by container, in the order they began.
    pub scripts: BTreeMap<ContainerName, Vec<ScriptRun>>,
    /// Its containers, as they were last seen; one that was never started is not there, nor is one that has gone.
    pub containers: BTreeMap<EngineName, Seen>,
    /// Its chains.
    pub chains: BTreeMap<SegmentId, ChainRecord>,
    /// How it is gone on with it when it is stuck.
    pub retry: Option<RetryView>,
    /// Whether it is taken down because it could not be made, and not because somebody asked for it.
    pub unwinding: bool,
}

impl InstanceRecord {
    /// An instance that was planned just now.
    #[must_use]
    pub fn new(planned: Planned) -> Self {
        Self {
            since: planned.at,
            planned,
            state: InstanceState::Planned,
            begun: Vec::new(),
            steps: BTreeMap::new(),
            errors: Vec::new(),
            scripts: BTreeMap::new(),
            containers: BTreeMap::new(),
            chains: BTreeMap::new(),
            retry: None,
            unwinding: false,
        }
    }

    /// What a journal says; `None` for one that does not begin with a plan.
    #[must_use]
    pub fn fold(records: Vec<Record>) -> Option<Self> {
        let mut records = records.into_iter();
        let Some(Record::Planned(planned)) = records.next() else { return None };
        let mut folded = Self::new(planned);
        for record in records {
            folded.apply(record);
        }
        Some(folded)
    }

    /// Takes a further record in. Records of different steps may come in any order.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Planned(planned) => self.planned = planned,
            Record::State { state, at } => {
                self.state = state;
                self.since = at;
                match state {
                    InstanceState::Unwinding => self.unwinding = true,
                    InstanceState::Terminating => self.unwinding = false,
                    _ => {}
                }
            }
            Record::Intent { step } => {
                if self.steps.insert(step.clone(), StepStatus::Begun).is_none() {
                    self.begun.push(step);
                }
            }
            Record::Done { step } => {
                self.steps.insert(step, StepStatus::Done);
            }
            Record::Failed { step, .. } => {
                // The text is shown through the `Error` record of the failed operation.
                self.steps.insert(step, StepStatus::Failed);
            }
            Record::Error { message } => {
                self.errors.push(message);
                let excess = self.errors.len().saturating_sub(ERRORS_KEPT);
                self.errors.drain(..excess);
            }
            Record::Container { container, seen: Some(seen) } => {
                self.containers.insert(container, seen);
            }
            Record::Container { container, seen: None } => {
                self.containers.remove(&container);
            }
            Record::Retry(retry) => self.retry = Some(retry),
            Record::Chain(chain) => {
                self.chains.insert(chain.spec.id, *chain);
            }
            Record::Unchained { chain } => {
                self.chains.remove(&chain);
            }
            Record::Script { container, run } => {
                let runs = self.scripts.entry(container).or_default();
                match runs.iter_mut().find(|known| same_run(known, &run)) {
                    Some(known) => *known = run,
                    None => runs.push(run),
                }
            }
        }
    }

    /// The instance.
    #[must_use]
    pub fn id(&self) -> InstanceId {
        self.planned.plan.instance()
    }

    /// Steps that were done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.steps.values().filter(|status| **status == StepStatus::Done).count()
    }

    /// Whether a step was done.
    #[must_use]
    pub fn is_done(&self, step: &Step) -> bool {
        self.steps.get(step) == Some(&StepStatus::Done)
    }
}

fn same_run(one: &ScriptRun, other: &ScriptRun) -> bool {
    one.phase == other.phase && one.started_at == other.started_at
}
