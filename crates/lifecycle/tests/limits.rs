//! What is beyond a limit is refused with a reason, and leaves nothing.

mod common;

use std::time::Duration;

use common::{Rig, down, push, push_bytes, upload, view};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use llcm_lifecycle::request::{InstanceState, ServiceRef, ServiceView};
use llcm_lifecycle::{Dialect, ErrorCode, Settings};
use llcm_runtime::simulated::{Latency, Operation, Script};
use llcm_testkit::demo_chain;

fn of(service: &ServiceView) -> ServiceRef {
    ServiceRef::Given(service.id.to_string())
}

/// Containers take ten seconds to start.
fn slow() -> Script {
    Script::default().taking(Operation::Start, Latency::fixed(Duration::from_secs(10)))
}

#[tokio::test(start_paused = true)]
async fn instances_beyond_those_made_at_a_time_wait_and_beyond_the_queue_are_refused() {
    let rig = Rig::with(Settings { instantiations: 2, instantiation_queue: 2, ..Settings::default() });
    let llcm = rig.open_quick().await;
    let meant = of(&push(&llcm, &demo_chain()).await);
    rig.world.set_script(slow());
    let outcomes =
        join_all((0..6).map(|_| llcm.instantiate(&meant).map(|outcome| outcome.map(|r| r.id)))).await;
    let refused: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused.iter().all(|error| error.code == ErrorCode::TooBusy), "{refused:?}");
    assert!(refused[0].message.contains("instantiation_queue"), "{}", refused[0]);
    for request in outcomes.into_iter().flatten() {
        llcm.wait(request).await.unwrap();
    }
    let running = llcm.instances(true);
    assert_eq!(running.len(), 4, "nothing is left of those that were refused");
    assert!(running.iter().all(|instance| instance.state == InstanceState::Running));
    // With the slots free again there is no waiting.
    llcm.instantiate(&meant).await.unwrap();
    llcm.shutdown(true).await.unwrap();
    assert!(rig.world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_waits_too_long_is_refused_and_taking_down_is_not_held_up() {
    let wait = Duration::from_secs(3);
    let rig = Rig::with(Settings { instantiations: 1, instantiation_wait: wait, ..Settings::default() });
    let llcm = rig.open_quick().await;
    let meant = of(&push(&llcm, &demo_chain()).await);
    let running = llcm.instantiate(&meant).await.unwrap();
    llcm.wait(running.id).await.unwrap();
    rig.world.set_script(slow());
    let first = llcm.instantiate(&meant).await.unwrap();
    let begun = tokio::time::Instant::now();
    let (late, gone) = tokio::join!(llcm.instantiate(&meant), down(&llcm, running.instance_id));
    let error = late.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooBusy);
    assert!(error.message.contains("3 s"), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 3);
    gone.unwrap();
    assert!(view(&llcm, running.instance_id).is_none());
    llcm.wait(first.id).await.unwrap();
    assert_eq!(llcm.instances(true).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_when_the_server_shuts_down() {
    let rig = Rig::with(Settings { instantiations: 1, ..Settings::default() });
    let llcm = rig.open_quick().await;
    let meant = of(&push(&llcm, &demo_chain()).await);
    rig.world.set_script(slow());
    llcm.instantiate(&meant).await.unwrap();
    let (_, outcome) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            llcm.shutdown(true).await.unwrap();
        },
        llcm.instantiate(&meant)
    );
    assert_eq!(outcome.unwrap_err().code, ErrorCode::ShuttingDown);
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn there_are_no_more_instances_than_allowed() {
    let rig = Rig::with(Settings { max_instances: 2, ..Settings::default() });
    let llcm = rig.open().await;
    let meant = of(&push(&llcm, &demo_chain()).await);
    let mut made = Vec::new();
    for _ in 0..2 {
        let request = llcm.instantiate(&meant).await.unwrap();
        llcm.wait(request.id).await.unwrap();
        made.push(request.instance_id);
    }
    let containers = rig.world.snapshot().containers.len();
    let error = llcm.instantiate(&meant).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooManyInstances);
    assert!(error.message.contains("`max_instances` allows 2"), "{error}");
    assert_eq!((llcm.instances(true).len(), rig.world.snapshot().containers.len()), (2, containers));
    down(&llcm, made[0]).await.unwrap();
    let request = llcm.instantiate(&meant).await.unwrap();
    llcm.wait(request.id).await.unwrap();
}

#[tokio::test]
async fn a_disk_with_too_little_room_takes_no_package() {
    let mut rig = Rig::new();
    let llcm = rig.open().await;
    let waiting = upload(&llcm, &demo_chain().build());
    drop(waiting);
    llcm.shutdown(false).await.unwrap();
    drop(llcm);
    rig.settings.min_free_disk = u64::MAX / 2;
    let llcm = rig.open().await;
    let error = llcm.staging_file().unwrap_err();
    assert_eq!(error.code, ErrorCode::DiskFull);
    assert!(error.message.contains("`min_free_disk`"), "{error}");
    assert_eq!(llcm.check_room(1).unwrap_err().code, ErrorCode::DiskFull);
    // The room may have gone between the file and its unpacking.
    let mut file = tempfile::NamedTempFile::new_in(rig.dir.path().join("staging")).unwrap();
    let bytes = demo_chain().build();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    let digest = llcm_packaging::Sha1Reader::new(bytes.as_slice()).finish().unwrap().1;
    let sha1 = llcm_names::PackageHash::parse(&digest).unwrap();
    let late = llcm_lifecycle::request::Upload { file, size: bytes.len() as u64, sha1 };
    assert_eq!(llcm.onboard(late, Dialect::Tango).await.unwrap_err().code, ErrorCode::DiskFull);
    assert_eq!((rig.list("packages"), rig.list("staging")), (Vec::new(), Vec::new()));
    assert!(llcm.services().is_empty());
    llcm.shutdown(false).await.unwrap();
    drop(llcm);
    rig.settings.min_free_disk = 0;
    push_bytes(&rig.open().await, &bytes).await.unwrap();
}
