//! Cases on what goes through segments, told by echo requests.

use llcm_names::{IfName, PortId};

use super::bed::{Bed, E_LINE, Vnf, eventually, refused, segment};
use super::report::{Checked, Stop, ensure, ensure_eq};
use crate::{AttachPoint, ErrorKind, HostPort, NetworkDriver, NetworkObject, PortSpec, SegmentKind};

/// Whether `from` hears `to` must be as expected.
async fn hears(bed: &Bed<'_>, from: &Vnf, to: &str, expected: bool, what: &str) -> Checked {
    if expected {
        // A kernel that has asked for a neighbour in vain asks again a second later.
        return eventually(&format!("{what}: an answer from {to}"), || bed.ping(from, to)).await;
    }
    ensure!(!bed.ping(from, to).await?, "{what}: an answer from {to}");
    Ok(())
}

async fn line_between(bed: &Bed<'_>, a: &Vnf, b: &Vnf) -> Checked {
    let line = segment(&bed.owner, 10, E_LINE, vec![a.end(1), b.end(2)]);
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    hears(bed, a, "10.9.0.2", false, "before the far end is attached").await?;
    bed.plug(b, &b.port(2, "eth1", "10.9.0.2/24", &[10])).await?;
    // A kernel that has asked for a neighbour in vain asks again a second later.
    eventually("an answer when both ends are attached", || bed.ping(a, "10.9.0.2")).await?;
    hears(bed, b, "10.9.0.1", true, "the other way").await
}

/// Cases on traffic need a network driver and a probe that can ping.
fn network<'b>(bed: &'b Bed<'_>) -> Result<&'b dyn NetworkDriver, Stop> {
    bed.network()
}

pub(super) async fn an_e_line_joins_within_a_data_center(bed: &mut Bed<'_>) -> Checked {
    network(bed)?;
    let (a, b) = (bed.vnf("a", bed.near()).await?, bed.vnf("b", bed.near()).await?);
    line_between(bed, &a, &b).await
}

pub(super) async fn an_e_line_joins_across_data_centers(bed: &mut Bed<'_>) -> Checked {
    network(bed)?;
    let (a, b) = (bed.vnf("a", bed.near()).await?, bed.vnf("b", bed.far()).await?);
    line_between(bed, &a, &b).await
}

pub(super) async fn a_one_way_e_line_answers_no_echo(bed: &mut Bed<'_>) -> Checked {
    network(bed)?;
    for (base, far) in [(1, bed.near()), (11, bed.far())] {
        let a = bed.vnf(&format!("a{base}"), bed.near()).await?;
        let b = bed.vnf(&format!("b{base}"), far).await?;
        let kind = SegmentKind::ELine { bidirectional: false };
        let line = segment(&bed.owner, base, kind, vec![a.end(base), b.end(base + 1)]);
        bed.network()?.ensure_segment(&line).await?;
        bed.plug(&a, &a.port(base, "eth1", "10.9.0.1/24", &[base])).await?;
        bed.plug(&b, &b.port(base + 1, "eth1", "10.9.0.2/24", &[base])).await?;
        hears(bed, &a, "10.9.0.2", false, "with the line").await?;
        hears(bed, &b, "10.9.0.1", false, "against the line").await?;
    }
    Ok(())
}

/// Four VNFs, two in each of two data centers, with addresses 10.9.0.1 to 10.9.0.4.
async fn four(bed: &Bed<'_>) -> Result<Vec<Vnf>, Stop> {
    network(bed)?;
    let mut vnfs = Vec::new();
    for (short, datacenter) in [("a", bed.near()), ("b", bed.near()), ("c", bed.far()), ("d", bed.far())] {
        vnfs.push(bed.vnf(short, datacenter).await?);
    }
    Ok(vnfs)
}

async fn plug_all(bed: &Bed<'_>, vnfs: &[Vnf], segments: &[u32]) -> Checked {
    for (number, vnf) in (1..).zip(vnfs) {
        bed.plug(vnf, &vnf.port(number, "eth1", &format!("10.9.0.{number}/24"), segments)).await?;
    }
    Ok(())
}

pub(super) async fn an_e_lan_joins_all_over_the_data_centers(bed: &mut Bed<'_>) -> Checked {
    let vnfs = four(bed).await?;
    let ends = (1..).zip(&vnfs).map(|(number, vnf)| vnf.end(number)).collect();
    bed.network()?.ensure_segment(&segment(&bed.owner, 10, SegmentKind::ELan, ends)).await?;
    plug_all(bed, &vnfs, &[10]).await?;
    for (from, number) in vnfs.iter().zip(1..) {
        for to in (1..=4).filter(|to| *to != number) {
            hears(bed, from, &format!("10.9.0.{to}"), true, "in one E-LAN").await?;
        }
    }
    Ok(())
}

pub(super) async fn an_e_tree_keeps_leaves_apart(bed: &mut Bed<'_>) -> Checked {
    let vnfs = four(bed).await?;
    // Leaves in the root's data center and two in the other: neither hears any.
    let ends = vec![vnfs[0].end(1), vnfs[1].leaf(2), vnfs[2].leaf(3), vnfs[3].leaf(4)];
    bed.network()?.ensure_segment(&segment(&bed.owner, 10, SegmentKind::ETree, ends)).await?;
    plug_all(bed, &vnfs, &[10]).await?;
    for (from, leaf) in vnfs.iter().zip(1..).skip(1) {
        hears(bed, from, "10.9.0.1", true, "the root from a leaf").await?;
        for other in (2..=4).filter(|other| *other != leaf) {
            hears(bed, from, &format!("10.9.0.{other}"), false, "a leaf from another").await?;
        }
    }
    Ok(())
}

pub(super) async fn segments_do_not_hear_one_another(bed: &mut Bed<'_>) -> Checked {
    let vnfs = four(bed).await?;
    // Both segments span both data centers and share one subnet.
    for (id, [first, second]) in [(10, [0, 2]), (11, [1, 3])] {
        let number = |index: usize| u32::try_from(index + 1).expect("small");
        let ends = [first, second].map(|index| vnfs[index].end(number(index))).to_vec();
        bed.network()?.ensure_segment(&segment(&bed.owner, id, SegmentKind::ELan, ends)).await?;
        for index in [first, second] {
            let address = format!("10.9.0.{}/24", index + 1);
            bed.plug(&vnfs[index], &vnfs[index].port(number(index), "eth1", &address, &[id])).await?;
        }
    }
    hears(bed, &vnfs[0], "10.9.0.3", true, "the same segment").await?;
    hears(bed, &vnfs[1], "10.9.0.4", true, "the same segment").await?;
    for (from, to) in [(0, 2), (0, 4), (1, 1), (1, 3), (2, 2), (3, 1)] {
        hears(bed, &vnfs[from], &format!("10.9.0.{to}"), false, "the other segment").await?;
    }
    Ok(())
}

pub(super) async fn instances_with_equal_addresses_do_not_meet(bed: &mut Bed<'_>) -> Checked {
    network(bed)?;
    let mut near = Vec::new();
    for (owner, base, names, far_address) in
        [(&bed.owner, 1, ["a", "b"], "10.9.0.2/24"), (&bed.other, 11, ["c", "d"], "10.9.0.3/24")]
    {
        let a = bed.vnf_of(owner, names[0], bed.near()).await?;
        let b = bed.vnf_of(owner, names[1], bed.far()).await?;
        let line = segment(owner, base, E_LINE, vec![a.end(base), b.end(base + 1)]);
        bed.network()?.ensure_segment(&line).await?;
        bed.plug(&a, &a.port(base, "eth1", "10.9.0.1/24", &[base])).await?;
        bed.plug(&b, &b.port(base + 1, "eth1", far_address, &[base])).await?;
        near.push(a);
    }
    for (vnf, own, others) in [(&near[0], "10.9.0.2", "10.9.0.3"), (&near[1], "10.9.0.3", "10.9.0.2")] {
        hears(bed, vnf, own, true, "the same instance").await?;
        hears(bed, vnf, others, false, "the other instance").await?;
    }
    // Taking one down leaves the other one's link.
    let removed = bed.network()?.remove_instance(&bed.owner).await;
    super::report::ensure!(removed.is_ok(), "remove_instance: {removed:?}");
    hears(bed, &near[0], "10.9.0.2", false, "a removed instance").await?;
    hears(bed, &near[1], "10.9.0.3", true, "the other instance, after one is gone").await
}

pub(super) async fn an_interface_may_be_on_several_links(bed: &mut Bed<'_>) -> Checked {
    let vnfs = four(bed).await?;
    // a is joined to b (same data center) and c (another one), which do not hear one another.
    let network = bed.network()?;
    network.ensure_segment(&segment(&bed.owner, 10, E_LINE, vec![vnfs[0].end(1), vnfs[1].end(2)])).await?;
    network.ensure_segment(&segment(&bed.owner, 11, E_LINE, vec![vnfs[0].end(1), vnfs[2].end(3)])).await?;
    for (index, id, address, segments) in
        [(0, 1, "10.9.0.1/24", &[10, 11][..]), (1, 2, "10.9.0.2/24", &[10]), (2, 3, "10.9.0.3/24", &[11])]
    {
        bed.plug(&vnfs[index], &vnfs[index].port(id, "eth1", address, segments)).await?;
    }
    for (from, to, expected) in [(0, 2, true), (0, 3, true), (1, 1, true), (2, 1, true), (1, 3, false)] {
        let what = "one interface on two E-Lines";
        hears(bed, &vnfs[from], &format!("10.9.0.{to}"), expected, what).await?;
    }
    Ok(())
}

pub(super) async fn a_removed_segment_carries_nothing(bed: &mut Bed<'_>) -> Checked {
    network(bed)?;
    for (base, kind) in [(1, E_LINE), (11, SegmentKind::ELan)] {
        let a = bed.vnf(&format!("a{base}"), bed.near()).await?;
        let b = bed.vnf(&format!("b{base}"), bed.far()).await?;
        let spec = segment(&bed.owner, base, kind, vec![a.end(base), b.end(base + 1)]);
        let ports =
            [a.port(base, "eth1", "10.9.0.1/24", &[base]), b.port(base + 1, "eth1", "10.9.0.2/24", &[base])];
        for _ in 0..2 {
            bed.network()?.ensure_segment(&spec).await?;
            bed.plug(&a, &ports[0]).await?;
            bed.plug(&b, &ports[1]).await?;
            hears(bed, &a, "10.9.0.2", true, "with the segment").await?;
            bed.network()?.remove_segment(&bed.owner, spec.id).await?;
            hears(bed, &a, "10.9.0.2", false, "without the segment").await?;
        }
    }
    Ok(())
}

pub(super) async fn detaching_one_end_spares_the_others(bed: &mut Bed<'_>) -> Checked {
    let vnfs = four(bed).await?;
    let ends = (1..).zip(&vnfs).map(|(number, vnf)| vnf.end(number)).collect();
    bed.network()?.ensure_segment(&segment(&bed.owner, 10, SegmentKind::ELan, ends)).await?;
    plug_all(bed, &vnfs, &[10]).await?;
    hears(bed, &vnfs[0], "10.9.0.2", true, "before").await?;
    let port = vnfs[1].end(2);
    bed.network()?.detach(&bed.owner, &port.datacenter, port.port).await?;
    hears(bed, &vnfs[0], "10.9.0.2", false, "the detached one").await?;
    hears(bed, &vnfs[0], "10.9.0.3", true, "the others").await?;
    hears(bed, &vnfs[3], "10.9.0.1", true, "the others").await
}

/// An interface of the host on an E-Line, where the driver says that there can be one; else it is refused.
pub(super) async fn the_host_can_be_an_end(bed: &mut Bed<'_>) -> Checked {
    let side = network(bed)?.host_side().await?;
    let vnf = bed.vnf("a", bed.near()).await?;
    let name = format!("ct-{}", bed.owner.installation);
    let host = PortSpec {
        host: Some(HostPort::default()),
        ifname: IfName::parse(&name).expect("made of valid parts"),
        datacenter: bed.far(),
        ..vnf.port(2, "eth1", "10.9.0.1/30", &[10])
    };
    let end = crate::SegmentEnd { datacenter: bed.far(), ..vnf.end(2) };
    bed.network()?.ensure_segment(&segment(&bed.owner, 10, E_LINE, vec![end, vnf.end(1)])).await?;
    let attached = bed.network()?.attach(&host, &AttachPoint::host()).await;
    if side.obstacle.is_some() {
        return refused(attached, ErrorKind::Unsupported, "attach of an interface of the host");
    }
    let view = attached?;
    bed.plug(&vnf, &vnf.port(1, "eth1", "10.9.0.2/30", &[10])).await?;
    eventually("an answer of the host", || bed.ping(&vnf, "10.9.0.1")).await?;
    ensure_eq!(bed.network()?.attach(&host, &AttachPoint::host()).await?, view, "attach, repeated");
    let clash = PortSpec { id: PortId::new(3), segments: Vec::new(), ..host.clone() };
    let result = bed.network()?.attach(&clash, &AttachPoint::host()).await;
    refused(result, ErrorKind::Conflict, "attach of a second interface of the host with that name")?;
    bed.restart().await?;
    ensure!(bed.ping(&vnf, "10.9.0.1").await?, "no answer after a restart");
    let port = NetworkObject::Port { owner: bed.owner.clone(), datacenter: bed.far(), id: host.id };
    ensure!(bed.network()?.list_owned(&bed.owner.installation).await?.contains(&port), "it is not listed");
    for _ in 0..2 {
        bed.network()?.detach(&bed.owner, &bed.far(), host.id).await?;
    }
    ensure!(!bed.ping(&vnf, "10.9.0.1").await?, "an answer after detach");
    Ok(())
}

/// On a patch and on a bridge, within a data center and across two; the other members notice nothing.
pub(super) async fn a_port_set_down_is_silent_until_it_is_set_up(bed: &mut Bed<'_>) -> Checked {
    network(bed)?;
    for (base, kind, far) in [
        (1, E_LINE, false),
        (11, SegmentKind::ELan, false),
        (21, E_LINE, true),
        (31, SegmentKind::ELan, true),
    ] {
        let there = if far { bed.far() } else { bed.near() };
        let a = bed.vnf(&format!("a{base}"), bed.near()).await?;
        let b = bed.vnf(&format!("b{base}"), there).await?;
        let spec = segment(&bed.owner, base, kind, vec![a.end(base), b.end(base + 1)]);
        bed.network()?.ensure_segment(&spec).await?;
        bed.plug(&a, &a.port(base, "eth1", "10.9.0.1/24", &[base])).await?;
        let port = b.port(base + 1, "eth1", "10.9.0.2/24", &[base]);
        bed.plug(&b, &port).await?;
        hears(bed, &a, "10.9.0.2", true, "a port that is up").await?;
        for _ in 0..2 {
            bed.network()?.set_port(&bed.owner, &b.spec.datacenter, port.id, false).await?;
        }
        hears(bed, &a, "10.9.0.2", false, "a port that was set down").await?;
        hears(bed, &b, "10.9.0.1", false, "out of a port that was set down").await?;
        for _ in 0..2 {
            bed.network()?.set_port(&bed.owner, &b.spec.datacenter, port.id, true).await?;
        }
        hears(bed, &a, "10.9.0.2", true, "a port that was set up again").await?;
        bed.network()?.set_port(&bed.owner, &b.spec.datacenter, port.id, false).await?;
        bed.plug(&b, &port).await?;
        hears(bed, &a, "10.9.0.2", true, "a port that was attached again").await?;
        for vnf in [&a, &b] {
            bed.containers().remove(&vnf.spec.owner, &vnf.spec.name).await?;
        }
    }
    Ok(())
}

pub(super) async fn a_cut_link_is_dark_until_it_is_back(bed: &mut Bed<'_>) -> Checked {
    let (a, b) = (bed.vnf("a", bed.near()).await?, bed.vnf("b", bed.far()).await?);
    line_between(bed, &a, &b).await?;
    let whole = bed.host().topology.clone();
    let mut cut = whole.clone();
    cut.links.iter_mut().for_each(|link| link.up = false);
    // Whoever prepares a topology again finds what is cut as it is.
    for _ in 0..2 {
        network(bed)?.prepare(&cut).await?;
        let links = network(bed)?.links().await?;
        ensure_eq!(links.len(), whole.links.len(), "links that are cut are there");
        ensure!(links.iter().all(|link| !link.up), "links that are cut are down: {links:?}");
        hears(bed, &a, "10.9.0.2", false, "with all links cut").await?;
    }
    network(bed)?.prepare(&whole).await?;
    let links = network(bed)?.links().await?;
    ensure!(links.iter().all(|link| link.up), "links that are back are up: {links:?}");
    eventually("an answer when the links are back", || bed.ping(&a, "10.9.0.2")).await?;
    hears(bed, &b, "10.9.0.1", true, "the other way").await
}
