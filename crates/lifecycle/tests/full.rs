//! A full disk fails requests and nothing else; when there is space, everything goes on.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{Rig, down, push, run, upload, view};
use llcm_lifecycle::request::{InstanceState, RequestStatus, ServiceRef};
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::store::{Change, Contents, Store, StoreError};
use llcm_lifecycle::{Dialect, ErrorCode, Orchestrator};
use llcm_runtime::simulated;
use llcm_testkit::{demo_chain, every_step};

/// Has space for so many transactions; negative: for all.
struct Small {
    inner: MemoryStore,
    space: AtomicI64,
}

impl Small {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::default(), space: AtomicI64::new(-1) })
    }

    fn space_for(&self, transactions: i64) {
        self.space.store(transactions, Ordering::SeqCst);
    }
}

impl Store for Small {
    fn load_all(&self) -> Result<Contents, StoreError> {
        self.inner.load_all()
    }

    fn write(&self, changes: &[Change]) -> Result<(), StoreError> {
        match self.space.load(Ordering::SeqCst) {
            0 => return Err(StoreError::NoSpace { operation: "write", path: "store.redb".to_owned() }),
            some if some > 0 => self.space_for(some - 1),
            _ => {}
        }
        self.inner.write(changes)
    }
}

async fn open(rig: &Rig, store: &Arc<Small>) -> Arc<Orchestrator> {
    let backend = simulated::backend(&rig.world, &rig.installation());
    Orchestrator::open_with(rig.parts(backend), Arc::clone(store) as Arc<dyn Store>).await.expect("it opens")
}

#[tokio::test]
async fn requests_fail_with_a_code_of_their_own_and_all_works_again() {
    let (rig, store) = (Rig::new(), Small::new());
    let llcm = open(&rig, &store).await;
    let service = push(&llcm, &every_step()).await;
    let before = run(&llcm, &service).await;
    let world = rig.world.snapshot();
    store.space_for(0);
    let error = llcm.onboard(upload(&llcm, &demo_chain().build()), Dialect::Tango).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::DiskFull, "{error}");
    for error in [
        llcm.instantiate(&ServiceRef::Latest).await.unwrap_err(),
        llcm.terminate(before.id).await.unwrap_err(),
        llcm.remove_service(service.id)
            .await
            .err()
            .filter(|it| it.code == ErrorCode::DiskFull)
            .unwrap_or(error),
    ] {
        assert_eq!(error.code, ErrorCode::DiskFull, "{error}");
        assert!(error.message.contains("no space is left"), "{error}");
    }
    assert_eq!(rig.world.snapshot(), world);
    assert_eq!((rig.list("packages").len(), rig.list("staging").len()), (1, 0));
    assert_eq!(view(&llcm, before.id).unwrap().state, InstanceState::Running, "and it answers");

    store.space_for(-1);
    push(&llcm, &demo_chain()).await;
    run(&llcm, &service).await;
    down(&llcm, before.id).await.unwrap();
}

#[tokio::test]
async fn full_at_any_transaction_and_gone_on_with_it_survives_the_next_start() {
    let mut failed = 0;
    for space in 0..200 {
        let (rig, store) = (Rig::new(), Small::new());
        let llcm = open(&rig, &store).await;
        let service = push(&llcm, &every_step()).await;
        store.space_for(space);
        let outcome = match llcm.instantiate(&ServiceRef::Latest).await {
            Ok(request) => llcm.wait(request.id).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &outcome {
            assert_eq!(error.code, ErrorCode::DiskFull, "{error}");
            assert!(rig.world.is_empty(), "{space}: {:?}", rig.world.snapshot());
            failed += 1;
        }
        let full = store.space.load(Ordering::SeqCst) == 0;
        store.space_for(-1);
        // The names and ports of what could not be made are taken by another one, and the disk never heard that the
        // first one has gone.
        let live = match llcm.instances(false).into_iter().next() {
            Some(live) => live,
            None => run(&llcm, &service).await,
        };
        assert_eq!(live.ssiid.get(), 0);
        let world = rig.world.snapshot();
        drop(llcm);

        let again = open(&rig, &store).await;
        assert_eq!(rig.world.snapshot(), world, "{space}");
        assert_eq!(view(&again, live.id).unwrap().state, InstanceState::Running, "{space}");
        assert_eq!(again.instances(false).len(), 1);
        for request in again.requests() {
            assert!(matches!(request.status, RequestStatus::Ready | RequestStatus::Error), "{request:?}");
        }
        down(&again, live.id).await.unwrap();
        assert!(rig.world.is_empty());
        if !full {
            break;
        }
    }
    assert!(failed >= 4, "{failed}");
}
