//! Looking at one container, and what follows from what it does. The caller holds the instance's operation lock.

use std::sync::Arc;
use std::time::Duration;

use llcm_names::EngineName;
use llcm_runtime::{AttachPoint, ContainerState, DriverResult, ErrorKind, ManagementSpec};
use tokio::time::Instant;

use crate::core::Core;
use crate::instance::Instance;
use crate::journal::{Record, Seen};
use crate::plan::ContainerPlan;
use crate::request::Event;
use crate::{chains, engines, images, script};

/// Looks at a container and does what follows.
pub(super) async fn attend(core: &Arc<Core>, instance: &Arc<Instance>, container: &ContainerPlan) {
    let name = &container.spec.name;
    let outcome = match look(core, instance, container).await {
        Ok(Some((ContainerState::Running, Some(point)))) => up(core, instance, container, &point).await,
        // It runs where this program cannot see it.
        Ok(Some((ContainerState::Running, None))) => Ok(()),
        Ok(found) => down(core, instance, container, found.map(|(state, _)| state)).await,
        Err(error) => Err(error),
    };
    let trouble = outcome.err().map(|error| error.to_string());
    let again = trouble.is_some();
    {
        let watched = &mut instance.memory().watched;
        match trouble {
            Some(trouble) => watched.trouble.insert(name.clone(), trouble),
            None => watched.trouble.remove(name),
        };
    }
    if again {
        let delay = next_delay(core, instance, name);
        remind(core, instance, name, delay);
    }
}

/// What a container does, and how it is reached; `None` when the engine has none of that name that is the instance's.
async fn look(
    core: &Core,
    instance: &Instance,
    container: &ContainerPlan,
) -> DriverResult<Option<(ContainerState, Option<AttachPoint>)>> {
    let engine = engines::of(core, instance, container)?;
    let view = engine.inspect(&container.spec.name).await.map_err(|error| engine.told(error))?;
    let ours = view.filter(|view| view.owner.as_ref() == Some(instance.owner()));
    Ok(ours.map(|view| (view.state, view.attach)))
}

/// A container runs: it is plugged in if this is another run, and its ports are up.
async fn up(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    container: &ContainerPlan,
    point: &AttachPoint,
) -> DriverResult<()> {
    let name = &container.spec.name;
    let (before, replug, trouble) = {
        let mut memory = instance.memory();
        let before = memory.record.containers.get(name).cloned();
        let replug = memory.watched.replug.remove(name);
        (before, replug, memory.watched.trouble.contains_key(name))
    };
    // Where runs cannot be told apart, one that was seen alive is the same.
    let lives = |seen: &Seen| matches!(seen.state, ContainerState::Running | ContainerState::Paused);
    let same = before.as_ref().is_some_and(|seen| match (&seen.run, &point.run) {
        (None, None) => lives(seen),
        (known, now) => known == now,
    });
    let running = ContainerState::Running;
    if !same || replug {
        if let Err(error) = plug(core, instance, container, point).await {
            if replug {
                instance.memory().watched.replug.insert(name.clone());
            }
            // What it is plugged into stays written down: next time this is another run still.
            let run = before.and_then(|seen| seen.run);
            write_down(core, instance, name, Some(Seen { state: running, run })).await;
            return Err(error);
        }
    } else if trouble || before.as_ref().is_some_and(|seen| seen.state == ContainerState::Paused) {
        set_ports(core, instance, container, true).await?;
    }
    write_down(core, instance, name, Some(Seen { state: running, run: point.run.clone() })).await;
    if !same {
        // What the start script had begun ended with the run before.
        script::launch(core, instance, container)?;
    }
    Ok(())
}

/// A container does not run: its ports carry nothing; perhaps it is started again.
async fn down(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    container: &ContainerPlan,
    state: Option<ContainerState>,
) -> DriverResult<()> {
    let name = &container.spec.name;
    let (before, trouble) = {
        let memory = instance.memory();
        (memory.record.containers.get(name).cloned(), memory.watched.trouble.contains_key(name))
    };
    let changed = before.as_ref().map(|seen| seen.state) != state;
    if changed || trouble {
        let set = set_ports(core, instance, container, false).await;
        let run = before.and_then(|seen| seen.run);
        write_down(core, instance, name, state.map(|state| Seen { state, run })).await;
        set?;
    }
    // One that its engine cannot read cannot be started either.
    let alive = [ContainerState::Running, ContainerState::Paused, ContainerState::Damaged];
    let ended = state.is_none_or(|state| !alive.contains(&state));
    if !core.parts.settings.heal || !ended {
        return Ok(());
    }
    let due = instance.memory().watched.due.remove(name);
    let delay = if due { Duration::ZERO } else { next_delay(core, instance, name) };
    if delay.is_zero() {
        start_again(core, instance, container).await
    } else {
        remind(core, instance, name, delay);
        Ok(())
    }
}

/// Makes a container again, if it is gone, starts it, and plugs it in.
async fn start_again(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    container: &ContainerPlan,
) -> DriverResult<()> {
    let name = &container.spec.name;
    let words = format!("start container {name} again");
    core.emit(Event::Step { instance: instance.id, step: words, progress: (0, 1) });
    let engine = engines::of(core, instance, container)?;
    let mut made = engine.create(&container.spec).await;
    if made.as_ref().is_err_and(|error| error.kind == ErrorKind::NotFound) {
        images::restore(core, instance, &container.spec.image, &engine).await?;
        made = engine.create(&container.spec).await;
    }
    let early = made.map_err(|error| engine.told(error))?;
    if let Some(point) = &early {
        plug(core, instance, container, point).await?;
    }
    instance.memory().watched.expect_start(name);
    let point = engine.start(instance.owner(), name).await.map_err(|error| engine.told(error))?;
    if early.is_none() {
        plug(core, instance, container, &point).await?;
    }
    write_down(core, instance, name, Some(Seen { state: ContainerState::Running, run: point.run })).await;
    script::launch(core, instance, container)
}

/// Makes links and interfaces of the host that are not there, after the host was started anew, for instance; then all
/// containers are to be plugged in again. Those that may be there in parts are made once more.
pub(super) async fn restore_network(core: &Arc<Core>, instance: &Arc<Instance>) {
    {
        let watched = &instance.memory().watched;
        if watched.lost.is_empty() && !watched.unsure_links {
            return;
        }
    }
    if let Err(error) = make_network(core, instance).await {
        log::warn!("instance {}: {error}", instance.id);
        remind_first(core, instance);
        return;
    }
    let mut memory = instance.memory();
    memory.watched.unsure_links = false;
    if memory.watched.lost.is_empty() {
        return;
    }
    memory.watched.lost.clear();
    let all = instance.plan.containers.iter().map(|container| container.spec.name.clone());
    memory.watched.replug.extend(all.clone());
    memory.watched.dirty.extend(all);
}

/// Makes chains that are not there, and once after a start all of them. Whatever the settings say of healing: a kill in the
/// middle of adding or removing one leaves them so, and no container is touched for it.
pub(super) async fn restore_chains(core: &Arc<Core>, instance: &Arc<Instance>) {
    {
        let watched = &instance.memory().watched;
        if watched.lost_chains.is_empty() && !watched.unsure_chains {
            return;
        }
    }
    let failed = chains::restore(core, instance).await;
    for error in failed.values() {
        log::warn!("instance {}: {error}", instance.id);
    }
    {
        let watched = &mut instance.memory().watched;
        watched.unsure_chains = false;
        watched.lost_chains = failed.keys().copied().collect();
    }
    if !failed.is_empty() {
        remind_first(core, instance);
    }
}

/// Looks at an instance again after a while.
fn remind_first(core: &Arc<Core>, instance: &Arc<Instance>) {
    if let Some(first) = instance.plan.containers.first() {
        let name = &first.spec.name;
        let delay = next_delay(core, instance, name);
        remind(core, instance, name, delay);
    }
}

async fn make_network(core: &Core, instance: &Instance) -> DriverResult<()> {
    let network = core.parts.backend.network();
    for segment in instance.plan.segments() {
        network.ensure_segment(segment).await?;
    }
    for port in instance.plan.host_ports() {
        network.attach(port, &AttachPoint::host()).await?;
    }
    Ok(())
}

/// Attaches all ports of a container, which sets them up, and gives the engine's own interface its name again.
async fn plug(
    core: &Core,
    instance: &Instance,
    container: &ContainerPlan,
    point: &AttachPoint,
) -> DriverResult<()> {
    let network = core.parts.backend.network();
    if let Some(planned) = &container.management
        && let Some(management) = network.management()
    {
        let spec = ManagementSpec {
            owner: instance.owner().clone(),
            container: container.spec.name.clone(),
            ifname: planned.name.clone(),
        };
        management.name_management(&spec, point).await?;
    }
    for interface in &container.interfaces {
        network.attach(&interface.port, point).await?;
    }
    log::info!("instance {}: container {} is plugged in again", instance.id, container.spec.name);
    Ok(())
}

/// Sets all ports of a container up or down; goes on after errors and returns the first.
async fn set_ports(
    core: &Core,
    instance: &Instance,
    container: &ContainerPlan,
    up: bool,
) -> DriverResult<()> {
    let mut outcome = Ok(());
    for interface in &container.interfaces {
        let port = &interface.port;
        let network = core.parts.backend.network();
        let set = network.set_port(instance.owner(), &port.datacenter, port.id, up).await;
        outcome = outcome.and(set);
    }
    outcome
}

/// Writes down what a container does, if that is new.
async fn write_down(core: &Core, instance: &Instance, name: &EngineName, seen: Option<Seen>) {
    let known = {
        let memory = instance.memory();
        let same_state = memory.seen.get(name).copied() == seen.as_ref().map(|seen| seen.state);
        same_state && memory.record.containers.get(name) == seen.as_ref()
    };
    if !known {
        core.record_fact(instance, vec![Record::Container { container: name.clone(), seen }]).await;
    }
}

/// How long to wait before something is tried about a container: not at all at the first time, then longer and longer;
/// from the beginning when there was peace for as long as the longest wait.
fn next_delay(core: &Core, instance: &Instance, name: &EngineName) -> Duration {
    let backoff = core.parts.settings.retry;
    let now = Instant::now();
    let tries = {
        let mut memory = instance.memory();
        let entry = memory.watched.tries.entry(name.clone()).or_insert((0, now));
        if now.duration_since(entry.1) > backoff.longest.saturating_mul(2) {
            entry.0 = 0;
        }
        let tries = entry.0;
        *entry = (tries.saturating_add(1), now);
        tries
    };
    if tries == 0 { Duration::ZERO } else { backoff.delay(tries, core.parts.ids.uuid()) }
}

/// Looks at a container again after a while.
fn remind(core: &Arc<Core>, instance: &Arc<Instance>, name: &EngineName, delay: Duration) {
    if !instance.memory().watched.reminded.insert(name.clone()) {
        return;
    }
    let (weak, closing) = (Arc::downgrade(core), core.closing.clone());
    let (instance, name) = (Arc::clone(instance), name.clone());
    core.spawn_apart(async move {
        tokio::select! {
            biased;
            () = closing.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
        {
            let watched = &mut instance.memory().watched;
            watched.reminded.remove(&name);
            watched.due.insert(name.clone());
        }
        if let Some(core) = weak.upgrade() {
            super::look_at(&core, &instance, [name]);
        }
    });
}
