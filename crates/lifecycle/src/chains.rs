//! Chains of running instances: what clients add to the links of a plan, and take away again.
//!
//! - **Expected flow.** `decide` says what the chain will be (pure: the plan, the chains that are there, the ids that
//!   are taken); that is written down; then the network driver makes it. It is removed the other way round.
//! - **Guarantees.** What is written down is wanted: a restart of this program or of a container, or a new start of the
//!   host, finds it or makes it again. After a restart of this program all are made once more, whatever the driver lists.
//!   A chain that could not be made is not there, and not written down. A chain goes with its instance, whose take-down
//!   removes everything that the driver knows of it.
//! - **Caveats.** A program that is killed between the driver's work and its record has the chain still, or makes it
//!   still: whoever asked was told nothing, and may ask again.

use std::collections::BTreeMap;
use std::sync::Arc;

use llcm_names::{ContainerName, IfName, InstanceId, SegmentId};
use llcm_runtime::{ChainSpec, Chains, DriverError, FrameMatch};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::instance::Instance;
use crate::journal::Record;
use crate::request::InstanceState;
use crate::watching;

mod decide;

/// Chains that one instance can have: each is looked at for every frame of its ports.
pub const MOST: usize = 128;

/// A chain that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRequest {
    /// Where the frames come from.
    pub source: EndRef,
    /// Where they go.
    pub destination: EndRef,
    /// Whether frames of the destination that match go to the source.
    pub bidirectional: bool,
    /// Which frames, as text ([`FrameMatch`]); empty: all.
    pub matches: String,
    /// The highest one decides.
    pub priority: u16,
    /// What it is listed and removed by, with others.
    pub cookie: u64,
}

/// The priority of a chain of which nobody says one, as with the originals.
pub const PRIORITY: u16 = 1000;
/// The cookie likewise.
pub const COOKIE: u64 = 10;

/// An end of a chain as clients name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndRef {
    /// A container by its name, or by its function's id where that has one container only; an external access point by
    /// its name or its connection point's id.
    pub container: String,
    /// Its interface, or its connection point's id; `None`: the first one.
    pub interface: Option<String>,
}

/// A chain as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRecord {
    /// What the network driver gets.
    pub spec: ChainSpec,
    /// Where the frames come from.
    pub source: NamedEnd,
    /// Where they go.
    pub destination: NamedEnd,
    /// What it is listed and removed by, with others.
    pub cookie: u64,
    /// When it was added.
    pub created_at: Timestamp,
}

/// An end of a chain by its names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedEnd {
    /// The container, or the external access point's name.
    pub container: ContainerName,
    /// The interface's name in the container, or on the host.
    pub interface: IfName,
}

impl std::fmt::Display for NamedEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.container, self.interface)
    }
}

/// A chain as clients see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainView {
    /// Its number, unique in the installation.
    pub id: SegmentId,
    /// Its instance.
    pub instance: InstanceId,
    /// Where the frames come from.
    pub source: NamedEnd,
    /// Where they go.
    pub destination: NamedEnd,
    /// Whether frames of the destination that match go to the source.
    pub bidirectional: bool,
    /// Which frames.
    pub matches: FrameMatch,
    /// The highest one decides; of equals the one with the lowest id.
    pub priority: u16,
    /// What it is listed and removed by, with others.
    pub cookie: u64,
    /// When it was added.
    pub created_at: Timestamp,
}

impl From<&ChainRecord> for ChainView {
    fn from(record: &ChainRecord) -> Self {
        let ChainRecord { spec, source, destination, cookie, created_at } = record.clone();
        Self {
            id: spec.id,
            instance: spec.owner.instance,
            source,
            destination,
            bidirectional: spec.bidirectional,
            matches: spec.matches,
            priority: spec.priority,
            cookie,
            created_at,
        }
    }
}

/// Which chains of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one of this number.
    One(SegmentId),
    /// All of a cookie; there may be none.
    Cookie(u64),
}

/// The chains of an instance, in the order of their numbers.
pub(crate) fn list(core: &Core, id: InstanceId) -> Result<Vec<ChainView>, LifecycleError> {
    let instance = core.find_instance(id)?;
    let memory = instance.memory();
    Ok(memory.record.chains.values().map(ChainView::from).collect())
}

/// Adds a chain.
pub(crate) async fn add(
    core: Arc<Core>,
    id: InstanceId,
    request: ChainRequest,
) -> Result<ChainView, LifecycleError> {
    let instance = core.find_instance(id)?;
    // Wrong whatever the instance does.
    decide::read(&request.matches)?;
    let _operation = instance.operation.lock().await;
    check(&instance)?;
    let driver = driver(&core)?;
    let chain = {
        let _allocation = core.allocation.lock().await;
        let taken = core.plan_state().segments;
        let present = instance.memory().record.chains.clone();
        let chain = decide::decide(&instance.plan, &present, &taken, &request, core.parts.clock.now())?;
        core.record(&instance, vec![Record::Chain(Box::new(chain.clone()))], None).await?;
        chain
    };
    let Err(error) = driver.ensure_chain(&chain.spec).await else {
        log::info!("instance {id}: chain {} from {} to {}", chain.spec.id, chain.source, chain.destination);
        return Ok(ChainView::from(&chain));
    };
    let mut failed = LifecycleError::from(error);
    match driver.remove_chain(instance.owner(), chain.spec.id).await {
        Ok(()) => core.record_fact(&instance, vec![Record::Unchained { chain: chain.spec.id }]).await,
        Err(undo) => {
            failed.message =
                format!("{}; chain {} may be there in parts: remove it", failed.message, chain.spec.id);
            failed.others.push(undo.to_string());
        }
    }
    Err(failed)
}

/// Removes chains; goes on after errors, and says in the first one what was removed. Their views, in the order of their
/// numbers.
pub(crate) async fn remove(
    core: Arc<Core>,
    id: InstanceId,
    which: Which,
) -> Result<Vec<ChainView>, LifecycleError> {
    let instance = core.find_instance(id)?;
    let _operation = instance.operation.lock().await;
    check(&instance)?;
    let driver = driver(&core)?;
    let chains: Vec<ChainRecord> = {
        let memory = instance.memory();
        let meant = memory.record.chains.values().filter(|chain| match which {
            Which::One(id) => chain.spec.id == id,
            Which::Cookie(cookie) => chain.cookie == cookie,
        });
        meant.cloned().collect()
    };
    if let (Which::One(chain), true) = (which, chains.is_empty()) {
        let message = format!("instance {id} has no chain {chain}");
        return Err(LifecycleError::new(ErrorCode::ChainNotFound, message));
    }
    let mut removed = Vec::new();
    let mut errors = Vec::new();
    for chain in &chains {
        let outcome = match driver.remove_chain(instance.owner(), chain.spec.id).await {
            Ok(()) => core.record(&instance, vec![Record::Unchained { chain: chain.spec.id }], None).await,
            Err(error) => Err(error.into()),
        };
        match outcome {
            Ok(()) => removed.push(ChainView::from(chain)),
            Err(error) => errors.push(error),
        }
    }
    // All that was wrong with the instance may have been that one could not be made.
    let lost = {
        let watched = &mut instance.memory().watched;
        removed.iter().filter(|chain| watched.forget_chain(chain.id)).count()
    };
    if lost > 0 {
        watching::look_at_all(&core, &instance);
    }
    let mut errors = errors.into_iter();
    match errors.next() {
        None => Ok(removed),
        Some(mut first) => {
            if !removed.is_empty() {
                let gone = removed.iter().map(|chain| chain.id.to_string()).collect::<Vec<_>>().join(", ");
                first.message = format!("{}; chains that were removed: {gone}", first.message);
            }
            first.others.extend(errors.map(|error| error.message));
            Err(first)
        }
    }
}

/// Makes all chains of an instance that are written down; goes on after errors. Those that could not be made, and why.
pub(crate) async fn restore(core: &Core, instance: &Instance) -> BTreeMap<SegmentId, DriverError> {
    let wanted: Vec<_> = {
        let memory = instance.memory();
        memory.record.chains.values().map(|chain| chain.spec.clone()).collect()
    };
    let mut failed = BTreeMap::new();
    if let Some(driver) = core.parts.backend.network().chains() {
        for spec in &wanted {
            failed.extend(driver.ensure_chain(spec).await.err().map(|error| (spec.id, error)));
        }
    }
    failed
}

fn driver(core: &Core) -> Result<&dyn Chains, LifecycleError> {
    core.parts
        .backend
        .network()
        .chains()
        .ok_or_else(|| LifecycleError::new(ErrorCode::Unsupported, "this network driver makes no chains"))
}

/// Chains are added to what is made, and to what is not being taken down.
fn check(instance: &Instance) -> Result<(), LifecycleError> {
    match instance.state() {
        InstanceState::Running | InstanceState::Degraded if !instance.called_off.is_cancelled() => Ok(()),
        state => {
            let state = format!("{state:?}").to_lowercase();
            let message = format!("instance {} is {state}: only running ones have chains", instance.id);
            Err(LifecycleError::new(ErrorCode::WrongState, message))
        }
    }
}
