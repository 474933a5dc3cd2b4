//! The saga: every driver call fails in turn, every step and undo is repeated, and nothing is ever left.

mod common;

use common::{Rig, down, push, retried_on_request, run, up, view};
use llcm_lifecycle::request::{InstanceState, RequestStatus, ServiceRef};
use llcm_lifecycle::{ErrorCode, Settings};
use llcm_runtime::simulated::{Call, Fault, Latency, Operation, Script};
use llcm_testkit::every_step;

/// What a service with every kind of step asks of the drivers while it is made.
async fn calls_of_making(settings: Settings) -> Vec<Call> {
    let rig = Rig::with(settings);
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    rig.world.forget_calls();
    run(&llcm, &service).await;
    settle(&rig).await;
    rig.world.calls()
}

/// Lets the start scripts end.
async fn settle(rig: &Rig) {
    while rig.world.execs().iter().any(|exec| exec.exit_code.is_none()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_kind_of_call_is_made() {
    let calls = calls_of_making(Settings::default()).await;
    let count = |operation| calls.iter().filter(|call| call.operation == operation).count();
    let counts = [
        (Operation::Taken, count(Operation::Taken)),
        (Operation::Check, count(Operation::Check)),
        (Operation::Prepare, count(Operation::Prepare)),
        (Operation::EnsureImage, count(Operation::EnsureImage)),
        (Operation::EnsureSegment, count(Operation::EnsureSegment)),
        (Operation::Create, count(Operation::Create)),
        (Operation::Start, count(Operation::Start)),
        (Operation::Attach, count(Operation::Attach)),
        (Operation::Exec, count(Operation::Exec)),
    ];
    assert_eq!(counts.map(|(_, count)| count), [1, 5, 1, 1, 5, 5, 5, 11, 2], "{counts:?}");
    assert_eq!(calls.len(), 1 + 5 + 1 + 1 + 5 + 5 + 5 + 11 + 2, "{calls:?}");
}

#[tokio::test]
async fn a_failure_at_any_call_leaves_nothing_and_names_step_and_cause() {
    for start_concurrency in [1, 3] {
        let settings = Settings { start_concurrency, ..Settings::default() };
        let calls = calls_of_making(settings.clone()).await;
        let rig = Rig::with(settings);
        let llcm = rig.open_quick().await;
        let service = push(&llcm, &every_step()).await;
        for call in &calls {
            for after in [false, true] {
                let fault = Fault::fail(call.operation).target(&call.target).message("the disk is on fire");
                rig.world.clear_faults();
                rig.world.add_fault(if after { fault.after() } else { fault });
                if matches!(call.operation, Operation::Taken | Operation::Check | Operation::Prepare) {
                    // Nothing is planned, and nothing is recorded.
                    let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
                    assert!(error.message.contains("the disk is on fire"), "{error}");
                    assert!(llcm.instances(true).is_empty());
                    assert!(rig.world.snapshot().datacenters.is_empty(), "{call:?}");
                    continue;
                }
                let (id, outcome) = up(&llcm, &service).await;
                if call.operation == Operation::Exec {
                    // A start script that cannot be run is the script's failure, not the instance's.
                    outcome.unwrap();
                    down(&llcm, id).await.unwrap();
                } else {
                    let error = outcome.unwrap_err();
                    let code = match call.operation {
                        Operation::EnsureImage => ErrorCode::ImageUnavailable,
                        _ => ErrorCode::StepFailed,
                    };
                    assert_eq!(error.code, code);
                    assert!(error.message.contains("the disk is on fire"), "{error}");
                    let subject = call.target.split('/').next().unwrap();
                    assert!(error.message.contains(subject), "{call:?}: {error}");
                    let failed = view(&llcm, id).unwrap();
                    assert_eq!(failed.state, InstanceState::Failed, "{call:?}: {:?}", failed.errors);
                    assert_eq!(failed.errors[0], error.message);
                    assert!(failed.containers.iter().all(|container| container.state.is_none()));
                    assert!(llcm.instances(false).is_empty());
                }
                let datacenters = rig.world.snapshot().datacenters;
                assert!(datacenters.is_empty(), "{call:?}: the network outlives the last instance");
                assert!(rig.world.is_empty(), "{call:?}, after: {after}: {:?}", rig.world.snapshot());
            }
        }
        // What failed is not in the way of what comes.
        rig.world.clear_faults();
        let instance = run(&llcm, &service).await;
        assert_eq!(instance.ssiid.get(), 0);
        down(&llcm, instance.id).await.unwrap();
        assert!(rig.world.is_empty());
    }
}

#[tokio::test]
async fn every_call_may_be_made_twice() {
    let rig = Rig::new();
    let llcm = rig.open_on(common::twice::backend(&rig.world, &rig.installation())).await.unwrap();
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    assert_eq!(instance.state, InstanceState::Running);
    let once = Rig::new();
    let other = once.open_quick().await;
    run(&other, &push(&other, &every_step()).await).await;
    assert_eq!(rig.world.snapshot().ports.len(), once.world.snapshot().ports.len());
    assert_eq!(rig.world.snapshot().containers.len(), 5);
    down(&llcm, instance.id).await.unwrap();
    assert!(rig.world.is_empty());

    // The same when it has to be unwound.
    rig.world.add_fault(Fault::fail(Operation::Attach).on_call(4).after());
    let (_, outcome) = up(&llcm, &service).await;
    outcome.unwrap_err();
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn an_undo_that_fails_leaves_a_stuck_instance_that_can_be_terminated_again() {
    for undo in
        [Operation::Remove, Operation::RemoveInstance, Operation::ListContainers, Operation::ListNetwork]
    {
        let rig = Rig::with(retried_on_request());
        let llcm = rig.open_quick().await;
        let service = push(&llcm, &every_step()).await;
        rig.world.add_fault(Fault::fail(Operation::Attach).on_call(3).message("no such device"));
        rig.world.add_fault(Fault::fail(undo).always().message("the engine is away"));
        let (id, outcome) = up(&llcm, &service).await;
        let error = outcome.unwrap_err();
        assert!(error.message.contains("no such device"), "{error}");
        assert!(error.others.iter().any(|other| other.contains("the engine is away")), "{:?}", error.others);
        let stuck = view(&llcm, id).unwrap();
        assert_eq!(stuck.state, InstanceState::Stuck);
        assert!(stuck.errors.iter().any(|error| error.contains("the engine is away")), "{:?}", stuck.errors);
        assert_eq!(llcm.instances(false).len(), 1, "it is listed as long as something of it may be left");
        assert_eq!(llcm.remove_service(service.id).await.unwrap_err().code, ErrorCode::ServiceInUse);

        let error = down(&llcm, id).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::Stuck);
        assert_eq!(view(&llcm, id).unwrap().state, InstanceState::Stuck);

        rig.world.clear_faults();
        assert_eq!(down(&llcm, id).await.unwrap().status, RequestStatus::Ready);
        assert!(view(&llcm, id).is_none());
        assert!(rig.world.is_empty(), "{undo:?}");
    }
}

#[tokio::test]
async fn a_take_down_goes_on_after_errors() {
    let rig = Rig::with(retried_on_request());
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    rig.world.add_fault(Fault::fail(Operation::Remove).target("mn.core.*"));
    rig.world.add_fault(Fault::fail(Operation::RemoveInstance).after());
    let error = down(&llcm, instance.id).await.unwrap_err();
    assert!(error.message.contains("still there: container mn.core."), "{error}");
    let left = rig.world.snapshot();
    assert_eq!((left.containers.len(), left.ports.len(), left.segments.len()), (1, 0, 0));
    down(&llcm, instance.id).await.unwrap();
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn errors_on_the_way_do_not_matter_when_nothing_is_left() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    rig.world.add_fault(Fault::fail(Operation::Remove).after());
    down(&llcm, instance.id).await.unwrap();
    assert!(rig.world.is_empty() && view(&llcm, instance.id).is_none());
}

#[tokio::test(start_paused = true)]
async fn terminating_calls_off_a_creation() {
    let rig = Rig::with(Settings { start_concurrency: 1, ..Settings::default() });
    let slow = Latency::fixed(std::time::Duration::from_secs(1));
    rig.world.set_script(Script::default().taking(Operation::Start, slow));
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    let create = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    assert_eq!(view(&llcm, create.instance_id).unwrap().state, InstanceState::Creating);
    down(&llcm, create.instance_id).await.unwrap();
    let error = llcm.wait(create.id).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::WrongState);
    assert!(error.message.contains("called off"), "{error}");
    let started = rig.world.calls().iter().filter(|call| call.operation == Operation::Start).count();
    assert_eq!(started, 2, "no further container is started");
    assert!(rig.world.is_empty() && llcm.instances(true).is_empty());
    llcm.remove_service(service.id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn containers_start_side_by_side_within_bounds() {
    for (start_concurrency, seconds) in [(1, 5), (2, 3), (5, 1)] {
        let rig = Rig::with(Settings { start_concurrency, ..Settings::default() });
        let slow = Latency::fixed(std::time::Duration::from_secs(1));
        rig.world.set_script(Script::default().taking(Operation::Start, slow));
        let llcm = rig.open_quick().await;
        let service = push(&llcm, &every_step()).await;
        let began = tokio::time::Instant::now();
        run(&llcm, &service).await;
        assert_eq!(began.elapsed().as_secs(), seconds, "{start_concurrency} at a time");
    }
}
