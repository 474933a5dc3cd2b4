//! Drivers that hang hang nobody, and what comes of a call that was given up is found.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, down, push, run, two, up, view};
use llcm_lifecycle::request::{InstanceState, ServiceRef};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{Backoff, Deadlines, ErrorCode, Orchestrator, Settings};
use llcm_runtime::simulated::{self, Call, Fault, Latency, Operation, Script};
use llcm_testkit::{demo_chain, every_step};
use tokio::time::Instant;

use common::late;

/// Looks and changes, and what an instance costs at most whose every call but one is answered.
const LOOK: Duration = Duration::from_secs(5);
const CHANGE: Duration = Duration::from_secs(20);
const NETWORK: Duration = Duration::from_secs(30);

fn settings() -> Settings {
    let deadlines =
        Deadlines { look: LOOK, change: CHANGE, network: NETWORK, image: Duration::from_secs(60) };
    let retry = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
    Settings { deadlines, retry, ..Settings::default() }
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

/// What a service with every kind of step asks of the drivers while it is made and taken down.
async fn calls_of_a_life() -> Vec<Call> {
    let rig = Rig::with(settings());
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    rig.world.forget_calls();
    let instance = run(&llcm, &service).await;
    down(&llcm, instance.id).await.expect("it goes");
    let mut calls = rig.world.calls();
    calls.dedup();
    calls
}

/// Every call that is made for an instance hangs in turn, before and after it has had its effect.
#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_anywhere_ends_in_time_and_leaves_nothing() {
    let calls = calls_of_a_life().await;
    assert!(calls.len() > 40, "{calls:?}");
    let rig = Rig::with(settings());
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    for call in &calls {
        for after in [false, true] {
            // The names of containers and numbers of ports are those of the first instance, as this one is.
            let fault = Fault::hang(call.operation);
            let named = call.engine.is_some() || call.operation == Operation::Attach;
            let is_own = !matches!(call.operation, Operation::RemoveInstance | Operation::EnsureSegment);
            let fault = if named && is_own { fault.target(&call.target) } else { fault };
            rig.world.clear_faults();
            rig.world.add_fault(if after { fault.after() } else { fault });
            let began = Instant::now();
            let what = format!("{call:?}, after: {after}");
            let asked = llcm.instantiate(&ServiceRef::Latest).await;
            if matches!(call.operation, Operation::Taken | Operation::Check | Operation::Prepare) {
                let error = asked.unwrap_err();
                assert_eq!(error.code, ErrorCode::EngineUnavailable, "{what}: {error}");
                assert!(error.message.contains("_deadline"), "{what}: {error}");
            } else {
                let request = asked.unwrap_or_else(|error| panic!("{what}: {error}"));
                let outcome = llcm.wait(request.id).await;
                if let Err(error) = &outcome {
                    assert_eq!(error.code, ErrorCode::EngineUnavailable, "{what}: {error}");
                    assert!(error.message.contains("no answer within"), "{what}: {error}");
                }
                // It is stuck at most until the next try.
                let gone = down(&llcm, request.instance_id).await;
                if gone.is_err() {
                    until(&what, || view(&llcm, request.instance_id).is_none()).await;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(200), "{what}: {:?}", began.elapsed());
            assert!(rig.world.is_empty(), "{what}: {:?}", rig.world.snapshot());
            assert!(llcm.instances(false).is_empty(), "{what}");
        }
    }
    rig.world.clear_faults();
    let instance = run(&llcm, &service).await;
    assert_eq!(instance.ssiid.get(), 0);
    down(&llcm, instance.id).await.unwrap();
}

/// One of two engines stops answering, in the middle of making an instance.
#[tokio::test(start_paused = true)]
async fn a_hung_engine_fails_what_needs_it_and_nothing_else() {
    let rig = Rig::with(Settings { start_concurrency: 1, ..settings() });
    let llcm = two::open_quick(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    let before = run(&llcm, &service).await;
    let slow = Latency::fixed(Duration::from_secs(2));
    rig.world.set_script(Script::default().taking(Operation::Start, slow));
    let request = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut hung = Fault::fail_any().engine(two::OTHER).always();
    hung.action = simulated::Action::Hang;
    rig.world.add_fault(hung);
    let began = Instant::now();
    let error = llcm.wait(request.id).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::EngineUnavailable, "{error}");
    assert!(began.elapsed() < Duration::from_secs(120), "{:?}", began.elapsed());
    let stuck = view(&llcm, request.instance_id).unwrap();
    assert_eq!(stuck.state, InstanceState::Stuck, "nobody knows what is left there");
    assert!(stuck.retry.is_some() && stuck.errors.iter().any(|error| error.contains("engine other")));
    // Whoever asks for what that engine has is told in time, and lists go on at once.
    let began = Instant::now();
    assert_eq!(llcm.instance(before.id).await.unwrap_err().code, ErrorCode::EngineUnavailable);
    assert!(began.elapsed() <= LOOK);
    let began = Instant::now();
    assert_eq!((llcm.instances(true).len(), llcm.services().len()), (2, 1));
    assert!(began.elapsed().is_zero());
    // It answers again.
    rig.world.clear_faults();
    until("it is gone by itself", || {
        view(&llcm, request.instance_id).is_some_and(|it| it.state == InstanceState::Failed)
    })
    .await;
    assert_eq!(llcm.instance(before.id).await.unwrap().unwrap().state, InstanceState::Running);
    down(&llcm, before.id).await.unwrap();
    assert!(rig.world.is_empty());
}

/// The engine has heard, and does what it was asked for when nobody waits for it any more: soon after, when the
/// instance is being taken down; later, when it is long gone; and when nobody tells of it.
#[tokio::test(start_paused = true)]
async fn a_late_effect_is_found_and_removed() {
    for (seconds, deaf) in [(21, false), (22, true), (40, false), (40, true), (300, true)] {
        let rig = Rig::with(settings());
        rig.world.set_deaf(deaf);
        let backend = late::backend(&rig.world, &rig.installation(), Duration::from_secs(seconds));
        let store = Arc::new(MemoryStore::default());
        let llcm = Orchestrator::open_with(rig.parts(backend), store).await.unwrap();
        let service = push(&llcm, &demo_chain()).await;
        let (id, outcome) = up(&llcm, &service).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.code, ErrorCode::EngineUnavailable, "{error}");
        let ended = view(&llcm, id).unwrap();
        assert!(matches!(ended.state, InstanceState::Failed | InstanceState::Stuck), "{ended:?}");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let created = rig.world.calls().iter().filter(|call| call.operation == Operation::Create).count();
        assert_eq!(created, 3, "the late one has come");
        until("it is removed", || rig.world.is_empty()).await;
        until("it has ended", || view(&llcm, id).unwrap().state == InstanceState::Failed).await;
        // What has its name now is not taken for it.
        let instance = run(&llcm, &service).await;
        tokio::time::sleep(Duration::from_secs(2000)).await;
        assert_eq!(llcm.instance(instance.id).await.unwrap().unwrap().state, InstanceState::Running);
        down(&llcm, instance.id).await.unwrap();
    }
}

/// As long as it tells that it moves on, a fetch may take any time; silence ends it.
#[tokio::test(start_paused = true)]
async fn images_may_take_as_long_as_they_move_on() {
    let rig = Rig::with(settings());
    for (silence, expected) in [(Duration::from_secs(50), true), (Duration::from_secs(70), false)] {
        let backend = late::slow_images(&rig.world, &rig.installation(), silence);
        let store = Arc::new(MemoryStore::default());
        let llcm = Orchestrator::open_with(rig.parts(backend), store).await.unwrap();
        let began = Instant::now();
        let outcome = common::push_bytes(&llcm, &demo_chain().build()).await;
        match outcome {
            Ok(_) => assert!(expected && began.elapsed() > 9 * silence, "{:?}", began.elapsed()),
            Err(error) => {
                assert!(!expected && error.message.contains("image_deadline"), "{error}");
                assert_eq!(error.code, ErrorCode::EngineUnavailable);
                assert!(began.elapsed() < Duration::from_secs(200), "{:?}", began.elapsed());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn shutting_down_waits_no_longer_than_its_limit_and_the_next_start_goes_on() {
    let drain = Duration::from_secs(10);
    let rig = Rig::with(Settings { drain, ..Settings::default() });
    let store = Arc::new(MemoryStore::default());
    let open = async || {
        let backend = simulated::backend(&rig.world, &rig.installation());
        Orchestrator::open_with(rig.parts(backend), store.clone()).await.unwrap()
    };
    let llcm = open().await;
    let service = push(&llcm, &demo_chain()).await;
    let stays = run(&llcm, &service).await;
    // Within the limit it is waited for.
    rig.world.set_script(Script::default().taking(Operation::Start, Latency::fixed(Duration::from_secs(3))));
    let finished = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    llcm.shutdown(false).await.unwrap();
    assert_eq!(view(&llcm, finished.instance_id).unwrap().state, InstanceState::Running);

    let llcm = open().await;
    rig.world.add_fault(Fault::hang(Operation::Start).always());
    let request = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let error = llcm.shutdown(false).await.unwrap_err();
    assert!(error.message.contains("drain_limit"), "{error}");
    assert!(began.elapsed() < drain + Duration::from_secs(1), "{:?}", began.elapsed());
    rig.world.clear_faults();
    let llcm = open().await;
    assert_eq!(view(&llcm, request.instance_id).unwrap().state, InstanceState::Failed);
    for id in [stays.id, finished.instance_id] {
        assert_eq!(view(&llcm, id).unwrap().state, InstanceState::Running);
        down(&llcm, id).await.unwrap();
    }
    assert!(rig.world.is_empty());
}
