//! Stores that are not as they were written: refused with what to do, kept, and gone on without.

#![expect(clippy::unwrap_used, reason = "the whole program is a test")]

mod common;

use common::{Rig, push, run, view};
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::store::file::FILE;
use llcm_lifecycle::store::{StoreError, care};
use llcm_lifecycle::{ErrorCode, LifecycleError};
use llcm_runtime::simulated;
use llcm_testkit::{demo_chain, every_step};

async fn refused(rig: &Rig) -> LifecycleError {
    let opened = rig.open_on(simulated::backend(&rig.world, &rig.installation())).await;
    opened.expect_err("it is refused")
}

/// A running instance, and the server gone.
async fn left() -> (Rig, llcm_lifecycle::request::InstanceView) {
    let rig = Rig::new();
    let llcm = rig.open().await;
    push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &push(&llcm, &every_step()).await).await;
    llcm.shutdown(false).await.unwrap();
    (rig, instance)
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_nothing_is_touched() {
    let (rig, _) = left().await;
    let path = rig.dir.path().join(FILE);
    let (whole, world) = (std::fs::read(&path).unwrap(), rig.world.snapshot());
    let record = whole.windows(9).rposition(|it| it == b"every-ste").unwrap();
    let mut flipped = whole.clone();
    flipped[record] ^= 4;
    let damages = [
        flipped,
        whole[..whole.len() / 2].to_vec(),
        whole[..5000].to_vec(),
        Vec::new(),
        b"garbage".repeat(1000),
        vec![0; whole.len()],
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        std::fs::write(&path, &damage).unwrap();
        let error = refused(&rig).await;
        assert_eq!(error.code, ErrorCode::StoreFailed);
        let told = error.message.contains("is damaged") || error.message.contains("is missing");
        assert!(told && error.message.contains("llcm store repair"), "{number}: {error}");
        assert!(std::fs::read(&path).unwrap() == damage, "{number}: it was changed");
        assert_eq!(rig.world.snapshot(), world, "{number}");
        assert_eq!(rig.list("packages").len(), 2, "{number}");
    }
    // What is no file.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(refused(&rig).await.code, ErrorCode::StoreFailed);
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, &whole).unwrap();
    rig.open().await;
    assert_eq!(rig.world.snapshot(), world);
}

#[tokio::test]
async fn repairing_keeps_what_can_be_read_and_the_file_aside() {
    let (rig, instance) = left().await;
    let path = rig.dir.path().join(FILE);
    assert_eq!(care::repair(&path).unwrap(), None, "there is nothing to repair");
    let whole = std::fs::read(&path).unwrap();
    // A request's record: the instance is not lost with it.
    let place = whole.windows(14).rposition(|it| it == b"CREATE_SERVICE").unwrap();
    let mut damaged = whole.clone();
    damaged[place] = b'K';
    std::fs::write(&path, &damaged).unwrap();
    assert!(matches!(care::check(&path), Err(StoreError::Damaged { .. })));
    let (summary, lost) = care::salvageable(&path).unwrap();
    assert_eq!(summary.to_string(), "2 services, 1 live and 0 failed instances, 0 requests");
    assert!(lost[0].contains("request "), "{lost:?}");
    let replaced = care::repair(&path).unwrap().unwrap();
    assert_eq!((&replaced.summary, &replaced.lost), (&summary, &lost));
    assert!(std::fs::read(replaced.kept.unwrap()).unwrap() == damaged);
    let world = rig.world.snapshot();
    let llcm = rig.open().await;
    assert_eq!(view(&llcm, instance.id).unwrap().state, InstanceState::Running);
    assert_eq!(rig.world.snapshot(), world);
    llcm.shutdown(false).await.unwrap();

    // Nothing can be read: the marks are left, and what carries them goes with the next start.
    std::fs::write(&path, b"garbage").unwrap();
    assert_eq!(care::repair(&path).unwrap().unwrap().summary, care::Summary::default());
    rig.open().await;
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn a_backup_of_a_running_server_is_restored() {
    let rig = Rig::new();
    let path = rig.dir.path().join(FILE);
    let file = rig.dir.path().join("backup");
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let summary = care::backup(&path, &file).unwrap();
    assert_eq!(summary.to_string(), "1 services, 1 live and 0 failed instances, 1 requests");
    assert!(care::backup(&path, &file).unwrap_err().to_string().contains("is not overwritten"));
    // While it writes all the time.
    let writer = {
        let (llcm, service) = (std::sync::Arc::clone(&llcm), service.clone());
        tokio::spawn(async move {
            for _ in 0..10 {
                let more = run(&llcm, &service).await;
                common::down(&llcm, more.id).await.unwrap();
            }
        })
    };
    let mut backups = 0;
    while !writer.is_finished() {
        let (path, file) = (path.clone(), rig.dir.path().join(format!("backup-{backups}")));
        tokio::task::spawn_blocking(move || care::backup(&path, &file)).await.unwrap().unwrap();
        backups += 1;
    }
    writer.await.unwrap();
    println!("{backups} backups");
    assert!(backups > 1);
    let world = rig.world.snapshot();
    llcm.shutdown(false).await.unwrap();
    let replaced = care::restore(&path, &file).unwrap();
    assert_eq!(replaced.summary, summary);
    assert!(replaced.kept.unwrap().exists());
    let again = rig.open().await;
    assert_eq!(view(&again, instance.id).unwrap().state, InstanceState::Running);
    assert_eq!(rig.world.snapshot(), world);
    again.shutdown(false).await.unwrap();
    // What is no backup is not put there.
    std::fs::write(&file, b"garbage").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(care::restore(&path, &file), Err(StoreError::Damaged { .. })));
    assert!(std::fs::read(&path).unwrap() == before);
}
