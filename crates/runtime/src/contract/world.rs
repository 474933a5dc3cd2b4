//! Cases on both drivers together.

use super::bed::{Bed, E_LINE, eventually, segment, together};
use super::report::{Checked, ensure, ensure_eq};
use super::seconds;

pub(super) async fn a_restarted_container_is_plugged_in_again(bed: &mut Bed<'_>) -> Checked {
    bed.network()?;
    let mut a = bed.vnf("a", bed.near()).await?;
    let b = bed.vnf("b", bed.far()).await?;
    let line = segment(&bed.owner, 10, E_LINE, vec![a.end(1), b.end(2)]);
    bed.network()?.ensure_segment(&line).await?;
    let port = a.port(1, "eth1", "10.9.0.1/24", &[10]);
    bed.plug(&a, &port).await?;
    bed.plug(&b, &b.port(2, "eth1", "10.9.0.2/24", &[10])).await?;
    ensure!(bed.ping(&b, "10.9.0.1").await?, "no answer before the restart");
    bed.containers().stop(&a.spec.owner, &a.spec.name, seconds(1)).await?;
    // A kernel may take its time to do away with the namespace of a dead process.
    eventually("silence of a stopped container", || async { Ok(!bed.ping(&b, "10.9.0.1").await?) }).await?;
    a.point = bed.containers().start(&a.spec.owner, &a.spec.name).await?;
    bed.plug(&a, &port).await?;
    ensure!(bed.ping(&b, "10.9.0.1").await?, "no answer after the restart");
    Ok(())
}

/// The order of the contract: what a life-cycle manager does with a service of two VNFs.
pub(super) async fn a_service_goes_up_and_down_in_order(bed: &mut Bed<'_>) -> Checked {
    let network = bed.network()?;
    let mut specs = [bed.container("a"), bed.container("b")];
    specs[1].datacenter = bed.far();
    let ifname = llcm_names::IfName::parse("eth1").map_err(|error| error.to_string())?;
    for spec in &mut specs {
        spec.interfaces = vec![ifname.clone()];
    }
    bed.fetch().await?;
    let mut vnfs = Vec::new();
    let end = |index: usize, port: u32| crate::SegmentEnd {
        port: llcm_names::PortId::new(port),
        datacenter: specs[index].datacenter.clone(),
        role: crate::TreeRole::Root,
    };
    network.ensure_segment(&segment(&bed.owner, 10, E_LINE, vec![end(0, 1), end(1, 2)])).await?;
    for (number, spec) in (1..).zip(&specs) {
        let early = bed.containers().create(spec).await?;
        ensure_eq!(
            early.is_some(),
            bed.containers().offers().netns_before_start,
            "whether create tells the attach point"
        );
        let started = match early {
            Some(_) => None,
            None => Some(bed.containers().start(&spec.owner, &spec.name).await?),
        };
        let Some(point) = early.or(started) else { continue };
        let vnf = super::bed::Vnf { spec: spec.clone(), point };
        bed.plug(&vnf, &vnf.port(number, "eth1", &format!("10.9.0.{number}/24"), &[10])).await?;
        bed.containers().start(&spec.owner, &spec.name).await?;
        vnfs.push(vnf);
    }
    ensure!(bed.ping(&vnfs[0], "10.9.0.2").await?, "no answer in the finished service");
    for vnf in &vnfs {
        bed.containers().stop(&vnf.spec.owner, &vnf.spec.name, seconds(1)).await?;
    }
    let removed = network.remove_instance(&bed.owner).await;
    ensure!(removed.is_ok(), "remove_instance: {removed:?}");
    for vnf in &vnfs {
        bed.containers().remove(&vnf.spec.owner, &vnf.spec.name).await?;
    }
    let left = network.list_owned(&bed.owner.installation).await?;
    ensure!(left.is_empty(), "left: {left:?}");
    let left = bed.containers().list_owned(&bed.owner.installation).await?;
    ensure!(left.is_empty(), "left: {left:?}");
    Ok(())
}

/// Containers first, segments first, ports first: in the end nothing is left.
pub(super) async fn take_down_works_in_any_order(bed: &mut Bed<'_>) -> Checked {
    bed.network()?;
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (a, b) = (bed.vnf("a", bed.near()).await?, bed.vnf("b", bed.far()).await?);
        let line = segment(&bed.owner, 10, E_LINE, vec![a.end(1), b.end(2)]);
        let network = bed.network()?;
        network.ensure_segment(&line).await?;
        bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
        bed.plug(&b, &b.port(2, "eth1", "10.9.0.2/24", &[10])).await?;
        for part in order {
            match part {
                0 => {
                    for vnf in [&a, &b] {
                        bed.containers().remove(&vnf.spec.owner, &vnf.spec.name).await?;
                    }
                }
                1 => network.remove_segment(&bed.owner, line.id).await?,
                _ => {
                    for end in &line.ends {
                        network.detach(&bed.owner, &end.datacenter, end.port).await?;
                    }
                }
            }
        }
        let left = network.list_owned(&bed.owner.installation).await?;
        ensure!(left.is_empty(), "left after order {order:?}: {left:?}");
    }
    Ok(())
}

/// Six containers of two instances at once, as fast as the driver can.
pub(super) async fn much_goes_on_at_once(bed: &mut Bed<'_>) -> Checked {
    let bed = &*bed;
    bed.network()?;
    bed.fetch().await?;
    let owners = [&bed.owner, &bed.other];
    let vnfs = together((0..6_u32).map(|index| {
        let owner = if index < 3 { owners[0] } else { owners[1] };
        let datacenter = if index % 2 == 0 { bed.near() } else { bed.far() };
        async move { bed.vnf_of(owner, &format!("a{index}"), datacenter).await }
    }))
    .await?;
    let lan = |owner, id, vnfs: &[super::bed::Vnf]| {
        let ends = (id..).zip(vnfs).map(|(port, vnf)| vnf.end(port)).collect();
        segment(owner, id, crate::SegmentKind::ELan, ends)
    };
    let lans = [lan(owners[0], 10, &vnfs[..3]), lan(owners[1], 20, &vnfs[3..])];
    let (first, second) =
        tokio::join!(bed.network()?.ensure_segment(&lans[0]), bed.network()?.ensure_segment(&lans[1]));
    first?;
    second?;
    together((0..6_u32).zip(&vnfs).map(|(index, vnf)| {
        let (lan, host) = (if index < 3 { 10 } else { 20 }, index % 3);
        let port = vnf.port(lan + host, "eth1", &format!("10.9.0.{}/24", host + 1), &[lan]);
        async move { bed.plug(vnf, &port).await }
    }))
    .await?;
    for (from, to) in [(0, "10.9.0.2"), (0, "10.9.0.3"), (3, "10.9.0.2"), (5, "10.9.0.1")] {
        ensure!(bed.ping(&vnfs[from], to).await?, "no answer from {to} to number {from}");
    }
    let (first, second) =
        tokio::join!(bed.network()?.remove_instance(owners[0]), bed.network()?.remove_instance(owners[1]));
    ensure!(first.is_ok() && second.is_ok(), "remove_instance of both: {first:?}, {second:?}");
    together(vnfs.iter().map(|vnf| async move {
        bed.containers().remove(&vnf.spec.owner, &vnf.spec.name).await.map_err(super::report::Stop::from)
    }))
    .await?;
    Ok(())
}
