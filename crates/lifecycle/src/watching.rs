//! What happens to the containers of running instances behind this program's back: seen, written down, answered.
//!
//! - **Events are hints.** What a driver's watch tells, only says which containers are to be looked at; what they do is
//!   asked. So events may come twice, late or in any order, and a gap is a look at everything.
//! - **One at a time.** Looking and answering holds the instance's operation lock, as making it and taking it down do:
//!   what those do is never taken for somebody else's doing. Starts of our own are expected and not even looked at.
//! - **Answers** ([`attend`](attend::attend)): what does not run has its ports set down; a new run is plugged in again,
//!   with the names and addresses of the plan; with [`crate::Settings::heal`] what has ended is started again.
//! - What belongs to no instance is removed when it appears: see [`crate::strays`].

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{self, StreamExt};
use llcm_names::{EngineName, Owner, SegmentId};
use llcm_runtime::{ContainerChange, ContainerEvent, ContainerState, ContainerWatch, EngineId};
use tokio::time::Instant;

use crate::core::Core;
use crate::engines::{self, Engine};
use crate::instance::{Instance, Memory};
use crate::journal::{Record, Seen};
use crate::plan::{ContainerPlan, InstancePlan};
use crate::recovery::decide::Found;
use crate::request::InstanceState;
use crate::strays;

mod attend;

/// Containers of one instance that are attended to at the same time.
const AT_ONCE: usize = 8;

/// How often everything is looked at where a driver cannot tell what happens.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What watching keeps about an instance; all of it is found again after a restart.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// Starts of our own that were not told yet.
    starts: BTreeMap<EngineName, u32>,
    /// Containers to be looked at.
    dirty: BTreeSet<EngineName>,
    /// Whether a task is at it.
    busy: bool,
    /// Containers whose ports are to be attached again although they run as they did.
    replug: BTreeSet<EngineName>,
    /// Containers with a look at them to come.
    reminded: BTreeSet<EngineName>,
    /// Containers that have waited long enough for being started again.
    due: BTreeSet<EngineName>,
    /// How often something was tried lately, and when it was the last time.
    tries: BTreeMap<EngineName, (u32, Instant)>,
    /// Containers in engines that this server does not have.
    elsewhere: BTreeMap<EngineName, EngineId>,
    /// What could not be done about containers, in words.
    trouble: BTreeMap<EngineName, String>,
    /// Links and interfaces of the host that are not there, in words.
    lost: BTreeSet<String>,
    /// Chains that are not there.
    lost_chains: BTreeSet<SegmentId>,
    /// Whether links may be there in parts: the earlier run may have been killed while it made them again, for containers
    /// that were not there either.
    unsure_links: bool,
    /// Whether all chains are to be made again: the earlier run may have been killed in the middle of adding or removing
    /// one, and what the driver lists then does not tell a whole chain from a half.
    unsure_chains: bool,
    /// Reasons that stand among the errors already.
    told: BTreeSet<String>,
}

impl Watched {
    /// A container is about to be started by us.
    pub(crate) fn expect_start(&mut self, container: &EngineName) {
        *self.starts.entry(container.clone()).or_default() += 1;
    }

    /// Whether a start that was told is one of ours.
    fn is_expected(&mut self, container: &EngineName) -> bool {
        match self.starts.get_mut(container) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    /// A chain is not wanted any more. Whether it was missing.
    pub(crate) fn forget_chain(&mut self, chain: SegmentId) -> bool {
        self.lost_chains.remove(&chain)
    }
}

/// Watches all engines from now on.
pub(crate) fn begin(core: &Arc<Core>) {
    for engine in engines::all(&core.parts.backend) {
        let (weak, closing) = (Arc::downgrade(core), core.closing.clone());
        let watch = engine.watch(&core.installation);
        core.spawn_apart(async move {
            let mut source = Source { watch, begun: false };
            let mut first = true;
            loop {
                let event = tokio::select! {
                    biased;
                    () = closing.cancelled() => return,
                    event = source.next() => event,
                };
                let (Some(event), Some(core)) = (event, weak.upgrade()) else { return };
                notice(&core, &engine, event, first);
                first = false;
            }
        });
    }
}

/// Where events come from: a driver's watch, or the clock.
struct Source {
    watch: Option<Box<dyn ContainerWatch>>,
    begun: bool,
}

impl Source {
    async fn next(&mut self) -> Option<ContainerEvent> {
        match &mut self.watch {
            Some(watch) => watch.next().await,
            None => {
                if std::mem::replace(&mut self.begun, true) {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                Some(ContainerEvent::Resync)
            }
        }
    }
}

fn notice(core: &Arc<Core>, engine: &Engine, event: ContainerEvent, first: bool) {
    match event {
        ContainerEvent::Resync => {
            let instances: Vec<_> = core.state().instances.values().cloned().collect();
            for instance in instances {
                // Perhaps it was this engine that it is stuck for.
                if instance.state() == InstanceState::Stuck && !first {
                    instance.retry_now.notify_one();
                }
                let here = |container: &&ContainerPlan| {
                    engines::of(core, &instance, container).is_ok_and(|it| it.id() == engine.id())
                };
                let names = instance.plan.containers.iter().filter(here).map(|it| it.spec.name.clone());
                let names: BTreeSet<_> = names.collect();
                for name in &names {
                    instance.memory().watched.starts.remove(name);
                }
                look_at(core, &instance, names);
            }
            if !first {
                core.late.more.notify_one();
            }
        }
        ContainerEvent::Changed { owner, container, what } => changed(core, engine, &owner, container, what),
    }
}

fn changed(core: &Arc<Core>, engine: &Engine, owner: &Owner, container: EngineName, what: ContainerChange) {
    let live = core.instance(owner.instance).filter(|instance| instance.state().is_live());
    let Some(instance) = live else {
        if matches!(what, ContainerChange::Created | ContainerChange::Started) && !core.closing.is_cancelled()
        {
            let (shared, owner, id) = (Arc::clone(core), owner.clone(), engine.id());
            core.spawn(async move { remove_stray(&shared, id, &owner, container).await });
        }
        return;
    };
    {
        let watched = &mut instance.memory().watched;
        match what {
            ContainerChange::Created => return,
            ContainerChange::Started if watched.is_expected(&container) => return,
            ContainerChange::Started => {}
            // What was expected will be told about another run, if ever.
            _ => drop(watched.starts.remove(&container)),
        }
    }
    look_at(core, &instance, [container]);
}

/// Removes a container that has come into being after its instance was gone, if it is there still.
async fn remove_stray(core: &Core, engine: EngineId, owner: &Owner, name: EngineName) {
    let Ok(driver) = engines::named(&core.parts.backend, Some(&engine)) else { return };
    match driver.inspect(&name).await {
        Ok(Some(view)) if view.owner.as_ref() == Some(owner) => {
            strays::remove(core, owner, vec![(engine, name)]).await;
        }
        Ok(_) => {}
        Err(error) => log::error!("{error}"),
    }
}

/// All containers of an instance are to be looked at.
pub(crate) fn look_at_all(core: &Arc<Core>, instance: &Arc<Instance>) {
    look_at(core, instance, instance.plan.containers.iter().map(|container| container.spec.name.clone()));
}

/// Containers of an instance are to be looked at, once nobody else works on it.
pub(crate) fn look_at(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    names: impl IntoIterator<Item = EngineName>,
) {
    {
        let mut memory = instance.memory();
        let may_run = matches!(
            memory.record.state,
            InstanceState::Planned
                | InstanceState::Creating
                | InstanceState::Running
                | InstanceState::Degraded
        );
        if !may_run || core.closing.is_cancelled() {
            return;
        }
        memory.watched.dirty.extend(names);
        if memory.watched.dirty.is_empty() || std::mem::replace(&mut memory.watched.busy, true) {
            return;
        }
    }
    let task = work(Arc::clone(core), Arc::clone(instance));
    core.spawn(task);
}

async fn work(core: Arc<Core>, instance: Arc<Instance>) {
    loop {
        let _operation = instance.operation.lock().await;
        let dirty = {
            let mut memory = instance.memory();
            let runs = matches!(memory.record.state, InstanceState::Running | InstanceState::Degraded);
            let over = !runs || core.closing.is_cancelled() || instance.called_off.is_cancelled();
            let watched = &mut memory.watched;
            if over {
                watched.dirty.clear();
            }
            if watched.dirty.is_empty() {
                watched.busy = false;
                return;
            }
            std::mem::take(&mut watched.dirty)
        };
        let round = AssertUnwindSafe(round(&core, &instance, &dirty)).catch_unwind().await;
        if round.is_err() {
            log::error!("instance {}: looking at it ended abnormally, an error in this program", instance.id);
        }
    }
}

async fn round(core: &Arc<Core>, instance: &Arc<Instance>, dirty: &BTreeSet<EngineName>) {
    if core.parts.settings.heal {
        attend::restore_network(core, instance).await;
    }
    attend::restore_chains(core, instance).await;
    let planned = instance.plan.containers.iter().filter(|container| dirty.contains(&container.spec.name));
    stream::iter(planned)
        .for_each_concurrent(AT_ONCE, |container| attend::attend(core, instance, container))
        .await;
    settle(core, instance).await;
}

/// Brings the state to what was seen, and tells why.
async fn settle(core: &Core, instance: &Instance) {
    let records = {
        let mut memory = instance.memory();
        let reasons = reasons(&instance.plan, &memory);
        let state = if reasons.is_empty() { InstanceState::Running } else { InstanceState::Degraded };
        let reasons: BTreeSet<_> = reasons.into_iter().collect();
        let told = std::mem::replace(&mut memory.watched.told, reasons.clone());
        let new = reasons.difference(&told).map(|message| Record::Error { message: message.clone() });
        let mut records: Vec<_> = new.collect();
        if memory.record.state != state {
            records.push(Record::State { state, at: core.parts.clock.now() });
        }
        records
    };
    if !records.is_empty() {
        core.record_fact(instance, records).await;
    }
}

/// Why an instance is not all there, each in words.
pub(crate) fn reasons(plan: &InstancePlan, memory: &Memory) -> Vec<String> {
    let mut reasons = Vec::new();
    for container in &plan.containers {
        let name = &container.spec.name;
        match memory.seen.get(name) {
            Some(ContainerState::Running) => {}
            Some(ContainerState::Paused) => reasons.push(format!("container {name} is paused")),
            Some(ContainerState::Created) => reasons.push(format!("container {name} was not started")),
            Some(ContainerState::Exited { code: Some(code) }) => {
                reasons.push(format!("container {name} has exited with code {code}"));
            }
            Some(ContainerState::Exited { code: None }) => {
                reasons.push(format!("container {name} has exited, with what code is not known"));
            }
            Some(ContainerState::Damaged) => {
                reasons
                    .push(format!("container {name} is damaged: its engine cannot read what it knew of it"));
            }
            None => reasons.push(match memory.watched.elsewhere.get(name) {
                Some(engine) => format!(
                    "container {name} cannot be seen: it was made with the engine {engine}, which this server was \
                     not started with"
                ),
                None => format!("container {name} is missing"),
            }),
        }
        reasons
            .extend(memory.watched.trouble.get(name).map(|trouble| format!("container {name}: {trouble}")));
    }
    reasons.extend(memory.watched.lost.iter().cloned());
    reasons.extend(memory.watched.lost_chains.iter().map(|chain| format!("chain {chain} is missing")));
    reasons
}

/// What an instance is that an earlier run of the program has left: what of it is there is looked at as soon as the
/// engines are watched.
pub(crate) fn taken_over(core: &Core, instance: &Instance, found: Found) -> Vec<Record> {
    let mut records = Vec::new();
    let mut memory = instance.memory();
    memory.changes += 1;
    for container in &instance.plan.containers {
        let name = &container.spec.name;
        let known = memory.record.containers.get(name).cloned();
        let now = found.containers.get(name).map(|(state, run)| Seen {
            state: *state,
            // What it is plugged into is not what runs now, perhaps; an older program did not write it down.
            run: known.as_ref().map_or(run.clone(), |known| known.run.clone()),
        });
        if now != known {
            records.push(Record::Container { container: name.clone(), seen: now });
        }
    }
    let backend = &core.parts.backend;
    let has_none = |engine: &&EngineId| backend.engine(engine).is_none();
    memory.watched.elsewhere = (instance.plan.containers.iter())
        .filter_map(|container| {
            let engine = instance.engines.get(container.datacenter()).filter(has_none)?;
            Some((container.spec.name.clone(), engine.clone()))
        })
        .collect();
    memory.seen = found.containers.into_iter().map(|(name, (state, _))| (name, state)).collect();
    let planned = instance.plan.containers.iter().map(|container| &container.spec.name);
    let mut states = planned.map(|name| memory.seen.get(name));
    let all_run = states.all(|state| state == Some(&ContainerState::Running));
    memory.watched.unsure_links = !all_run || !found.unplugged.is_empty();
    memory.watched.replug = found.unplugged;
    for container in &memory.watched.replug.clone() {
        let trouble = "an interface is missing".to_owned();
        memory.watched.trouble.insert(container.clone(), trouble);
    }
    memory.watched.lost = found.lost;
    memory.watched.lost_chains = found.lost_chains;
    memory.watched.unsure_chains = !memory.record.chains.is_empty();
    let reasons = reasons(&instance.plan, &memory);
    let state = if reasons.is_empty() { InstanceState::Running } else { InstanceState::Degraded };
    // What was a reason before the restart has been told before it.
    let told = &memory.record.errors;
    let new: Vec<_> = reasons.iter().filter(|reason| !told.contains(reason)).cloned().collect();
    memory.watched.told = reasons.into_iter().collect();
    records.extend(new.into_iter().map(|message| Record::Error { message }));
    if memory.record.state != state {
        records.push(Record::State { state, at: core.parts.clock.now() });
    }
    records
}
