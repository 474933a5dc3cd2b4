//! The container engines of the server: the one that a container runs in, and what all of them are asked.
//!
//! Which engine an instance's data centers had is written down with its plan, so that a server whose topology has
//! been changed since still finds its containers where they are. Where there are several engines, every error of
//! one tells its name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use llcm_names::{DcName, EngineName};
use llcm_runtime::{
    Backend, ContainerDriver, ContainerView, DriverError, DriverResult, EngineId, EngineInfo, ErrorKind,
    Taken,
};

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError, code_of};
use crate::instance::Instance;
use crate::plan::{ContainerPlan, InstancePlan};

/// One of the server's engines; it is used as its driver.
#[derive(Clone)]
pub(crate) struct Engine {
    driver: Arc<dyn ContainerDriver>,
    several: bool,
}

impl Deref for Engine {
    type Target = dyn ContainerDriver;

    fn deref(&self) -> &Self::Target {
        &*self.driver
    }
}

impl Engine {
    pub(crate) fn id(&self) -> EngineId {
        self.driver.offers().engine
    }

    /// Its name where there are others to be told from.
    pub(crate) fn name_among_several(&self) -> Option<EngineId> {
        self.several.then(|| self.id())
    }

    /// An error of this engine, with its name where there are others.
    pub(crate) fn told(&self, mut error: DriverError) -> DriverError {
        if let Some(name) = self.name_among_several() {
            error.message = format!("engine {name}: {}", error.message);
        }
        error
    }
}

/// All engines, the default one first.
pub(crate) fn all(backend: &Backend) -> Vec<Engine> {
    let several = backend.engines().len() > 1;
    let drivers = backend.engines().iter().map(Arc::clone);
    drivers.map(|driver| Engine { driver, several }).collect()
}

/// The engines that containers can be placed on, each once: those of the topology's data centers.
pub(crate) fn placeable(core: &Core) -> Vec<Engine> {
    let (backend, topology) = (&core.parts.backend, core.topology.get());
    let has = |engine: &Engine| {
        let own = |dc: &DcName| Arc::ptr_eq(backend.containers_of(dc), &engine.driver);
        topology.datacenters.iter().any(|datacenter| own(&datacenter.name))
    };
    all(backend).into_iter().filter(has).collect()
}

/// Asks the engines whether they can run a plan's containers, before anything is made; all that they refuse.
pub(crate) async fn check(core: &Core, plan: &InstancePlan) -> Result<(), LifecycleError> {
    let several = core.parts.backend.engines().len() > 1;
    let asked = plan.containers.iter().map(|container| {
        let driver = Arc::clone(core.parts.backend.containers_of(&container.spec.datacenter));
        let engine = Engine { driver, several };
        async move { engine.check(&container.spec).await.map_err(|error| engine.told(error)) }
    });
    let mut refused = join_all(asked).await.into_iter().filter_map(Result::err);
    let Some(first) = refused.next() else { return Ok(()) };
    let code = match first.kind {
        ErrorKind::Unavailable | ErrorKind::Unsupported => code_of(first.kind),
        // No step has failed, and trying again does not help: it is the service that has to change, or the host.
        ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Invalid
        | ErrorKind::Denied
        | ErrorKind::Failed => ErrorCode::CannotPlan,
    };
    let others = refused.map(|error| error.to_string()).collect();
    Err(LifecycleError { others, ..LifecycleError::new(code, first.to_string()) })
}

/// The engine of a name; `None`: the default one.
///
/// # Errors
/// `Unavailable` when the server has none of that name.
pub(crate) fn named(backend: &Backend, engine: Option<&EngineId>) -> DriverResult<Engine> {
    let driver = match engine {
        None => backend.containers(),
        Some(id) => backend.engine(id).ok_or_else(|| {
            let known: Vec<_> = all(backend).iter().map(|engine| engine.id().to_string()).collect();
            let message = format!(
                "this server has no such engine, it has {}: start it with the engine that the instance was made \
                 with",
                known.join(", ")
            );
            DriverError::new(ErrorKind::Unavailable, "ask engine", id.to_string(), message)
        })?,
    };
    Ok(Engine { driver: Arc::clone(driver), several: backend.engines().len() > 1 })
}

/// The engine that a container of an instance runs in.
///
/// # Errors
/// As [`named`].
pub(crate) fn of(core: &Core, instance: &Instance, container: &ContainerPlan) -> DriverResult<Engine> {
    named(&core.parts.backend, instance.engines.get(container.datacenter()))
}

/// An error for each engine that some of these containers of an instance are in and the server does not have: nobody
/// can say what is left there.
pub(crate) fn unreachable(core: &Core, instance: &Instance, containers: &[EngineName]) -> Vec<DriverError> {
    let begun: BTreeSet<_> = containers.iter().collect();
    let planned = instance.plan.containers.iter().filter(|container| begun.contains(&container.spec.name));
    let engines: BTreeSet<_> = planned.filter_map(|it| instance.engines.get(it.datacenter())).collect();
    engines.into_iter().filter_map(|engine| named(&core.parts.backend, Some(engine)).err()).collect()
}

/// The engines of the data centers that a plan places containers on, to be written down with it.
pub(crate) fn of_plan(backend: &Backend, plan: &InstancePlan) -> BTreeMap<DcName, EngineId> {
    let datacenters = plan.containers.iter().map(ContainerPlan::datacenter);
    datacenters.map(|dc| (dc.clone(), backend.engine_of(dc))).collect()
}

/// What all engines say, and the errors of those that do not.
pub(crate) struct Answers<T> {
    pub(crate) given: Vec<(EngineId, T)>,
    pub(crate) errors: Vec<DriverError>,
}

impl<T> Answers<T> {
    /// All answers.
    ///
    /// # Errors
    /// All errors, when there is one.
    pub(crate) fn complete(self) -> Result<Vec<(EngineId, T)>, LifecycleError> {
        let mut errors = self.errors.into_iter();
        match errors.next() {
            None => Ok(self.given),
            Some(first) => Err(LifecycleError {
                others: errors.map(|error| error.to_string()).collect(),
                ..LifecycleError::from(first)
            }),
        }
    }
}

/// Waits for the answers of engines that were asked side by side.
async fn gather<T>(engines: &[Engine], asked: Vec<BoxFuture<'_, DriverResult<T>>>) -> Answers<T> {
    let mut answers = Answers { given: Vec::new(), errors: Vec::new() };
    for (engine, answer) in engines.iter().zip(join_all(asked).await) {
        match answer {
            Ok(answer) => answers.given.push((engine.id(), answer)),
            Err(error) => answers.errors.push(engine.told(error)),
        }
    }
    answers
}

/// Who they are and what they have.
pub(crate) async fn info(backend: &Backend) -> Answers<EngineInfo> {
    let engines = all(backend);
    gather(&engines, engines.iter().map(|engine| engine.info()).collect()).await
}

/// The containers that carry the installation's mark.
pub(crate) async fn list_owned(core: &Core) -> Answers<Vec<ContainerView>> {
    let engines = all(&core.parts.backend);
    gather(&engines, engines.iter().map(|engine| engine.list_owned(&core.installation)).collect()).await
}

/// What others hold. All engines are on one host, so that a port is taken for all of them; a name that one has is
/// kept clear of in all, because the network and people know a container by its name alone.
pub(crate) async fn taken(core: &Core) -> Result<Taken, LifecycleError> {
    let engines = all(&core.parts.backend);
    let asked = engines.iter().map(|engine| engine.taken(&core.installation)).collect();
    let answers = gather(&engines, asked).await;
    let mut all = Taken::default();
    for (_, taken) in answers.complete()? {
        all.names.extend(taken.names);
        all.ports.extend(taken.ports);
    }
    Ok(all)
}

/// Removes what the drivers keep for the installation as a whole; what failed.
pub(crate) async fn cleanup(core: &Core) -> Vec<DriverError> {
    let engines = all(&core.parts.backend);
    gather(&engines, engines.iter().map(|engine| engine.cleanup(&core.installation)).collect()).await.errors
}
