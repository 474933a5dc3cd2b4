//! What has to hold after a start, whatever came before.

use std::collections::BTreeSet;
use std::path::Path;

use llcm_lifecycle::request::{InstanceState, InstanceView, RequestStatus};
use llcm_lifecycle::settings::{SapKind, SapSettings};
use llcm_lifecycle::{Deadlines, Settings};
use llcm_names::{InstallationId, InstanceId};
use llcm_runtime::simulated::World;

use super::ledger::{Client, Ending, Ledger, Part};
use super::life::{Life, foreign, installation};
use super::scenario::{CHAIN, EVERY};
use crate::common::{all_different, list};

/// Everything, right after the start, and that all goes on from here.
pub(crate) async fn all(life: &Life, dir: &Path, before: &(Part, usize)) {
    let ledger = life.client.ledger.lock().expect("nobody has panicked").clone();
    let installation = installation(dir);
    services(life, dir, &ledger);
    instances(life, &ledger, &installation);
    requests(life, &ledger);
    counters(life, &ledger);
    assert_eq!(foreign(&life.client.world, &installation), *before, "what is others' was touched");
    afterwards(life, dir, &installation).await;
    assert_eq!(foreign(&life.client.world, &installation), *before, "what is others' was touched");
}

fn services(life: &Life, dir: &Path, ledger: &Ledger) {
    let services = life.client.llcm.services();
    for (id, known) in &ledger.services {
        let found = services.iter().find(|service| service.id == *id);
        match known.ending {
            Ending::NotAsked => {
                let mut found = found.unwrap_or_else(|| panic!("service {id} is lost")).clone();
                found.instances.clear();
                assert_eq!(found, known.view);
            }
            Ending::Done => assert!(found.is_none(), "service {id} is back"),
            Ending::Asked | Ending::Accepted => {}
        }
    }
    let unknown = services.iter().filter(|service| !ledger.services.contains_key(&service.id)).count();
    assert!(unknown <= ledger.pushing, "{unknown} services that nobody has uploaded");
    let ids: BTreeSet<_> = services.iter().map(|service| service.id.to_string()).collect();
    assert_eq!(list(&dir.join("packages")).into_iter().collect::<BTreeSet<_>>(), ids);
    assert_eq!(list(&dir.join("staging")), [""; 0]);
}

fn instances(life: &Life, ledger: &Ledger, installation: &InstallationId) {
    use InstanceState::{Failed, Running};
    let llcm = &life.client.llcm;
    let all = llcm.instances(true);
    for (id, known) in &ledger.instances {
        let state = life.client.state(*id);
        let allowed: &[Option<InstanceState>] = match (known.ending, known.made) {
            (Ending::Accepted | Ending::Done, _) => &[None],
            (Ending::NotAsked, None) => &[Some(Running), Some(Failed)],
            (Ending::NotAsked, Some(true)) => &[Some(Running)],
            (Ending::NotAsked, Some(false)) => &[Some(Failed)],
            (Ending::Asked, None) => &[Some(Running), Some(Failed), None],
            (Ending::Asked, Some(true)) => &[Some(Running), None],
            (Ending::Asked, Some(false)) => &[Some(Failed), None],
        };
        // Those that failed are kept for a while only, and those that got stuck go when they can: the request tells.
        let request = llcm.request(known.request).map(|request| request.status);
        let may_have_failed = known.made != Some(true) && request == Some(RequestStatus::Error);
        let forgotten = state.is_none() && may_have_failed;
        assert!(allowed.contains(&state) || forgotten, "instance {id} is {state:?}, not one of {allowed:?}");
        if state == Some(Running)
            && let Some(part) = &known.part
        {
            assert_eq!(Part::of(life.client.world.snapshot(), |owner| owner == *id), *part);
        }
    }
    let unknown = all.iter().filter(|it| !ledger.instances.contains_key(&it.id)).count();
    assert!(unknown <= ledger.beginning, "{unknown} instances that nobody has asked for");
    for instance in &all {
        assert!(matches!(instance.state, Running | Failed), "{} is {:?}", instance.name, instance.state);
        let told = instance.state == Running || instance.errors.iter().any(|error| !error.is_empty());
        assert!(told, "nobody says why {} failed", instance.name);
        let scripts = instance.containers.iter().flat_map(|it| &it.scripts);
        assert!(scripts.into_iter().all(|script| script.ended_at.is_some()), "{instance:?}");
    }
    agree(&life.client.world, installation, &llcm.instances(false));
}

/// The drivers hold what the records say, and nothing else of ours.
pub(crate) fn agree(world: &World, installation: &InstallationId, live: &[InstanceView]) {
    let snapshot = world.snapshot();
    let ours: BTreeSet<InstanceId> = live.iter().map(|it| it.id).collect();
    let mut of_us = snapshot.clone();
    of_us.containers.retain(|it| it.owner.as_ref().is_some_and(|owner| owner.installation == *installation));
    of_us.ports.retain(|it| it.spec.owner.installation == *installation);
    of_us.segments.retain(|it| it.owner.installation == *installation);
    let strays = Part::of(of_us, |owner| !ours.contains(&owner));
    assert_eq!(strays, Part { containers: vec![], ports: vec![], segments: vec![] }, "left over");
    for instance in live {
        let part = Part::of(snapshot.clone(), |owner| owner == instance.id);
        assert!(part.is_whole(), "{part:?}");
        let names = |part: &Part| part.containers.iter().map(|it| it.name.clone()).collect::<BTreeSet<_>>();
        assert_eq!(names(&part), instance.containers.iter().map(|it| it.engine_name.clone()).collect());
        let interfaces: usize = instance.containers.iter().map(|it| it.interfaces.len()).sum();
        let in_containers = part.ports.iter().filter(|port| port.spec.host.is_none()).count();
        assert_eq!((in_containers, part.segments.len()), (interfaces, instance.links.len()));
    }
    let containers = || live.iter().flat_map(|it| &it.containers);
    all_different("engine name", containers().map(|it| it.engine_name.to_string()));
    all_different("port", containers().flat_map(|it| it.ports.clone()));
}

fn requests(life: &Life, ledger: &Ledger) {
    let requests = life.client.llcm.requests();
    for request in &requests {
        match request.status {
            RequestStatus::Ready => {}
            RequestStatus::Error => assert!(request.error.as_ref().is_some_and(|it| !it.is_empty())),
            _ => panic!("it has not ended: {request:?}"),
        }
    }
    let status = |id| requests.iter().find(|it| it.id == id).map(|it| it.status);
    for (id, known) in &ledger.instances {
        let created = status(known.request).unwrap_or_else(|| panic!("request of instance {id} is lost"));
        if let Some(made) = known.made {
            assert_eq!(created == RequestStatus::Ready, made, "request of instance {id}: {created:?}");
        }
        if let Some(request) = known.ending_request {
            let found = requests.iter().find(|it| it.id == request);
            let ended = found.unwrap_or_else(|| panic!("the termination of instance {id} is lost"));
            // It may have got stuck before; whoever was not told so yet finds it.
            let stuck = ended.error.as_ref().is_some_and(|error| error.contains("did not finish"));
            let told_so = known.ending == Ending::Done;
            assert!(ended.status == RequestStatus::Ready || (stuck && !told_so), "instance {id}: {ended:?}");
        }
    }
}

fn counters(life: &Life, ledger: &Ledger) {
    let counted = life.store.load_all().expect("read").counters.round_robin;
    let most = ledger.placed + 8 * ledger.beginning as u64;
    assert!((ledger.placed..=most).contains(&counted), "{counted} placed, not {}..={most}", ledger.placed);
}

/// All that came before can be taken down, new things can be made, nothing is taken by what is gone.
async fn afterwards(life: &Life, dir: &Path, installation: &InstallationId) {
    let Client { llcm, world, .. } = &life.client;
    let turn = life.store.load_all().expect("read").counters.round_robin;
    let chain = life.client.push(&CHAIN).await.expect("on-boarded").id;
    let id = life.client.up(chain).await;
    let live = llcm.instances(false);
    let new = live.iter().find(|it| it.id == id).expect("it is there");
    assert_eq!(new.state, InstanceState::Running, "{:?}", new.errors);
    let placed: Vec<_> = new.containers.iter().map(|it| it.datacenter.to_string()).collect();
    let expected = (turn..).map(|turn| ["dc1", "dc2"][usize::from(turn % 2 == 1)]);
    let expected: Vec<_> = expected.take(placed.len()).collect();
    assert_eq!(placed, expected, "round-robin goes on from {turn}");
    agree(world, installation, &live);
    for instance in llcm.instances(true) {
        let request = llcm.terminate(instance.id).await.expect("accepted");
        llcm.wait(request.id).await.expect("taken down");
    }
    for service in llcm.services() {
        llcm.remove_service(service.id).await.expect("removed");
    }
    agree(world, installation, &[]);
    let nothing: [&str; 0] = [];
    assert_eq!(list(&dir.join("packages")), nothing);

    // As on the first day.
    let every = life.client.push(&EVERY).await.expect("on-boarded").id;
    let id = life.client.up(every).await;
    let new = llcm.instances(false).into_iter().find(|it| it.id == id).expect("it is there");
    let ports: BTreeSet<_> = new.containers.iter().flat_map(|it| it.ports.clone()).collect();
    let subnets: Vec<_> = new.links.iter().map(|it| it.subnet.as_str()).collect();
    assert_eq!((new.ssiid.get(), ports.len()), (0, 2), "{ports:?}");
    assert!(ports.contains("18080:8080/tcp"), "{ports:?}");
    assert!(subnets.contains(&"20.0.0.0/24") && subnets.contains(&"30.0.0.0/24"), "{subnets:?}");
    assert!(new.containers.iter().any(|it| it.engine_name.as_str() == "mn.core.cdu01.0"), "{new:?}");
    let request = llcm.terminate(id).await.expect("accepted");
    llcm.wait(request.id).await.expect("taken down");
    llcm.remove_service(every).await.expect("removed");
    llcm.shutdown(true).await.expect("it ends");
    let left = life.store.load_all().expect("read");
    assert!(left.services.is_empty() && left.journals.is_empty(), "{left:?}");
    assert!(!world.snapshot().datacenters.contains_key(installation));
}

pub(crate) fn settings(saps: bool) -> Settings {
    let kinds = [("input", SapKind::External), ("output", SapKind::Internal), ("mgmt", SapKind::Management)];
    let kinds = kinds.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
    let saps = SapSettings { deploy: saps, kinds, ..SapSettings::default() };
    // The hosts here take their time; what is too late is tried elsewhere.
    let long = std::time::Duration::from_secs(30 * 24 * 3600);
    let deadlines = Deadlines { look: long, change: long, network: long, image: long };
    let instantiation_wait = long;
    Settings {
        build_images: true,
        start_concurrency: 2,
        saps,
        deadlines,
        instantiation_wait,
        ..Settings::default()
    }
}
