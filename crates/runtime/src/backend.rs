//! Container drivers and a network driver that work together.

use std::collections::BTreeMap;
use std::sync::Arc;

use llcm_names::DcName;
use thiserror::Error;

use crate::{ContainerDriver, EngineId, Needs, NetworkDriver};

/// Drivers that were found to work together: one network driver for all data centers, for segments cross them;
/// one container driver by default, and others for the data centers that have an engine of their own.
///
/// ```
/// use llcm_names::{DcName, InstallationId};
/// use llcm_runtime::simulated::{self, SimulatedContainers, World};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let world = World::new();
/// let (dc1, dc2) = (DcName::parse("dc1")?, DcName::parse("dc2")?);
/// let other = SimulatedContainers::new(world.clone()).named("other");
/// let engines = [(dc2.clone(), other)];
/// let backend = simulated::backend_with_engines(&world, &InstallationId::from_bits(1), engines)?;
///
/// assert_eq!(backend.engine_of(&dc1).to_string(), "sim");
/// assert_eq!(backend.engine_of(&dc2).to_string(), "other");
/// assert_eq!(backend.engines().len(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Backend {
    /// The distinct container drivers; the default one is the first.
    engines: Vec<Arc<dyn ContainerDriver>>,
    /// The data centers that do not have the default one, with the positions of theirs.
    datacenters: BTreeMap<DcName, usize>,
    network: Arc<dyn NetworkDriver>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let engines: Vec<_> = self.engines.iter().map(|driver| driver.offers()).collect();
        f.debug_struct("Backend")
            .field("containers", &engines)
            .field("datacenters", &self.datacenters)
            .field("network", &self.network.needs())
            .finish()
    }
}

/// Drivers that cannot work together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Incompatible {
    /// The container driver does not offer what the network driver needs.
    #[error("the network driver needs {needs}, which containers of engine {engine} do not offer")]
    Missing {
        /// What is missing, in words.
        needs: String,
        /// The container driver's engine.
        engine: EngineId,
    },
    /// Another driver of the same engine is there already: by their engine's name neither what they say nor
    /// what they have could be told apart.
    #[error("data center {datacenter} has a second driver of engine {engine}: an engine has one driver")]
    Twice {
        /// The data center that the second one was meant for.
        datacenter: DcName,
        /// The engine of both.
        engine: EngineId,
    },
}

impl Backend {
    /// Pairs two drivers; the container driver serves all data centers.
    ///
    /// # Errors
    /// [`Incompatible::Missing`] when the container driver does not offer what the network driver needs.
    pub fn pair(
        containers: Arc<dyn ContainerDriver>,
        network: Arc<dyn NetworkDriver>,
    ) -> Result<Self, Incompatible> {
        check(&*containers, &*network)?;
        Ok(Self::of_one_engine(containers, network))
    }

    /// Pairs two drivers of this crate that belong to one engine.
    pub(crate) fn of_one_engine(
        containers: Arc<dyn ContainerDriver>,
        network: Arc<dyn NetworkDriver>,
    ) -> Self {
        Self { engines: vec![containers], datacenters: BTreeMap::new(), network }
    }

    /// The containers of a data center run in this engine. Several data centers may share a driver; a driver
    /// given for the same data center before is replaced there, and goes with its last data center.
    ///
    /// # Errors
    /// [`Incompatible::Missing`] when the container driver does not offer what the network driver needs;
    /// [`Incompatible::Twice`] for an engine that another driver is there for.
    pub fn with_datacenter(
        mut self,
        dc: DcName,
        containers: Arc<dyn ContainerDriver>,
    ) -> Result<Self, Incompatible> {
        check(&*containers, &*self.network)?;
        let before = self.datacenters.remove(&dc);
        if let Some(before) = before.filter(|at| !self.datacenters.values().any(|other| other == at)) {
            self.engines.remove(before);
            self.datacenters.values_mut().filter(|at| **at > before).for_each(|at| *at -= 1);
        }
        let engine = containers.offers().engine;
        let at = match self.engines.iter().position(|known| known.offers().engine == engine) {
            Some(at) if Arc::ptr_eq(&self.engines[at], &containers) => at,
            Some(_) => return Err(Incompatible::Twice { datacenter: dc, engine }),
            None => {
                self.engines.push(containers);
                self.engines.len() - 1
            }
        };
        if at != 0 {
            self.datacenters.insert(dc, at);
        }
        Ok(self)
    }

    /// The same, each driver inside of another one, which must offer and need what the inner one does.
    #[must_use]
    pub fn wrapped(
        self,
        containers: impl FnMut(Arc<dyn ContainerDriver>) -> Arc<dyn ContainerDriver>,
        network: impl FnOnce(Arc<dyn NetworkDriver>) -> Arc<dyn NetworkDriver>,
    ) -> Self {
        let engines = self.engines.into_iter().map(containers).collect();
        Self { engines, datacenters: self.datacenters, network: network(self.network) }
    }

    /// The default container driver: that of all data centers that have none of their own.
    #[must_use]
    pub fn containers(&self) -> &Arc<dyn ContainerDriver> {
        &self.engines[0]
    }

    /// The container driver of a data center.
    #[must_use]
    pub fn containers_of(&self, dc: &DcName) -> &Arc<dyn ContainerDriver> {
        &self.engines[self.datacenters.get(dc).copied().unwrap_or_default()]
    }

    /// The engine of a data center.
    #[must_use]
    pub fn engine_of(&self, dc: &DcName) -> EngineId {
        self.containers_of(dc).offers().engine
    }

    /// All container drivers, each once: the default one, then the others in the order they were added.
    #[must_use]
    pub fn engines(&self) -> &[Arc<dyn ContainerDriver>] {
        &self.engines
    }

    /// The container driver of an engine; `None` when there is none of that name.
    #[must_use]
    pub fn engine(&self, engine: &EngineId) -> Option<&Arc<dyn ContainerDriver>> {
        self.engines.iter().find(|driver| driver.offers().engine == *engine)
    }

    /// The network driver.
    #[must_use]
    pub fn network(&self) -> &Arc<dyn NetworkDriver> {
        &self.network
    }
}

/// Whether the containers offer what the network needs.
fn check(containers: &dyn ContainerDriver, network: &dyn NetworkDriver) -> Result<(), Incompatible> {
    let offers = containers.offers();
    let needs = match network.needs() {
        Needs::NetNs if !offers.netns => "network namespaces on this host".to_owned(),
        Needs::Engine(engine) if engine != offers.engine => format!("containers of engine {engine}"),
        Needs::AnyOf(engines) if !engines.contains(&offers.engine) => {
            let names: Vec<_> = engines.iter().map(ToString::to_string).collect();
            format!("containers of an engine among {}", names.join(", "))
        }
        Needs::NetNs | Needs::Engine(_) | Needs::AnyOf(_) => return Ok(()),
    };
    Err(Incompatible::Missing { needs, engine: offers.engine })
}

#[cfg(test)]
mod tests {
    use llcm_names::InstallationId;

    use super::*;
    use crate::simulated::{SimulatedContainers, SimulatedNetwork, World};

    fn dc(name: &str) -> DcName {
        DcName::parse(name).unwrap()
    }

    fn names(backend: &Backend) -> Vec<String> {
        backend.engines().iter().map(|driver| driver.offers().engine.0).collect()
    }

    fn of(world: &Arc<World>, engine: &str) -> Arc<dyn ContainerDriver> {
        Arc::new(SimulatedContainers::new(Arc::clone(world)).named(engine))
    }

    fn backend(world: &Arc<World>) -> Backend {
        let network = SimulatedNetwork::new(Arc::clone(world), InstallationId::from_bits(1));
        let network = network.reaching(["sim", "b", "c"].map(EngineId::new));
        Backend::pair(of(world, "sim"), Arc::new(network)).unwrap()
    }

    #[test]
    fn a_data_center_has_its_own_engine_or_the_default_one() {
        let world = World::new();
        let b = of(&world, "b");
        let backend = backend(&world);
        let backend = backend.with_datacenter(dc("dc2"), Arc::clone(&b)).unwrap();
        let backend = backend.with_datacenter(dc("dc3"), b).unwrap();
        assert_eq!(names(&backend), ["sim", "b"], "a driver of two data centers is one engine");
        let engines = ["dc1", "dc2", "dc3"].map(|name| backend.engine_of(&dc(name)).0);
        assert_eq!(engines, ["sim", "b", "b"]);
        let found = backend.engine(&EngineId::new("b")).unwrap();
        assert!(Arc::ptr_eq(found, backend.containers_of(&dc("dc3"))));
        assert!(backend.engine(&EngineId::new("c")).is_none());

        // The default driver may be named, and others may be replaced.
        let default = Arc::clone(backend.containers());
        let backend = backend.with_datacenter(dc("dc2"), default).unwrap();
        assert_eq!((names(&backend).len(), backend.engine_of(&dc("dc2")).0.as_str()), (2, "sim"));
        let backend = backend.with_datacenter(dc("dc2"), of(&world, "c")).unwrap();
        let default = Arc::clone(backend.containers());
        let backend = backend.with_datacenter(dc("dc3"), default).unwrap();
        assert_eq!(names(&backend), ["sim", "c"], "an engine goes with its last data center");
        assert_eq!(backend.engine_of(&dc("dc2")).0, "c");
    }

    #[test]
    fn what_cannot_work_together_is_refused() {
        let world = World::new();
        let twice = backend(&world).with_datacenter(dc("dc2"), of(&world, "sim")).unwrap_err();
        assert!(twice.to_string().contains("dc2") && twice.to_string().contains("engine sim"), "{twice}");
        let backend = backend(&world).with_datacenter(dc("dc2"), of(&world, "b")).unwrap();
        let twice = backend.clone().with_datacenter(dc("dc3"), of(&world, "b")).unwrap_err();
        assert_eq!(twice, Incompatible::Twice { datacenter: dc("dc3"), engine: EngineId::new("b") });
        let missing = backend.with_datacenter(dc("dc2"), of(&world, "d")).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "the network driver needs containers of an engine among b, c, sim, which containers of engine d \
             do not offer"
        );
        let network = SimulatedNetwork::new(Arc::clone(&world), InstallationId::from_bits(1));
        let missing = Backend::pair(of(&world, "b"), Arc::new(network)).unwrap_err();
        assert!(missing.to_string().contains("needs containers of engine sim"), "{missing}");
    }
}
