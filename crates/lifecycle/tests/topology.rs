//! Links and data centers that change while instances live: on the host and in the records, or nowhere.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Rig, down, push, run};
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::store::{Change as Stored, Contents, Store, StoreError};
use llcm_lifecycle::{ErrorCode, LifecycleError, Orchestrator, Settings};
use llcm_names::{DcName, EngineName};
use llcm_runtime::NotEmulated;
use llcm_runtime::simulated::{self, Fault, Operation, Script};
use llcm_testkit::demo_chain;
use llcm_topology::{Change, LinkChange, Topology, load_datacenter, load_link, load_link_change};

fn topology(text: &str) -> Topology {
    llcm_topology::load(text.as_bytes()).0.expect("a topology")
}

const RING: &str = "datacenters: [dc1, dc2, dc3]\nlinks: [[dc1, dc2], [dc2, dc3], [dc3, dc1]]";

async fn open(rig: &Rig, text: &str) -> Result<Arc<Orchestrator>, LifecycleError> {
    let backend = simulated::backend(&rig.world, &rig.installation());
    Orchestrator::open(llcm_lifecycle::Parts { topology: topology(text), ..rig.parts(backend) }).await
}

fn link(name: &str, text: &str) -> Change {
    let change = load_link_change(text.as_bytes()).0.expect("a change");
    Change::Link { name: name.to_owned(), change }
}

fn new_link(llcm: &Orchestrator, text: &str) -> Change {
    Change::AddLink(load_link(text.as_bytes(), &llcm.topology()).0.expect("a link"))
}

fn new_datacenter(text: &str) -> Change {
    Change::AddDatacenter(load_datacenter(text.as_bytes()).0.expect("a data center"))
}

fn gone(name: &str) -> Change {
    Change::RemoveDatacenter { name: DcName::parse(name).expect("a name") }
}

async fn change(llcm: &Arc<Orchestrator>, change: Change) -> Result<Arc<Topology>, LifecycleError> {
    llcm.change_topology(vec![change]).await
}

/// Whether vnf0, in dc1, hears vnf1, in dc2.
fn heard(rig: &Rig) -> bool {
    let from = EngineName::parse("mn.vnf0.vdu01.0").expect("a name");
    rig.world.ping(&from, "20.0.0.2".parse().expect("an address"))
}

/// The host is as the records say.
fn agree(rig: &Rig, llcm: &Orchestrator) {
    assert_eq!(rig.world.topology(&rig.installation()).as_ref(), Some(&*llcm.topology()));
}

#[tokio::test]
async fn paths_follow_links_and_changes_outlive_the_server() {
    let rig = Rig::new();
    let llcm = open(&rig, RING).await.unwrap();
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    assert!(heard(&rig));
    change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap();
    assert!(heard(&rig), "by dc3");
    change(&llcm, link("dc3-dc1", "{up: false}")).await.unwrap();
    assert!(!heard(&rig), "dark");
    change(&llcm, link("dc1-dc2", "{delay: 20ms, loss: 1%, from: dc2}")).await.unwrap();
    agree(&rig, &llcm);
    let links = llcm.links().await.unwrap();
    let shown: Vec<_> = links.iter().map(|it| (it.link.name.as_str(), it.link.up, it.carries)).collect();
    assert_eq!(
        shown,
        [("dc1-dc2", false, Some(false)), ("dc2-dc3", true, Some(true)), ("dc3-dc1", false, Some(false))]
    );
    llcm.shutdown(false).await.unwrap();

    let llcm = open(&rig, RING).await.unwrap();
    agree(&rig, &llcm);
    assert!(!heard(&rig));
    let slow = llcm.topology().links[0].clone();
    assert_eq!((slow.a.egress.delay_us, slow.b.egress.delay_us, slow.b.egress.loss_ppm), (0, 20_000, 10_000));
    change(&llcm, link("dc1-dc2", "{up: true}")).await.unwrap();
    assert!(heard(&rig));
    // A link that goes is like one that is cut.
    change(&llcm, Change::RemoveLink { name: "dc1-dc2".to_owned() }).await.unwrap();
    assert!(!heard(&rig));
    change(&llcm, new_link(&llcm, "{ends: [dc2, dc1], name: other}")).await.unwrap();
    assert!(heard(&rig));
    agree(&rig, &llcm);
    assert_eq!(common::view(&llcm, instance.id).unwrap().state, InstanceState::Running);
}

#[tokio::test]
async fn data_centers_come_and_go_while_instances_live() {
    let rig = Rig::with(Settings { mtu: 1400, ..Settings::default() });
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let first = run(&llcm, &service).await;
    // Round-robin goes on with dc2.
    change(&llcm, new_datacenter("dc3")).await.unwrap();
    change(&llcm, new_link(&llcm, "[dc2, dc3]")).await.unwrap();
    let second = run(&llcm, &service).await;
    let placed: Vec<_> = second.containers.iter().map(|it| it.datacenter.to_string()).collect();
    assert_eq!(placed, ["dc1", "dc2", "dc3"]);
    let uses: Vec<_> = llcm.datacenters().iter().map(|it| it.instances.len()).collect();
    assert_eq!(uses, [2, 2, 1]);

    let error = change(&llcm, gone("dc3")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TopologyConflict);
    assert_eq!(error.others, ["eu.llcm.demo-chain-ns.0.1-inst.1: vnf2.vdu01.1"], "{error}");
    down(&llcm, second.id).await.unwrap();
    let left = change(&llcm, gone("dc3")).await.unwrap();
    assert_eq!((left.datacenters.len(), left.links.len()), (2, 1), "its link goes with it");
    agree(&rig, &llcm);
    assert_eq!(rig.world.snapshot().datacenters[&rig.installation()].len(), 2);

    // What runs keeps its MTU: a link may become smaller, but not that small.
    let error = change(&llcm, link("dc1-dc2", "{mtu: 1300, from: dc1}")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TopologyConflict);
    assert!(error.message.contains("cannot become 1300") && error.others.len() >= 4, "{error}: {error:?}");
    assert!(error.others[0].contains("has 1400"), "{error:?}");
    change(&llcm, link("dc1-dc2", "{mtu: 1400}")).await.unwrap();
    down(&llcm, first.id).await.unwrap();
    change(&llcm, link("dc1-dc2", "{mtu: 1300}")).await.unwrap();
    assert!(rig.world.topology(&rig.installation()).is_none(), "an idle server has nothing on the host");
    assert_eq!(change(&llcm, gone("dc9")).await.unwrap_err().code, ErrorCode::DatacenterNotFound);
    change(&llcm, gone("dc2")).await.unwrap();
    assert_eq!(change(&llcm, gone("dc1")).await.unwrap_err().code, ErrorCode::TopologyConflict);
    let error = change(&llcm, new_datacenter("{name: dc4, engine: docker}")).await.unwrap_err();
    assert!(error.message.contains("has its default engine"), "{error}");
}

/// Fails to write changes of the topology while that is wanted.
#[derive(Default)]
struct FailingStore {
    inner: MemoryStore,
    fails: AtomicBool,
}

impl Store for FailingStore {
    fn load_all(&self) -> Result<Contents, StoreError> {
        self.inner.load_all()
    }

    fn write(&self, changes: &[Stored]) -> Result<(), StoreError> {
        let about = changes.iter().any(|change| matches!(change, Stored::PutTopology(_)));
        if about && self.fails.load(Ordering::SeqCst) {
            return Err(StoreError::NoSpace { operation: "write", path: "store.redb".to_owned() });
        }
        self.inner.write(changes)
    }
}

#[tokio::test]
async fn what_fails_leaves_host_and_records_as_they_were() {
    let rig = Rig::new();
    let store = Arc::new(FailingStore::default());
    let backend = simulated::backend(&rig.world, &rig.installation());
    let parts = rig.parts(backend);
    let llcm = Orchestrator::open_with(parts, Arc::clone(&store) as Arc<dyn Store>).await.unwrap();
    let service = push(&llcm, &demo_chain()).await;
    run(&llcm, &service).await;
    let before = llcm.topology();
    for after in [false, true] {
        let fault = Fault::fail(Operation::Prepare).message("the kernel is busy");
        rig.world.add_fault(if after { fault.after() } else { fault });
        let error = change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap_err();
        assert!(error.message.contains("the kernel is busy"), "{error}");
        assert_eq!(llcm.topology(), before);
        agree(&rig, &llcm);
        assert!(heard(&rig));
        rig.world.clear_faults();
    }
    store.fails.store(true, Ordering::SeqCst);
    let error = change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::DiskFull);
    agree(&rig, &llcm);
    assert!(heard(&rig));
    store.fails.store(false, Ordering::SeqCst);

    // When the way back fails, too, that is said, and the next one who needs the network makes it.
    rig.world.add_fault(Fault::fail(Operation::Prepare).always().after());
    let error = change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap_err();
    assert!(error.message.contains("did not finish") && error.others.len() == 1, "{error:?}");
    rig.world.clear_faults();
    run(&llcm, &service).await;
    agree(&rig, &llcm);
    assert!(heard(&rig));
    change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap();
    agree(&rig, &llcm);
    assert!(!heard(&rig));
}

/// A change that says what the record says is acknowledged only when the host has it.
#[tokio::test]
async fn a_host_in_doubt_is_mended_by_a_change_that_changes_nothing() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    run(&llcm, &service).await;
    // The link is cut when the change fails, and the way back fails before it does anything.
    rig.world.add_fault(Fault::fail(Operation::Prepare).after());
    rig.world.add_fault(Fault::fail(Operation::Prepare).on_call(2).times(2));
    change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap_err();
    assert!(!heard(&rig));
    let shown = llcm.links().await.unwrap()[0].clone();
    assert_eq!((shown.link.up, shown.carries), (true, Some(false)), "the host is looked at all the same");
    let error = change(&llcm, link("dc1-dc2", "{up: true}")).await.unwrap_err();
    assert!(error.message.contains("fault asked for"), "{error}");
    change(&llcm, link("dc1-dc2", "{up: true}")).await.unwrap();
    agree(&rig, &llcm);
    assert!(heard(&rig));
    // With the host in order there is nothing to do.
    rig.world.forget_calls();
    change(&llcm, link("dc1-dc2", "{up: true}")).await.unwrap();
    assert!(rig.world.calls().is_empty());
}

/// A host that cannot do what is asked.
fn unable(rig: &Rig, what: &[&str]) {
    let lacking = |&what: &&str| NotEmulated { link: "dc1-dc2".to_owned(), what: what.to_owned() };
    let not_emulated = what.iter().map(lacking).collect();
    rig.world.set_script(Script { not_emulated, ..Script::default() });
}

const DELAY: &str = "link dc1-dc2, dc1 to dc2: delay of 1000 us";

#[tokio::test]
async fn what_the_host_cannot_emulate_is_an_error() {
    let rig = Rig::new();
    unable(&rig, &[DELAY, "link dc1-dc2, dc2 to dc1: delay of 1000 us"]);
    let error = rig.open_on(simulated::backend(&rig.world, &rig.installation())).await.unwrap_err();
    assert_eq!((error.code, error.others.len()), (ErrorCode::NotEmulated, 2));
    assert!(error.message.contains(DELAY) && error.message.contains("and 1 more"), "{error}");
    assert!(rig.world.topology(&rig.installation()).is_none(), "nothing stays behind");

    unable(&rig, &[]);
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    unable(&rig, &[DELAY]);
    let error = llcm.instantiate(&llcm_lifecycle::request::ServiceRef::Latest).await.unwrap_err();
    assert_eq!((error.code, error.others.as_slice()), (ErrorCode::NotEmulated, &[DELAY.to_owned()][..]));
    assert!(rig.world.topology(&rig.installation()).is_none());
    for asked in [link("dc1-dc2", "{delay: 1ms}"), new_link(&llcm, "{ends: [dc1, dc2], delay: 1ms}")] {
        assert_eq!(change(&llcm, asked).await.unwrap_err().code, ErrorCode::NotEmulated);
        assert!(rig.world.topology(&rig.installation()).is_none(), "it was only tried");
    }
    unable(&rig, &[]);
    run(&llcm, &service).await;
    unable(&rig, &[DELAY]);
    let error = change(&llcm, link("dc1-dc2", "{delay: 1ms}")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotEmulated);
    agree(&rig, &llcm);
    assert!(llcm.not_emulated().is_empty());
}

#[tokio::test]
async fn with_best_effort_it_is_a_warning_that_is_shown() {
    let rig = Rig::with(Settings { best_effort: true, ..Settings::default() });
    unable(&rig, &[DELAY]);
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let warnings: Vec<_> = instance.warnings.iter().filter(|it| it.code == "not-emulated").collect();
    assert!(warnings.len() == 1 && warnings[0].message.contains(DELAY), "{warnings:?}");
    let links = llcm.links().await.unwrap();
    assert_eq!(links[0].not_emulated, [DELAY]);
    // Of the link that it is of, whatever words the texts have.
    change(&llcm, new_link(&llcm, "{ends: [dc1, dc2], name: delay}")).await.unwrap();
    let links = llcm.links().await.unwrap();
    assert_eq!((links[0].not_emulated.len(), links[1].not_emulated.len()), (1, 0), "{links:?}");
    unable(&rig, &[]);
    change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap();
    assert!(llcm.links().await.unwrap()[0].not_emulated.is_empty());
}

#[tokio::test]
async fn a_changed_file_is_newer_than_the_changes() {
    let rig = Rig::new();
    let llcm = open(&rig, RING).await.unwrap();
    change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap();
    llcm.shutdown(false).await.unwrap();
    let llcm = open(&rig, RING).await.unwrap();
    assert!(!llcm.topology().links[0].up, "the file is as it was");
    llcm.shutdown(false).await.unwrap();
    let newer = "datacenters: [dc1, dc2]\nlinks: [[dc1, dc2]]";
    let llcm = open(&rig, newer).await.unwrap();
    assert_eq!(*llcm.topology(), topology(newer));
    llcm.shutdown(false).await.unwrap();
    // They do not come back with the file that they were made to.
    let llcm = open(&rig, RING).await.unwrap();
    assert_eq!(*llcm.topology(), topology(RING));
    // Nothing is kept of changes that were taken back.
    change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap();
    change(&llcm, link("dc1-dc2", "{up: true}")).await.unwrap();
    llcm.shutdown(false).await.unwrap();
    assert_eq!(*open(&rig, newer).await.unwrap().topology(), topology(newer));
}

#[tokio::test]
async fn a_service_may_be_planned_over_a_cut_link() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    change(&llcm, link("dc1-dc2", "{up: false}")).await.unwrap();
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    assert!(instance.warnings.iter().any(|it| it.code == "link-down"), "{:?}", instance.warnings);
    assert!(!heard(&rig));
    change(&llcm, link("dc1-dc2", "{up: true}")).await.unwrap();
    assert!(heard(&rig));
}

#[tokio::test]
async fn changes_of_many_links_are_made_together_or_not_at_all() {
    let rig = Rig::new();
    let llcm = open(&rig, RING).await.unwrap();
    let before = llcm.topology();
    let cut = LinkChange { up: Some(false), ..LinkChange::default() };
    let all = ["dc1-dc2", "dc2-dc3", "nowhere"]
        .map(|name| Change::Link { name: name.to_owned(), change: cut.clone() });
    let error = llcm.change_topology(all.to_vec()).await.unwrap_err();
    assert_eq!((error.code, llcm.topology()), (ErrorCode::LinkNotFound, before));
    let now = llcm.change_topology(all[..2].to_vec()).await.unwrap();
    assert_eq!(now.links.iter().map(|link| link.up).collect::<Vec<_>>(), [false, false, true]);
}

#[tokio::test]
async fn an_instance_records_how_its_links_were_emulated() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    assert!(run(&llcm, &service).await.emulated_by.is_empty(), "there was nothing to emulate");
    change(&llcm, link("dc1-dc2", "{delay: 1ms}")).await.unwrap();
    let second = run(&llcm, &service).await;
    let recorded = ["recorded".to_owned(), "recorded".to_owned()];
    assert_eq!(second.emulated_by.get("dc1-dc2"), Some(&recorded));
    // It is of then, whatever changes: a measurement can be told from its record.
    change(&llcm, link("dc1-dc2", "{delay: 0ms}")).await.unwrap();
    assert_eq!(llcm.instance(second.id).await.unwrap().unwrap().emulated_by.get("dc1-dc2"), Some(&recorded));
}
