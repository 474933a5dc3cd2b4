//! Cases on segments and ports, without traffic.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnetwork::IpNetwork;
use llcm_names::{MacAddr, PortId};

use super::bed::{Bed, E_LINE, Vnf, eventually, refused, segment, segment_id};
use super::report::{Checked, ensure, ensure_eq};
use crate::{ErrorKind, NetworkObject, PortSpec, SegmentKind, SegmentSpec};

pub(super) async fn prepare_may_be_repeated(bed: &mut Bed<'_>) -> Checked {
    let network = bed.network()?;
    let topology = bed.host().topology.clone();
    network.prepare(&topology).await?;
    let links = network.links().await?;
    let seen: BTreeSet<_> =
        links.iter().map(|link| (link.name.clone(), link.ends.clone(), link.up)).collect();
    let ends = topology.links.iter();
    let expected: BTreeSet<_> =
        ends.map(|link| (link.name.clone(), [link.a.dc.clone(), link.b.dc.clone()], true)).collect();
    ensure_eq!(seen, expected, "the links of the topology");
    Ok(())
}

/// Two VNFs in two data centers with ports 1 and 2, and an E-Line 10 between them that is not there yet.
async fn pair(bed: &Bed<'_>) -> Result<(Vnf, Vnf, SegmentSpec), super::report::Stop> {
    bed.network()?;
    let a = bed.vnf("a", bed.near()).await?;
    let b = bed.vnf("b", bed.far()).await?;
    let line = segment(&bed.owner, 10, E_LINE, vec![a.end(1), b.end(2)]);
    Ok((a, b, line))
}

pub(super) async fn segments_may_be_ensured_again(bed: &mut Bed<'_>) -> Checked {
    let (_a, _b, line) = pair(bed).await?;
    for _ in 0..2 {
        bed.network()?.ensure_segment(&line).await?;
    }
    bed.restart().await?;
    bed.network()?.ensure_segment(&line).await?;
    let all = bed.network()?.list_owned(&bed.owner.installation).await?;
    ensure_eq!(all, vec![NetworkObject::Segment { owner: bed.owner.clone(), id: line.id }], "what is there");
    Ok(())
}

pub(super) async fn another_segment_of_the_same_id_conflicts(bed: &mut Bed<'_>) -> Checked {
    let (_, _, line) = pair(bed).await?;
    bed.network()?.ensure_segment(&line).await?;
    let turned = line.ends.iter().rev().cloned().collect();
    for (what, changed) in [
        ("kind", SegmentSpec { kind: SegmentKind::ELan, ..line.clone() }),
        ("order of ends", SegmentSpec { ends: turned, ..line.clone() }),
        ("owner", SegmentSpec { owner: bed.other.clone(), ..line.clone() }),
    ] {
        let result = bed.network()?.ensure_segment(&changed).await;
        refused(result, ErrorKind::Conflict, &format!("ensure_segment of the same id with another {what}"))?;
    }
    Ok(())
}

pub(super) async fn attach_may_be_repeated(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    bed.network()?.ensure_segment(&line).await?;
    let port = a.port(1, "eth1", "10.9.0.1/24", &[10]);
    let first = bed.network()?.attach(&port, &a.point).await?;
    ensure_eq!(bed.network()?.attach(&port, &a.point).await?, first, "attach, repeated");
    bed.restart().await?;
    ensure_eq!(bed.network()?.attach(&port, &a.point).await?, first, "attach, repeated after a restart");
    let ports = ports(bed).await?;
    ensure_eq!(ports, BTreeSet::from([port.id]), "the ports after all that");
    Ok(())
}

async fn ports(bed: &Bed<'_>) -> Result<BTreeSet<PortId>, super::report::Stop> {
    let all = bed.network()?.list_owned(&bed.owner.installation).await?;
    let port = |object: &NetworkObject| match object {
        NetworkObject::Port { id, .. } => Some(*id),
        NetworkObject::Segment { .. } => None,
    };
    Ok(all.iter().filter_map(port).collect())
}

pub(super) async fn another_port_of_the_same_id_conflicts(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    bed.network()?.ensure_segment(&line).await?;
    let port = a.port(1, "eth1", "10.9.0.1/24", &[10]);
    bed.plug(&a, &port).await?;
    let other_address = vec!["10.9.0.7/24".parse::<IpNetwork>().expect("valid")];
    for (what, changed) in [
        ("address", PortSpec { addresses: other_address, ..port.clone() }),
        ("MAC", PortSpec { mac: MacAddr::derive(bed.owner.instance, "x"), ..port.clone() }),
        ("owner", PortSpec { owner: bed.other.clone(), ..port.clone() }),
    ] {
        let result = bed.network()?.attach(&changed, &a.point).await;
        refused(result, ErrorKind::Conflict, &format!("attach of the same port with another {what}"))?;
    }
    let clash = PortSpec { id: PortId::new(3), segments: Vec::new(), ..port };
    let result = bed.network()?.attach(&clash, &a.point).await;
    refused(result, ErrorKind::Conflict, "attach of a second interface of the same name")?;
    ensure_eq!(ports(bed).await?, BTreeSet::from([PortId::new(1)]), "the ports after the refusals");
    Ok(())
}

pub(super) async fn attach_needs_container_and_segment(bed: &mut Bed<'_>) -> Checked {
    let (a, b, line) = pair(bed).await?;
    let port = a.port(1, "eth1", "10.9.0.1/24", &[10]);
    let result = bed.network()?.attach(&port, &a.point).await;
    refused(result, ErrorKind::NotFound, "attach to a segment that is not there")?;
    bed.network()?.ensure_segment(&line).await?;
    bed.containers().remove(&b.spec.owner, &b.spec.name).await?;
    let result = bed.network()?.attach(&b.port(2, "eth1", "10.9.0.2/24", &[10]), &b.point).await;
    refused(result, ErrorKind::NotFound, "attach to a container that is gone")?;
    ensure!(ports(bed).await?.is_empty(), "failed attaches leave {:?}", ports(bed).await?);
    Ok(())
}

pub(super) async fn an_interface_is_as_told(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    bed.network()?.ensure_segment(&line).await?;
    let addresses = "10.9.0.1/24 192.168.77.5/30";
    let port = PortSpec { mtu: 1400, ..a.port(1, "vdu01-eth0.long", addresses, &[10]) };
    bed.plug(&a, &port).await?;
    let Some(seen) = bed.interface(&a, "vdu01-eth0.long").await? else {
        return Err("the interface is not there".to_owned().into());
    };
    ensure_eq!(seen.mac, port.mac, "the MAC address");
    ensure_eq!(seen.mtu, 1400, "the MTU");
    ensure!(seen.up, "the interface is not up");
    let sorted = |addresses: &[IpNetwork]| addresses.iter().copied().collect::<BTreeSet<_>>();
    ensure_eq!(sorted(&seen.addresses), sorted(&port.addresses), "the addresses");
    Ok(())
}

pub(super) async fn an_interface_on_no_link_exists(bed: &mut Bed<'_>) -> Checked {
    let (a, _, _) = pair(bed).await?;
    bed.plug(&a, &a.port(1, "eth1", "", &[])).await?;
    let seen = bed.interface(&a, "eth1").await?;
    let seen = seen.map(|seen| (seen.up, seen.addresses));
    ensure_eq!(seen, Some((true, Vec::new())), "the interface, up and without addresses");
    Ok(())
}

pub(super) async fn detach_removes_the_interface_and_may_be_repeated(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    bed.network()?.detach(&bed.owner, &a.spec.datacenter, PortId::new(1)).await?;
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    for _ in 0..2 {
        bed.network()?.detach(&bed.owner, &a.spec.datacenter, PortId::new(1)).await?;
    }
    ensure!(ports(bed).await?.is_empty(), "the port is still listed");
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.8/24", &[10])).await?;
    bed.restart().await?;
    bed.network()?.detach(&bed.owner, &a.spec.datacenter, PortId::new(1)).await?;
    ensure_eq!(bed.interface(&a, "eth1").await?, None, "the interface after detach");
    Ok(())
}

pub(super) async fn a_port_of_a_removed_container_can_be_detached(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    bed.containers().remove(&a.spec.owner, &a.spec.name).await?;
    bed.network()?.detach(&bed.owner, &a.spec.datacenter, PortId::new(1)).await?;
    ensure!(ports(bed).await?.is_empty(), "the port is still listed");
    Ok(())
}

pub(super) async fn another_owner_detaches_nothing(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    let before = bed.network()?.list_owned(&bed.owner.installation).await?;
    for owner in [&bed.other, &bed.stranger] {
        // Whether a driver says Conflict or that there is no such port of this owner: it is left alone.
        let results = [
            bed.network()?.detach(owner, &a.spec.datacenter, PortId::new(1)).await,
            bed.network()?.remove_segment(owner, segment_id(10)).await,
        ];
        for error in results.into_iter().filter_map(Result::err) {
            ensure_eq!(error.kind, ErrorKind::Conflict, "the refusal");
        }
        let removed = bed.network()?.remove_instance(owner).await;
        ensure!(removed.is_ok(), "remove_instance of one that has nothing: {removed:?}");
    }
    let after = bed.network()?.list_owned(&bed.owner.installation).await?;
    ensure_eq!(after, before, "what is there after another owner's removals");
    Ok(())
}

pub(super) async fn a_port_that_is_not_there_is_down(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    let (owner, dc, id) = (&bed.owner, &a.spec.datacenter, PortId::new(1));
    bed.network()?.set_port(owner, dc, id, false).await?;
    let up = bed.network()?.set_port(owner, dc, id, true).await;
    refused(up, ErrorKind::NotFound, "setting up a port that is not there")?;
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    for up in [false, true] {
        let by_another = bed.network()?.set_port(&bed.other, dc, id, up).await;
        refused(by_another, ErrorKind::Conflict, "another owner's setting")?;
    }
    bed.containers().remove(&a.spec.owner, &a.spec.name).await?;
    // With the device or without it, as the kernel takes its time.
    bed.network()?.set_port(owner, dc, id, false).await?;
    Ok(())
}

pub(super) async fn removing_a_segment_leaves_its_ports(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    bed.network()?.remove_segment(&bed.owner, line.id).await?;
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    for _ in 0..2 {
        bed.network()?.remove_segment(&bed.owner, line.id).await?;
    }
    let all = bed.network()?.list_owned(&bed.owner.installation).await?;
    let datacenter = a.spec.datacenter.clone();
    let port = NetworkObject::Port { owner: bed.owner.clone(), datacenter, id: PortId::new(1) };
    ensure_eq!(all, vec![port], "what is there after the segment's removal");
    Ok(())
}

/// A pair for `owner` with the given numbers of ports and segment, all attached.
async fn wired(bed: &Bed<'_>, owner: &llcm_names::Owner, names: [&str; 2], base: u32) -> Checked {
    let a = bed.vnf_of(owner, names[0], bed.near()).await?;
    let b = bed.vnf_of(owner, names[1], bed.far()).await?;
    let line = segment(owner, base, E_LINE, vec![a.end(base), b.end(base + 1)]);
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(&a, &a.port(base, "eth1", "10.9.0.1/24", &[base])).await?;
    bed.plug(&b, &b.port(base + 1, "eth1", "10.9.0.2/24", &[base])).await
}

fn objects(bed: &Bed<'_>, owner: &llcm_names::Owner, base: u32) -> BTreeSet<NetworkObject> {
    let port = |datacenter, id| NetworkObject::Port { owner: owner.clone(), datacenter, id: PortId::new(id) };
    BTreeSet::from([
        port(bed.near(), base),
        port(bed.far(), base + 1),
        NetworkObject::Segment { owner: owner.clone(), id: segment_id(base) },
    ])
}

pub(super) async fn list_owned_tells_all_after_a_restart(bed: &mut Bed<'_>) -> Checked {
    bed.network()?;
    // Another installation uses the same numbers.
    let stranger = bed.stranger_drivers().await?;
    if let Some(network) = &stranger.network {
        let ends = [(1, bed.near()), (2, bed.far())];
        let end = |(port, datacenter)| crate::SegmentEnd {
            port: PortId::new(port),
            datacenter,
            role: crate::TreeRole::Root,
        };
        network.ensure_segment(&segment(&bed.stranger, 1, E_LINE, ends.map(end).to_vec())).await?;
    }
    drop(stranger);
    let (owner, other) = (bed.owner.clone(), bed.other.clone());
    wired(bed, &owner, ["a", "b"], 1).await?;
    wired(bed, &other, ["c", "d"], 11).await?;
    bed.restart().await?;
    let seen = bed.network()?.list_owned(&owner.installation).await?;
    let expected: BTreeSet<_> = objects(bed, &owner, 1).into_iter().chain(objects(bed, &other, 11)).collect();
    ensure_eq!(seen.len(), expected.len(), "how many objects are listed");
    ensure_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected, "the objects of this installation");
    Ok(())
}

pub(super) async fn remove_instance_spares_other_instances(bed: &mut Bed<'_>) -> Checked {
    bed.network()?;
    let (owner, other) = (bed.owner.clone(), bed.other.clone());
    wired(bed, &owner, ["a", "b"], 1).await?;
    wired(bed, &other, ["c", "d"], 11).await?;
    bed.containers().remove(&owner, &bed.name("a")).await?;
    bed.restart().await?;
    for _ in 0..2 {
        let removed = bed.network()?.remove_instance(&owner).await;
        ensure!(removed.is_ok(), "remove_instance: {removed:?}");
        let left: BTreeSet<_> = bed.network()?.list_owned(&owner.installation).await?.into_iter().collect();
        ensure_eq!(left, objects(bed, &other, 11), "what is left");
    }
    Ok(())
}

pub(super) async fn teardown_leaves_nothing(bed: &mut Bed<'_>) -> Checked {
    bed.network()?;
    let owner = bed.owner.clone();
    wired(bed, &owner, ["a", "b"], 1).await?;
    for _ in 0..2 {
        bed.network()?.teardown().await?;
        let left = bed.network()?.list_owned(&owner.installation).await?;
        ensure!(left.is_empty(), "teardown leaves {left:?}");
    }
    let topology = bed.host().topology.clone();
    bed.network()?.prepare(&topology).await?;
    for name in ["a", "b"] {
        bed.containers().remove(&owner, &bed.name(name)).await?;
    }
    wired(bed, &owner, ["a", "b"], 1).await
}

pub(super) async fn abandoned_work_can_be_removed(bed: &mut Bed<'_>) -> Checked {
    let (a, _, line) = pair(bed).await?;
    let port = a.port(1, "eth1", "10.9.0.1/24", &[10]);
    for micros in [0, 100, 1_000, 10_000] {
        let time = Duration::from_micros(micros);
        // Whether it gets done in that time or not, all that may be left is what the removals remove.
        let _ = tokio::time::timeout(time, bed.network()?.ensure_segment(&line)).await;
        bed.network()?.ensure_segment(&line).await?;
        let _ = tokio::time::timeout(time, bed.network()?.attach(&port, &a.point)).await;
        eventually("the removal of what was given up", || async {
            bed.network()?.detach(&bed.owner, &a.spec.datacenter, port.id).await?;
            bed.network()?.remove_segment(&bed.owner, line.id).await?;
            // The driver may still be at it, and undo it when it finds out: it is gone when it stays away for a while.
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let is_left = !bed.network()?.list_owned(&bed.owner.installation).await?.is_empty();
                if is_left || bed.interface(&a, "eth1").await?.is_some() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await?;
    }
    Ok(())
}
