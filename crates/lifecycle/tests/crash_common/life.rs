//! Lives of servers: on a new host, or on what a killed one has left.

use std::path::Path;
use std::sync::{Arc, Mutex};

use llcm_lifecycle::installation::installation_id;
use llcm_lifecycle::store::Store;
use llcm_lifecycle::store::file::{FILE, FileStore};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{Orchestrator, Parts, Settings};
use llcm_names::{EngineName, InstallationId};
use llcm_runtime::simulated::{self, Observer, World};
use llcm_testkit::demo_chain;

use super::ledger::{Client, Ledger, Part};
use super::{Moment, Recorder, Recording, copy};
use crate::common::{CountingIds, TickingClock, push, run};

/// Time stands still while anything can be done without it, so that the order of things is that of the seeds.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

fn parts(dir: &Path, world: &Arc<World>, settings: &Settings) -> Parts {
    // Ids of different lives differ, as those of a real source do, and are the same when all is done again.
    let lives = dir.join("lives");
    let count = std::fs::read_to_string(&lives).map_or(1, |text| text.parse::<u64>().expect("a number") + 1);
    std::fs::write(&lives, count.to_string()).expect("written");
    let ids = Arc::new(CountingIds::new(count));
    let installation = installation(dir);
    Parts {
        data_dir: dir.to_owned(),
        settings: settings.clone(),
        topology: llcm_topology::default_topology(),
        backend: simulated::backend(world, &installation),
        placement: None,
        clock: Arc::new(TickingClock::default()),
        ids,
    }
}

pub(crate) fn installation(dir: &Path) -> InstallationId {
    installation_id(dir, &CountingIds::new(0)).expect("an installation id")
}

/// A host with somebody else's container, and another installation with a running instance.
pub(crate) fn host() -> Arc<World> {
    let world = World::new();
    world.add_foreign(&EngineName::parse("postgres").expect("a name"), "postgres:17");
    runtime().block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("installation"), "0a11e500\n").expect("written");
        let parts = parts(dir.path(), &world, &Settings::default());
        let llcm = Orchestrator::open_with(parts, Arc::new(MemoryStore::default())).await.expect("it opens");
        let package = ["0", "1", "2"]
            .iter()
            .fold(demo_chain(), |package, n| package.replace(&format!("vnf{n}"), &format!("alien{n}")));
        let service = push(&llcm, &package).await;
        run(&llcm, &service).await;
        llcm.shutdown(false).await.expect("it ends");
    });
    world
}

/// What is not this installation's.
pub(crate) fn foreign(world: &World, ours: &InstallationId) -> (Part, usize) {
    let mut snapshot = world.snapshot();
    snapshot.containers.retain(|it| it.owner.as_ref().is_none_or(|owner| owner.installation != *ours));
    snapshot.ports.retain(|it| it.spec.owner.installation != *ours);
    snapshot.segments.retain(|it| it.owner.installation != *ours);
    let unmarked = snapshot.containers.iter().filter(|it| it.owner.is_none()).count();
    (Part::of(snapshot, |_| true), unmarked)
}

/// A server with a recorder at its side.
pub(crate) struct Life {
    pub(crate) client: Client,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) store: Arc<dyn Store>,
}

/// Starts a server in a directory.
pub(crate) async fn start(
    dir: &Path,
    world: &Arc<World>,
    store: Arc<dyn Store>,
    settings: &Settings,
    recording: Recording,
    ledger: Ledger,
) -> Life {
    let ledger = Arc::new(Mutex::new(ledger));
    let recorder = Recorder::new(Arc::clone(&store), recording, world, dir, &ledger);
    world.observe(Some(Arc::clone(&recorder) as Arc<dyn Observer>));
    let recorded = Arc::clone(&recorder) as Arc<dyn Store>;
    let llcm = Orchestrator::open_with(parts(dir, world, settings), recorded).await.expect("it opens");
    Life { client: Client { llcm, world: Arc::clone(world), ledger }, recorder, store }
}

/// What `then` makes of the next server on what a kill has left, and the kept moments of its start.
pub(crate) fn next<T>(
    moment: &Moment,
    settings: &Settings,
    recording: Recording,
    then: impl AsyncFnOnce(&Life, &Path) -> T,
) -> (T, Vec<Moment>) {
    let (world, dir) = (moment.world.fork(), copy(moment.dir.path()));
    world.clear_faults();
    let runtime = runtime();
    let result = runtime.block_on(async {
        let store: Arc<dyn Store> = match &moment.store {
            Some(contents) => Arc::new(MemoryStore::from(contents.clone())),
            None => Arc::new(FileStore::open(&dir.path().join(FILE)).expect("the store opens")),
        };
        let life = start(dir.path(), &world, store, settings, recording, moment.ledger.clone()).await;
        world.observe(None);
        let moments = life.recorder.take();
        (then(&life, dir.path()).await, moments)
    });
    runtime.shutdown_background();
    result
}
