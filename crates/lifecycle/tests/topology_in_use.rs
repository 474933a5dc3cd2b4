//! What running instances forbid: topologies without their data centers, and links that are too small for them.

mod common;

use std::sync::Arc;

use common::{Rig, down, push, run};
use llcm_lifecycle::chains::{COOKIE, ChainRequest, EndRef, PRIORITY, Which};
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::{ErrorCode, LifecycleError, Orchestrator, Settings};
use llcm_names::EngineName;
use llcm_runtime::simulated;
use llcm_testkit::demo_chain;
use llcm_topology::{Change, Topology, load_link, load_link_change};

const RING: &str = "datacenters: [dc1, dc2, dc3]\nlinks: [[dc1, dc2], [dc2, dc3], [dc3, dc1]]";
const TWO: &str = "datacenters: [dc1, dc2]\nlinks: [[dc1, dc2]]";

async fn open(rig: &Rig, text: &str) -> Result<Arc<Orchestrator>, LifecycleError> {
    let backend = simulated::backend(&rig.world, &rig.installation());
    let topology = llcm_topology::load(text.as_bytes()).0.expect("a topology");
    Orchestrator::open(llcm_lifecycle::Parts { topology, ..rig.parts(backend) }).await
}

async fn set(llcm: &Arc<Orchestrator>, name: &str, text: &str) -> Result<Arc<Topology>, LifecycleError> {
    let change = load_link_change(text.as_bytes()).0.expect("a change");
    llcm.change_topology(vec![Change::Link { name: name.to_owned(), change }]).await
}

async fn add(llcm: &Arc<Orchestrator>, text: &str) -> Result<Arc<Topology>, LifecycleError> {
    let link = load_link(text.as_bytes(), &llcm.topology()).0.expect("a link");
    llcm.change_topology(vec![Change::AddLink(link)]).await
}

fn refused(outcome: Result<Arc<Topology>, LifecycleError>, expected: &str) {
    let error = outcome.expect_err("it is refused");
    assert_eq!(error.code, ErrorCode::TopologyConflict);
    assert!(error.message.contains(expected), "{error}");
}

/// Whether the first VNF, in dc1, hears the second one, in dc2.
fn heard(rig: &Rig) -> bool {
    let from = EngineName::parse("mn.vnf0.vdu01.0").expect("a name");
    rig.world.ping(&from, "20.0.0.2".parse().expect("an address"))
}

/// A file that was edited while the server was stopped would unplug what runs.
#[tokio::test]
async fn a_server_does_not_begin_without_data_centers_that_are_in_use() {
    let rig = Rig::new();
    let llcm = open(&rig, RING).await.unwrap();
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    set(&llcm, "dc3-dc1", "{up: false}").await.unwrap();
    llcm.shutdown(false).await.unwrap();
    let before = rig.world.snapshot();

    let error = open(&rig, TWO).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TopologyConflict);
    assert_eq!(error.others, ["eu.llcm.demo-chain-ns.0.1-inst.0: vnf2.vdu01.0"]);
    assert!(error.message.contains("no data center dc3") && error.message.contains("terminate"), "{error}");
    assert_eq!(rig.world.snapshot(), before, "the host is as it was");

    // As the message says: with the topology as it was, changes included, all of it goes on.
    let llcm = open(&rig, RING).await.unwrap();
    assert!(!llcm.topology().links[2].up);
    assert_eq!(common::view(&llcm, instance.id).unwrap().state, InstanceState::Running);
    assert!(heard(&rig));
    down(&llcm, instance.id).await.unwrap();
    llcm.shutdown(false).await.unwrap();
    let llcm = open(&rig, TWO).await.unwrap();
    assert_eq!(llcm.topology().datacenters.len(), 2);
}

/// dc1 to dc3 have what runs, dc4 has nothing.
const LINE: &str = "datacenters: [dc1, dc2, dc3, dc4]\nlinks: [[dc1, dc2], [dc2, dc3], [dc3, dc4]]";

#[tokio::test]
async fn links_that_can_be_used_carry_what_interfaces_send() {
    let rig = Rig::with(Settings { mtu: 1400, ..Settings::default() });
    let llcm = open(&rig, LINE).await.unwrap();
    let service = push(&llcm, &demo_chain()).await;
    run(&llcm, &service).await;
    refused(set(&llcm, "dc1-dc2", "{mtu: 1300}").await, "the MTU of link dc1-dc2 cannot become 1300");
    // Nothing that runs can be heard behind it.
    set(&llcm, "dc3-dc4", "{mtu: 1300}").await.unwrap();
    // New links are ways as well, alone and together with others.
    refused(add(&llcm, "{ends: [dc2, dc1], name: x, mtu: 1280}").await, "link x cannot have the MTU 1280");
    refused(add(&llcm, "{ends: [dc1, dc4], mtu: 1280}").await, "a link from dc1 to dc4 cannot have");
    add(&llcm, "{ends: [dc2, dc1], mtu: 1400}").await.unwrap();
    add(&llcm, "{ends: [dc4, dc3], mtu: 1280}").await.unwrap();
}

#[tokio::test]
async fn chains_use_links_as_segments_do() {
    let rig = Rig::with(Settings { mtu: 1400, ..Settings::default() });
    let llcm = rig.open().await;
    // Its links are not deployed: only chains lead from data center to data center.
    let service = push(&llcm, &demo_chain().replace("forwarding_graphs: []\n", "")).await;
    let instance = run(&llcm, &service).await;
    set(&llcm, "dc1-dc2", "{mtu: 1300}").await.unwrap();
    set(&llcm, "dc1-dc2", "{mtu: none}").await.unwrap();
    let end = |container: &str, interface: &str| EndRef {
        container: container.to_owned(),
        interface: Some(interface.to_owned()),
    };
    let request = ChainRequest {
        source: end("vnf0", "output"),
        destination: end("vnf1", "input"),
        bidirectional: true,
        matches: String::new(),
        priority: PRIORITY,
        cookie: COOKIE,
    };
    llcm.add_chain(instance.id, request).await.unwrap();
    refused(set(&llcm, "dc1-dc2", "{mtu: 1300}").await, "2 running interfaces");
    let all = Which::Cookie(COOKIE);
    llcm.remove_chains(instance.id, all).await.unwrap();
    set(&llcm, "dc1-dc2", "{mtu: 1300}").await.unwrap();
}
