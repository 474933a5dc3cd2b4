//! Several clients at once on a host that takes its time and fails now and then, killed at moments of it. What
//! they do and how long things take is the seed's; seeds are printed.
//!
//! `LLCM_CRASH_SEEDS=200` tries so many seeds; usual is a handful.

mod common;
mod crash_common;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use crash_common::ledger::{Client, Ledger};
use crash_common::scenario::{BUILT, CHAIN, EVERY};
use crash_common::{Moment, Recording, check, life, setting};
use futures_util::future::join_all;
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_names::ServiceId;
use llcm_runtime::simulated::{Fault, Latency, Operation, Script};
use llcm_testkit::Lots;

const OPERATIONS: [Operation; 15] = [
    Operation::Taken,
    Operation::Check,
    Operation::EnsureImage,
    Operation::BuildImage,
    Operation::EnsureSegment,
    Operation::Create,
    Operation::Start,
    Operation::Attach,
    Operation::Exec,
    Operation::Remove,
    Operation::RemoveInstance,
    Operation::ListContainers,
    Operation::ListNetwork,
    Operation::Prepare,
    Operation::Teardown,
];

fn host(dice: &mut Lots) -> Script {
    let mut script = Script { seed: dice.draw(), ..Script::default() };
    for operation in OPERATIONS {
        // The clock goes by milliseconds: hardly ever do two things happen at the same time, so that their order is
        // the seed's.
        let fixed = Duration::from_millis(2000 + dice.below(40_000));
        script = script.taking(operation, Latency { fixed, jitter: fixed / 2 });
    }
    for operation in [Operation::Attach, Operation::Create, Operation::Remove, Operation::ListNetwork] {
        let fault = Fault::fail(operation).on_call(1 + dice.below(40));
        script = script.with(if dice.below(2) == 0 { fault } else { fault.after() });
    }
    script
}

/// One client: works with what is its own, and with services that are everybody's.
async fn work(client: Client, shared: Vec<ServiceId>, mut dice: Lots) {
    let (mut services, mut instances) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(dice.below(400_000))).await;
        match dice.below(8) {
            0 => services.extend(client.push(&BUILT).await.ok().map(|service| service.id)),
            1 if !services.is_empty() => {
                // Refused while it has instances.
                let _ = client.remove(services[0]).await;
            }
            2 | 3 if !instances.is_empty() => {
                let index = dice.pick(instances.len());
                client.down(instances[index]).await;
            }
            other => {
                let all: Vec<_> = shared.iter().chain(&services).copied().collect();
                let index = dice.pick(all.len());
                // What it was to be made of may have gone.
                let Ok(id) = client.begin(all[index]).await else { continue };
                instances.push(id);
                if other > 4 {
                    client.made(id).await;
                }
            }
        }
    }
}

/// The moments that are kept of a seed's run, and what all of them were.
fn moments(seed: u64) -> (Vec<Moment>, usize) {
    let saps = seed % 2 == 1;
    let settings = check::settings(saps);
    let world = life::host();
    let dir = crash_common::directory();
    let runtime = life::runtime();
    let result = runtime.block_on(async {
        let mut dice = Lots::new(seed);
        let keep = dice.draw();
        // One in twenty, at places of the seed's.
        let wanted = Box::new(move |number| Lots::new(keep ^ number as u64).below(20) == 0);
        let recording = Recording { gather: 1 + dice.pick(8), in_file: false, wanted };
        let store = Arc::new(MemoryStore::default());
        let life = life::start(
            dir.path(),
            &world,
            store,
            &settings,
            recording,
            Ledger { saps, ..Ledger::default() },
        )
        .await;
        let mut shared = Vec::new();
        for package in [&*EVERY, &*CHAIN] {
            shared.push(life.client.push(package).await.expect("on-boarded").id);
        }
        world.set_script(host(&mut dice));
        let clients = (0..3).map(|_| tokio::spawn(work(life.client.clone(), shared.clone(), dice.split())));
        for ended in join_all(clients.collect::<Vec<_>>()).await {
            ended.expect("no client panics");
        }
        (life.recorder.take(), life.recorder.seen())
    });
    runtime.shutdown_background();
    result
}

#[test]
fn killed_while_several_clients_are_served() {
    let seeds = setting("LLCM_CRASH_SEEDS", 6) as u64;
    let mut tried = 0;
    for seed in 0..seeds {
        let (moments, seen) = moments(seed);
        println!("seed {seed}: {} of {seen} moments", moments.len());
        for moment in moments {
            let before = life::foreign(&moment.world, &life::installation(moment.dir.path()));
            let recording = Recording { gather: 512, in_file: false, wanted: Box::new(|_| false) };
            let all = std::panic::catch_unwind(AssertUnwindSafe(|| {
                life::next(&moment, &check::settings(moment.ledger.saps), recording, async |life, dir| {
                    check::all(life, dir, &before).await;
                });
            }));
            if let Err(panic) = all {
                println!("seed {seed}, killed at {}", moment.what);
                std::panic::resume_unwind(panic);
            }
            tried += 1;
        }
    }
    assert!(tried > 10 * seeds, "{tried}");
}

/// The kinds of things that happen at the moments that were kept.
fn kinds(moments: &[Moment]) -> BTreeSet<String> {
    // `30: Before BuildImage vnf0.vdu01`
    moments.iter().filter_map(|moment| moment.what.split(' ').nth(2).map(str::to_owned)).collect()
}

/// What clients do is the seed's. What threads do at one and the same moment of the clock is not: planning and
/// unpacking may end in either order, and what is written together differs then.
#[test]
fn a_seed_is_a_load() {
    for seed in [3, 1_000_003] {
        let ((one, seen), (other, also)) = (moments(seed), moments(seed));
        assert!(seen.abs_diff(also) <= seen / 10, "{seen} moments, then {also}");
        assert!(
            kinds(&one).intersection(&kinds(&other)).count() > 5,
            "{:?} {:?}",
            kinds(&one),
            kinds(&other)
        );
    }
}
