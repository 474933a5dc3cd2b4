//! Cleaning up by the marks, without a store.

#![expect(clippy::unwrap_used, reason = "the whole program is a test")]

mod common;

use std::sync::Arc;

use common::{Rig, push, run};
use llcm_lifecycle::clean::{self, Drivers};
use llcm_lifecycle::installation::hold;
use llcm_lifecycle::{ErrorCode, Orchestrator};
use llcm_names::{EngineName, InstallationId};
use llcm_runtime::Backend;
use llcm_runtime::simulated::{self, Fault, Operation};
use llcm_testkit::{demo_chain, every_step};

fn drivers(backend: &Backend) -> Drivers {
    Drivers { engines: backend.engines().to_vec(), network: Some(Arc::clone(backend.network())) }
}

/// A host with instances of ours, of another installation, and a container of somebody else.
async fn host() -> (Rig, Rig, Backend) {
    let (rig, mut other) = (Rig::new(), Rig::new());
    other.world = Arc::clone(&rig.world);
    std::fs::write(other.dir.path().join("installation"), "0a11e500\n").unwrap();
    rig.world.add_foreign(&EngineName::parse("postgres").unwrap(), "postgres:17");
    let backend = common::two::backend(&rig);
    let theirs = other.open().await;
    let aliens = demo_chain().replace("vnf0", "alien0").replace("vnf1", "alien1").replace("vnf2", "alien2");
    run(&theirs, &push(&theirs, &aliens).await).await;
    theirs.shutdown(false).await.unwrap();
    let ours: Arc<Orchestrator> = rig.open_on(backend.clone()).await.unwrap();
    for package in [demo_chain(), every_step()] {
        run(&ours, &push(&ours, &package).await).await;
    }
    assert_eq!(hold(rig.dir.path()).unwrap_err().code, ErrorCode::StoreFailed, "a server runs");
    ours.shutdown(false).await.unwrap();
    (rig, other, backend)
}

fn of_others(rig: &Rig) -> usize {
    rig.world.snapshot().containers.len()
}

#[tokio::test]
async fn everything_of_the_installation_goes_and_nothing_else() {
    let (rig, other, backend) = host().await;
    std::fs::remove_file(rig.dir.path().join("store.redb")).unwrap();
    let _held = hold(rig.dir.path()).unwrap();
    let id = rig.installation();
    let before = rig.world.snapshot();
    let marked = clean::look(&drivers(&backend), &id).await.unwrap();
    assert_eq!(rig.world.snapshot(), before, "looking changes nothing");
    assert_eq!((marked.containers.len(), marked.owners().len()), (8, 2));
    let engines: std::collections::BTreeSet<_> =
        marked.containers.iter().map(|(engine, _)| &engine.0).collect();
    assert_eq!(engines.len(), 2, "of each engine");

    let errors = clean::remove(&drivers(&backend), &id, &marked).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert!(clean::look(&drivers(&backend), &id).await.unwrap().is_empty());
    let after = rig.world.snapshot();
    assert_eq!(of_others(&rig), 4, "postgres and three of the other installation");
    assert!(!after.datacenters.contains_key(&id) && after.datacenters.contains_key(&other.installation()));
    let theirs = |it: &InstallationId| *it == other.installation();
    assert!(after.ports.iter().all(|port| theirs(&port.spec.owner.installation)) && !after.ports.is_empty());
    assert!(after.segments.iter().all(|it| theirs(&it.owner.installation)) && !after.segments.is_empty());
    // Once more, with nothing there.
    assert!(clean::remove(&drivers(&backend), &id, &marked).await.is_empty());
    assert_eq!(rig.world.snapshot(), after);
}

#[tokio::test]
async fn it_goes_on_after_errors_and_can_be_repeated() {
    let (rig, _other, backend) = host().await;
    let id = rig.installation();
    rig.world.add_fault(Fault::fail(Operation::Remove).target("mn.core.*"));
    rig.world.add_fault(Fault::fail(Operation::RemoveInstance).on_call(2));
    let marked = clean::look(&drivers(&backend), &id).await.unwrap();
    let errors = clean::remove(&drivers(&backend), &id, &marked).await;
    assert_eq!(errors.len(), 2, "{errors:?}");
    let left = clean::look(&drivers(&backend), &id).await.unwrap();
    assert_eq!(left.containers.len(), 1, "{left:?}");
    assert!(clean::remove(&drivers(&backend), &id, &left).await.is_empty());
    assert!(clean::look(&drivers(&backend), &id).await.unwrap().is_empty());
    assert_eq!(of_others(&rig), 4);
}

#[tokio::test]
async fn what_others_may_take_for_ours_stays() {
    let rig = Rig::new();
    let backend = simulated::backend(&rig.world, &rig.installation());
    rig.world.add_foreign(&EngineName::parse("mn.vnf0.vdu01.0").unwrap(), "busybox");
    let marked = clean::look(&drivers(&backend), &rig.installation()).await.unwrap();
    assert!(marked.is_empty());
    assert!(clean::remove(&drivers(&backend), &rig.installation(), &marked).await.is_empty());
    assert_eq!(of_others(&rig), 1, "a name is no mark");
}
