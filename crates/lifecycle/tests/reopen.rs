//! What outlives the server: records, counters, running instances; and what does not.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, down, push, run, up, upload, view};
use llcm_lifecycle::request::{InstanceState, RequestStatus, ServiceRef};
use llcm_lifecycle::store::care;
use llcm_lifecycle::{Dialect, ErrorCode, Orchestrator, Settings};
use llcm_names::EngineName;
use llcm_runtime::simulated::{Fault, Operation};
use llcm_testkit::{demo_chain, every_step};
use tokio::runtime::Runtime;

/// A server's life: dropping the runtime ends it as a kill would, at whatever it awaits.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn until(llcm: &Arc<Orchestrator>, what: impl Fn(&Orchestrator) -> bool) {
    let waiting = async {
        while !what(llcm) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it comes to pass");
}

#[tokio::test]
async fn services_instances_requests_and_counters_are_kept() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let chain = push(&llcm, &demo_chain()).await;
    let every = push(&llcm, &every_step()).await;
    let first = run(&llcm, &chain).await;
    run(&llcm, &every).await;
    let gone = run(&llcm, &chain).await;
    down(&llcm, gone.id).await.unwrap();
    rig.world.add_fault(Fault::fail(Operation::Create));
    let (failed, outcome) = up(&llcm, &chain).await;
    outcome.unwrap_err();
    until(&llcm, |llcm| {
        llcm.instances(false)
            .iter()
            .flat_map(|i| &i.containers)
            .all(|c| c.scripts.iter().all(|script| script.ended_at.is_some()))
    })
    .await;
    let before = (llcm.services(), llcm.instances(true), llcm.requests());
    llcm.shutdown(false).await.unwrap();

    let world = rig.world.snapshot();
    let again = rig.open().await;
    assert_eq!(rig.world.snapshot(), world, "traffic is not interrupted");
    assert_eq!(again.services(), before.0);
    assert_eq!(again.requests(), before.2);
    let instances = again.instances(true);
    assert_eq!(instances.len(), 3);
    for (now, then) in instances.iter().zip(&before.1) {
        assert_eq!(
            (now.id, now.state, &now.links, &now.errors),
            (then.id, then.state, &then.links, &then.errors)
        );
        assert_eq!(now.containers, then.containers);
    }
    assert_eq!(view(&again, failed).unwrap().state, InstanceState::Failed);

    // Five and three units were placed, and three of each that went again: round-robin goes on from there.
    let next = run(&again, &chain).await;
    assert_eq!(next.ssiid.get(), 1);
    let uninterrupted = Rig::new();
    let other = uninterrupted.open().await;
    let (chain_2, every_2) = (push(&other, &demo_chain()).await, push(&other, &every_step()).await);
    for service in [&chain_2, &every_2, &chain_2, &chain_2] {
        run(&other, service).await;
    }
    let expected = run(&other, &chain_2).await;
    let placed = |view: &llcm_lifecycle::request::InstanceView| -> Vec<String> {
        view.containers.iter().map(|container| container.datacenter.to_string()).collect()
    };
    assert_eq!(placed(&next), placed(&expected));

    for id in [first.id, next.id] {
        down(&again, id).await.unwrap();
    }
    // The failed one's record goes with its service.
    again.remove_service(chain.id).await.unwrap();
    assert!(view(&again, failed).is_none());
    again.shutdown(true).await.unwrap();
    assert!(rig.world.is_empty());
}

#[test]
fn what_a_killed_server_was_making_is_unwound() {
    for (operation, nth) in
        [(Operation::EnsureSegment, 2), (Operation::Create, 1), (Operation::Start, 3), (Operation::Attach, 4)]
    {
        let rig = Rig::new();
        let server = runtime();
        let id = server.block_on(async {
            let llcm = rig.open().await;
            push(&llcm, &every_step()).await;
            rig.world.add_fault(Fault::hang(operation).on_call(nth));
            let request = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
            rig.world.forget_calls();
            let calls = || rig.world.calls().iter().filter(|call| call.operation == operation).count() as u64;
            until(&llcm, |_| calls() >= nth).await;
            request.instance_id
        });
        drop(server);
        rig.world.clear_faults();

        runtime().block_on(async {
            let llcm = rig.open().await;
            let unwound = view(&llcm, id).unwrap();
            assert_eq!(unwound.state, InstanceState::Failed, "{operation:?}");
            assert!(unwound.errors[0].contains("the server was stopped"), "{:?}", unwound.errors);
            assert!(rig.world.is_empty(), "{operation:?}: {:?}", rig.world.snapshot());
            let request = &llcm.requests()[0];
            assert_eq!(request.status, RequestStatus::Error);
            assert_eq!(llcm.wait(request.id).await.unwrap_err().code, ErrorCode::StepFailed);
            run(&llcm, &llcm.services()[0]).await;
        });
    }
}

#[test]
fn what_a_killed_server_was_taking_down_is_taken_down() {
    let rig = Rig::new();
    let server = runtime();
    server.block_on(async {
        let llcm = rig.open().await;
        let service = push(&llcm, &every_step()).await;
        let instance = run(&llcm, &service).await;
        rig.world.add_fault(Fault::hang(Operation::Remove).on_call(2));
        llcm.terminate(instance.id).await.unwrap();
        until(&llcm, |_| {
            rig.world.calls().iter().filter(|call| call.operation == Operation::Remove).count() >= 2
        })
        .await;
    });
    drop(server);
    rig.world.clear_faults();
    assert!(!rig.world.is_empty());

    runtime().block_on(async {
        let llcm = rig.open().await;
        assert!(rig.world.is_empty() && llcm.instances(true).is_empty());
        assert!(llcm.requests().iter().all(|request| request.status == RequestStatus::Ready));
    });
}

#[test]
fn an_upload_cut_by_a_kill_leaves_nothing() {
    let rig = Rig::new();
    let server = runtime();
    server.block_on(async {
        let llcm = rig.open().await;
        rig.world.add_fault(Fault::hang(Operation::EnsureImage));
        let unfinished = llcm.staging_file().unwrap();
        unfinished.keep().unwrap();
        let owned = Arc::clone(&llcm);
        let upload = upload(&llcm, &demo_chain().build());
        let onboarding = tokio::spawn(async move { owned.onboard(upload, Dialect::Tango).await });
        until(&llcm, |_| rig.world.calls().iter().any(|call| call.operation == Operation::EnsureImage)).await;
        assert_eq!(rig.list("staging").len(), 2);
        // A kill runs no destructors.
        std::mem::forget(onboarding);
    });
    std::fs::create_dir(rig.dir.path().join("packages/00000000-0000-4000-8000-000000000000")).unwrap();
    server.shutdown_background();
    rig.world.clear_faults();

    runtime().block_on(async {
        let llcm = rig.open().await;
        assert!(llcm.services().is_empty());
        assert_eq!((rig.list("packages").len(), rig.list("staging").len()), (0, 0));
        let service = push(&llcm, &demo_chain()).await;
        assert_eq!(run(&llcm, &service).await.links[0].subnet, "30.0.0.0/24");
    });
}

#[tokio::test]
async fn what_is_missing_is_shown_and_what_nobody_knows_is_removed() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let postgres = EngineName::parse("postgres").unwrap();
    rig.world.add_foreign(&postgres, "postgres:17");
    llcm.shutdown(false).await.unwrap();
    assert!(rig.world.lose(&instance.containers[1].engine_name));

    let again = rig.open().await;
    let degraded = view(&again, instance.id).unwrap();
    assert_eq!(degraded.state, InstanceState::Degraded);
    assert!(degraded.errors[0].contains("mn.vnf1.vdu01.0 is missing"), "{:?}", degraded.errors);
    let states: Vec<_> = degraded.containers.iter().map(|container| container.state.is_some()).collect();
    assert_eq!(states, [true, false, true]);
    again.shutdown(false).await.unwrap();

    // The store is lost; the installation's id is not.
    let path = rig.dir.path().join("store.redb");
    std::fs::remove_file(&path).unwrap();
    let world = rig.world.snapshot();
    let error =
        rig.open_on(llcm_runtime::simulated::backend(&rig.world, &rig.installation())).await.err().unwrap();
    assert!(error.message.contains("is missing") && error.message.contains("llcm store repair"), "{error}");
    assert!(rig.world.snapshot() == world && !path.exists() && rig.list("packages").len() == 1);
    care::repair(&path).unwrap();
    let new = rig.open().await;
    assert!(new.services().is_empty() && rig.list("packages").is_empty());
    let left: Vec<_> = rig.world.snapshot().containers.into_iter().map(|container| container.name).collect();
    assert_eq!(left, [postgres]);
}

#[tokio::test]
async fn one_data_directory_serves_one_server() {
    let rig = Rig::new();
    let first = rig.open().await;
    let installation = rig.installation();
    let second = rig.open_on(llcm_runtime::simulated::backend(&rig.world, &installation)).await;
    let error = second.expect_err("it is in use");
    assert_eq!(error.code, ErrorCode::StoreFailed);
    assert!(error.message.contains("another server runs on this data directory"), "{error}");
    first.shutdown(false).await.unwrap();
    rig.open().await;
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_left_alone() {
    let rig = Rig::new();
    rig.open().await.shutdown(false).await.unwrap();
    let path = rig.dir.path().join("store.redb");
    {
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
        transaction.open_table(meta).unwrap().insert("format", b"3".as_slice()).unwrap();
        transaction.commit().unwrap();
    }
    let before = std::fs::read(&path).unwrap();
    let installation = rig.installation();
    let error = rig.open_on(llcm_runtime::simulated::backend(&rig.world, &installation)).await.err().unwrap();
    assert!(std::fs::read(&path).unwrap() == before, "nothing is touched");
    assert!(error.message.contains("the program that wrote it (llcm "), "{error}");
    assert!(error.message.contains("has format 3, this program knows 2"), "{error}");
}

#[tokio::test]
async fn only_the_latest_failures_are_kept() {
    let rig = Rig::with(Settings { start_concurrency: 1, ..Settings::default() });
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    rig.world.add_fault(Fault::fail(Operation::Create).always());
    let mut ids = Vec::new();
    for _ in 0..25 {
        let (id, outcome) = up(&llcm, &service).await;
        outcome.unwrap_err();
        ids.push(id);
    }
    let kept: Vec<_> = llcm.instances(true).iter().map(|instance| instance.id).collect();
    assert_eq!(kept, ids[5..]);
    // What is known to have failed can be forgotten.
    down(&llcm, ids[24]).await.unwrap();
    assert_eq!(llcm.instances(true).len(), 19);
}
