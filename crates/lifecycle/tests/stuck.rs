//! A take-down that does not finish is a state: shown with its errors and its next try, and tried again until it is done.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, down, push, run, up, view};
use llcm_lifecycle::request::{InstanceState, InstanceView, RetryView};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{Backoff, ErrorCode, Orchestrator, Settings};
use llcm_runtime::simulated::{self, Fault, Operation};
use llcm_testkit::{demo_chain, every_step};
use tokio::time::Instant;

const LONGEST: Duration = Duration::from_secs(60);

fn settings() -> Settings {
    Settings { retry: Backoff { first: Duration::from_secs(1), longest: LONGEST }, ..Settings::default() }
}

async fn open(rig: &Rig, store: &Arc<MemoryStore>) -> Arc<Orchestrator> {
    let backend = simulated::backend(&rig.world, &rig.installation());
    Orchestrator::open_with(rig.parts(backend), store.clone()).await.expect("it opens")
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within a thousand seconds");
}

fn tries(rig: &Rig, operation: Operation) -> usize {
    rig.world.calls().iter().filter(|call| call.operation == operation).count()
}

fn retry(seen: &InstanceView) -> RetryView {
    assert_eq!(seen.state, InstanceState::Stuck);
    seen.retry.expect("it is tried again")
}

const UNDO: [Operation; 4] =
    [Operation::Remove, Operation::RemoveInstance, Operation::ListContainers, Operation::ListNetwork];

#[tokio::test(start_paused = true)]
async fn what_fails_some_times_is_gone_in_the_end_without_anybody_s_doing() {
    for undo in UNDO {
        let rig = Rig::with(settings());
        let llcm = rig.open_quick().await;
        let service = push(&llcm, &demo_chain()).await;
        let instance = run(&llcm, &service).await;
        // One that could not be made, beside it.
        rig.world.add_fault(Fault::fail(Operation::Attach).on_call(2).message("no such device"));
        rig.world.add_fault(Fault::fail(undo).times(9).message("the engine is away"));
        let (failed, outcome) = up(&llcm, &service).await;
        outcome.unwrap_err();
        assert_eq!(down(&llcm, instance.id).await.unwrap_err().code, ErrorCode::Stuck);
        for id in [failed, instance.id] {
            let stuck = view(&llcm, id).unwrap();
            assert_eq!(retry(&stuck).tries, 1);
            assert!(stuck.errors.iter().any(|error| error.contains("the engine is away")), "{undo:?}");
        }
        until("the terminated one is gone", || view(&llcm, instance.id).is_none()).await;
        until("the failed one has ended", || view(&llcm, failed).unwrap().state == InstanceState::Failed)
            .await;
        let failed = view(&llcm, failed).unwrap();
        assert!(
            failed.errors[0].contains("no such device"),
            "what it failed with stays: {:?}",
            failed.errors
        );
        assert_eq!(failed.retry, None);
        assert!(rig.world.is_empty(), "{undo:?}");
        until("nothing is left on the host", || rig.world.snapshot().datacenters.is_empty()).await;
        llcm.remove_service(service.id).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_ever_is_tried_for_ever_within_bounds_and_at_once_on_request() {
    let rig = Rig::with(settings());
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let other = run(&llcm, &service).await;
    let target = instance.containers[0].engine_name.as_str();
    rig.world.add_fault(Fault::fail(Operation::Remove).target(target).always().message("device is busy"));
    down(&llcm, instance.id).await.unwrap_err();
    rig.world.forget_calls();
    let began = Instant::now();
    let mut last = retry(&view(&llcm, instance.id).unwrap());
    let mut errors = 0;
    while began.elapsed() < Duration::from_secs(2 * 3600) {
        tokio::time::sleep(LONGEST + Duration::from_secs(5)).await;
        let stuck = view(&llcm, instance.id).unwrap();
        let next = retry(&stuck);
        assert!(next.tries > last.tries, "nothing was tried within the longest wait: {next:?}");
        assert!(stuck.errors.iter().any(|error| error.contains("device is busy")), "{:?}", stuck.errors);
        assert!(errors == 0 || stuck.errors.len() == errors, "the same again and again: {:?}", stuck.errors);
        (last, errors) = (next, stuck.errors.len());
    }
    let in_all = tries(&rig, Operation::Remove);
    // Every 48 to 60 s, in the end.
    assert!((120..800).contains(&in_all), "{in_all} removals of 3 containers in two hours");

    // At once, on request.
    rig.world.forget_calls();
    let began = Instant::now();
    assert_eq!(down(&llcm, instance.id).await.unwrap_err().code, ErrorCode::Stuck);
    assert!(began.elapsed() < Duration::from_secs(2) && tries(&rig, Operation::Remove) > 0);
    // All the while, others are not held up.
    assert_eq!(view(&llcm, other.id).unwrap().state, InstanceState::Running);
    let third = run(&llcm, &service).await;
    for id in [third.id, other.id] {
        down(&llcm, id).await.unwrap();
    }
    rig.world.clear_faults();
    until("it is gone", || view(&llcm, instance.id).is_none()).await;
    assert!(rig.world.is_empty());
    rig.world.forget_calls();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(tries(&rig, Operation::Remove), 0, "nobody goes on with what is gone");
}

#[tokio::test(start_paused = true)]
async fn the_next_server_goes_on_with_it() {
    let (rig, store) = (Rig::with(settings()), Arc::new(MemoryStore::default()));
    let llcm = open(&rig, &store).await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    rig.world.add_fault(Fault::fail(Operation::Attach).on_call(2).message("no such device"));
    rig.world.add_fault(Fault::fail(Operation::Remove).always().message("device is busy"));
    let (failed, outcome) = up(&llcm, &service).await;
    outcome.unwrap_err();
    down(&llcm, instance.id).await.unwrap_err();
    let before = retry(&view(&llcm, instance.id).unwrap());
    llcm.shutdown(false).await.unwrap();

    let llcm = open(&rig, &store).await;
    for id in [failed, instance.id] {
        let stuck = view(&llcm, id).unwrap();
        assert!(retry(&stuck).tries > before.tries, "{:?}", stuck.retry);
        assert!(stuck.errors.iter().any(|error| error.contains("device is busy")));
    }
    let before = retry(&view(&llcm, instance.id).unwrap());
    until("it goes on", || retry(&view(&llcm, instance.id).unwrap()).tries > before.tries + 2).await;
    llcm.shutdown(false).await.unwrap();

    rig.world.clear_faults();
    let llcm = open(&rig, &store).await;
    assert!(view(&llcm, instance.id).is_none() && rig.world.is_empty());
    let ended = view(&llcm, failed).unwrap();
    assert_eq!(ended.state, InstanceState::Failed);
    assert!(ended.errors[0].contains("no such device"), "{:?}", ended.errors);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_comes_back_is_not_waited_for() {
    let retry = Backoff { first: Duration::from_secs(3600), longest: Duration::from_secs(36_000) };
    let rig = Rig::with(Settings { retry, ..Settings::default() });
    let llcm = rig.open_quick().await;
    let instance = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    rig.world.add_fault(Fault::fail(Operation::Remove).always());
    rig.world.set_deaf(true);
    down(&llcm, instance.id).await.unwrap_err();
    rig.world.clear_faults();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(view(&llcm, instance.id).unwrap().state, InstanceState::Stuck);
    rig.world.set_deaf(false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(view(&llcm, instance.id).is_none() && rig.world.is_empty());
}
