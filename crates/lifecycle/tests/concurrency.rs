//! Many at once: nothing clashes, nothing leaks, and nobody's impatience matters.

mod common;

use std::time::Duration;

use common::{Rig, all_different, down, push, push_bytes, upload, view};
use futures_util::FutureExt;
use futures_util::future::join_all;
use llcm_lifecycle::Dialect;
use llcm_lifecycle::request::{InstanceState, RequestStatus, ServiceRef};
use llcm_runtime::simulated::{Fault, Latency, Operation, Script};
use llcm_testkit::{demo_chain, every_step};

fn millis(millis: u64) -> Latency {
    Latency { fixed: Duration::from_millis(millis), jitter: Duration::from_millis(millis) }
}

/// A host on which everything takes its time, differently each time.
fn slow_script(seed: u64) -> Script {
    let mut script = Script { seed, ..Script::default() };
    for operation in [Operation::Create, Operation::Start, Operation::Attach, Operation::Remove] {
        script = script.taking(operation, millis(40));
    }
    for operation in [Operation::EnsureSegment, Operation::RemoveInstance, Operation::ListContainers] {
        script = script.taking(operation, millis(5));
    }
    script
}

#[tokio::test(start_paused = true)]
async fn twenty_instances_of_three_services_half_of_them_terminated_meanwhile() {
    for seed in 0..3 {
        let rig = Rig::new();
        let llcm = rig.open_quick().await;
        let mut services = Vec::new();
        for package in [demo_chain(), every_step(), demo_chain().name("other")] {
            services.push(push(&llcm, &package).await);
        }
        rig.world.set_script(slow_script(seed));
        let work = (0..20_usize).map(|number| {
            let (llcm, service) = (&llcm, &services[number % 3]);
            async move {
                tokio::time::sleep(Duration::from_millis(number as u64 * 17)).await;
                let request = llcm.instantiate(&ServiceRef::Given(service.id.to_string())).await.unwrap();
                if number % 2 == 0 {
                    // Some are called off while they are made, some are terminated when they run.
                    tokio::time::sleep(Duration::from_millis(number as u64 * 40)).await;
                    down(llcm, request.instance_id).await.unwrap();
                    None
                } else {
                    llcm.wait(request.id).await.unwrap();
                    Some(request.instance_id)
                }
            }
        });
        let running: Vec<_> = join_all(work).await.into_iter().flatten().collect();
        assert_eq!(running.len(), 10);

        let views = llcm.instances(true);
        assert!(views.iter().all(|instance| instance.state == InstanceState::Running), "{views:#?}");
        assert_eq!(views.len(), 10);
        let world = rig.world.snapshot();
        let containers = || views.iter().flat_map(|instance| &instance.containers);
        assert_eq!(world.containers.len(), containers().count());
        assert!(world.containers.iter().all(|container| container.waiting_for.is_empty()));
        all_different("engine name", containers().map(|c| c.engine_name.to_string()));
        all_different("host port", containers().flat_map(|c| c.ports.clone()));
        all_different("MAC", world.ports.iter().map(|port| port.spec.mac.to_string()));
        all_different("instance name and id", views.iter().map(|v| format!("{} {}", v.service_id, v.ssiid)));
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let subnets = |index: usize| {
                let service = services[index].id;
                let of = views.iter().filter(move |view| view.service_id == service);
                of.flat_map(|view| view.links.iter().map(|link| link.subnet.clone())).collect::<Vec<_>>()
            };
            let others = subnets(other);
            assert!(!subnets(one).iter().any(|subnet| others.contains(subnet)), "services share no subnet");
        }

        join_all(running.iter().map(|id| down(&llcm, *id))).await.into_iter().for_each(|ended| {
            ended.unwrap();
        });
        assert!(rig.world.is_empty() && llcm.instances(true).is_empty());
        let requests = llcm.requests();
        assert_eq!(requests.len(), 40);
        let ended = |status: RequestStatus| matches!(status, RequestStatus::Ready | RequestStatus::Error);
        assert!(requests.iter().all(|request| ended(request.status)));
        for service in &services {
            llcm.remove_service(service.id).await.unwrap();
        }
        assert!(rig.list("packages").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_changes_nothing() {
    let rig = Rig::new();
    rig.world.set_script(slow_script(7).taking(Operation::EnsureImage, millis(100)));
    let llcm = rig.open().await;

    // Polled once, then dropped.
    let onboarding = llcm.onboard(upload(&llcm, &demo_chain().build()), Dialect::Tango);
    assert!(onboarding.now_or_never().is_none());
    while llcm.services().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(llcm.instantiate(&ServiceRef::Latest).now_or_never().is_none());
    while llcm.instances(false).iter().all(|instance| instance.state != InstanceState::Running) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let id = llcm.instances(false)[0].id;
    assert_eq!(rig.world.snapshot().containers.len(), 3);
    assert!(llcm.terminate(id).now_or_never().is_none());
    while view(&llcm, id).is_some() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(rig.world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn terminating_twice_at_once_is_terminating_once() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = common::run(&llcm, &service).await;
    rig.world.set_script(slow_script(1));
    rig.world.forget_calls();
    let (one, other) = tokio::join!(down(&llcm, instance.id), down(&llcm, instance.id));
    one.unwrap();
    other.unwrap();
    let removals = rig.world.calls().iter().filter(|call| call.operation == Operation::Remove).count();
    assert_eq!(removals, 3);
    let gone = llcm.terminate(instance.id).await.unwrap_err();
    assert_eq!(gone.code, llcm_lifecycle::ErrorCode::InstanceNotFound);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_waits_for_what_goes_on_and_refuses_what_comes() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    push(&llcm, &demo_chain()).await;
    rig.world.set_script(slow_script(3));
    let request = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
    llcm.shutdown(false).await.unwrap();
    assert_eq!(view(&llcm, request.instance_id).unwrap().state, InstanceState::Running);
    let refused = [
        llcm.instantiate(&ServiceRef::Latest).await.unwrap_err().code,
        llcm.terminate(request.instance_id).await.unwrap_err().code,
        llcm.staging_file().unwrap_err().code,
    ];
    assert_eq!(refused, [llcm_lifecycle::ErrorCode::ShuttingDown; 3]);
    assert_eq!(rig.world.snapshot().containers.len(), 3, "instances run on");

    let again = rig.open().await;
    assert_eq!(view(&again, request.instance_id).unwrap().state, InstanceState::Running);
    again.shutdown(true).await.unwrap();
    assert!(rig.world.is_empty());
    assert!(rig.world.snapshot().datacenters.is_empty(), "{:?}", rig.world.snapshot().datacenters);
}

#[tokio::test(start_paused = true)]
async fn shutting_down_twice_is_shutting_down_once() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    common::run(&llcm, &service).await;
    rig.world.set_script(slow_script(5));
    rig.world.forget_calls();
    // A client asks for it, and the program does at its end; at once, and one after the other.
    let (one, other) = tokio::join!(llcm.shutdown(true), llcm.shutdown(false));
    one.unwrap();
    other.unwrap();
    llcm.shutdown(true).await.unwrap();
    let count = |operation| rig.world.calls().iter().filter(|call| call.operation == operation).count();
    assert_eq!((count(Operation::Remove), count(Operation::Teardown)), (3, 2), "{:?}", rig.world.calls());
    assert!(rig.world.is_empty() && rig.world.snapshot().datacenters.is_empty());
}

#[tokio::test]
async fn a_second_shutdown_says_what_the_first_could_not_do() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = common::run(&llcm, &service).await;
    rig.world.add_fault(Fault::fail(Operation::Remove).always().message("the device is busy"));
    let first = llcm.shutdown(true).await.unwrap_err();
    let second = llcm.shutdown(true).await.unwrap_err();
    assert!(first.message.contains("the device is busy"), "{first}");
    assert_eq!((first.code, first.message), (second.code, second.message));

    // One that lets the instances run on cannot be made one that does not.
    rig.world.clear_faults();
    let again = rig.open().await;
    assert!(view(&again, instance.id).is_none(), "the next start finished it");
    common::run(&again, &service).await;
    again.shutdown(false).await.unwrap();
    again.shutdown(false).await.unwrap();
    let late = again.shutdown(true).await.unwrap_err();
    assert_eq!(late.code, llcm_lifecycle::ErrorCode::ShuttingDown);
    assert!(late.message.contains("start again"), "{late}");
    assert_eq!(rig.world.snapshot().containers.len(), 3);
}

#[tokio::test]
async fn uploads_at_once_share_no_subnet() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let bytes = demo_chain().build();
    let services = join_all((0..8).map(|_| push_bytes(&llcm, &bytes))).await;
    all_different("service", services.iter().map(|service| service.as_ref().unwrap().id.to_string()));
    let mut subnets = Vec::new();
    for service in services {
        let instance = common::run(&llcm, &service.unwrap()).await;
        subnets.extend(instance.links.into_iter().map(|link| link.subnet));
    }
    all_different("subnet", subnets);
    assert_eq!(rig.list("packages").len(), 8);
    assert!(rig.list("staging").is_empty());
}
