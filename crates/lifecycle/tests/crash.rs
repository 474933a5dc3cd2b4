//! Killed at any moment: the next server has everything that was promised, and nothing else.
//!
//! `LLCM_CRASH_PAIRS=1` tries every moment of every start after every moment (minutes); usual is every 37th.

#![expect(clippy::print_stdout, reason = "how much was tried is worth to be seen")]

mod common;
mod crash_common;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crash_common::ledger::{Client, Ledger};
use crash_common::scenario::{BUILT, EVERY};
use crash_common::{Moment, Recording, check, life, setting};
use llcm_lifecycle::store::Store;
use llcm_lifecycle::store::file::{FILE, FileStore};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_runtime::simulated::{Fault, Operation};

/// Uploads, instances with every kind of step, one that fails, one that is called off, one that gets stuck, removals,
/// and the end.
async fn everything(client: &Client) {
    let every = client.push(&EVERY).await.expect("on-boarded").id;
    let chain = client.push(&BUILT).await.expect("on-boarded").id;
    let first = client.up(every).await;
    let other = client.up(chain).await;
    let second = client.up(every).await;
    assert!(client.down(first).await);

    client.world.add_fault(Fault::fail(Operation::Attach).on_call(5).after());
    client.up(every).await;
    client.world.clear_faults();

    let unwanted = client.begin(every).await.expect("planned");
    assert!(client.down(unwanted).await);
    assert!(!client.made(unwanted).await, "called off");

    assert!(client.down(other).await);
    client.remove(chain).await.expect("removed");

    client.world.add_fault(Fault::fail(Operation::Remove).target("mn.core.*").always());
    assert!(!client.down(second).await, "stuck");
    client.world.clear_faults();
    assert!(client.down(second).await);
    client.remove(every).await.expect("removed");
    // Which takes the data centers down and has nothing else to do.
    client.llcm.shutdown(true).await.expect("it ends");
}

/// All moments of a run, and what is others' in its world.
fn moments(gather: usize, in_file: bool, saps: bool, wanted: fn(usize) -> bool) -> Vec<Moment> {
    let settings = check::settings(saps);
    let world = life::host();
    let dir = crash_common::directory();
    let runtime = life::runtime();
    runtime.block_on(async {
        let store: Arc<dyn Store> = if in_file {
            Arc::new(FileStore::open(&dir.path().join(FILE)).expect("it opens"))
        } else {
            Arc::new(MemoryStore::default())
        };
        let recording = Recording { gather, in_file, wanted: Box::new(wanted) };
        let life = life::start(
            dir.path(),
            &world,
            store,
            &settings,
            recording,
            Ledger { saps, ..Ledger::default() },
        )
        .await;
        everything(&life.client).await;
        println!("{} moments", life.recorder.seen());
        life.recorder.take()
    })
}

/// Starts the next server, checks everything, and returns moments of its start.
fn killed_at(
    moment: &Moment,
    path: &str,
    gather: usize,
    wanted: impl Fn(usize) -> bool + Send + Sync + 'static,
) -> Vec<Moment> {
    let in_file = moment.store.is_none();
    let before = life::foreign(&moment.world, &life::installation(moment.dir.path()));
    let recording = Recording { gather, in_file, wanted: Box::new(wanted) };
    let tried = std::panic::catch_unwind(AssertUnwindSafe(|| {
        life::next(moment, &check::settings(moment.ledger.saps), recording, async |life, dir| {
            check::all(life, dir, &before).await;
        })
    }));
    match tried {
        Ok(((), moments)) => moments,
        Err(panic) => {
            println!("killed at {path}{}", moment.what);
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn killed_at_every_moment() {
    // Every record a transaction of its own, and as many together as there are.
    for (gather, saps) in [(1, false), (512, true)] {
        let moments = moments(gather, false, saps, |_| true);
        assert!(moments.len() > 300, "{}", moments.len());
        for moment in &moments {
            killed_at(moment, "", gather, |_| false);
        }
    }
}

#[test]
fn killed_again_at_every_moment_of_the_start() {
    let every = setting("LLCM_CRASH_PAIRS", 37).max(1);
    let (mut pairs, mut tried) = (0_usize, 0_usize);
    for (number, moment) in moments(1, false, false, |_| true).into_iter().enumerate() {
        if number % 50 == 0 {
            println!("moment {number}: {tried} pairs so far");
        }
        let first = pairs;
        let again = killed_at(&moment, "", 1, move |number| (first + number) % every == 0);
        pairs += count(&moment);
        for second in again {
            tried += 1;
            killed_at(&second, &format!("{}, then at ", moment.what), 1, |_| false);
        }
    }
    println!("{tried} of {pairs} pairs");
    assert!(tried >= pairs / every, "{tried} of {pairs}");
}

/// How many moments the start after a moment has.
fn count(moment: &Moment) -> usize {
    let in_file = moment.store.is_none();
    let recording = Recording { gather: 1, in_file, wanted: Box::new(|_| false) };
    life::next(moment, &check::settings(moment.ledger.saps), recording, async |life, _| life.recorder.seen())
        .0
}

#[test]
fn killed_at_moments_with_the_store_in_a_file() {
    let moments = moments(1, true, true, |number| number % 13 == 3);
    assert!(moments.len() > 30, "{}", moments.len());
    for moment in &moments {
        for second in killed_at(moment, "", 1, |number| number % 23 == 5) {
            killed_at(&second, &format!("{}, then at ", moment.what), 1, |_| false);
        }
    }
}
