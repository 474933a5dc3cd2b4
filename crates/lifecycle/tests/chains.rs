//! Chains of instances: decided, written down, made, found again, and taken down with their instance.

#![expect(clippy::unwrap_used, reason = "the whole program is a test")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::{Rig, down, push, run};
use llcm_lifecycle::chains::{COOKIE, ChainRequest, ChainView, EndRef, MOST, PRIORITY, Which};
use llcm_lifecycle::request::InstanceState;
use llcm_lifecycle::{ErrorCode, Orchestrator, Settings};
use llcm_names::{EngineName, InstanceId, SegmentId};
use llcm_runtime::simulated::{Fault, Operation};
use llcm_testkit::demo_chain;
use tokio::runtime::Runtime;

fn end(text: &str) -> EndRef {
    let (container, interface) = text.split_once(':').map_or((text, None), |(c, i)| (c, Some(i.to_owned())));
    EndRef { container: container.to_owned(), interface }
}

fn request(source: &str, destination: &str, matches: &str) -> ChainRequest {
    ChainRequest {
        source: end(source),
        destination: end(destination),
        bidirectional: true,
        matches: matches.to_owned(),
        priority: PRIORITY,
        cookie: COOKIE,
    }
}

async fn add(llcm: &Arc<Orchestrator>, id: InstanceId, wanted: ChainRequest) -> ChainView {
    llcm.add_chain(id, wanted).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The code of a chain that is refused.
async fn refused(llcm: &Arc<Orchestrator>, id: InstanceId, wanted: ChainRequest) -> (ErrorCode, String) {
    let error = llcm.add_chain(id, wanted).await.unwrap_err();
    (error.code, error.message)
}

/// Whether the first VNF's `output` hears an address that it hears by a chain only.
fn hears(rig: &Rig, to: &str) -> bool {
    rig.world.ping(&EngineName::parse("mn.vnf0.vdu01.0").unwrap(), to.parse().unwrap())
}

#[tokio::test]
async fn a_chain_steers_and_goes_with_its_instance() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let before = rig.world.snapshot();
    // The far end of the E-Line that `output` is on, and an address on another one.
    assert!(hears(&rig, "20.0.0.2"));
    let all = add(&llcm, instance.id, request("vnf0:output", "vnf2:input", "")).await;
    assert_eq!(
        (all.source.to_string(), all.destination.to_string()),
        ("vnf0.vdu01.0:output".into(), "vnf2.vdu01.0:input".into())
    );
    assert!(!hears(&rig, "20.0.0.2"), "the chain takes everything");
    let segments: Vec<_> = before.segments.iter().map(|segment| segment.id).collect();
    assert!(!segments.contains(&all.id), "its number is none of a segment's");
    let icmp = request("vnf0:output", "vnf1:input", "dl_type=0x0800,nw_proto=1");
    let back = add(&llcm, instance.id, ChainRequest { priority: PRIORITY + 1, ..icmp }).await;
    assert!(hears(&rig, "20.0.0.2"), "the higher priority decides");
    assert_eq!(llcm.chains(instance.id).unwrap(), [all.clone(), back.clone()]);

    // Another instance's segments keep clear of the chains' numbers.
    let second = run(&llcm, &service).await;
    let now = rig.world.snapshot();
    assert!(now.segments.iter().all(|segment| segment.id != all.id && segment.id != back.id));
    assert!(llcm.chains(second.id).unwrap().is_empty());
    down(&llcm, second.id).await.unwrap();

    let removed = llcm.remove_chains(instance.id, Which::One(back.id)).await.unwrap();
    assert_eq!(removed, [back]);
    assert!(!hears(&rig, "20.0.0.2"));
    down(&llcm, instance.id).await.unwrap();
    assert!(rig.world.is_empty());
    assert_eq!(llcm.chains(instance.id).unwrap_err().code, ErrorCode::InstanceNotFound);
}

#[tokio::test]
async fn all_of_a_cookie_go_at_once() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &demo_chain()).await;
    let id = run(&llcm, &service).await.id;
    for (priority, cookie) in [(1, 5), (2, 6), (3, 5)] {
        add(&llcm, id, ChainRequest { priority, cookie, ..request("vnf0", "vnf2", "") }).await;
    }
    let removed = llcm.remove_chains(id, Which::Cookie(5)).await.unwrap();
    assert_eq!(removed.iter().map(|chain| chain.priority).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(llcm.remove_chains(id, Which::Cookie(5)).await.unwrap(), []);
    let left = llcm.chains(id).unwrap();
    assert_eq!(left.iter().map(|chain| chain.cookie).collect::<Vec<_>>(), [6]);
    assert_eq!(rig.world.snapshot().chains.len(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_before_anything_is_done() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &demo_chain()).await;
    let id = run(&llcm, &service).await.id;
    for (wanted, code, told) in [
        (
            request("vnf0:output", "vnf2:input", "foo=1"),
            ErrorCode::InvalidChain,
            "column 1: there is no field `foo`",
        ),
        (
            request("vnf0:output", "vnf0:output", ""),
            ErrorCode::InvalidChain,
            "both the source and the destination",
        ),
        (request("vnf0:nope", "vnf2", ""), ErrorCode::InvalidChain, "it has mgmt, input, output"),
        (request("vnf7", "vnf2", ""), ErrorCode::ContainerNotFound, "vnf0.vdu01.0"),
    ] {
        let (found, message) = refused(&llcm, id, wanted).await;
        assert_eq!(found, code, "{message}");
        assert!(message.contains(told), "{message}");
    }
    let column = llcm.add_chain(id, request("vnf0", "vnf2", "dl_type=0x0800,x=1")).await.unwrap_err();
    assert_eq!(column.diagnostics[0].column, Some(16));
    assert_eq!(rig.world.snapshot().chains, []);

    add(&llcm, id, request("vnf0:output", "vnf2:input", "")).await;
    // From the other end it takes all frames, too.
    let (code, message) = refused(&llcm, id, request("vnf2:input", "vnf1:input", "")).await;
    assert_eq!(code, ErrorCode::ChainExists, "{message}");
    add(&llcm, id, ChainRequest { priority: 1, ..request("vnf2:input", "vnf1:input", "") }).await;
    for priority in 2..u16::try_from(MOST).unwrap() {
        add(&llcm, id, ChainRequest { priority, ..request("vnf0:output", "vnf2:input", "") }).await;
    }
    let (code, _) = refused(&llcm, id, ChainRequest { priority: 900, ..request("vnf0", "vnf2", "") }).await;
    assert_eq!(code, ErrorCode::TooManyChains);
    // Ends in two instances: the ports of one are nobody else's business.
    let other = run(&llcm, &service).await;
    let (code, _) = refused(&llcm, id, request("vnf0.vdu01.0", "vnf2.vdu01.1", "")).await;
    assert_eq!(code, ErrorCode::ContainerNotFound);
    down(&llcm, other.id).await.unwrap();
    let failed = llcm.remove_chains(id, Which::One(SegmentId::MAX)).await.unwrap_err();
    assert_eq!(failed.code, ErrorCode::ChainNotFound);
}

#[tokio::test]
async fn a_chain_that_cannot_be_made_is_not_there() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &demo_chain()).await;
    let id = run(&llcm, &service).await.id;
    for fault in [Fault::fail(Operation::EnsureChain), Fault::fail(Operation::EnsureChain).after()] {
        rig.world.add_fault(fault);
        refused(&llcm, id, request("vnf0", "vnf2", "")).await;
        rig.world.clear_faults();
        assert!(llcm.chains(id).unwrap().is_empty());
        assert_eq!(rig.world.snapshot().chains, []);
    }
    // One that cannot be removed stays until it can.
    let chain = add(&llcm, id, request("vnf0", "vnf2", "")).await;
    rig.world.add_fault(Fault::fail(Operation::RemoveChain));
    llcm.remove_chains(id, Which::One(chain.id)).await.unwrap_err();
    rig.world.clear_faults();
    assert_eq!(llcm.chains(id).unwrap().len(), 1);
    llcm.remove_chains(id, Which::One(chain.id)).await.unwrap();
    assert_eq!(rig.world.snapshot().chains, []);
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it comes to pass");
}

/// A server killed before and after the driver's work of adding and of removing: with the next one, what is written
/// down is there, and nothing else.
#[test]
fn records_and_driver_agree_after_a_kill() {
    for (operation, after) in [
        (Operation::EnsureChain, false),
        (Operation::EnsureChain, true),
        (Operation::RemoveChain, false),
        (Operation::RemoveChain, true),
    ] {
        let rig = Rig::new();
        let server = runtime();
        let id = server.block_on(async {
            let llcm = rig.open().await;
            let service = push(&llcm, &demo_chain()).await;
            let id = run(&llcm, &service).await.id;
            if operation == Operation::RemoveChain {
                add(&llcm, id, request("vnf0:output", "vnf2:input", "")).await;
            }
            let hang = Fault::hang(operation);
            rig.world.add_fault(if after { hang.after() } else { hang });
            rig.world.forget_calls();
            let shared = Arc::clone(&llcm);
            tokio::spawn(async move {
                if operation == Operation::EnsureChain {
                    drop(shared.add_chain(id, request("vnf0:output", "vnf2:input", "")).await);
                } else {
                    drop(shared.remove_chains(id, Which::Cookie(COOKIE)).await);
                }
            });
            until(|| rig.world.calls().iter().any(|call| call.operation == operation)).await;
            id
        });
        drop(server);
        rig.world.clear_faults();
        runtime().block_on(async {
            let llcm = rig.open().await;
            let listed = llcm.chains(id).unwrap();
            assert_eq!(listed.len(), 1, "{operation:?} {after}: it was written down");
            until(|| rig.world.snapshot().chains.len() == 1).await;
            let running = || llcm.instances(false)[0].state == InstanceState::Running;
            until(running).await;
            assert_eq!(rig.world.snapshot().chains[0].id, listed[0].id);
            down(&llcm, id).await.unwrap();
            assert!(rig.world.is_empty());
        });
    }
}

/// The host was started anew: nothing of the network is there.
#[test]
fn chains_are_made_again_on_a_host_that_lost_them() {
    let rig = Rig::with(Settings { heal: true, ..Settings::default() });
    let server = runtime();
    let id = server.block_on(async {
        let llcm = rig.open().await;
        let service = push(&llcm, &demo_chain()).await;
        let id = run(&llcm, &service).await.id;
        add(&llcm, id, request("vnf0:output", "vnf2:input", "")).await;
        id
    });
    drop(server);
    runtime().block_on(async {
        let network = llcm_runtime::simulated::backend(&rig.world, &rig.installation());
        let owner = rig.world.snapshot().chains[0].owner.clone();
        network.network().remove_instance(&owner).await.unwrap();
        assert_eq!(rig.world.snapshot().chains, []);
        let llcm = rig.open().await;
        until(|| rig.world.snapshot().chains.len() == 1 && !hears(&rig, "20.0.0.2")).await;
        until(|| llcm.instances(false)[0].state == InstanceState::Running).await;
        llcm.remove_chains(id, Which::Cookie(COOKIE)).await.unwrap();
        assert!(hears(&rig, "20.0.0.2"));
    });
}

/// Three chains of one instance, added by a server that is gone then; the instance and their numbers.
fn three_left_by_a_server(rig: &Rig) -> (InstanceId, [SegmentId; 3]) {
    runtime().block_on(async {
        let llcm = rig.open().await;
        let service = push(&llcm, &demo_chain()).await;
        let id = run(&llcm, &service).await.id;
        let mut numbers = Vec::new();
        for priority in [1, 2, 3] {
            let wanted = ChainRequest { priority, ..request("vnf0:output", "vnf2:input", "") };
            numbers.push(add(&llcm, id, wanted).await.id);
        }
        (id, numbers.try_into().unwrap())
    })
}

/// Chains that were asked for to be made, by number.
fn made(rig: &Rig) -> BTreeSet<String> {
    let calls = rig.world.calls().into_iter();
    calls.filter(|call| call.operation == Operation::EnsureChain).map(|call| call.target).collect()
}

/// What a driver lists does not tell a whole chain from what a kill has left of one: the next server makes all of them
/// once more, those behind one that cannot be made among them. That one is told until it can be made.
#[test]
fn the_next_server_makes_all_chains_once_more() {
    let rig = Rig::new();
    let (id, numbers) = three_left_by_a_server(&rig);
    rig.world.forget_calls();
    rig.world.add_fault(Fault::fail(Operation::EnsureChain).target(&numbers[0].to_string()).times(2));
    runtime().block_on(async {
        let llcm = rig.open().await;
        until(|| made(&rig) == numbers.iter().map(ToString::to_string).collect()).await;
        until(|| rig.world.calls().iter().filter(|it| it.target == numbers[0].to_string()).count() == 3)
            .await;
        until(|| llcm.instances(false)[0].state == InstanceState::Running).await;
        let told = format!("chain {} is missing", numbers[0]);
        assert_eq!(llcm.instances(false)[0].errors, [told]);
        // Once is enough.
        rig.world.forget_calls();
        down(&llcm, id).await.unwrap();
        assert_eq!(made(&rig), BTreeSet::new());
    });
}

/// A chain that cannot be made is removed: nothing is wrong with the instance then.
#[test]
fn a_missing_chain_that_is_removed_is_missed_no_more() {
    let rig = Rig::new();
    let (id, numbers) = three_left_by_a_server(&rig);
    rig.world.add_fault(Fault::fail(Operation::EnsureChain).target(&numbers[1].to_string()).always());
    runtime().block_on(async {
        let llcm = rig.open().await;
        until(|| llcm.instances(false)[0].state == InstanceState::Degraded).await;
        assert_eq!(llcm.instances(false)[0].reasons, [format!("chain {} is missing", numbers[1])]);
        llcm.remove_chains(id, Which::One(numbers[1])).await.unwrap();
        until(|| llcm.instances(false)[0].state == InstanceState::Running).await;
        assert_eq!(llcm.instances(false)[0].reasons, Vec::<String>::new());
        down(&llcm, id).await.unwrap();
    });
}

/// Of several chains one cannot be removed: the error says which are gone.
#[tokio::test]
async fn a_removal_that_fails_in_the_middle_says_what_it_removed() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &demo_chain()).await;
    let id = run(&llcm, &service).await.id;
    let mut numbers = Vec::new();
    for priority in [1, 2, 3] {
        let wanted = ChainRequest { priority, ..request("vnf0", "vnf2", "") };
        numbers.push(add(&llcm, id, wanted).await.id);
    }
    rig.world.add_fault(Fault::fail(Operation::RemoveChain).target(&numbers[1].to_string()));
    let error = llcm.remove_chains(id, Which::Cookie(COOKIE)).await.unwrap_err();
    let told = format!("; chains that were removed: {}, {}", numbers[0], numbers[2]);
    assert!(error.message.ends_with(&told), "{error}");
    assert_eq!(llcm.chains(id).unwrap().iter().map(|chain| chain.id).collect::<Vec<_>>(), [numbers[1]]);
}
