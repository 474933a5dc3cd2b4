//! A host with two container engines.

use std::sync::Arc;

use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{Orchestrator, PlacementSettings};
use llcm_names::DcName;
use llcm_runtime::simulated::{self, Call, Operation, SimulatedContainers};
use llcm_runtime::{Backend, EngineId};

use super::Rig;

/// The engine that is not the default one.
pub(crate) const OTHER: &str = "other";

pub(crate) fn dc(name: &str) -> DcName {
    DcName::parse(name).expect("a name")
}

pub(crate) fn engine(name: &str) -> EngineId {
    EngineId::new(name)
}

/// The containers of dc2 run in the other engine.
pub(crate) fn backend(rig: &Rig) -> Backend {
    backend_for(rig, "dc2")
}

/// The containers of a data center run in an engine that makes network namespaces before it starts containers; the
/// default one makes them with the start.
pub(crate) fn backend_for(rig: &Rig, datacenter: &str) -> Backend {
    let other = SimulatedContainers::with_early_namespace(Arc::clone(&rig.world)).named(OTHER);
    let engines = [(dc(datacenter), other)];
    simulated::backend_with_engines(&rig.world, &rig.installation(), engines).expect("they go together")
}

/// Puts the containers of a service's first instance into dc1 and dc2 in turns.
pub(crate) fn in_turns(containers: &[&str]) -> PlacementSettings {
    let place = |(container, dc): (&&str, &str)| (format!("{container}.0"), dc.to_owned());
    let fixed = containers.iter().zip(["dc1", "dc2"].into_iter().cycle()).map(place).collect();
    PlacementSettings { algorithm: "static".to_owned(), fixed, seed: 0 }
}

pub(crate) async fn open(rig: &Rig) -> Arc<Orchestrator> {
    rig.open_on(backend(rig)).await.expect("it opens")
}

/// As [`open`], with the records in memory.
pub(crate) async fn open_quick(rig: &Rig) -> Arc<Orchestrator> {
    let store = Arc::new(MemoryStore::default());
    Orchestrator::open_with(rig.parts(backend(rig)), store).await.expect("it opens")
}

pub(crate) fn calls_of(rig: &Rig, operation: Operation) -> Vec<Call> {
    rig.world.calls().into_iter().filter(|call| call.operation == operation).collect()
}

pub(crate) fn engines_called(rig: &Rig, operation: Operation) -> Vec<String> {
    calls_of(rig, operation).into_iter().filter_map(|call| call.engine).map(|engine| engine.0).collect()
}
