//! Schedules: changes at their times, told with the times that they had.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, push, run};
use llcm_lifecycle::schedules::{ScheduleState, ScheduleView};
use llcm_lifecycle::{ErrorCode, LifecycleError, Orchestrator};
use llcm_runtime::simulated::{Fault, Latency, Operation, Script};
use llcm_testkit::demo_chain;
use llcm_topology::{Change, LinkChange, load_link, load_schedule};

fn play(llcm: &Arc<Orchestrator>, text: &str) -> Result<ScheduleView, LifecycleError> {
    let (schedule, findings) = load_schedule(text.as_bytes());
    llcm.play(schedule.unwrap_or_else(|| panic!("{findings:?}")))
}

const FLAPS: &str = "
name: flaps
changes:
  - {at: 500ms, link: dc1-dc2, delay: 5ms}
  - at: 1s
    repeat: 3
    every: 1s
    changes:
      - {at: 0, link: dc1-dc2, up: false}
      - {at: 250ms, link: dc1-dc2, up: true}
";

/// Times of the runtime stand still while anything can be done: what is late is late because something took time.
#[tokio::test(start_paused = true)]
async fn changes_come_at_their_times() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &demo_chain()).await;
    run(&llcm, &service).await;
    // Bringing the network to a topology takes 3 ms from now on.
    let latency = [(Operation::Prepare, Latency::fixed(Duration::from_millis(3)))].into();
    let script = Script { latency, ..Script::default() };
    rig.world.set_script(script);
    let begun = play(&llcm, FLAPS).unwrap();
    assert_eq!((begun.state, begun.total, begun.made), (ScheduleState::Running, 7, 0));
    let up = || rig.world.topology(&rig.installation()).expect("prepared").links[0].up;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(!up());
    assert_eq!(llcm.links().await.unwrap()[0].schedule, Some(begun.id));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(up());
    let ended = llcm.schedule_ended(begun.id).await.unwrap();
    assert_eq!((ended.state, ended.made, ended.error.clone()), (ScheduleState::Done, 7, None));
    assert_eq!((ended.worst_delay_us, ended.mean_delay_us), (Some(3_000), Some(3_000)));
    let times: Vec<_> =
        ended.changes.iter().map(|change| (change.at_us, change.outcome.clone().unwrap())).collect();
    for (at_us, outcome) in times {
        assert_eq!((outcome.begun_us, outcome.made_us), (at_us, Some(at_us + 3_000)));
    }
    assert_eq!(llcm.topology().links[0].a.egress.delay_us, 5_000);
    assert_eq!(llcm.links().await.unwrap()[0].schedule, None);
}

#[tokio::test(start_paused = true)]
async fn a_link_is_in_one_schedule_at_a_time() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let first = play(&llcm, FLAPS).unwrap();
    let error = play(&llcm, FLAPS).unwrap_err();
    assert_eq!(error.code, ErrorCode::TopologyConflict);
    assert!(error.message.contains(&first.id.to_string()), "{error}");
    // What is asked for meanwhile is made, and the schedule goes on.
    let change = LinkChange { loss_ppm: Some(7), ..LinkChange::default() };
    llcm.change_topology(vec![Change::Link { name: "dc1-dc2".to_owned(), change }]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let stopped = llcm.stop_schedule(first.id).await.unwrap();
    assert_eq!((stopped.state, stopped.made), (ScheduleState::Stopped, 2));
    let link = llcm.topology().links[0].clone();
    assert_eq!((link.up, link.a.egress.loss_ppm, link.a.egress.delay_us), (false, 7, 5_000), "it stays so");
    // Once more forgets it.
    llcm.stop_schedule(first.id).await.unwrap();
    assert_eq!(llcm.stop_schedule(first.id).await.unwrap_err().code, ErrorCode::ScheduleNotFound);
    assert_eq!(llcm.schedule(first.id).unwrap_err().code, ErrorCode::ScheduleNotFound);
    let second = play(&llcm, FLAPS).unwrap();
    assert_eq!(llcm.schedule_ended(second.id).await.unwrap().state, ScheduleState::Done);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_cannot_go_on_says_why() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    for (text, code) in [
        ("changes: [{at: 0, link: nowhere, up: false}]", ErrorCode::LinkNotFound),
        ("changes: [{at: 0, link: dc1-dc2, jitter: 1ms}]", ErrorCode::InvalidChange),
        (
            "changes: [{at: 0, link: dc1-dc2, delay: 2ms, jitter: 2ms}, {at: 1s, link: dc1-dc2, delay: 1ms}]",
            ErrorCode::InvalidChange,
        ),
    ] {
        assert_eq!(play(&llcm, text).unwrap_err().code, code, "{text}");
    }
    let service = push(&llcm, &demo_chain()).await;
    run(&llcm, &service).await;
    let begun = play(&llcm, FLAPS).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    rig.world.add_fault(Fault::fail(Operation::Prepare).message("the kernel is busy"));
    let ended = llcm.schedule_ended(begun.id).await.unwrap();
    assert_eq!((ended.state, ended.made), (ScheduleState::Failed, 1));
    assert!(ended.error.unwrap().contains("the kernel is busy"));
    assert_eq!(ended.changes[1].outcome.as_ref().unwrap().made_us, None);
    assert_eq!(ended.changes[2].outcome, None);
    assert!(llcm.topology().links[0].up);
    assert_eq!(llcm.schedules().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_ends_with_the_server_and_what_it_changed_stays() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let begun = play(&llcm, FLAPS).unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    llcm.shutdown(false).await.unwrap();
    assert_eq!(llcm.schedule_ended(begun.id).await.unwrap().state, ScheduleState::Stopped);
    assert_eq!(play(&llcm, FLAPS).unwrap_err().code, ErrorCode::ShuttingDown);
    drop(llcm);
    let llcm = rig.open().await;
    assert!(llcm.schedules().is_empty());
    assert!(!llcm.topology().links[0].up);
}

#[tokio::test(start_paused = true)]
async fn only_the_latest_schedules_are_kept() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let mut ids = Vec::new();
    for _ in 0..25 {
        let begun = play(&llcm, "changes: [{at: 1ms, link: dc1-dc2, up: true}]").unwrap();
        llcm.schedule_ended(begun.id).await.unwrap();
        ids.push(begun.id);
    }
    let kept: Vec<_> = llcm.schedules().iter().map(|view| view.id).collect();
    assert_eq!(kept, ids[5..]);
}

/// How it ended can be read, also of one that took longer than all that began after it.
#[tokio::test(start_paused = true)]
async fn schedules_are_kept_by_when_they_ended() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let more = load_link(b"{ends: [dc1, dc2], name: other}", &llcm.topology()).0.unwrap();
    llcm.change_topology(vec![Change::AddLink(more)]).await.unwrap();
    let long = play(&llcm, "changes: [{at: 1s, link: other, up: false}]").unwrap();
    let mut last = long.id;
    for _ in 0..25 {
        last = play(&llcm, "changes: [{at: 1ms, link: dc1-dc2, up: true}]").unwrap().id;
        llcm.schedule_ended(last).await.unwrap();
    }
    assert_eq!(llcm.schedule_ended(long.id).await.unwrap().state, ScheduleState::Done);
    for _ in 0..19 {
        last = play(&llcm, "changes: [{at: 1ms, link: dc1-dc2, up: true}]").unwrap().id;
        llcm.schedule_ended(last).await.unwrap();
        assert_eq!(llcm.schedule(long.id).unwrap().made, 1);
    }
    assert_eq!((llcm.schedules().len(), llcm.schedules()[0].id), (20, long.id), "in the order of beginning");
    let next = play(&llcm, "changes: [{at: 1ms, link: dc1-dc2, up: true}]").unwrap().id;
    llcm.schedule_ended(next).await.unwrap();
    assert_eq!(llcm.schedule(long.id).unwrap_err().code, ErrorCode::ScheduleNotFound);
    llcm.schedule(last).unwrap();
}
