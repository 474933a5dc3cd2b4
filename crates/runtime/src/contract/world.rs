//! Cases on both drivers together.

use super::bed::{Bed, E_LINE, segment};
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
    ensure!(!bed.ping(&b, "10.9.0.1").await?, "an answer of a stopped container");
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
