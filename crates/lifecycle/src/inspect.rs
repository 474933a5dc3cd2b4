//! Looking into instances: states as the engine tells them, plans, commands, output.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use llcm_names::{ContainerName, EngineName, InstanceId};
use llcm_runtime::{
    ContainerView, DriverError, DriverResult, ErrorKind, ExecOutcome, ExecSpec, LogOptions, OutputSink,
};

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError, code_of};
use crate::instance::Instance;
use crate::plan::{ContainerPlan, InstanceDocument};
use crate::request::InstanceView;
use crate::{engines, watching};

/// Containers that engines are asked about at the same time.
const AT_ONCE: usize = 8;

/// One instance, its containers' states asked from the engine now.
pub(crate) async fn instance(
    core: &Arc<Core>,
    id: InstanceId,
) -> Result<Option<InstanceView>, LifecycleError> {
    let Some(instance) = core.instance(id) else { return Ok(None) };
    if instance.state().is_live() {
        let owner = instance.owner();
        let containers = &instance.plan.containers;
        let changes = instance.memory().changes;
        let seen: Vec<_> = stream::iter(containers)
            .map(|container| inspect(core, &instance, container))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut ours = BTreeMap::new();
        let mut management = BTreeMap::new();
        for (name, view) in seen {
            let Some(view) = view.filter(|view| view.owner.as_ref() == Some(owner)) else { continue };
            ours.insert(name.clone(), view.state);
            management.extend(view.management_address.map(|address| (name.clone(), address)));
        }
        let before = {
            let mut memory = instance.memory();
            let before = memory.seen.clone();
            if memory.changes == changes {
                memory.management = management;
                memory.seen.clone_from(&ours);
            } else {
                memory.management.extend(management);
            }
            before
        };
        // Seen here before it was told.
        let changed = containers.iter().map(|container| &container.spec.name);
        let changed = changed.filter(|name| before.get(*name) != ours.get(*name)).cloned();
        watching::look_at(core, &instance, changed);
    }
    Ok(Some(instance.view_now()))
}

async fn inspect<'a>(
    core: &Core,
    instance: &Instance,
    container: &'a ContainerPlan,
) -> DriverResult<(&'a EngineName, Option<ContainerView>)> {
    let name = &container.spec.name;
    let engine = engines::of(core, instance, container)?;
    let view = engine.inspect(name).await.map_err(|error| engine.told(error))?;
    Ok((name, view))
}

/// The plan of an instance as the public JSON document of one instance.
pub(crate) fn plan(core: &Core, id: InstanceId) -> Option<serde_json::Value> {
    let instance = core.instance(id)?;
    serde_json::to_value(InstanceDocument::from(&*instance.plan)).ok()
}

/// Runs a command in a container.
pub(crate) async fn exec(
    core: &Core,
    id: InstanceId,
    name: &ContainerName,
    spec: &ExecSpec,
    sink: &mut dyn OutputSink,
) -> Result<ExecOutcome, LifecycleError> {
    let instance = core.find_instance(id)?;
    let container = find(&instance, name)?;
    let engine = engines::of(core, &instance, container)?;
    let exec = engine.exec().ok_or_else(|| unsupported("run commands in"))?;
    let outcome = exec.exec(instance.owner(), &container.spec.name, spec, sink).await;
    outcome.map_err(|error| map(&engine.told(error)))
}

/// The output of a container's own process.
pub(crate) async fn logs(
    core: &Core,
    id: InstanceId,
    name: &ContainerName,
    options: LogOptions,
    sink: &mut dyn OutputSink,
) -> Result<(), LifecycleError> {
    let instance = core.find_instance(id)?;
    let container = find(&instance, name)?;
    let engine = engines::of(core, &instance, container)?;
    let logs = engine.logs().ok_or_else(|| unsupported("read the output of"))?;
    let outcome = logs.logs(instance.owner(), &container.spec.name, options, sink).await;
    outcome.map_err(|error| map(&engine.told(error)))
}

fn find<'a>(instance: &'a Instance, name: &ContainerName) -> Result<&'a ContainerPlan, LifecycleError> {
    instance.container(name)
}

fn unsupported(what: &str) -> LifecycleError {
    LifecycleError::new(ErrorCode::Unsupported, format!("this container engine cannot {what} containers"))
}

/// A container that the plan has and the engine has not is in the wrong state, not unknown.
fn map(error: &DriverError) -> LifecycleError {
    let code = match error.kind {
        ErrorKind::NotFound | ErrorKind::Conflict => ErrorCode::WrongState,
        other => code_of(other),
    };
    LifecycleError::new(code, error.to_string())
}
