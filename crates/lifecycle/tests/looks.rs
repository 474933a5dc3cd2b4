//! Who looks at an instance while others work on it sees what is so, and does not disturb them.

mod common;

use std::time::Duration;

use common::{Rig, down, push, view};
use llcm_lifecycle::Settings;
use llcm_lifecycle::request::{Event, InstanceState, ServiceRef};
use llcm_runtime::simulated::{Latency, Operation, Script};
use llcm_testkit::demo_chain;

/// The answers of the engine about several containers come one after the other: when the last is there, the first may be
/// of a time when its container did not run yet.
#[tokio::test(start_paused = true)]
async fn what_was_seen_before_an_instance_ran_does_not_make_it_degraded() {
    let millis = Duration::from_millis;
    for seed in 0..20 {
        let rig = Rig::with(Settings::default());
        let script = Script { seed, ..Script::default() };
        let inspecting = Latency { fixed: millis(500), jitter: millis(490) };
        rig.world.set_script(
            script
                .taking(Operation::Start, Latency::fixed(millis(200)))
                .taking(Operation::Inspect, inspecting),
        );
        let llcm = rig.open().await;
        let service = push(&llcm, &demo_chain()).await;
        let mut events = llcm.events();
        let request =
            llcm.instantiate(&ServiceRef::Given(service.id.to_string())).await.expect("it is planned");
        let id = request.instance_id;
        let looks = futures_util::future::join_all((0..200).map(async |number| {
            tokio::time::sleep(millis(10 * number)).await;
            llcm.instance(id).await.expect("it is asked for").expect("it is there").state
        }));
        let (states, outcome) = tokio::join!(looks, llcm.wait(request.id));
        outcome.expect("it runs");
        assert!(!states.contains(&InstanceState::Degraded), "seed {seed}: {states:?}");
        tokio::time::sleep(Duration::from_secs(10)).await;
        while let Ok(event) = events.try_recv() {
            let degraded = Event::State { instance: id, state: InstanceState::Degraded };
            assert_ne!(event, degraded, "seed {seed}");
        }
        let now = view(&llcm, id).expect("it is there");
        assert_eq!((now.state, now.errors), (InstanceState::Running, Vec::<String>::new()), "seed {seed}");
        down(&llcm, id).await.expect("it goes");
        assert!(rig.world.is_empty());
    }
}
