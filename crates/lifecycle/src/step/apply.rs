//! Doing a step.

use std::sync::Arc;

use llcm_names::EngineName;
use llcm_runtime::{AttachPoint, ContainerState, DriverError, ErrorKind, ManagementSpec};

use super::Step;
use crate::core::Core;
use crate::engines;
use crate::error::{LifecycleError, code_of};
use crate::images;
use crate::instance::Instance;
use crate::journal::{Record, Seen};
use crate::plan::ContainerPlan;
use crate::script;

/// Does one step. `point`: how the step's container is reached; told by whichever of creating and starting
/// it knows first.
pub(crate) async fn apply(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    step: &Step,
    point: &mut Option<AttachPoint>,
) -> Result<(), LifecycleError> {
    perform(core, instance, step, point).await.map_err(|error| {
        let said = error.to_string();
        let words = step.to_string();
        // A driver that calls the operation as we do has named the step already.
        let message = if said.starts_with(&words) { said } else { format!("{words}: {said}") };
        let code = match step {
            Step::EnsureImage { .. } => images::image_code_of(error.kind),
            _ => code_of(error.kind),
        };
        LifecycleError::new(code, message)
    })
}

async fn perform(
    core: &Arc<Core>,
    instance: &Arc<Instance>,
    step: &Step,
    point: &mut Option<AttachPoint>,
) -> Result<(), DriverError> {
    let backend = &core.parts.backend;
    match step {
        Step::EnsureImage { image, engine } => {
            let engine = engines::named(backend, engine.as_ref())?;
            images::restore(core, instance, image, &engine).await
        }
        Step::EnsureSegment { segment } => {
            let spec = instance.plan.segments().find(|spec| spec.id == *segment);
            backend.network().ensure_segment(spec.ok_or_else(|| unplanned(step))?).await
        }
        Step::CreateContainer { container } => {
            let planned = find(instance, step, container)?;
            let engine = engines::of(core, instance, planned)?;
            *point = engine.create(&planned.spec).await.map_err(|error| engine.told(error))?;
            let mut memory = instance.memory();
            memory.changes += 1;
            memory.seen.insert(container.clone(), ContainerState::Created);
            Ok(())
        }
        Step::StartContainer { container } => {
            let engine = engines::of(core, instance, find(instance, step, container)?)?;
            instance.memory().watched.expect_start(container);
            let started = engine.start(instance.owner(), container).await;
            let started = started.map_err(|error| engine.told(error))?;
            let seen = Some(Seen { state: ContainerState::Running, run: started.run.clone() });
            core.record_later(instance, Record::Container { container: container.clone(), seen });
            *point = Some(started);
            Ok(())
        }
        Step::AttachPort { container, port } => {
            let planned = find(instance, step, container)?;
            let interface = planned.interfaces.iter().find(|interface| interface.port.id == *port);
            let spec = &interface.ok_or_else(|| unplanned(step))?.port;
            backend.network().attach(spec, reached(point.as_ref(), container)?).await.map(|_view| ())
        }
        Step::NameManagement { container } => {
            let planned = find(instance, step, container)?;
            let ifname = planned.management.as_ref().ok_or_else(|| unplanned(step))?.name.clone();
            let spec =
                ManagementSpec { owner: instance.owner().clone(), container: container.clone(), ifname };
            let management = backend.network().management().ok_or_else(|| {
                let message = "this network driver cannot: set `docker_management` to false";
                let operation = "name the engine's interface of container";
                DriverError::new(ErrorKind::Unsupported, operation, container.as_str(), message)
            })?;
            management.name_management(&spec, reached(point.as_ref(), container)?).await?;
            // Shown with the instance from now on; without it, as soon as somebody asks for the instance.
            let engine = engines::of(core, instance, planned)?;
            if let Ok(Some(view)) = engine.inspect(container).await {
                instance
                    .memory()
                    .management
                    .extend(view.management_address.map(|it| (container.clone(), it)));
            }
            Ok(())
        }
        Step::AttachHostPort { port } => {
            let spec = instance.plan.host_ports().find(|spec| spec.id == *port);
            let spec = spec.ok_or_else(|| unplanned(step))?;
            backend.network().attach(spec, &AttachPoint::host()).await.map(|_view| ())
        }
        Step::LaunchScript { container } => {
            let planned = find(instance, step, container)?;
            script::launch(core, instance, planned)
        }
    }
}

fn reached<'a>(
    point: Option<&'a AttachPoint>,
    container: &EngineName,
) -> Result<&'a AttachPoint, DriverError> {
    point.ok_or_else(|| {
        let message = "the container driver did not say how the container is reached";
        DriverError::new(ErrorKind::Failed, "reach container", container.as_str(), message)
    })
}

fn find<'a>(
    instance: &'a Instance,
    step: &Step,
    container: &EngineName,
) -> Result<&'a ContainerPlan, DriverError> {
    instance.plan.containers.iter().find(|c| c.spec.name == *container).ok_or_else(|| unplanned(step))
}

/// A step about something that the plan has not: the steps are derived from it, so the journal was tampered
/// with.
fn unplanned(step: &Step) -> DriverError {
    DriverError::new(ErrorKind::Invalid, "look up", step.to_string(), "the plan knows nothing of it")
}
