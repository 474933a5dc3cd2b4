//! A disk that fails at any write, and a driver that panics: nothing is left, nobody waits for ever.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use common::{Rig, push, upload};
use llcm_lifecycle::journal::Record;
use llcm_lifecycle::request::ServiceRef;
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::store::{Change, Contents, Store, StoreError};
use llcm_lifecycle::{Dialect, ErrorCode, Orchestrator, Settings};
use llcm_names::{DcName, InstallationId, Owner, PortId, SegmentId};
use llcm_runtime::simulated::{self, SimulatedContainers, SimulatedNetwork};
use llcm_runtime::{
    AttachPoint, Backend, DriverResult, LinkView, Needs, NetworkDriver, NetworkObject, PortSpec, PortView,
    PrepareReport, SegmentSpec,
};
use llcm_testkit::every_step;
use llcm_topology::Topology;

/// Fails the nth write from now that somebody waits for, and before it all that nobody waits for; 0: none.
#[derive(Default)]
struct FailingStore {
    inner: MemoryStore,
    fail_in: AtomicU64,
}

impl Store for FailingStore {
    fn load_all(&self) -> Result<Contents, StoreError> {
        self.inner.load_all()
    }

    fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        // How much goes into one transaction is a matter of moments: only what is waited for is counted.
        let waited_for = u64::from(!changes.iter().all(saves_work_only));
        let count = |n: u64| Some(n.saturating_sub(waited_for));
        if self.fail_in.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count) == Ok(1) {
            let reason = "no space left on device".to_owned();
            return Err(StoreError::Io { operation: "write", path: "store.redb".to_owned(), reason });
        }
        self.inner.write(changes)
    }
}

/// Whether a change is one that no operation depends on.
fn saves_work_only(change: &Change) -> bool {
    let Change::Append(_, record) = change else { return false };
    matches!(**record, Record::Done { .. } | Record::Failed { .. } | Record::Script { .. })
}

async fn open(rig: &Rig, store: &Arc<FailingStore>) -> Arc<Orchestrator> {
    let backend = simulated::backend(&rig.world, &rig.installation());
    Orchestrator::open_with(rig.parts(backend), Arc::clone(store) as Arc<dyn Store>).await.expect("it opens")
}

#[tokio::test]
async fn a_disk_that_is_full_at_any_write_leaves_nothing() {
    let mut failures = 0;
    for nth in 1.. {
        assert!(nth < 200, "it ends");
        let rig = Rig::with(Settings { start_concurrency: 1, ..Settings::default() });
        let store = Arc::new(FailingStore::default());
        let llcm = open(&rig, &store).await;
        let service = push(&llcm, &every_step()).await;
        store.fail_in.store(nth, Ordering::SeqCst);
        let outcome = match llcm.instantiate(&ServiceRef::Latest).await {
            Ok(request) => llcm.wait(request.id).await,
            Err(error) => {
                assert!(llcm.instances(true).is_empty() && llcm.requests().is_empty());
                Err(error)
            }
        };
        let failed = outcome.is_err();
        if let Err(error) = outcome {
            assert_eq!(error.code, ErrorCode::StoreFailed, "{error}");
            assert!(error.message.contains("no space left on device"), "{error}");
            assert!(rig.world.is_empty(), "write {nth}: {:?}", rig.world.snapshot());
            assert!(llcm.instances(false).is_empty());
        }
        let armed = store.fail_in.swap(0, Ordering::SeqCst) > 0;
        if !failed {
            for instance in llcm.instances(false) {
                common::down(&llcm, instance.id).await.unwrap();
            }
        }
        llcm.remove_service(service.id).await.unwrap();
        llcm.shutdown(false).await.unwrap();
        let contents = store.load_all().unwrap();
        assert!(contents.services.is_empty());
        assert!(contents.journals.is_empty() || failed, "{:?}", contents.journals);

        // The next start has nothing to do.
        let again = open(&rig, &store).await;
        assert!(again.instances(false).is_empty() && rig.world.is_empty());
        failures += u64::from(failed);
        if armed {
            break;
        }
    }
    // What many write at once goes into one transaction, so there are fewer than there are steps.
    assert!(failures >= 6, "{failures}");
}

#[tokio::test]
async fn an_upload_that_cannot_be_recorded_leaves_nothing() {
    let (rig, store) = (Rig::new(), Arc::new(FailingStore::default()));
    let llcm = open(&rig, &store).await;
    store.fail_in.store(1, Ordering::SeqCst);
    let error = llcm.onboard(upload(&llcm, &every_step().build()), Dialect::Tango).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreFailed);
    assert!(llcm.services().is_empty());
    assert_eq!((rig.list("packages").len(), rig.list("staging").len()), (0, 0));
    push(&llcm, &every_step()).await;
}

/// A network driver with a mistake in `attach`.
struct Panicking(SimulatedNetwork);

#[async_trait]
impl NetworkDriver for Panicking {
    fn needs(&self) -> Needs {
        self.0.needs()
    }

    async fn prepare(&self, topology: &Topology) -> DriverResult<PrepareReport> {
        self.0.prepare(topology).await
    }

    async fn ensure_segment(&self, spec: &SegmentSpec) -> DriverResult<()> {
        self.0.ensure_segment(spec).await
    }

    async fn attach(&self, spec: &PortSpec, point: &AttachPoint) -> DriverResult<PortView> {
        self.0.attach(spec, point).await?;
        panic!("index out of bounds");
    }

    async fn detach(&self, owner: &Owner, datacenter: &DcName, port: PortId) -> DriverResult<()> {
        self.0.detach(owner, datacenter, port).await
    }

    async fn set_port(&self, owner: &Owner, datacenter: &DcName, port: PortId, up: bool) -> DriverResult<()> {
        self.0.set_port(owner, datacenter, port, up).await
    }

    async fn remove_segment(&self, owner: &Owner, segment: SegmentId) -> DriverResult<()> {
        self.0.remove_segment(owner, segment).await
    }

    async fn list_owned(&self, installation: &InstallationId) -> DriverResult<Vec<NetworkObject>> {
        self.0.list_owned(installation).await
    }

    async fn links(&self) -> DriverResult<Vec<LinkView>> {
        self.0.links().await
    }

    async fn teardown(&self) -> DriverResult<()> {
        self.0.teardown().await
    }
}

#[tokio::test]
async fn a_driver_that_panics_fails_the_instance_and_nothing_else() {
    let rig = Rig::new();
    let containers = Arc::new(SimulatedContainers::new(Arc::clone(&rig.world)));
    let network = Arc::new(Panicking(SimulatedNetwork::new(Arc::clone(&rig.world), rig.installation())));
    let llcm = rig.open_on(Backend::pair(containers, network).unwrap()).await.unwrap();
    let service = push(&llcm, &every_step()).await;
    let (_, outcome) = common::up(&llcm, &service).await;
    let error = outcome.unwrap_err();
    assert!(error.message.contains("ended abnormally"), "{error}");
    assert!(rig.world.is_empty(), "{:?}", rig.world.snapshot());
    llcm.shutdown(true).await.unwrap();
}
