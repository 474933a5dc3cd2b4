//! Random loads on a slow and faulty host, from seeds that are printed: whatever happens meanwhile, in the end
//! everything can be taken down, nothing is left, and every request has ended.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, all_different, down, push_bytes};
use futures_util::future::join_all;
use llcm_lifecycle::Orchestrator;
use llcm_lifecycle::request::{Event, InstanceState, RequestStatus, ServiceRef};
use llcm_runtime::simulated::{Fault, Latency, Operation, Script};
use llcm_testkit::{Lots, demo_chain, every_step};
use tokio::sync::broadcast::error::TryRecvError;

const FAULTY: [Operation; 11] = [
    Operation::Taken,
    Operation::Check,
    Operation::EnsureImage,
    Operation::EnsureSegment,
    Operation::Create,
    Operation::Start,
    Operation::Attach,
    Operation::Remove,
    Operation::RemoveInstance,
    Operation::ListContainers,
    Operation::Teardown,
];

fn host(dice: &mut Lots) -> Script {
    let mut script = Script { seed: dice.draw(), ..Script::default() };
    for operation in FAULTY {
        let millis = Duration::from_millis(1 + dice.below(40));
        script = script.taking(operation, Latency { fixed: millis, jitter: millis });
        for _ in 0..dice.below(3) {
            let fault = Fault::fail(operation).on_call(1 + dice.below(30));
            script = script.with(if dice.below(2) == 0 { fault } else { fault.after() });
        }
    }
    script
}

/// One client: a few operations in a row, whatever comes of them.
async fn client(llcm: Arc<Orchestrator>, mut dice: Lots) {
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(dice.below(200))).await;
        let instances = llcm.instances(true);
        let services = llcm.services();
        // All of these may fail: the host is faulty, and others are faster.
        match dice.below(10) {
            0 => {
                let _ = push_bytes(&llcm, &demo_chain().build()).await;
            }
            1 if !services.is_empty() => {
                let index = usize::try_from(dice.below(services.len() as u64)).unwrap_or(0);
                let _ = llcm.remove_service(services[index].id).await;
            }
            2..=5 if !instances.is_empty() => {
                let index = usize::try_from(dice.below(instances.len() as u64)).unwrap_or(0);
                let _ = down(&llcm, instances[index].id).await;
            }
            _ => {
                if let Ok(request) = llcm.instantiate(&ServiceRef::Latest).await
                    && dice.below(2) == 0
                {
                    let _ = llcm.wait(request.id).await;
                }
            }
        }
        let live = llcm.instances(false);
        all_different(
            "engine name",
            live.iter().flat_map(|i| &i.containers).map(|c| c.engine_name.to_string()),
        );
        all_different("port", live.iter().flat_map(|i| &i.containers).flat_map(|c| c.ports.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_everything_can_be_taken_down() {
    let (mut failed, mut stuck) = (0, 0);
    for seed in 0..15 {
        println!("seed {seed}");
        let mut dice = Lots::new(seed);
        let rig = Rig::new();
        let llcm = rig.open_quick().await;
        for package in [demo_chain(), every_step()] {
            common::push(&llcm, &package).await;
        }
        rig.world.set_script(host(&mut dice));
        let mut events = llcm.events();
        let clients = (0..6).map(|_| tokio::spawn(client(Arc::clone(&llcm), Lots::new(dice.draw()))));
        for ended in join_all(clients.collect::<Vec<_>>()).await {
            ended.expect("no client panics");
        }

        rig.world.clear_faults();
        let instances = llcm.instances(true);
        failed += instances.iter().filter(|it| it.state == InstanceState::Failed).count();
        // What is stuck is tried again soon: who is at the end depends on who was faster.
        loop {
            match events.try_recv() {
                Ok(Event::State { state: InstanceState::Stuck, .. }) => stuck += 1,
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(_) => break,
            }
        }
        for ended in join_all(instances.iter().map(|instance| down(&llcm, instance.id))).await {
            ended.expect("on a host without faults everything can be taken down");
        }
        assert!(rig.world.is_empty(), "{:?}", rig.world.snapshot());
        assert!(llcm.instances(true).is_empty());
        for service in llcm.services() {
            llcm.remove_service(service.id).await.expect("nothing uses it");
        }
        assert_eq!((rig.list("packages").len(), rig.list("staging").len()), (0, 0));
        for request in llcm.requests() {
            assert!(matches!(request.status, RequestStatus::Ready | RequestStatus::Error), "{request:?}");
        }
        llcm.shutdown(true).await.expect("it ends");
        assert!(rig.world.snapshot().datacenters.is_empty());
    }
    assert!(failed > 5 && stuck > 0, "the host was not faulty enough: {failed} failed, {stuck} stuck");
}
