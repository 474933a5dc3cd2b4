//! Killed while links and data centers are being changed: the next server has a change whole or not at all, and the
//! host is as its record says.

mod common;
#[expect(dead_code, reason = "only moments and lives are used here")]
mod crash_common;

use std::sync::{Arc, Mutex};

use crash_common::ledger::Ledger;
use crash_common::scenario::CHAIN;
use crash_common::{Recording, life};
use llcm_lifecycle::Settings;
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::store::Store;
use llcm_lifecycle::store::file::{FILE, FileStore};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_names::DcName;
use llcm_topology::{Change, LinkChange, Topology, load_datacenter, load_link};

/// What is changed, one after the other.
fn changes(topology: &Topology, number: usize) -> Option<Change> {
    let link = |change| Change::Link { name: "dc1-dc2".to_owned(), change };
    let dc3 = DcName::parse("dc3").expect("a name");
    let list = [
        link(LinkChange { up: Some(false), ..LinkChange::default() }),
        link(LinkChange { delay_us: Some(5_000), ..LinkChange::default() }),
        Change::AddDatacenter(load_datacenter(b"dc3").0.expect("a data center")),
        Change::AddLink(load_link(b"[dc2, dc1]", topology).0.expect("a link")),
        Change::RemoveDatacenter { name: dc3 },
        Change::RemoveLink { name: "dc1-dc2".to_owned() },
        Change::RemoveLink { name: "dc2-dc1".to_owned() },
    ];
    list.into_iter().nth(number)
}

#[test]
fn a_change_is_whole_or_not_there() {
    for in_file in [false, true] {
        let mut states = Vec::new();
        let (moments, promised) = record(in_file, &mut states);
        // Before and after both the call and the record of each of seven changes.
        assert_eq!(moments.len(), 28);
        let mut seen = std::collections::BTreeSet::new();
        for (moment, promised) in moments.iter().zip(promised) {
            let recording = Recording { gather: 1, in_file, wanted: Box::new(|_| false) };
            let ((), _) = life::next(moment, &Settings::default(), recording, async |life, dir| {
                let (llcm, world) = (&life.client.llcm, &life.client.world);
                let topology = llcm.topology();
                let found = states.iter().position(|state| *state == *topology);
                let found = found.unwrap_or_else(|| panic!("{}: none of the states", moment.what));
                // What was acknowledged is there; what was under way may be.
                assert!(found == promised || found == promised + 1, "{}: {found}", moment.what);
                seen.insert(found);
                let on_host = world.topology(&life::installation(dir));
                assert_eq!(on_host.as_ref(), Some(&*topology), "{}", moment.what);
                let all = llcm.instances(false);
                assert!(all.len() == 1 && all[0].state == InstanceState::Running, "{}", moment.what);
                // And it goes on from here.
                if let Some(change) = changes(&topology, found) {
                    let next = llcm.change_topology(vec![change]).await.expect("it is changed");
                    assert_eq!(*next, states[found + 1], "{}", moment.what);
                    assert_eq!(world.topology(&life::installation(dir)).as_ref(), Some(&*next));
                }
            });
        }
        assert_eq!(seen.len(), states.len(), "every state was found");
    }
}

/// All moments of a run of changes, with how many had been acknowledged at each, and the states that they lead to.
fn record(in_file: bool, states: &mut Vec<Topology>) -> (Vec<crash_common::Moment>, Vec<usize>) {
    let world = llcm_runtime::simulated::World::new();
    let dir = crash_common::directory();
    let acknowledged = Arc::new(Mutex::new((0_usize, false, Vec::new())));
    let noted = Arc::clone(&acknowledged);
    life::runtime().block_on(async {
        let store: Arc<dyn Store> = if in_file {
            Arc::new(FileStore::open(&dir.path().join(FILE)).expect("it opens"))
        } else {
            Arc::new(MemoryStore::default())
        };
        let wanted = move |_| {
            let mut noted = noted.lock().expect("nobody has panicked");
            let (count, begun) = (noted.0, noted.1);
            if begun {
                noted.2.push(count);
            }
            begun
        };
        let recording = Recording { gather: 1, in_file, wanted: Box::new(wanted) };
        let life =
            life::start(dir.path(), &world, store, &Settings::default(), recording, Ledger::default()).await;
        let client = &life.client;
        let service = client.push(&CHAIN).await.expect("on-boarded").id;
        client.up(service).await;
        acknowledged.lock().expect("nobody has panicked").1 = true;
        states.push(Topology::clone(&client.llcm.topology()));
        while let Some(change) = changes(&client.llcm.topology(), states.len() - 1) {
            let next = client.llcm.change_topology(vec![change]).await.expect("it is changed");
            states.push(Topology::clone(&next));
            acknowledged.lock().expect("nobody has panicked").0 += 1;
        }
        let kept = life.recorder.take();
        let counts = std::mem::take(&mut acknowledged.lock().expect("nobody has panicked").2);
        (kept, counts)
    })
}
