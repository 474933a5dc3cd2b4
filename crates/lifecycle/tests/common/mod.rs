//! A life-cycle manager on a simulated host, with a clock that ticks and ids that count.
#![expect(dead_code, reason = "every test program uses its own part of this")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use llcm_lifecycle::installation::installation_id;
use llcm_lifecycle::request::{InstanceView, RequestView, ServiceRef, ServiceView, Upload};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{
    Backoff, Clock, Dialect, IdSource, LifecycleError, Orchestrator, Parts, Settings, Timestamp,
};
use llcm_names::{InstallationId, InstanceId, PackageHash};
use llcm_runtime::Backend;
use llcm_runtime::simulated::{self, World};
use llcm_testkit::PackageBuilder;
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) mod late;
pub(crate) mod twice;
pub(crate) mod two;

/// What is stuck stays so until somebody asks for its end: a test that looks at it in between takes its time.
pub(crate) fn retried_on_request() -> Settings {
    let hour = Duration::from_secs(3600);
    Settings { retry: Backoff { first: hour, longest: hour }, ..Settings::default() }
}

/// Every look at it is a millisecond later.
#[derive(Debug, Default)]
pub(crate) struct TickingClock(AtomicU64);

impl Clock for TickingClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// 1, 2, 3, ... with a prefix per source.
#[derive(Debug)]
pub(crate) struct CountingIds {
    prefix: u64,
    next: AtomicU64,
}

impl CountingIds {
    pub(crate) fn new(prefix: u64) -> Self {
        Self { prefix, next: AtomicU64::new(1) }
    }
}

impl IdSource for CountingIds {
    fn uuid(&self) -> Uuid {
        // The count stands in the first digits, too: names are qualified with those.
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u64_pair((count << 32) | self.prefix, count)
    }
}

/// A data directory on a simulated host.
pub(crate) struct Rig {
    pub(crate) dir: TempDir,
    pub(crate) world: Arc<World>,
    pub(crate) settings: Settings,
    starts: AtomicU64,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { dir, world: World::new(), settings, starts: AtomicU64::new(1) }
    }

    pub(crate) fn installation(&self) -> InstallationId {
        installation_id(self.dir.path(), &CountingIds::new(0)).expect("an installation id")
    }

    pub(crate) async fn open(&self) -> Arc<Orchestrator> {
        self.open_on(simulated::backend(&self.world, &self.installation())).await.expect("it opens")
    }

    /// As [`Rig::open`], with the records in memory: for tests that make hundreds of instances.
    pub(crate) async fn open_quick(&self) -> Arc<Orchestrator> {
        let backend = simulated::backend(&self.world, &self.installation());
        Orchestrator::open_with(self.parts(backend), Arc::new(MemoryStore::default()))
            .await
            .expect("it opens")
    }

    pub(crate) async fn open_on(&self, backend: Backend) -> Result<Arc<Orchestrator>, LifecycleError> {
        Orchestrator::open(self.parts(backend)).await
    }

    pub(crate) fn parts(&self, backend: Backend) -> Parts {
        // Ids of different starts differ, as those of a real source do.
        let start = self.starts.fetch_add(1, Ordering::Relaxed);
        Parts {
            data_dir: self.dir.path().to_owned(),
            settings: self.settings.clone(),
            topology: llcm_topology::default_topology(),
            backend,
            placement: None,
            clock: Arc::new(TickingClock::default()),
            ids: Arc::new(CountingIds::new(start)),
        }
    }

    /// The names in a directory of the data directory.
    pub(crate) fn list(&self, dir: &str) -> Vec<String> {
        list(&self.dir.path().join(dir))
    }
}

pub(crate) fn list(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("the directory is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub(crate) fn upload(llcm: &Orchestrator, bytes: &[u8]) -> Upload {
    let mut file = llcm.staging_file().expect("a staging file");
    file.write_all(bytes).expect("written");
    let digest = llcm_packaging::Sha1Reader::new(bytes).finish().expect("hashed").1;
    Upload { file, size: bytes.len() as u64, sha1: PackageHash::parse(&digest).expect("a digest") }
}

pub(crate) async fn push_bytes(
    llcm: &Arc<Orchestrator>,
    bytes: &[u8],
) -> Result<ServiceView, LifecycleError> {
    llcm.onboard(upload(llcm, bytes), Dialect::Tango).await
}

pub(crate) async fn push(llcm: &Arc<Orchestrator>, package: &PackageBuilder) -> ServiceView {
    push_bytes(llcm, &package.build())
        .await
        .unwrap_or_else(|error| panic!("{error}: {:?}", error.diagnostics))
}

/// Instantiates the service and waits for the outcome.
pub(crate) async fn up(
    llcm: &Arc<Orchestrator>,
    service: &ServiceView,
) -> (InstanceId, Result<RequestView, LifecycleError>) {
    let request = llcm.instantiate(&ServiceRef::Given(service.id.to_string())).await.expect("it is planned");
    (request.instance_id, llcm.wait(request.id).await)
}

/// Instantiates the service, which is to succeed.
pub(crate) async fn run(llcm: &Arc<Orchestrator>, service: &ServiceView) -> InstanceView {
    let (id, outcome) = up(llcm, service).await;
    outcome.expect("it runs");
    view(llcm, id).expect("it is there")
}

/// Terminates the instance and waits for the outcome.
pub(crate) async fn down(llcm: &Arc<Orchestrator>, id: InstanceId) -> Result<RequestView, LifecycleError> {
    let request = llcm.terminate(id).await?;
    llcm.wait(request.id).await
}

pub(crate) fn view(llcm: &Orchestrator, id: InstanceId) -> Option<InstanceView> {
    llcm.instances(true).into_iter().find(|instance| instance.id == id)
}

/// Panics when one of the texts stands there twice.
pub(crate) fn all_different(what: &str, texts: impl IntoIterator<Item = String>) {
    let mut seen = BTreeSet::new();
    for text in texts {
        assert!(seen.insert(text.clone()), "{what} {text} is there twice");
    }
}
