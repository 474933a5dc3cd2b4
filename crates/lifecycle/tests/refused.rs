//! What an engine cannot do here: told before anything is made, or left out and named.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::{Rig, down, push, run};
use llcm_lifecycle::request::ServiceRef;
use llcm_lifecycle::{ErrorCode, Orchestrator};
use llcm_runtime::ErrorKind;
use llcm_runtime::simulated::{Fault, Operation, Script};
use llcm_testkit::{demo_chain, every_step};

async fn opened(rig: &Rig, script: Script) -> Arc<Orchestrator> {
    rig.world.set_script(script);
    rig.open_quick().await
}

#[tokio::test]
async fn a_container_that_cannot_be_run_is_refused_before_anything_is_made() {
    let rig = Rig::new();
    let refused = |target: &str| {
        Fault::fail(Operation::Check).target(target).kind(ErrorKind::Unsupported).message("no such power")
    };
    let faults = vec![refused("mn.vnf1.*"), refused("mn.vnf2.*")];
    let llcm = opened(&rig, Script { faults, ..Script::default() }).await;
    push(&llcm, &demo_chain()).await;
    rig.world.forget_calls();
    let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported, "{error}");
    assert!(error.message.contains("mn.vnf1.vdu01.0") && error.message.contains("no such power"), "{error}");
    assert!(error.others.iter().any(|other| other.contains("mn.vnf2.vdu01.0")), "{error:?}");
    let made = |operation| !matches!(operation, Operation::Taken | Operation::Check);
    assert!(!rig.world.calls().iter().any(|call| made(call.operation)), "{:?}", rig.world.calls());
    assert!(llcm.instances(true).is_empty() && rig.world.is_empty());
}

#[tokio::test]
async fn a_refusal_is_no_failed_step() {
    let rig = Rig::new();
    let llcm = opened(&rig, Script::default()).await;
    let service = push(&llcm, &demo_chain()).await;
    for (kind, code) in [
        (ErrorKind::Denied, ErrorCode::CannotPlan),
        (ErrorKind::Failed, ErrorCode::CannotPlan),
        (ErrorKind::Invalid, ErrorCode::CannotPlan),
        (ErrorKind::Unavailable, ErrorCode::EngineUnavailable),
    ] {
        rig.world.add_fault(Fault::fail(Operation::Check).target("mn.vnf1.*").kind(kind));
        let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
        assert_eq!(error.code, code, "{kind:?}: {error}");
        assert!(llcm.instances(true).is_empty() && llcm.requests().is_empty());
    }
    let instance = run(&llcm, &service).await;
    down(&llcm, instance.id).await.unwrap();
}

#[tokio::test]
async fn limits_that_cannot_be_set_are_left_out_and_named() {
    let rig = Rig::new();
    let missing = BTreeMap::from([
        ("cpu".to_owned(), "nobody counts time here".to_owned()),
        ("memory".to_owned(), "nor bytes".to_owned()),
    ]);
    let llcm = opened(&rig, Script { missing_limits: missing, ..Script::default() }).await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    let named = |limit: &str, reason: &str, containers: &[&str]| {
        let said = format!("{}: the limit of {limit} is left out: {reason}", containers.join(", "));
        instance.warnings.iter().any(|it| it.code == "limit-not-set" && it.message == said)
    };
    let all: Vec<_> = instance.containers.iter().map(|container| container.name.as_str()).collect();
    assert!(named("cpu", "nobody counts time here", &all), "{:?}", instance.warnings);
    let limited = ["edge.vdu01.0", "edge.vdu02.0"];
    assert!(named("memory", "nor bytes", &limited), "{:?}", instance.warnings);
    let plan = llcm.instance_plan(instance.id).expect("a live instance has a plan");
    for container in plan["containers"].as_array().expect("containers") {
        for limit in ["cpu_period", "cpu_quota", "mem_limit"] {
            assert!(container[limit].is_null(), "{container}");
        }
    }
    down(&llcm, instance.id).await.unwrap();
}
