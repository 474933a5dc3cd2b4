//! What is written down, read back, and decided about.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use common::{Rig, push, run};
use llcm_lifecycle::journal::{InstanceRecord, Record, StepStatus};
use llcm_lifecycle::plan::ContainerPlan;
use llcm_lifecycle::recovery::decide::{Decision, Found, Known, Observed, decide};
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::step::{Site, Step, Steps, TakeDown};
use llcm_lifecycle::store::file::FileStore;
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::store::{Change, Contents, Store, StoreError};
use llcm_lifecycle::{Orchestrator, Parts};
use llcm_names::{EngineName, InstanceId, Owner};
use llcm_runtime::{ContainerState, ContainerView, EngineId, simulated};
use llcm_testkit::{demo_chain, every_step};

/// A run of a service with every kind of step, as a store sees it.
async fn a_run(rig: &Rig) -> (Arc<MemoryStore>, InstanceId, Observed) {
    let store = Arc::new(MemoryStore::default());
    let backend = simulated::backend(&rig.world, &rig.installation());
    let parts: Parts = rig.parts(backend.clone());
    let llcm = Orchestrator::open_with(parts, Arc::clone(&store) as Arc<dyn Store>).await.expect("it works");
    push(&llcm, &demo_chain()).await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    let listed = backend.containers().list_owned(&rig.installation()).await.expect("it works");
    let observed = Observed {
        containers: listed.into_iter().map(|view| (EngineId::new("sim"), view)).collect(),
        objects: backend.network().list_owned(&rig.installation()).await.expect("it works"),
    };
    llcm.shutdown(false).await.expect("it works");
    (store, instance.id, observed)
}

/// The changes that make an empty store hold the contents.
fn changes(contents: &Contents) -> Vec<Change> {
    let mut changes = vec![Change::PutCounters(contents.counters)];
    changes.extend(contents.services.values().map(|service| Change::PutService(Box::new(service.clone()))));
    changes.extend(contents.requests.values().map(|request| Change::PutRequest(Box::new(request.clone()))));
    for (id, journal) in &contents.journals {
        changes.extend(journal.iter().map(|record| Change::Append(*id, Box::new(record.clone()))));
    }
    changes
}

#[tokio::test]
async fn a_file_holds_what_memory_holds() {
    let rig = Rig::new();
    let (memory, instance, _) = a_run(&rig).await;
    let contents = memory.load_all().unwrap();
    assert!(contents.counters.round_robin > 0 && contents.journals[&instance].len() > 50);

    let path = rig.dir.path().join("other.redb");
    {
        let file = FileStore::open(&path).unwrap();
        assert_eq!(file.load_all().unwrap(), Contents::default());
        // One at a time, so that positions in the journal come from different transactions.
        for change in changes(&contents) {
            file.write(&[change]).unwrap();
        }
        assert_eq!(file.load_all().unwrap(), contents);
        assert!(matches!(FileStore::open(&path), Err(StoreError::InUse { .. })));
        assert!(FileStore::is_in_use(&path).unwrap());
    }
    assert!(!FileStore::is_in_use(&path).unwrap());
    assert!(!FileStore::is_in_use(&rig.dir.path().join("none.redb")).unwrap());
    let mut file = FileStore::open(&path).unwrap();
    file.compact().unwrap();
    assert_eq!(file.load_all().unwrap(), contents);

    let mut forget = vec![Change::Forget(instance)];
    forget.extend(contents.services.keys().map(|id| Change::RemoveService(*id)));
    forget.extend(contents.requests.keys().map(|id| Change::RemoveRequest(*id)));
    for store in [&file as &dyn Store, &*memory] {
        store.write(&forget).unwrap();
        assert_eq!(
            store.load_all().unwrap(),
            Contents { counters: contents.counters, ..Contents::default() }
        );
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_named_and_nothing_is_emptied() {
    let rig = Rig::new();
    let (memory, instance, _) = a_run(&rig).await;
    let path = rig.dir.path().join("other.redb");
    FileStore::open(&path).unwrap().write(&changes(&memory.load_all().unwrap())).unwrap();
    {
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let journal = redb::TableDefinition::<(u128, u64), &[u8]>::new("journal");
        let newer = br#"{"v":"2","value":{}}"#.as_slice();
        transaction.open_table(journal).unwrap().insert((instance.uuid().as_u128(), 3), newer).unwrap();
        transaction.commit().unwrap();
    }
    let error = FileStore::open(&path).unwrap().load_all().unwrap_err();
    assert!(error.to_string().contains(&format!("journal record of instance {instance}")), "{error}");
}

#[tokio::test]
async fn every_step_has_its_intent_first_and_is_undone_by_it() {
    let rig = Rig::new();
    let (memory, instance, _) = a_run(&rig).await;
    let journal = memory.load_all().unwrap().journals.remove(&instance).unwrap();
    let mut begun = Vec::new();
    for record in &journal {
        match record {
            Record::Intent { step } => begun.push(step.clone()),
            Record::Done { step } => assert!(begun.contains(step), "{step} was done without an intent"),
            _ => {}
        }
    }
    let record = InstanceRecord::fold(journal.clone()).unwrap();
    assert_eq!(record.begun, begun);
    assert_eq!(record.state, InstanceState::Running);
    assert!(record.steps.values().all(|status| *status == StepStatus::Done));
    let steps_of = |attach_first| {
        let site = |_: &ContainerPlan| Ok::<_, Infallible>(Site { attach_first, ..Site::default() });
        Steps::of(&record.planned.plan, site).unwrap()
    };
    let steps = steps_of(false);
    assert_eq!(steps.len(), begun.len());
    let place = |step: &Step| begun.iter().position(|it| it == step).unwrap();
    for chain in &steps.chains {
        let places: Vec<_> = chain.iter().map(place).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(steps.segments.iter().all(|segment| place(segment) < places[0]));
    }

    // Whatever prefix of the journal is on disk: it can be read, and everything begun is taken down.
    for length in 1..=journal.len() {
        let cut = InstanceRecord::fold(journal[..length].to_vec()).unwrap();
        let undo = TakeDown::of(cut.begun.iter());
        for step in &cut.begun {
            match step {
                Step::CreateContainer { container } => assert!(undo.containers.contains(container)),
                Step::EnsureSegment { .. } | Step::AttachPort { .. } | Step::AttachHostPort { .. } => {
                    assert!(undo.network);
                }
                Step::EnsureImage { .. }
                | Step::StartContainer { .. }
                | Step::NameManagement { .. }
                | Step::LaunchScript { .. } => {}
            }
        }
    }
    assert_eq!(InstanceRecord::fold(journal[1..].to_vec()), None, "a journal begins with its plan");
    // Where the engine makes namespaces first, interfaces are there before the start.
    for chain in steps_of(true).chains {
        assert!(matches!(chain.first(), Some(Step::CreateContainer { .. })));
        assert!(matches!(chain.last(), Some(Step::StartContainer { .. })));
    }
}

/// What its engine cannot read is there, as what it is.
#[tokio::test]
async fn a_damaged_container_is_kept() {
    let rig = Rig::new();
    let (memory, id, mut observed) = a_run(&rig).await;
    let journal = memory.load_all().unwrap().journals.remove(&id).unwrap();
    let planned = InstanceRecord::fold(journal).unwrap().planned;
    let known = Known {
        state: InstanceState::Running,
        plan: planned.plan,
        engines: planned.engines,
        chains: BTreeSet::new(),
        to_be_terminated: false,
    };
    observed.containers[0].1.state = ContainerState::Damaged;
    let decisions = decide(&BTreeMap::from([(id, known)]), &observed);
    let [Decision::Keep { found, .. }] = &decisions[..] else { panic!("{decisions:?}") };
    assert_eq!(found.containers[&observed.containers[0].1.name].0, ContainerState::Damaged);
}

#[tokio::test]
async fn decisions_after_a_restart() {
    let rig = Rig::new();
    let (memory, id, observed) = a_run(&rig).await;
    let journal = memory.load_all().unwrap().journals.remove(&id).unwrap();
    let record = InstanceRecord::fold(journal).unwrap();
    let plan = &record.planned.plan;
    let run = |view: &ContainerView| view.attach.as_ref().and_then(|point| point.run.clone());
    let seen: BTreeMap<_, _> =
        observed.containers.iter().map(|(_, view)| (view.name.clone(), (view.state, run(view)))).collect();
    // What was written down when they were started is what is seen.
    let written = record.containers.iter().map(|(name, it)| (name.clone(), (it.state, it.run.clone())));
    assert_eq!(written.collect::<BTreeMap<_, _>>(), seen);
    let engines = record.planned.engines.clone();
    assert_eq!(engines.values().map(|engine| engine.0.as_str()).collect::<Vec<_>>(), ["sim", "sim"]);
    let known = |state, to_be_terminated| {
        let (plan, engines, chains) = (Arc::clone(plan), engines.clone(), BTreeSet::new());
        BTreeMap::from([(id, Known { state, plan, engines, chains, to_be_terminated })])
    };
    let found = Found { containers: seen.clone(), ..Found::default() };
    let keep = || Decision::Keep { instance: id, found: found.clone() };
    let take_down = Decision::TakeDown { instance: id };

    for state in [InstanceState::Running, InstanceState::Degraded] {
        assert_eq!(decide(&known(state, false), &observed), [keep()]);
        assert_eq!(decide(&known(state, true), &observed), std::slice::from_ref(&take_down));
    }
    for state in [
        InstanceState::Planned,
        InstanceState::Creating,
        InstanceState::Unwinding,
        InstanceState::Terminating,
        InstanceState::Stuck,
    ] {
        assert_eq!(decide(&known(state, false), &observed), std::slice::from_ref(&take_down), "{state:?}");
    }

    // Of what is gone, or never was known, everything that carries our mark is removed.
    let all = seen.keys().map(|name| (EngineId::new("sim"), name.clone())).collect();
    let strays = Decision::Remove { owner: plan.owner.clone(), containers: all };
    let gone = decide(&known(InstanceState::Terminated, false), &observed);
    assert_eq!(gone, [Decision::Forget { instance: id }, strays.clone()]);
    assert_eq!(decide(&known(InstanceState::Failed, false), &observed), std::slice::from_ref(&strays));
    assert_eq!(decide(&BTreeMap::new(), &observed), [strays]);
    assert_eq!(decide(&BTreeMap::new(), &Observed::default()), []);

    // Somebody else's, and what has no mark, is not ours to remove.
    let mut foreign = observed.clone();
    foreign.objects.clear();
    foreign.containers.truncate(1);
    foreign.containers[0].1.owner = None;
    assert_eq!(decide(&BTreeMap::new(), &foreign), []);

    // What is missing is named: a container, an interface, a link.
    let mut less = observed.clone();
    less.objects.remove(0);
    less.objects.pop();
    let [Decision::Keep { found, .. }] = &decide(&known(InstanceState::Running, false), &less)[..] else {
        panic!("it is kept")
    };
    assert_eq!((found.unplugged.len(), found.lost.len()), (1, 1), "{found:?}");
    // That the interfaces of one that does not run are gone goes without saying.
    for (_, view) in &mut less.containers {
        view.state = ContainerState::Exited { code: None };
    }
    let [Decision::Keep { found, .. }] = &decide(&known(InstanceState::Running, false), &less)[..] else {
        panic!("it is kept")
    };
    assert_eq!((found.unplugged.len(), found.lost.len()), (0, 1), "{found:?}");

    // In another engine than that of its data center a container cannot be worked with.
    let mut moved = observed.clone();
    moved.containers[0].0 = EngineId::new("other");
    let [Decision::Keep { found, .. }] = &decide(&known(InstanceState::Running, false), &moved)[..] else {
        panic!("it is kept")
    };
    assert!(!found.containers.contains_key(&moved.containers[0].1.name), "{found:?}");
    assert_eq!(found.containers.len(), seen.len() - 1);

    // The same name under another owner is not our container.
    let mut stolen = observed.clone();
    let other = Owner { instance: InstanceId::new(uuid::Uuid::from_u128(7)), ..plan.owner.clone() };
    stolen.containers[0].1.owner = Some(other.clone());
    let name: (EngineId, EngineName) = (EngineId::new("sim"), stolen.containers[0].1.name.clone());
    let decisions = decide(&known(InstanceState::Running, false), &stolen);
    let [Decision::Keep { found, .. }, Decision::Remove { owner, containers }] = &decisions[..] else {
        panic!("{decisions:?}")
    };
    let missing = seen.len() - found.containers.len();
    assert_eq!((missing, owner, containers.as_slice()), (1, &other, [name].as_slice()));
}
