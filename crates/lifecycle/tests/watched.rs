//! What happens to containers behind the program's back is seen, shown, written down and answered.

mod common;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::{Rig, down, push, run, view};
use llcm_lifecycle::request::{Event, InstanceState, InstanceView};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{Backoff, Orchestrator, Settings};
use llcm_names::EngineName;
use llcm_runtime::simulated::{self, Call, Fault, Operation, SimulatedContainers, SimulatedNetwork};
use llcm_runtime::{Backend, ContainerDriver, ContainerState, NetworkDriver, PullPolicy, SegmentSpec};
use llcm_testkit::{demo_chain, every_step};
use tokio::sync::broadcast;

/// Waits until something holds, a minute at most of a time that may be paused.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within a minute");
}

struct Bed {
    rig: Rig,
    store: Arc<MemoryStore>,
}

impl Bed {
    fn new(settings: Settings) -> Self {
        Self { rig: Rig::with(settings), store: Arc::default() }
    }

    fn backend(&self) -> Backend {
        simulated::backend(&self.rig.world, &self.rig.installation())
    }

    async fn open(&self) -> Arc<Orchestrator> {
        Orchestrator::open_with(self.rig.parts(self.backend()), self.store.clone()).await.expect("it opens")
    }

    /// Whether the first container of the chain is answered by the second one.
    fn pings(&self, instance: &InstanceView) -> bool {
        let ports = self.rig.world.snapshot().ports;
        let [a, b] = [0, 1].map(|index| &instance.containers[index].engine_name);
        let of_b = ports.iter().filter(|port| port.spec.container == *b);
        let addresses = of_b.flat_map(|port| &port.spec.addresses);
        let addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
        assert!(!addresses.is_empty());
        addresses.iter().any(|address| self.rig.world.ping(a, *address))
    }

    fn ports_up(&self, container: &EngineName) -> Vec<bool> {
        let ports = self.rig.world.snapshot().ports.into_iter();
        ports.filter(|port| port.spec.container == *container).map(|port| port.up).collect()
    }
}

fn name(instance: &InstanceView, index: usize) -> EngineName {
    instance.containers[index].engine_name.clone()
}

fn state(llcm: &Orchestrator, instance: &InstanceView) -> InstanceState {
    view(llcm, instance.id).expect("it is there").state
}

/// Events so far about states.
fn told(events: &mut broadcast::Receiver<Event>) -> Vec<Event> {
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if matches!(event, Event::State { .. } | Event::Container { .. }) {
            told.push(event);
        }
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_container_that_ends_is_shown_with_the_reason_and_its_ports_are_down() {
    let bed = Bed::new(Settings::default());
    let llcm = bed.open().await;
    let instance = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    assert!(bed.pings(&instance) && instance.reasons.is_empty());
    let mut events = llcm.events();
    let ended = name(&instance, 1);
    assert!(bed.rig.world.exit(&ended, 3));
    until("it is degraded", || state(&llcm, &instance) == InstanceState::Degraded).await;
    let seen = view(&llcm, instance.id).unwrap();
    let exited = Some(ContainerState::Exited { code: Some(3) });
    assert_eq!(seen.containers[1].state, exited);
    assert_eq!(seen.reasons, [format!("container {ended} has exited with code 3")]);
    assert_eq!(seen.errors, seen.reasons);
    assert!(bed.ports_up(&ended).iter().all(|up| !up), "{:?}", bed.ports_up(&ended));
    assert!(bed.ports_up(&name(&instance, 0)).iter().all(|up| *up));
    let expected = [
        Event::Container { instance: instance.id, container: ended.clone(), state: exited },
        Event::State { instance: instance.id, state: InstanceState::Degraded },
    ];
    assert_eq!(told(&mut events), expected);

    // The next server shows the same, and says nothing new.
    llcm.shutdown(false).await.unwrap();
    let again = bed.open().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let now = view(&again, instance.id).unwrap();
    assert_eq!((now.state, &now.reasons, &now.errors), (seen.state, &seen.reasons, &seen.errors));
    assert_eq!(now.containers[1].state, exited);
    // Nobody said that it is to be started again.
    assert_eq!(again.instance(instance.id).await.unwrap().unwrap().containers[1].state, exited);
    down(&again, instance.id).await.unwrap();
    assert!(bed.rig.world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restarted_container_is_plugged_in_again_as_it_was() {
    let bed = Bed::new(Settings::default());
    let llcm = bed.open().await;
    let instance = run(&llcm, &push(&llcm, &every_step()).await).await;
    let world = &bed.rig.world;
    until("the start scripts end", || world.execs().iter().all(|exec| exec.exit_code.is_some())).await;
    let before = world.snapshot();
    for container in &instance.containers {
        assert!(world.restart(&container.engine_name));
        let alive = || world.snapshot().ports.iter().all(|port| port.alive && port.up);
        until("it is plugged in again", alive).await;
        until("nothing is held back", || {
            world.snapshot().containers.iter().all(|container| container.waiting_for.is_empty())
        })
        .await;
    }
    // The same interfaces with the same names, MACs and addresses.
    assert_eq!(world.snapshot(), before);
    until("it runs", || state(&llcm, &instance) == InstanceState::Running).await;
    // What the start scripts had begun ended with the first run.
    until("the start scripts run again", || {
        let execs = world.execs();
        execs.len() == 4 && execs.iter().all(|exec| exec.exit_code.is_some())
    })
    .await;
    down(&llcm, instance.id).await.unwrap();
    assert!(world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_paused_container_is_silent_until_it_goes_on() {
    let bed = Bed::new(Settings::default());
    let llcm = bed.open().await;
    let instance = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    let paused = name(&instance, 1);
    let world = &bed.rig.world;
    assert!(world.pause(&paused));
    assert!(bed.pings(&instance), "a kernel answers for frozen processes");
    until("it is silent", || !bed.pings(&instance)).await;
    until("it is degraded", || state(&llcm, &instance) == InstanceState::Degraded).await;
    let reasons = view(&llcm, instance.id).unwrap().reasons;
    assert_eq!(reasons, [format!("container {paused} is paused")]);

    // A server that comes meanwhile leaves it so, and hears of the end.
    llcm.shutdown(false).await.unwrap();
    let llcm = bed.open().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!bed.pings(&instance) && state(&llcm, &instance) == InstanceState::Degraded);
    world.forget_calls();
    assert!(world.unpause(&paused));
    until("it answers", || bed.pings(&instance)).await;
    until("it runs", || state(&llcm, &instance) == InstanceState::Running).await;
    let calls = world.calls();
    assert!(calls.iter().all(|call| call.operation != Operation::Attach), "it was not unplugged: {calls:?}");
    down(&llcm, instance.id).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_removed_container_is_missing_and_a_gap_is_looked_over() {
    let bed = Bed::new(Settings::default());
    let llcm = bed.open().await;
    let instance = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    let world = &bed.rig.world;
    assert!(world.lose(&name(&instance, 0)));
    let missing = format!("container {} is missing", name(&instance, 0));
    until("it is missed", || view(&llcm, instance.id).unwrap().reasons == [missing.clone()]).await;
    assert_eq!(view(&llcm, instance.id).unwrap().containers[0].state, None);

    // Nobody tells what happens now.
    world.set_deaf(true);
    assert!(world.restart(&name(&instance, 1)) && world.exit(&name(&instance, 2), 1));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(view(&llcm, instance.id).unwrap().reasons, std::slice::from_ref(&missing));
    world.set_deaf(false);
    until("the gap is looked over", || view(&llcm, instance.id).unwrap().reasons.len() == 2).await;
    let restarted = name(&instance, 1);
    let alive = || {
        let ports = world.snapshot().ports.into_iter().filter(|port| port.spec.container == restarted);
        ports.map(|port| port.alive).collect::<Vec<_>>()
    };
    until("the restarted one is plugged in", || alive().iter().all(|alive| *alive)).await;
    down(&llcm, instance.id).await.unwrap();
    assert!(world.is_empty());
}

/// Many at once, so that events come late and in between: none of them is taken for somebody else's doing.
#[tokio::test(start_paused = true)]
async fn what_the_program_does_itself_is_no_surprise() {
    let bed = Bed::new(Settings { heal: true, ..Settings::default() });
    let llcm = bed.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let mut events = llcm.events();
    bed.rig.world.forget_calls();
    for _ in 0..5 {
        let runs = (0..6).map(|_| run(&llcm, &service));
        let instances = futures_util::future::join_all(runs).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        futures_util::future::join_all(instances.iter().map(|instance| down(&llcm, instance.id))).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let told = told(&mut events);
    let degraded = |event: &Event| matches!(event, Event::State { state: InstanceState::Degraded, .. });
    assert!(told.len() > 100 && !told.iter().any(degraded), "{told:?}");
    let calls = bed.rig.world.calls();
    let count = |operation| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!((count(Operation::Create), count(Operation::Start)), (90, 90), "each once");
    assert_eq!((count(Operation::Inspect), count(Operation::SetPort)), (0, 0), "nothing was looked at");
    assert!(bed.rig.world.is_empty());
}

fn healing() -> Settings {
    let retry = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
    Settings { heal: true, retry, ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn with_heal_what_ends_is_started_and_wired_again_later_and_later() {
    let bed = Bed::new(healing());
    let llcm = bed.open().await;
    let instance = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    let world = &bed.rig.world;
    let ends = name(&instance, 1);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let began = tokio::time::Instant::now();
        assert!(world.exit(&ends, 1));
        for _ in 0..12_000 {
            if bed.pings(&instance) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(bed.pings(&instance), "{waits:?}");
        waits.push(began.elapsed());
        until("it runs", || state(&llcm, &instance) == InstanceState::Running).await;
    }
    assert!(waits[0] < Duration::from_millis(100), "at once at the first time: {waits:?}");
    assert!(waits[3] > Duration::from_secs(3) && waits[8] > Duration::from_secs(40), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(61)), "{waits:?}");
    // After peace, at once again.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let began = tokio::time::Instant::now();
    assert!(world.lose(&ends), "and this time it is removed");
    until("it answers", || bed.pings(&instance)).await;
    assert!(began.elapsed() < Duration::from_millis(100));
    until("it runs", || state(&llcm, &instance) == InstanceState::Running).await;
    // Frozen is not ended.
    assert!(world.pause(&ends));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(state(&llcm, &instance), InstanceState::Degraded);
    down(&llcm, instance.id).await.unwrap();
    assert!(world.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_healed_is_told_and_tried_again() {
    let bed = Bed::new(healing());
    let llcm = bed.open().await;
    let instance = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    let world = &bed.rig.world;
    world.add_fault(Fault::fail(Operation::Start).times(3).message("no space left"));
    world.add_fault(Fault::fail(Operation::Attach).times(2).message("no such device"));
    assert!(world.exit(&name(&instance, 1), 1));
    until("the trouble is told", || {
        let reasons = view(&llcm, instance.id).unwrap().reasons;
        reasons.iter().any(|reason| reason.contains("no space left"))
    })
    .await;
    until("it runs in the end", || state(&llcm, &instance) == InstanceState::Running && bed.pings(&instance))
        .await;
    assert!(view(&llcm, instance.id).unwrap().reasons.is_empty());
    // One that is terminated while it waits for its next try is not started any more.
    world.add_fault(Fault::fail(Operation::Start).always());
    assert!(world.exit(&name(&instance, 1), 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    down(&llcm, instance.id).await.unwrap();
    world.forget_calls();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(world.is_empty() && world.calls().iter().all(|call| call.operation != Operation::Start));
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_no_server_ran_is_found_and_a_reboot_is_healed() {
    let bed = Bed::new(healing());
    let llcm = bed.open().await;
    let instance = run(&llcm, &push(&llcm, &demo_chain()).await).await;
    let world = &bed.rig.world;
    llcm.shutdown(false).await.unwrap();
    let before = world.snapshot();
    assert!(world.restart(&name(&instance, 1)) && world.exit(&name(&instance, 0), 1));
    world.forget_calls();
    let llcm = bed.open().await;
    until("it answers", || bed.pings(&instance)).await;
    // A server that was killed while it made links again has left some in parts, perhaps: each is made once more.
    let made = |segment: &SegmentSpec| {
        let of =
            |call: &Call| call.operation == Operation::EnsureSegment && call.target == segment.id.to_string();
        world.calls().iter().filter(|call| of(call)).count()
    };
    assert!(before.segments.iter().all(|segment| made(segment) == 1));
    until("it runs", || state(&llcm, &instance) == InstanceState::Running).await;
    assert_eq!(world.snapshot(), before);

    // After a reboot nothing runs, and the kernel has no segment.
    llcm.shutdown(false).await.unwrap();
    for container in &instance.containers {
        assert!(world.exit(&container.engine_name, 255));
    }
    let network = SimulatedNetwork::new(Arc::clone(world), bed.rig.installation());
    network.teardown().await.unwrap();
    let llcm = bed.open().await;
    assert_eq!(state(&llcm, &instance), InstanceState::Degraded);
    until("all is there again", || world.snapshot() == before).await;
    until("it runs", || state(&llcm, &instance) == InstanceState::Running).await;
    assert!(bed.pings(&instance));
    down(&llcm, instance.id).await.unwrap();
    assert!(world.is_empty());
}

/// As an engine does that was slow: the container comes when its instance is long gone.
#[tokio::test(start_paused = true)]
async fn what_comes_of_an_instance_that_is_gone_is_removed_when_it_comes() {
    let bed = Bed::new(Settings::default());
    let llcm = bed.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let (gone, stays) = (run(&llcm, &service).await, run(&llcm, &service).await);
    let world = &bed.rig.world;
    let spec = world.spec(&name(&gone, 0)).unwrap();
    down(&llcm, gone.id).await.unwrap();
    let left = world.snapshot();
    let late = SimulatedContainers::new(Arc::clone(world));
    late.ensure_image(&spec.image, PullPolicy::IfMissing, &()).await.unwrap();
    late.create(&spec).await.unwrap();
    late.start(&spec.owner, &spec.name).await.unwrap();
    until("it is removed", || world.snapshot() == left).await;
    down(&llcm, stays.id).await.unwrap();
    assert!(world.is_empty());
}
