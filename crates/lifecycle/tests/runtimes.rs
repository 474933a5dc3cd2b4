//! What was begun goes on when the runtime of whoever asked for it ends, as those of a server's workers do.

mod common;

use std::time::Duration;

use common::{Rig, push};
use llcm_lifecycle::request::{InstanceState, ServiceRef};
use llcm_runtime::simulated::{Latency, Operation, Script};
use llcm_testkit::demo_chain;

#[test]
fn an_instance_is_made_although_the_asker_s_runtime_has_ended() {
    let own = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let rig = Rig::new();
    let millis = Duration::from_millis(300);
    rig.world.set_script(
        Script::default().taking(Operation::Create, Latency { fixed: millis, jitter: Duration::ZERO }),
    );
    let llcm = own.block_on(async {
        let llcm = rig.open_quick().await;
        push(&llcm, &demo_chain()).await;
        llcm
    });
    let another = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    another.block_on(async {
        // It is answered as soon as it is planned.
        let asked = llcm.instantiate(&ServiceRef::Latest);
        tokio::time::timeout(Duration::from_secs(30), asked).await.expect("in time").expect("it is planned");
    });
    drop(another);
    let state = || llcm.instances(true).first().map(|instance| instance.state);
    assert!(state().is_some(), "it was not even begun");
    own.block_on(async {
        let end = tokio::time::Instant::now() + Duration::from_secs(30);
        while state() != Some(InstanceState::Running) {
            assert!(tokio::time::Instant::now() < end, "{:?}", state());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        llcm.shutdown(true).await.unwrap();
    });
    assert!(rig.world.is_empty());
}
