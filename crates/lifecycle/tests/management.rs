//! The engine's own interface as a connection point, made and shown.

mod common;

use common::{Rig, down, push, run, up, view};
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::{Settings, journal, step::Step};
use llcm_runtime::simulated::{Fault, Operation};
use llcm_testkit::demo_chain;

fn rig() -> Rig {
    Rig::with(Settings { docker_management: true, ..Settings::default() })
}

#[tokio::test]
async fn the_interface_is_named_before_ports_are_attached_and_its_address_is_told() {
    let rig = rig();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    rig.world.forget_calls();
    let instance = run(&llcm, &service).await;
    for container in &instance.containers {
        let management = container.management.as_ref().unwrap();
        assert_eq!(management.interface, "mgmt");
        assert!(management.address.as_ref().unwrap().starts_with("172.17."), "{management:?}");
        assert!(!container.interfaces.contains_key("mgmt"));
    }
    assert!(!instance.links.iter().any(|link| link.id == "mgmt"), "{:?}", instance.links);
    let calls = rig.world.calls();
    let attached: Vec<_> = calls
        .iter()
        .filter(|call| call.operation == Operation::Attach && call.target.starts_with("mn.vnf1"))
        .collect();
    let names: Vec<_> = attached.iter().map(|call| call.target.as_str()).collect();
    assert_eq!(names, ["mn.vnf1.vdu01.0/mgmt", "mn.vnf1.vdu01.0/input", "mn.vnf1.vdu01.0/output"]);
    let world = rig.world.snapshot();
    assert!(world.containers.iter().all(|container| container.waiting_for.is_empty()), "all have begun");

    // Another start of the program knows it again.
    llcm.shutdown(false).await.unwrap();
    let llcm = rig.open().await;
    let known = llcm.instance(instance.id).await.unwrap().unwrap();
    assert_eq!(known.state, InstanceState::Running);
    assert_eq!(known.containers, instance.containers);
    let plan = llcm.instance_plan(instance.id).unwrap();
    assert_eq!(plan["containers"][0]["management"]["name"], "mgmt");
    down(&llcm, instance.id).await.unwrap();
    assert!(rig.world.snapshot().containers.is_empty());
    llcm.shutdown(true).await.unwrap();
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn an_interface_that_cannot_be_named_takes_the_instance_back() {
    let rig = rig();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    rig.world.add_fault(Fault::fail(Operation::Attach).target("mn.vnf2*/mgmt").message("no such interface"));
    let (id, outcome) = up(&llcm, &service).await;
    let error = outcome.unwrap_err();
    assert!(error.message.contains("name the engine's interface of container mn.vnf2"), "{error}");
    assert_eq!(view(&llcm, id).unwrap().state, InstanceState::Failed);
    assert!(rig.world.snapshot().containers.is_empty());
}

#[test]
fn the_step_is_written_as_others_are() {
    let step = Step::NameManagement { container: "mn.a".parse().unwrap() };
    let record = journal::Record::Intent { step };
    let text = serde_json::to_string(&record).unwrap();
    assert!(text.contains(r#""do":"name-management","container":"mn.a""#), "{text}");
    assert_eq!(serde_json::from_str::<journal::Record>(&text).unwrap(), record);
}
