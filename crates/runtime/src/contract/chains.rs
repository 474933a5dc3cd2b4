//! Cases on chains, told by echo requests. A driver without that power is not seen here.

use llcm_names::{Owner, PortId};

use super::bed::{Bed, E_LINE, Vnf, eventually, refused, segment, segment_id};
use super::report::{Checked, Stop, ensure, ensure_eq};
use super::seconds;
use crate::{ChainEnd, ChainSpec, Chains, ErrorKind, NetworkObject};

/// Every echo packet of IPv4.
const ECHO: &str = "dl_type=0x0800,nw_proto=1";

fn chains<'b>(bed: &'b Bed<'_>) -> Result<&'b dyn Chains, Stop> {
    let cannot = || Stop::NotSeen("the network driver makes no chains".to_owned());
    bed.network()?.chains().ok_or_else(cannot)
}

/// A bidirectional chain for `owner` between the ports of two containers.
fn chain(owner: &Owner, id: u32, [from, to]: [(&Vnf, u32); 2], matches: &str) -> ChainSpec {
    let end = |(vnf, port): (&Vnf, u32)| ChainEnd {
        port: PortId::new(port),
        datacenter: vnf.spec.datacenter.clone(),
    };
    ChainSpec {
        owner: owner.clone(),
        id: segment_id(id),
        group: from.0.port(from.1, "eth1", "", &[]).group,
        source: end(from),
        destination: end(to),
        bidirectional: true,
        matches: matches.parse().expect("the suite's matches are valid"),
        priority: 1000,
    }
}

/// Three VNFs with ports 1 to 3 and addresses 10.9.0.1 to 10.9.0.3: the first two on an E-Line, the last on nothing;
/// the first in one data center, the others in another.
async fn three(bed: &Bed<'_>) -> Result<[Vnf; 3], Stop> {
    chains(bed)?;
    let a = bed.vnf("a", bed.near()).await?;
    let (b, c) = (bed.vnf("b", bed.far()).await?, bed.vnf("c", bed.far()).await?);
    bed.network()?.ensure_segment(&segment(&bed.owner, 10, E_LINE, vec![a.end(1), b.end(2)])).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    bed.plug(&b, &b.port(2, "eth1", "10.9.0.2/24", &[10])).await?;
    bed.plug(&c, &c.port(3, "eth1", "10.9.0.3/24", &[])).await?;
    eventually("an answer on the E-Line", || bed.ping(&a, "10.9.0.2")).await?;
    Ok([a, b, c])
}

async fn hears(bed: &Bed<'_>, from: &Vnf, to: &str, expected: bool, what: &str) -> Checked {
    if expected {
        // A kernel that has asked for a neighbour in vain asks again a second later.
        return eventually(&format!("{what}: an answer from {to}"), || bed.ping(from, to)).await;
    }
    ensure!(!bed.ping(from, to).await?, "{what}: an answer from {to}");
    Ok(())
}

pub(super) async fn a_chain_joins_ports_that_share_no_segment(bed: &mut Bed<'_>) -> Checked {
    chains(bed)?;
    for (base, far) in [(1, bed.near()), (11, bed.far())] {
        let a = bed.vnf(&format!("a{base}"), bed.near()).await?;
        let b = bed.vnf(&format!("b{base}"), far).await?;
        let spec = chain(&bed.owner, base, [(&a, base), (&b, base + 1)], "");
        bed.plug(&a, &a.port(base, "eth1", "10.9.0.1/24", &[])).await?;
        // Before its other end is there.
        chains(bed)?.ensure_chain(&spec).await?;
        bed.plug(&b, &b.port(base + 1, "eth1", "10.9.0.2/24", &[])).await?;
        for _ in 0..2 {
            hears(bed, &a, "10.9.0.2", true, "with the chain").await?;
            hears(bed, &b, "10.9.0.1", true, "with the chain, the other way").await?;
            chains(bed)?.ensure_chain(&spec).await?;
            for _ in 0..2 {
                chains(bed)?.remove_chain(&bed.owner, spec.id).await?;
            }
            hears(bed, &a, "10.9.0.2", false, "without the chain").await?;
            chains(bed)?.ensure_chain(&spec).await?;
        }
        bed.network()?.remove_segment(&bed.owner, spec.id).await?;
        hears(bed, &a, "10.9.0.2", false, "removed as a segment").await?;
    }
    Ok(())
}

pub(super) async fn what_matches_no_chain_goes_where_it_went(bed: &mut Bed<'_>) -> Checked {
    let [a, b, c] = three(bed).await?;
    hears(bed, &a, "10.9.0.3", false, "without a chain").await?;
    let way = |id, ends, matches| ChainSpec { bidirectional: false, ..chain(&bed.owner, id, ends, matches) };
    let to_c = "dl_type=0x0800,nw_dst=10.9.0.3";
    let specs = [
        way(20, [(&a, 1), (&c, 3)], "dl_type=0x0806,nw_dst=10.9.0.3"),
        way(21, [(&a, 1), (&c, 3)], to_c),
        way(22, [(&c, 3), (&a, 1)], ""),
    ];
    for spec in &specs {
        chains(bed)?.ensure_chain(spec).await?;
    }
    hears(bed, &a, "10.9.0.3", true, "what matches").await?;
    hears(bed, &a, "10.9.0.2", true, "what does not match").await?;
    hears(bed, &b, "10.9.0.1", true, "a port without chains").await?;
    chains(bed)?.remove_chain(&bed.owner, specs[1].id).await?;
    hears(bed, &a, "10.9.0.3", false, "after the chain is gone").await?;
    hears(bed, &a, "10.9.0.2", true, "after the chain is gone").await
}

pub(super) async fn of_several_chains_the_highest_priority_decides(bed: &mut Bed<'_>) -> Checked {
    let [a, b, c] = three(bed).await?;
    bed.network()?.remove_segment(&bed.owner, segment_id(10)).await?;
    let prior = |priority, spec: ChainSpec| ChainSpec { priority, ..spec };
    let all = prior(1, chain(&bed.owner, 20, [(&a, 1), (&b, 2)], ""));
    let away = prior(2, chain(&bed.owner, 21, [(&a, 1), (&c, 3)], ECHO));
    let back = prior(3, chain(&bed.owner, 22, [(&a, 1), (&b, 2)], ECHO));
    // As high as the one that steers away, and of a lower id.
    let equal = prior(2, chain(&bed.owner, 19, [(&a, 1), (&b, 2)], ECHO));
    for (spec, expected) in [(&all, true), (&away, false), (&back, true)] {
        chains(bed)?.ensure_chain(spec).await?;
        hears(bed, &a, "10.9.0.2", expected, &format!("with a chain of priority {}", spec.priority)).await?;
    }
    chains(bed)?.remove_chain(&bed.owner, back.id).await?;
    hears(bed, &a, "10.9.0.2", false, "without the highest one").await?;
    chains(bed)?.ensure_chain(&equal).await?;
    hears(bed, &a, "10.9.0.2", true, "of two equal ones that of the lower id").await
}

pub(super) async fn what_cannot_arrive_takes_no_other_way(bed: &mut Bed<'_>) -> Checked {
    let [a, _b, c] = three(bed).await?;
    let spec = chain(&bed.owner, 20, [(&a, 1), (&c, 3)], ECHO);
    bed.network()?.detach(&bed.owner, &c.spec.datacenter, PortId::new(3)).await?;
    chains(bed)?.ensure_chain(&spec).await?;
    hears(bed, &a, "10.9.0.2", false, "with a chain to a port that is not there").await?;
    bed.plug(&c, &c.port(3, "eth1", "10.9.0.3/24", &[])).await?;
    hears(bed, &a, "10.9.0.2", false, "with a chain to another port").await?;
    bed.network()?.set_port(&bed.owner, &c.spec.datacenter, PortId::new(3), false).await?;
    hears(bed, &a, "10.9.0.2", false, "with a chain to a port that is down").await?;
    bed.containers().remove(&bed.owner, &c.spec.name).await?;
    hears(bed, &a, "10.9.0.2", false, "with a chain to a container that is gone").await?;
    chains(bed)?.remove_chain(&bed.owner, spec.id).await?;
    hears(bed, &a, "10.9.0.2", true, "without the chain").await
}

pub(super) async fn a_one_way_chain_brings_no_answer(bed: &mut Bed<'_>) -> Checked {
    let [a, b, _c] = three(bed).await?;
    bed.network()?.remove_segment(&bed.owner, segment_id(10)).await?;
    let there = ChainSpec { bidirectional: false, ..chain(&bed.owner, 20, [(&a, 1), (&b, 2)], "") };
    let back = ChainSpec { bidirectional: false, ..chain(&bed.owner, 21, [(&b, 2), (&a, 1)], "") };
    chains(bed)?.ensure_chain(&there).await?;
    hears(bed, &a, "10.9.0.2", false, "with the chain").await?;
    hears(bed, &b, "10.9.0.1", false, "against the chain").await?;
    chains(bed)?.ensure_chain(&back).await?;
    hears(bed, &a, "10.9.0.2", true, "with one chain each way").await
}

pub(super) async fn a_chain_outlives_restarts(bed: &mut Bed<'_>) -> Checked {
    let [mut a, _b, c] = three(bed).await?;
    let spec = chain(&bed.owner, 20, [(&a, 1), (&c, 3)], "");
    chains(bed)?.ensure_chain(&spec).await?;
    hears(bed, &a, "10.9.0.3", true, "with the chain").await?;
    bed.restart().await?;
    ensure!(bed.ping(&a, "10.9.0.3").await?, "no answer after a restart of the program");
    let listed = NetworkObject::Segment { owner: bed.owner.clone(), id: spec.id };
    let all = bed.network()?.list_owned(&bed.owner.installation).await?;
    ensure_eq!(all.iter().filter(|object| **object == listed).count(), 1, "how often the chain is listed");
    bed.containers().stop(&a.spec.owner, &a.spec.name, seconds(1)).await?;
    eventually("silence of a stopped container", || async { Ok(!bed.ping(&c, "10.9.0.1").await?) }).await?;
    a.point = bed.containers().start(&a.spec.owner, &a.spec.name).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    hears(bed, &c, "10.9.0.1", true, "after a restart of the container").await?;
    hears(bed, &a, "10.9.0.3", true, "after a restart of the container").await?;
    let removed = bed.network()?.remove_instance(&bed.owner).await;
    ensure!(removed.is_ok(), "remove_instance: {removed:?}");
    let left = bed.network()?.list_owned(&bed.owner.installation).await?;
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

pub(super) async fn chains_are_refused_as_segments_are(bed: &mut Bed<'_>) -> Checked {
    let [a, b, c] = three(bed).await?;
    let spec = chain(&bed.owner, 20, [(&a, 1), (&c, 3)], ECHO);
    chains(bed)?.ensure_chain(&spec).await?;
    let other = bed.other.clone();
    let stranger = bed.vnf_of(&other, "s", bed.near()).await?;
    bed.plug(&stranger, &stranger.port(30, "eth1", "10.9.0.4/24", &[])).await?;
    let conflicts = [
        ("another match", ChainSpec { matches: crate::FrameMatch::default(), ..spec.clone() }),
        ("another owner's id", ChainSpec { owner: other.clone(), ..spec.clone() }),
        ("a segment's id", chain(&bed.owner, 10, [(&a, 1), (&c, 3)], "")),
        ("another owner's port", chain(&bed.owner, 21, [(&a, 1), (&stranger, 30)], "")),
    ];
    for (what, wrong) in conflicts {
        refused(chains(bed)?.ensure_chain(&wrong).await, ErrorKind::Conflict, what)?;
    }
    let line = segment(&bed.owner, 20, E_LINE, vec![a.end(1), b.end(2)]);
    refused(bed.network()?.ensure_segment(&line).await, ErrorKind::Conflict, "a segment of a chain's id")?;
    let one = chain(&bed.owner, 22, [(&a, 1), (&a, 1)], "");
    refused(chains(bed)?.ensure_chain(&one).await, ErrorKind::Invalid, "a chain from a port to itself")?;
    let mut elsewhere = chain(&bed.owner, 23, [(&a, 1), (&c, 3)], "");
    elsewhere.destination.datacenter = bed.near();
    refused(
        chains(bed)?.ensure_chain(&elsewhere).await,
        ErrorKind::Invalid,
        "a port in another data center",
    )?;
    elsewhere.destination.datacenter = llcm_names::DcName::parse("nowhere").expect("a valid name");
    refused(
        chains(bed)?.ensure_chain(&elsewhere).await,
        ErrorKind::NotFound,
        "a data center that is not there",
    )?;
    refused(
        chains(bed)?.remove_chain(&other, spec.id).await,
        ErrorKind::Conflict,
        "removal by another owner",
    )?;
    // What was refused has changed nothing.
    hears(bed, &a, "10.9.0.2", false, "with the chain").await?;
    chains(bed)?.remove_chain(&bed.owner, spec.id).await?;
    hears(bed, &a, "10.9.0.2", true, "without the chain").await
}
