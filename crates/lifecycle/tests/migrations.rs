//! Stores of earlier programs, as they were recorded: opened, brought up to date, and gone on with.

mod common;

use common::{Rig, down, run};
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::store::file::{FILE, FileStore};
use llcm_lifecycle::store::{Store as _, care};
use redb::ReadableDatabase as _;

/// Two services and a running instance of one with every kind of step; written by the program of format 1.
const V1: &[u8] = include_bytes!("fixtures/store-v1.redb");

fn meta(path: &std::path::Path, key: &str) -> Option<String> {
    let database = redb::Database::open(path).expect("it opens");
    let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
    let table = database.begin_read().expect("a transaction").open_table(meta).expect("the table is there");
    let found = table.get(key).expect("it can be read");
    found.map(|value| String::from_utf8(value.value().to_vec()).expect("text"))
}

#[tokio::test]
async fn a_store_of_format_1_is_brought_up_to_date() {
    let rig = Rig::new();
    let path = rig.dir.path().join(FILE);
    std::fs::write(&path, V1).unwrap();
    assert_eq!((meta(&path, "format").as_deref(), meta(&path, "program")), (Some("1"), None));
    let summary = care::check(&path).unwrap();
    assert_eq!(summary.to_string(), "2 services, 1 live and 0 failed instances, 1 requests");
    let contents = FileStore::open(&path).unwrap().load_all().unwrap();
    assert_eq!(contents.counters.round_robin, 5);
    assert_eq!(contents.journals.values().map(Vec::len).sum::<usize>(), 65);
    assert_eq!(meta(&path, "format").as_deref(), Some("2"));
    assert_eq!(meta(&path, "program").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(
        FileStore::open(&path).unwrap().load_all().unwrap(),
        contents,
        "the second time it is as it is"
    );

    // Its installation has another id here, and its containers are gone.
    let llcm = rig.open().await;
    let found = llcm.instances(false);
    assert_eq!((found.len(), found[0].state), (1, InstanceState::Degraded));
    down(&llcm, found[0].id).await.unwrap();
    let service = llcm.services().into_iter().find(|it| it.package.id.name == "demo-chain").unwrap();
    run(&llcm, &service).await;
}
