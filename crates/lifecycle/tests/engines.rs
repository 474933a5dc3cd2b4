//! Two container engines on one host: one service spans both, and each is asked for what is its own.

mod common;

use common::two::{OTHER, backend, calls_of, dc, engine, engines_called, in_turns, open, open_quick};
use common::{Rig, down, push, retried_on_request, run, up, view};
use llcm_lifecycle::request::{InstanceState, InstanceView, ServiceRef};
use llcm_lifecycle::{ErrorCode, LifecycleError, Settings};
use llcm_names::EngineName;
use llcm_runtime::simulated::{self, Call, Fault, Operation, Script, ScriptedCommand, ScriptedOutput};
use llcm_runtime::{ContainerState, EngineId, ErrorKind, ExecSpec, LogOptions};
use llcm_testkit::{demo_chain, every_step};

/// Lets the start scripts end.
async fn settle(rig: &Rig) {
    while rig.world.execs().iter().any(|exec| exec.exit_code.is_none()) {
        tokio::task::yield_now().await;
    }
}

/// The engine that is to have a container.
fn engine_of(instance: &InstanceView, name: &str) -> EngineId {
    let found = instance.containers.iter().find(|container| container.engine_name.as_str() == name);
    engine(if found.expect("it is there").datacenter == dc("dc2") { OTHER } else { "sim" })
}

#[tokio::test]
async fn a_service_spans_two_engines() {
    let rig = Rig::new();
    let llcm = open(&rig).await;
    let service = push(&llcm, &every_step()).await;
    assert_eq!(service.warnings, []);
    assert_eq!(engines_called(&rig, Operation::EnsureImage), ["sim", OTHER]);
    rig.world.forget_calls();
    let instance = run(&llcm, &service).await;
    settle(&rig).await;

    let world = rig.world.snapshot();
    assert_eq!(world.containers.len(), 5);
    for container in &world.containers {
        assert_eq!(container.engine, engine_of(&instance, container.name.as_str()), "{}", container.name);
        assert_eq!(container.state, ContainerState::Running);
        assert_eq!(container.waiting_for, []);
    }
    let others = world.containers.iter().filter(|container| container.engine.0 == OTHER).count();
    assert_eq!(others, 2, "dc1 and dc2 take turns");
    assert!(world.ports.iter().all(|port| port.alive));
    // A link from one engine's containers to the other's.
    let address = |name: &str| {
        let of = |port: &&simulated::PortSnapshot| port.spec.container.as_str() == name;
        let mut ports = world.ports.iter().filter(of).flat_map(|port| &port.spec.addresses);
        ports.next().expect("an address").ip()
    };
    let (a, b) = ("mn.leaf_a.cdu01.0", "mn.leaf_b.cdu01.0");
    assert_ne!(engine_of(&instance, a), engine_of(&instance, b));
    assert!(rig.world.ping(&EngineName::parse(a).unwrap(), address(b)));

    let calls = rig.world.calls();
    for operation in [Operation::Create, Operation::Start, Operation::Exec] {
        let of_operation = calls.iter().filter(|call| call.operation == operation);
        for call in of_operation {
            assert_eq!(call.engine, Some(engine_of(&instance, &call.target)), "{call:?}");
        }
    }
    // Interfaces come before the start where the container's own engine can do that, and only there.
    for container in &instance.containers {
        let name = container.engine_name.as_str();
        let place = |operation, target: &str| {
            let found = |call: &Call| call.operation == operation && call.target == target;
            calls.iter().position(found).expect("it was called")
        };
        let started = place(Operation::Start, name);
        for ifname in container.interfaces.keys() {
            let attached = place(Operation::Attach, &format!("{name}/{ifname}"));
            assert_eq!(attached < started, engine_of(&instance, name).0 == OTHER, "{name}/{ifname}");
        }
    }

    rig.world.forget_calls();
    down(&llcm, instance.id).await.unwrap();
    assert!(rig.world.is_empty());
    for call in calls_of(&rig, Operation::Remove) {
        assert_eq!(call.engine, Some(engine_of(&instance, &call.target)), "{call:?}");
    }
    assert_eq!(engines_called(&rig, Operation::ListContainers), ["sim", OTHER]);
    assert_eq!(engines_called(&rig, Operation::Cleanup), ["sim", OTHER], "the last instance is gone");
}

#[tokio::test]
async fn commands_output_and_states_come_from_the_container_s_own_engine() {
    let rig = Rig::new();
    let output =
        ScriptedOutput { container: "*".to_owned(), stdout: "ready\n".to_owned(), stderr: String::new() };
    let script = Script { output: vec![output], ..Script::default() };
    rig.world.set_script(script.command(ScriptedCommand::new(&["uname"], "Linux\n", 3)));
    let llcm = open(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    rig.world.forget_calls();
    for container in &instance.containers {
        let mut out = Vec::new();
        let command = ExecSpec { argv: vec!["uname".to_owned()], ..ExecSpec::default() };
        let outcome = llcm.exec(instance.id, &container.name, &command, &mut out).await.unwrap();
        assert_eq!((outcome.exit_code, out.as_slice()), (Some(3), b"Linux\n".as_slice()));
        let mut out = Vec::new();
        llcm.logs(instance.id, &container.name, LogOptions::default(), &mut out).await.unwrap();
        assert_eq!(out, b"ready\n");
    }
    let seen = llcm.instance(instance.id).await.unwrap().unwrap();
    assert_eq!(seen.state, InstanceState::Running);
    let expected = ["sim", OTHER, "sim"];
    for operation in [Operation::Exec, Operation::Logs, Operation::Inspect] {
        assert_eq!(engines_called(&rig, operation), expected, "{operation:?}");
    }

    // Errors tell whose they are.
    let name = &instance.containers[1].name;
    for operation in [Operation::Exec, Operation::Logs, Operation::Inspect] {
        rig.world.add_fault(Fault::fail(operation).engine(OTHER).message("it is away"));
    }
    let mut out = Vec::new();
    let exec = llcm.exec(instance.id, name, &ExecSpec::default(), &mut out).await.unwrap_err();
    let logs = llcm.logs(instance.id, name, LogOptions::default(), &mut out).await.unwrap_err();
    let inspect = llcm.instance(instance.id).await.unwrap_err();
    for error in [exec, logs, inspect] {
        assert!(error.message.ends_with("engine other: it is away"), "{error}");
    }
    assert!(rig.world.exit(&instance.containers[1].engine_name, 1));
    let seen = llcm.instance(instance.id).await.unwrap().unwrap();
    assert_eq!(seen.state, InstanceState::Degraded);
    let exited = ContainerState::Exited { code: Some(1) };
    let states: Vec<_> = seen.containers.iter().map(|container| container.state.unwrap()).collect();
    assert_eq!(states, [ContainerState::Running, exited, ContainerState::Running]);
}

#[tokio::test]
async fn a_failure_at_any_call_leaves_nothing_in_either_engine() {
    let all = ["edge.vdu01", "edge.vdu02", "core.cdu01", "leaf_a.cdu01", "leaf_b.cdu01"];
    let settings = Settings { placement: in_turns(&all), ..Settings::default() };
    let calls = {
        let rig = Rig::with(settings.clone());
        let llcm = open_quick(&rig).await;
        let service = push(&llcm, &every_step()).await;
        rig.world.forget_calls();
        run(&llcm, &service).await;
        settle(&rig).await;
        rig.world.calls()
    };
    // As with one engine, but that both are asked what is taken and for the image; then whether they can run each,
    // and the data centers are made.
    assert_eq!(calls.len(), 2 + 5 + 1 + 2 + 5 + 5 + 5 + 11 + 2, "{calls:?}");
    let rig = Rig::with(settings);
    let llcm = open_quick(&rig).await;
    let service = push(&llcm, &every_step()).await;
    for call in &calls {
        for after in [false, true] {
            let mut fault = Fault::fail(call.operation).target(&call.target).message("the disk is on fire");
            fault.engine.clone_from(&call.engine);
            rig.world.clear_faults();
            rig.world.add_fault(if after { fault.after() } else { fault });
            let told = |error: &LifecycleError| {
                assert!(error.message.ends_with("the disk is on fire"), "{call:?}: {error}");
                let name = call.engine.as_ref().map(|engine| format!("engine {engine}: "));
                let times = name.map(|name| error.message.matches(&name).count());
                assert!(times.is_none_or(|times| times == 1), "{call:?}: {error}");
            };
            if matches!(call.operation, Operation::Taken | Operation::Check | Operation::Prepare) {
                let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
                told(&error);
                assert!(llcm.instances(true).is_empty());
                assert!(rig.world.snapshot().datacenters.is_empty(), "{call:?}");
                continue;
            }
            let (id, outcome) = up(&llcm, &service).await;
            if call.operation == Operation::Exec {
                outcome.unwrap();
                down(&llcm, id).await.unwrap();
            } else {
                let error = outcome.unwrap_err();
                told(&error);
                let failed = view(&llcm, id).unwrap();
                assert_eq!(failed.state, InstanceState::Failed, "{call:?}: {:?}", failed.errors);
            }
            assert!(rig.world.is_empty(), "{call:?}, after: {after}: {:?}", rig.world.snapshot());
            assert!(rig.world.snapshot().datacenters.is_empty(), "{call:?}");
        }
    }
    rig.world.clear_faults();
    run(&llcm, &service).await;
}

#[tokio::test]
async fn an_undo_that_fails_in_one_engine_is_told_with_its_name_and_tried_again() {
    for undo in [Operation::Remove, Operation::ListContainers] {
        for name in ["sim", OTHER] {
            let rig = Rig::with(retried_on_request());
            let llcm = open_quick(&rig).await;
            let service = push(&llcm, &every_step()).await;
            let instance = run(&llcm, &service).await;
            rig.world.add_fault(Fault::fail(undo).engine(name).always().message("it is away"));
            let error = down(&llcm, instance.id).await.unwrap_err();
            assert_eq!(error.code, ErrorCode::Stuck);
            let stuck = view(&llcm, instance.id).unwrap();
            assert_eq!(stuck.state, InstanceState::Stuck);
            let told = |error: &String| error.contains(&format!("engine {name}: it is away"));
            assert!(stuck.errors.iter().any(told), "{:?}", stuck.errors);
            // What the other engine has is gone all the same.
            let left = rig.world.snapshot().containers;
            assert!(left.iter().all(|container| container.engine == engine(name)), "{left:?}");
            assert_eq!(left.is_empty(), undo == Operation::ListContainers);

            rig.world.clear_faults();
            down(&llcm, instance.id).await.unwrap();
            assert!(rig.world.is_empty() && view(&llcm, instance.id).is_none());
        }
    }
}

#[tokio::test]
async fn an_engine_that_does_not_answer_keeps_the_server_from_opening() {
    let rig = Rig::new();
    for operation in [Operation::Info, Operation::ListContainers] {
        rig.world.clear_faults();
        let fault = Fault::fail(operation).kind(ErrorKind::Unavailable).message("it is away");
        rig.world.add_fault(fault.clone().engine(OTHER));
        rig.world.add_fault(fault.clone().engine("sim"));
        let error = rig.open_on(backend(&rig)).await.expect_err("it does not open");
        assert_eq!(error.code, ErrorCode::EngineUnavailable);
        assert!(error.message.ends_with("engine sim: it is away"), "{error}");
        assert!(error.others[0].ends_with("engine other: it is away"), "{:?}", error.others);
    }
}

#[tokio::test]
async fn what_is_taken_in_one_engine_is_taken_for_both() {
    let rig = Rig::new();
    let llcm = open_quick(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    // The name of the container that is going to be in the default engine.
    let name = EngineName::parse("mn.vnf0.vdu01.0").unwrap();
    rig.world.add_foreign_to(&engine(OTHER), &name, "x");
    let instance = run(&llcm, &service).await;
    let first = &instance.containers[0];
    assert_eq!(first.datacenter, dc("dc1"));
    assert_ne!(first.engine_name, name);
    down(&llcm, instance.id).await.unwrap();
    assert_eq!(rig.world.snapshot().containers.len(), 1, "others' containers stay");
}

#[tokio::test]
async fn running_instances_are_adopted_and_strays_and_losses_are_found_in_both_engines() {
    let rig = Rig::new();
    let llcm = open(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    llcm.shutdown(false).await.unwrap();
    let before = rig.world.snapshot();

    let again = open(&rig).await;
    assert_eq!(rig.world.snapshot(), before, "traffic is not interrupted");
    let adopted = view(&again, instance.id).unwrap();
    assert_eq!((adopted.state, &adopted.containers), (InstanceState::Running, &instance.containers));
    let name = &instance.containers[1].name;
    again.logs(instance.id, name, LogOptions::default(), &mut Vec::new()).await.unwrap();
    again.shutdown(false).await.unwrap();

    // The second engine loses a container.
    let lost = &instance.containers[1];
    assert_eq!(lost.datacenter, dc("dc2"));
    assert!(rig.world.lose(&lost.engine_name));
    let again = open(&rig).await;
    let degraded = view(&again, instance.id).unwrap();
    assert_eq!(degraded.state, InstanceState::Degraded);
    assert!(degraded.errors[0].contains("mn.vnf1.vdu01.0 is missing"), "{:?}", degraded.errors);
    down(&again, instance.id).await.unwrap();
    assert!(rig.world.is_empty());

    // The store is lost: what is there of the instance is a stray in both engines.
    let stray = run(&again, &service).await;
    again.shutdown(false).await.unwrap();
    let foreign = EngineName::parse("postgres").unwrap();
    rig.world.add_foreign_to(&engine(OTHER), &foreign, "postgres:17");
    let path = rig.dir.path().join("store.redb");
    std::fs::remove_file(&path).unwrap();
    llcm_lifecycle::store::care::repair(&path).unwrap();
    rig.world.forget_calls();
    open(&rig).await;
    let left: Vec<_> = rig.world.snapshot().containers.into_iter().map(|container| container.name).collect();
    assert_eq!(left, [foreign]);
    let removals = calls_of(&rig, Operation::Remove);
    assert_eq!(removals.len(), 3, "each in its own engine");
    assert!(removals.iter().all(|call| call.engine == Some(engine_of(&stray, &call.target))), "{removals:?}");
}

#[tokio::test]
async fn an_instance_stays_with_the_engine_it_was_made_in() {
    let rig = Rig::new();
    let llcm = open(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let moved = &instance.containers[1];
    llcm.shutdown(false).await.unwrap();

    // The topology has been changed: dc2 has the default engine now, another data center has the other one.
    let again = rig.open_on(common::two::backend_for(&rig, "dc9")).await.unwrap();
    assert_eq!(view(&again, instance.id).unwrap().state, InstanceState::Running);
    let mut out = Vec::new();
    again.logs(instance.id, &moved.name, LogOptions::default(), &mut out).await.unwrap();
    let next = run(&again, &service).await;
    let made = rig.world.snapshot().containers;
    assert_eq!(made.iter().filter(|container| container.engine == engine(OTHER)).count(), 1);
    down(&again, next.id).await.unwrap();
    again.shutdown(false).await.unwrap();

    // Nobody has it any more: what is in it cannot be reached, and is not taken to be gone.
    let alone = simulated::backend(&rig.world, &rig.installation());
    let again = rig.open_on(alone).await.unwrap();
    let degraded = view(&again, instance.id).unwrap();
    let told = format!(
        "container {} cannot be seen: it was made with the engine other, which this server was not started with",
        moved.engine_name
    );
    assert_eq!((degraded.state, degraded.reasons), (InstanceState::Degraded, vec![told]));
    let error = again.logs(instance.id, &moved.name, LogOptions::default(), &mut out).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::EngineUnavailable);
    assert!(
        error.message.starts_with("ask engine other: this server has no such engine, it has sim"),
        "{error}"
    );
    assert_eq!(down(&again, instance.id).await.unwrap_err().code, ErrorCode::Stuck);
    let left: Vec<_> = rig.world.snapshot().containers.into_iter().map(|container| container.name).collect();
    assert_eq!(left, std::slice::from_ref(&moved.engine_name));
    again.shutdown(false).await.unwrap();

    let again = open(&rig).await;
    assert!(rig.world.is_empty() && view(&again, instance.id).is_none(), "the take-down went on");
}
