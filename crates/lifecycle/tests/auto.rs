//! Uploads that are deployed by themselves.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, down, push, retried_on_request, run, upload, view};
use futures_util::future::join_all;
use llcm_lifecycle::request::{Accepted, InstanceState, RequestStatus};
use llcm_lifecycle::{Dialect, DialectSettings, ErrorCode, Orchestrator, Settings};
use llcm_runtime::simulated::{Fault, Latency, Operation, Script};
use llcm_testkit::{PackageBuilder, demo_chain, every_step};

fn settings(auto_deploy: bool, auto_delete: bool) -> Settings {
    Settings { auto_deploy, auto_delete, ..Settings::default() }
}

async fn accept(llcm: &Arc<Orchestrator>, package: &PackageBuilder, dialect: Dialect) -> Accepted {
    llcm.accept(upload(llcm, &package.build()), dialect).await.expect("it is on-boarded")
}

fn codes(accepted: &Accepted) -> Vec<&str> {
    accepted.service.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

/// The codes of what the life-cycle has to say about an upload without further doings.
fn own_codes(accepted: &Accepted) -> Vec<&str> {
    codes(accepted).into_iter().filter(|code| code.starts_with("auto-")).collect()
}

#[tokio::test]
async fn nothing_is_done_unless_it_is_set() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let accepted = accept(&llcm, &demo_chain(), Dialect::Tango).await;
    assert_eq!((accepted.request, llcm.instances(true)), (None, Vec::new()));
}

#[tokio::test]
async fn a_package_runs_when_its_upload_returns() {
    let rig = Rig::with(settings(true, false));
    let llcm = rig.open().await;
    for turn in 1..=2 {
        let accepted = accept(&llcm, &demo_chain().name(&format!("p{turn}")), Dialect::Tango).await;
        let request = accepted.request.clone().unwrap();
        assert_eq!(request.status, RequestStatus::Ready);
        assert_eq!(accepted.service.instances, [request.instance_id], "the reply names the instance");
        assert_eq!(view(&llcm, request.instance_id).unwrap().state, InstanceState::Running);
        assert_eq!(own_codes(&accepted), Vec::<&str>::new());
        // Without `auto_delete` the others run on.
        assert_eq!(rig.world.snapshot().containers.len(), 3 * turn);
    }
}

#[tokio::test]
async fn all_instances_of_all_services_go_before_the_new_one_comes() {
    let rig = Rig::with(settings(true, true));
    let llcm = rig.open().await;
    let first = push(&llcm, &demo_chain()).await;
    let second = push(&llcm, &demo_chain().name("other")).await;
    for service in [&first, &first, &second] {
        run(&llcm, service).await;
    }
    assert_eq!(rig.world.snapshot().containers.len(), 9);
    rig.world.forget_calls();
    let accepted = accept(&llcm, &demo_chain().name("third"), Dialect::Tango).await;
    let live = llcm.instances(true);
    assert_eq!(live.iter().map(|it| it.id).collect::<Vec<_>>(), accepted.service.instances);
    assert_eq!(live[0].state, InstanceState::Running);
    // The new one has the names and ports that the old ones had: they were gone before it was planned.
    let names: Vec<_> = live[0].containers.iter().map(|it| it.engine_name.as_str()).collect();
    assert_eq!(names, ["mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0", "mn.vnf2.vdu01.0"]);
    let calls = rig.world.calls();
    let last_removal = calls.iter().rposition(|call| call.operation == Operation::Remove).unwrap();
    let creation = calls.iter().position(|call| call.operation == Operation::Create).unwrap();
    assert!(last_removal < creation);

    // Alone, `auto_delete` leaves nothing running.
    let rig = Rig::with(settings(false, true));
    let llcm = rig.open().await;
    run(&llcm, &push(&llcm, &demo_chain()).await).await;
    let accepted = accept(&llcm, &demo_chain(), Dialect::Tango).await;
    assert_eq!((accepted.request, llcm.instances(true)), (None, Vec::new()));
    assert!(rig.world.snapshot().containers.is_empty());
}

#[tokio::test]
async fn an_upload_that_is_refused_stops_nothing() {
    let rig = Rig::with(settings(true, true));
    let llcm = rig.open().await;
    let kept = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    let broken = demo_chain().replace("vm_image_format: docker", "vm_image_format: qcow2");
    let error = llcm.accept(upload(&llcm, &broken.build()), Dialect::Tango).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidPackage);
    assert_eq!(llcm.instances(true).iter().map(|it| it.id).collect::<Vec<_>>(), [kept.id]);
    assert_eq!(view(&llcm, kept.id).unwrap().state, InstanceState::Running);
}

#[tokio::test(start_paused = true)]
async fn uploads_at_the_same_time_leave_one_instance_and_nothing_else() {
    for seed in 0..5 {
        let rig = Rig::with(settings(true, true));
        let llcm = rig.open_quick().await;
        let millis =
            |millis| Latency { fixed: Duration::from_millis(millis), jitter: Duration::from_millis(millis) };
        let mut script = Script { seed, ..Script::default() };
        for operation in [Operation::EnsureImage, Operation::Create, Operation::Start, Operation::Remove] {
            script = script.taking(operation, millis(40));
        }
        rig.world.set_script(script);
        let uploads = (0..5_u64).map(|number| {
            let llcm = &llcm;
            async move {
                tokio::time::sleep(Duration::from_millis(number * 13 * seed)).await;
                accept(llcm, &demo_chain().name(&format!("p{number}")), Dialect::Tango).await
            }
        });
        let accepted = join_all(uploads).await;
        // Each was told the truth: its own instance ran.
        for accepted in &accepted {
            assert_eq!(accepted.request.as_ref().unwrap().status, RequestStatus::Ready);
            assert_eq!(own_codes(accepted), Vec::<&str>::new());
        }
        let instances = llcm.instances(true);
        let states: Vec<_> = instances.iter().map(|it| it.state).collect();
        assert_eq!(states, [InstanceState::Running], "seed {seed}");
        let world = rig.world.snapshot();
        let mut made: Vec<_> = world.containers.iter().map(|container| container.name.to_string()).collect();
        made.sort();
        let planned: Vec<_> = instances[0].containers.iter().map(|it| it.engine_name.to_string()).collect();
        assert_eq!(made, planned);
        assert!(world.ports.iter().all(|port| port.spec.owner.instance == instances[0].id));
        assert!(world.segments.iter().all(|segment| segment.owner.instance == instances[0].id));
        assert!(llcm.requests().iter().all(|request| request.status == RequestStatus::Ready));
        down(&llcm, instances[0].id).await.unwrap();
        assert_eq!(llcm.instances(true), Vec::new());
        assert!(rig.world.snapshot().containers.is_empty());
    }
}

#[tokio::test]
async fn what_goes_wrong_is_a_warning_and_a_request() {
    let rig = Rig::with(settings(true, false));
    let llcm = rig.open().await;
    rig.world.add_fault(Fault::fail(Operation::Start).target("mn.vnf1*").message("no room"));
    let accepted = accept(&llcm, &demo_chain(), Dialect::Tango).await;
    let request = accepted.request.clone().unwrap();
    assert_eq!(own_codes(&accepted), ["auto-deploy-failed"]);
    let warning = accepted.service.warnings.iter().find(|it| it.code == "auto-deploy-failed").unwrap();
    assert!(warning.message.contains("no room"), "{warning}");
    assert_eq!(request.status, RequestStatus::Error);
    assert!(request.error.unwrap().contains("no room"));
    assert_eq!(accepted.service.instances, []);
    assert!(rig.world.snapshot().containers.is_empty());
    rig.world.clear_faults();

    // A plan that cannot be made has no request; the warning says what a refusal would have said.
    run(&llcm, &push(&llcm, &every_step()).await).await;
    let llcm2 = llcm.accept(upload(&llcm, &every_step().name("same-ports").build()), Dialect::Tango).await;
    let accepted = llcm2.unwrap();
    assert_eq!(accepted.request, None, "{:?}", codes(&accepted));
    assert_eq!(own_codes(&accepted), ["auto-deploy-failed"]);
    assert!(codes(&accepted).contains(&"port-taken"), "{:?}", codes(&accepted));
    assert_eq!(llcm.instances(false).len(), 1);
    assert!(llcm.service(accepted.service.id).is_some(), "it is on-boarded all the same");
}

#[tokio::test]
async fn nothing_new_is_made_beside_what_cannot_be_stopped() {
    let rig = Rig::with(Settings { retry: retried_on_request().retry, ..settings(true, true) });
    let llcm = rig.open().await;
    let old = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    rig.world.add_fault(Fault::fail(Operation::Remove).target("mn.vnf1*").message("it does not go"));
    let accepted = accept(&llcm, &demo_chain().name("next"), Dialect::Tango).await;
    assert_eq!(own_codes(&accepted), ["auto-delete-failed"]);
    assert_eq!(accepted.request, None);
    let states: Vec<_> = llcm.instances(true).iter().map(|it| (it.id, it.state)).collect();
    assert_eq!(states, [(old.id, InstanceState::Stuck)]);
}

#[tokio::test]
async fn each_dialect_has_its_own_way() {
    let sonata = DialectSettings { auto_deploy: Some(true), ..DialectSettings::default() };
    let rig = Rig::with(Settings { sonata, ..Settings::default() });
    let llcm = rig.open().await;
    assert_eq!(accept(&llcm, &demo_chain(), Dialect::Tango).await.request, None);
    let accepted = accept(&llcm, &demo_chain(), Dialect::Sonata).await;
    assert_eq!(accepted.request.unwrap().status, RequestStatus::Ready);
    assert_eq!(llcm.instances(false).len(), 1);
}
