//! Behaviour of the simulation beyond the contract: faults, latencies, crashes, what a host does on its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use llcm_names::{DcName, EngineName, InstallationId, LinkGroup, MacAddr, Owner, PortId, Protocol};
use tokio::time::{Instant, timeout};

use super::*;
use crate::contract::line_of_three;
use crate::{
    ContainerDriver, ContainerSpec, ContainerState, CpuLimit, Device, ErrorKind, ExecSpec, HeldPort,
    LogOptions, NetworkDriver, OutputStream, PortBinding, PortSpec, PullPolicy,
};

const MS: Duration = Duration::from_millis(1);

fn owner() -> Owner {
    let instance = "0123abcd-0000-4000-8000-000000000000".parse().unwrap();
    Owner { installation: InstallationId::from_bits(7), instance }
}

fn spec(name: &str) -> ContainerSpec {
    ContainerSpec {
        owner: owner(),
        name: EngineName::parse(name).unwrap(),
        logical_name: name.to_owned(),
        datacenter: DcName::parse("dc1").unwrap(),
        image: "busybox".to_owned(),
        environment: BTreeMap::new(),
        cpu: CpuLimit::default(),
        memory_bytes: None,
        exposed: Vec::new(),
        published: Vec::new(),
        binds: Vec::new(),
        devices: Vec::new(),
        cap_add: Vec::new(),
        ipc_mode: None,
        interfaces: Vec::new(),
        management: None,
    }
}

fn drivers(world: &Arc<World>) -> (Arc<dyn ContainerDriver>, Arc<dyn NetworkDriver>) {
    let backend = backend(world, &owner().installation);
    (Arc::clone(backend.containers()), Arc::clone(backend.network()))
}

async fn run(containers: &dyn ContainerDriver, spec: &ContainerSpec) -> crate::DriverResult<()> {
    containers.ensure_image(&spec.image, PullPolicy::IfMissing, &()).await?;
    containers.create(spec).await?;
    containers.start(&spec.owner, &spec.name).await.map(|_| ())
}

fn state_of(world: &World, name: &str) -> Option<ContainerState> {
    let all = world.snapshot().containers;
    all.into_iter().find(|container| container.name.as_str() == name).map(|container| container.state)
}

#[tokio::test]
async fn a_fault_before_the_effect_leaves_nothing_and_one_after_it_leaves_all() {
    for (fault, left) in [
        (Fault::fail(Operation::Create), None),
        (Fault::fail(Operation::Create).after(), Some(ContainerState::Created)),
    ] {
        let world = World::new();
        world.add_fault(fault.kind(ErrorKind::Unavailable).message("lost the engine"));
        let (containers, _) = drivers(&world);
        let error = run(containers.as_ref(), &spec("mn.a")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable);
        assert_eq!(error.to_string(), "create container mn.a: lost the engine");
        assert_eq!(state_of(&world, "mn.a"), left);
        run(containers.as_ref(), &spec("mn.a")).await.unwrap();
    }
}

#[tokio::test]
async fn faults_count_the_calls_that_match() {
    let world = World::with_script(
        Script::default().with(Fault::fail(Operation::Start).target("mn.b*").on_call(2).times(2)),
    );
    let (containers, _) = drivers(&world);
    let mut failed = Vec::new();
    for name in ["mn.a", "mn.b1", "mn.a2", "mn.b2", "mn.b3", "mn.b4"] {
        if run(containers.as_ref(), &spec(name)).await.is_err() {
            failed.push(name);
        }
    }
    assert_eq!(failed, ["mn.b2", "mn.b3"]);
    world.add_fault(Fault::fail_any().always());
    assert!(containers.info().await.is_err());
    world.clear_faults();
    assert!(containers.info().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn hanging_calls_never_return_and_dropped_ones_have_no_effect() {
    let slow: Latency = "1s".parse().unwrap();
    let world = World::with_script(Script::default().taking(Operation::Create, slow));
    world.add_fault(Fault::hang(Operation::Start));
    let (containers, _) = drivers(&world);
    assert!(timeout(999 * MS, run(containers.as_ref(), &spec("mn.a"))).await.is_err());
    assert!(world.is_empty());
    assert!(timeout(Duration::from_secs(86_400), run(containers.as_ref(), &spec("mn.a"))).await.is_err());
    assert_eq!(state_of(&world, "mn.a"), Some(ContainerState::Created));
}

#[tokio::test(start_paused = true)]
async fn operations_take_their_time_side_by_side() {
    let script = Script::parse("latency: {create: 20ms, start: 100ms}").unwrap();
    let world = World::with_script(script);
    let (containers, _) = drivers(&world);
    let began = Instant::now();
    let (a, b) = (spec("mn.a"), spec("mn.b"));
    let (first, second) = tokio::join!(run(containers.as_ref(), &a), run(containers.as_ref(), &b));
    first.unwrap();
    second.unwrap();
    assert_eq!(began.elapsed(), 120 * MS);
    let operations: Vec<_> = world.calls().iter().map(|call| call.operation).collect();
    assert_eq!(operations.iter().filter(|operation| **operation == Operation::Start).count(), 2);
}

#[tokio::test]
async fn the_world_outlives_the_program() {
    let world = World::new();
    let (containers, network) = drivers(&world);
    network.prepare(&line_of_three()).await.unwrap();
    run(containers.as_ref(), &spec("mn.a")).await.unwrap();
    drop((containers, network));
    let (containers, _) = drivers(&world);
    let views = containers.list_owned(&owner().installation).await.unwrap();
    assert_eq!(views.len(), 1);
    assert_eq!(views[0].state, ContainerState::Running);
}

#[tokio::test]
async fn a_container_needs_its_devices_and_host_ports() {
    let world = World::with_script(Script::parse("missing-devices: [/dev/kvm]").unwrap());
    let (containers, _) = drivers(&world);
    let device = Device { host: "/dev/kvm".into(), container: "/dev/kvm".into(), permissions: "rwm".into() };
    let error = run(containers.as_ref(), &ContainerSpec { devices: vec![device], ..spec("mn.a") }).await;
    let error = error.unwrap_err();
    assert_eq!((error.kind, error.to_string().contains("/dev/kvm")), (ErrorKind::Failed, true), "{error}");

    let publishing = |name: &str, protocol, ip: Option<&str>| {
        let port = 8080.try_into().unwrap();
        let host_ip = ip.map(|ip| ip.parse().unwrap());
        ContainerSpec {
            published: vec![PortBinding { container: port, protocol, host: port, host_ip }],
            ..spec(name)
        }
    };
    run(containers.as_ref(), &publishing("mn.b", Protocol::Tcp, Some("127.0.0.1"))).await.unwrap();
    run(containers.as_ref(), &publishing("mn.c", Protocol::Tcp, Some("127.0.0.2"))).await.unwrap();
    run(containers.as_ref(), &publishing("mn.d", Protocol::Udp, None)).await.unwrap();
    let error = run(containers.as_ref(), &publishing("mn.e", Protocol::Tcp, None)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.to_string().contains("8080/tcp"), "{error}");
}

#[tokio::test]
async fn what_others_hold_is_taken_and_what_is_ours_is_not() {
    let world = World::new();
    let (containers, _) = drivers(&world);
    let publishing = |name: &str, installation, host: u64| {
        let host = host.try_into().unwrap();
        ContainerSpec {
            owner: Owner { installation: InstallationId::from_bits(installation), ..owner() },
            published: vec![PortBinding { container: host, protocol: Protocol::Udp, host, host_ip: None }],
            ..spec(name)
        }
    };
    run(containers.as_ref(), &publishing("mn.ours", 7, 1001)).await.unwrap();
    run(containers.as_ref(), &publishing("mn.theirs", 8, 1002)).await.unwrap();
    containers.create(&publishing("mn.idle", 8, 1003)).await.unwrap();
    world.add_foreign(&EngineName::parse("postgres").unwrap(), "postgres:17");
    let taken = containers.taken(&owner().installation).await.unwrap();
    let names: Vec<_> = taken.names.iter().map(EngineName::as_str).collect();
    assert_eq!(names, ["mn.idle", "mn.theirs", "postgres"]);
    let held = HeldPort { protocol: Protocol::Udp, port: 1002.try_into().unwrap(), address: None };
    assert_eq!(taken.ports.into_iter().collect::<Vec<_>>(), [held], "what does not run holds no port");
}

#[tokio::test]
async fn images_bring_what_the_script_says() {
    let text = "images: [{reference: sonatanfv/*, environment: {SON_EMU_CMD: ./start.sh}, command: [sh]}]";
    let world = World::with_script(Script::parse(text).unwrap());
    let (containers, _) = drivers(&world);
    let image = containers.ensure_image("sonatanfv/fw:1", PullPolicy::Always, &()).await.unwrap();
    assert_eq!(image.environment["SON_EMU_CMD"], "./start.sh");
    let plain = containers.ensure_image("busybox", PullPolicy::IfMissing, &()).await.unwrap();
    assert!(plain.environment.is_empty() && plain.id != image.id);
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_with_its_time_or_its_container() {
    let text = "commands: [{argv: [sleep, '*'], stdout: 'begun ', takes: 10s, exit_code: 3}]";
    let world = World::with_script(Script::parse(text).unwrap());
    let (containers, _) = drivers(&world);
    let vnf = spec("mn.a");
    run(containers.as_ref(), &vnf).await.unwrap();
    let exec = containers.exec().unwrap();
    let command = ExecSpec { argv: vec!["sleep".into(), "10".into()], ..ExecSpec::default() };
    let mut output = Vec::new();
    let outcome = exec.exec(&vnf.owner, &vnf.name, &command, &mut output).await.unwrap();
    assert_eq!((outcome.exit_code, output), (Some(3), b"begun ".to_vec()));

    let mut output = Vec::new();
    let began = Instant::now();
    let stop = async {
        tokio::time::sleep(4000 * MS).await;
        containers.stop(&vnf.owner, &vnf.name, Duration::ZERO).await
    };
    let (outcome, stopped) = tokio::join!(exec.exec(&vnf.owner, &vnf.name, &command, &mut output), stop);
    stopped.unwrap();
    assert_eq!((outcome.unwrap().exit_code, began.elapsed()), (Some(137), 4000 * MS));
    let codes: Vec<_> = world.execs().iter().map(|record| record.exit_code).collect();
    assert_eq!(codes, [Some(3), Some(137)]);
}

#[tokio::test(start_paused = true)]
async fn output_is_followed_as_it_comes() {
    let text = "{output: [{stdout: \"ready\\n\"}], epoch-seconds: 86400}";
    let world = World::with_script(Script::parse(text).unwrap());
    let (containers, _) = drivers(&world);
    let vnf = spec("mn.a");
    run(containers.as_ref(), &vnf).await.unwrap();
    let write = async {
        tokio::time::sleep(1500 * MS).await;
        assert!(world.write_output(&vnf.name, OutputStream::Stderr, "one\ntwo\n"));
        tokio::task::yield_now().await;
        assert!(world.exit(&vnf.name, 1));
    };
    let mut output = Vec::new();
    let options = LogOptions { follow: true, timestamps: true, tail: None };
    let read = containers.logs().unwrap().logs(&vnf.owner, &vnf.name, options, &mut output);
    tokio::join!(read, write).0.unwrap();
    let expected = "1970-01-02T00:00:00.000000000Z ready\n\
                    1970-01-02T00:00:01.500000000Z one\n\
                    1970-01-02T00:00:01.500000000Z two\n";
    assert_eq!(String::from_utf8(output).unwrap(), expected);
    assert_eq!(state_of(&world, "mn.a"), Some(ContainerState::Exited { code: Some(1) }));

    let mut last = Vec::new();
    let options = LogOptions { tail: Some(1), ..LogOptions::default() };
    containers.logs().unwrap().logs(&vnf.owner, &vnf.name, options, &mut last).await.unwrap();
    assert_eq!(last, b"two\n");
}

#[tokio::test]
async fn a_container_waits_for_the_interfaces_of_its_spec() {
    let world = World::with_script(Script::parse("output: [{stdout: 'ready'}]").unwrap());
    let (containers, network) = drivers(&world);
    let mut topology = line_of_three();
    network.prepare(&topology).await.unwrap();
    let ifname: llcm_names::IfName = "eth1".parse().unwrap();
    let vnf = ContainerSpec { interfaces: vec![ifname.clone()], ..spec("mn.a") };
    run(containers.as_ref(), &vnf).await.unwrap();
    assert_eq!(world.snapshot().containers[0].waiting_for, std::slice::from_ref(&ifname));
    let port = PortSpec {
        owner: owner(),
        id: PortId::new(1),
        group: LinkGroup::try_from(1).unwrap(),
        datacenter: vnf.datacenter.clone(),
        container: vnf.name.clone(),
        ifname,
        mac: MacAddr::derive(owner().instance, "a"),
        addresses: Vec::new(),
        mtu: 1500,
        segments: Vec::new(),
        neighbours: Vec::new(),
        host: None,
    };
    let point = containers.start(&vnf.owner, &vnf.name).await.unwrap();
    let logs = containers.logs().unwrap();
    let mut output = Vec::new();
    logs.logs(&vnf.owner, &vnf.name, LogOptions::default(), &mut output).await.unwrap();
    assert_eq!(output, b"", "its own process has begun");
    network.attach(&port, &point).await.unwrap();
    assert!(world.snapshot().containers[0].waiting_for.is_empty());
    logs.logs(&vnf.owner, &vnf.name, LogOptions::default(), &mut output).await.unwrap();
    assert_eq!(output, b"ready");
    // When the VNF dies, its interface is gone and the data center's side is left.
    assert!(world.exit(&vnf.name, 1));
    assert!(!world.snapshot().ports[0].alive);
    // A data center that the topology does not name any more takes its ports along.
    topology.datacenters.remove(0);
    topology.links.clear();
    network.prepare(&topology).await.unwrap();
    assert!(world.snapshot().ports.is_empty());
}

#[tokio::test]
async fn engines_of_one_world_do_not_see_one_another() {
    let world = World::new();
    let dc2 = DcName::parse("dc2").unwrap();
    let other = SimulatedContainers::with_early_namespace(Arc::clone(&world)).named("other");
    let installation = owner().installation;
    let backend = backend_with_engines(&world, &installation, [(dc2.clone(), other)]).unwrap();
    let (sim, other) = (backend.containers(), backend.containers_of(&dc2));
    let a = spec("mn.a");
    run(&**sim, &a).await.unwrap();
    let b = spec("mn.b");
    let error = other.create(&b).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "images are each engine's own: {error}");
    other.ensure_image(&b.image, PullPolicy::IfMissing, &()).await.unwrap();
    let early = other.create(&b).await.unwrap().unwrap();
    assert_eq!(early.engine, Some((crate::EngineId::new("other"), "mn.b".to_owned())));

    assert_eq!(other.inspect(&a.name).await.unwrap(), None);
    for (driver, name) in [(sim, "mn.a"), (other, "mn.b")] {
        let listed = driver.list_owned(&installation).await.unwrap();
        assert_eq!(listed.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), [name]);
    }
    other.remove(&a.owner, &a.name).await.unwrap();
    other.stop(&a.owner, &a.name, MS).await.unwrap();
    assert_eq!(state_of(&world, "mn.a"), Some(ContainerState::Running), "it is not the other engine's");
    assert_eq!(other.start(&a.owner, &a.name).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(other.create(&a).await.unwrap_err().kind, ErrorKind::Conflict);
    let mut sink = Vec::new();
    let exec = other.exec().unwrap().exec(&a.owner, &a.name, &ExecSpec::default(), &mut sink).await;
    assert_eq!(exec.unwrap_err().kind, ErrorKind::NotFound);

    world.add_foreign_to(
        &crate::EngineId::new("other"),
        &EngineName::parse("postgres").unwrap(),
        "postgres:17",
    );
    let taken = (sim.taken(&installation).await.unwrap(), other.taken(&installation).await.unwrap());
    assert_eq!((taken.0.names.len(), taken.1.names.len()), (0, 1));

    world.add_fault(Fault::fail(Operation::Info).engine("other").always());
    sim.info().await.unwrap();
    other.info().await.unwrap_err();
    let calls: Vec<_> = world.calls().into_iter().rev().take(2).map(|call| call.engine.unwrap().0).collect();
    assert_eq!(calls, ["other", "sim"]);
}
