//! The devices of a segment in each of its data centers.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use llcm_names::{DcName, Owner, SegmentId};
use llcm_netlink::link_kind::{BridgePort, Vxlan, add_bridge, add_vxlan, set_bridge_port};
use llcm_netlink::{Device, LinkInfo, fdb, link};
use llcm_runtime::{DriverError, DriverResult, ErrorKind, SegmentKind, SegmentSpec, TreeRole};

use crate::datacenter::Datacenter;
use crate::names::{Role, bridge, leaf_vxlan, mark, parse_mark, sink, vxlan};
use crate::shaping::{LINK_MTU, VXLAN_OVERHEAD};
use crate::underlay::Datacenters;
use crate::wiring::{has_leaves, is_bridged, is_remote, sites};

/// The kernel's limit (`BR_MAX_PORTS` in net/bridge/br_private.h, without the number 0).
const BRIDGE_PORTS: usize = 1023;
/// The UDP port of VXLAN (RFC 7348, section 5).
const VXLAN_PORT: u16 = 4789;
/// The UDP port of what the leaves of E-Trees sent.
const LEAF_PORT: u16 = 4790;
/// The UDP port of devices that send nothing.
const SINK_PORT: u16 = 4791;

/// Checks that a spec makes sense.
pub(crate) fn check(spec: &SegmentSpec) -> DriverResult<()> {
    let fail = |why| Err(crate::invalid("make segment", &spec.id.to_string(), why));
    let mut ports: Vec<_> = spec.ends.iter().map(|end| end.port).collect();
    ports.sort();
    ports.dedup();
    if ports.len() != spec.ends.len() {
        return fail("a port is an end of it twice");
    }
    let here = |site: &DcName| spec.ends.iter().filter(|end| end.datacenter == *site).count();
    // Two for the tunnels.
    let crowded = |site: &DcName| here(site) + 2 > BRIDGE_PORTS;
    match spec.kind {
        SegmentKind::ELine { .. } if spec.ends.len() != 2 => fail("an E-Line has exactly two ends"),
        _ if spec.ends.is_empty() => fail("it has no ends"),
        _ if is_bridged(spec) && sites(spec).into_iter().any(crowded) => {
            let message = format!("a bridge has at most {BRIDGE_PORTS} ports, in each data center");
            let target = spec.id.to_string();
            Err(DriverError::new(ErrorKind::Unsupported, "make segment", target, message))
        }
        _ => Ok(()),
    }
}

/// All names that devices of a segment can have.
pub(crate) fn device_names(id: SegmentId) -> [String; 4] {
    [leaf_vxlan(id), sink(id), vxlan(id), bridge(id)]
}

/// Makes the segment's devices in one data center; those that exist are completed.
pub(crate) fn ensure_site(
    spec: &SegmentSpec,
    site: &Datacenter,
    datacenters: &Datacenters,
) -> DriverResult<()> {
    let master = if is_bridged(spec) { Some(ensure_bridge(spec, site)?) } else { None };
    if !is_remote(spec) {
        return Ok(());
    }
    let tree = has_leaves(spec);
    let others = |roots_only: bool| -> Vec<Ipv4Addr> {
        let ends = spec.ends.iter().filter(|end| !roots_only || end.role == TreeRole::Root);
        let mut far: Vec<Ipv4Addr> = ends
            .filter(|end| end.datacenter != site.name)
            .filter_map(|end| datacenters.get(&end.datacenter).map(|dc| dc.address))
            .collect();
        far.sort();
        far.dedup();
        far
    };
    let tunnel = Tunnel { name: vxlan(spec.id), port: VXLAN_PORT, to: others(false), master };
    ensure_tunnel(spec, site, &tunnel, BridgePort::default())?;
    if tree {
        let inbound = BridgePort { isolated: true, inbound_only: true };
        let leaves = Tunnel { name: leaf_vxlan(spec.id), port: LEAF_PORT, to: others(true), master };
        ensure_tunnel(spec, site, &leaves, inbound)?;
        let sink = Tunnel { name: sink(spec.id), port: SINK_PORT, to: Vec::new(), master: None };
        ensure_tunnel(spec, site, &sink, BridgePort::default())?;
    }
    Ok(())
}

fn ensure_bridge(spec: &SegmentSpec, site: &Datacenter) -> DriverResult<Device> {
    let name = bridge(spec.id);
    let info = match find(site, &name, &spec.owner)? {
        Some(info) => info,
        None => {
            site.overlay.call("make bridge", &name, |socket| add_bridge(socket, &name, spec.group.get()))?;
            require(site, &name, &spec.owner)?
        }
    };
    finish(spec, site, &info, None)?;
    Ok(info.device())
}

/// A VXLAN device as it is to be.
#[derive(Debug)]
struct Tunnel {
    name: String,
    port: u16,
    /// Where frames without a known receiver go.
    to: Vec<Ipv4Addr>,
    master: Option<Device>,
}

fn ensure_tunnel(
    spec: &SegmentSpec,
    site: &Datacenter,
    tunnel: &Tunnel,
    port: BridgePort,
) -> DriverResult<()> {
    let name = &tunnel.name;
    let info = match find(site, name, &spec.owner)? {
        Some(info) => info,
        None => {
            let device = Vxlan {
                name,
                group: spec.group.get(),
                id: spec.id.get(),
                port: tunnel.port,
                local: site.address,
                learning: is_bridged(spec),
                mtu: LINK_MTU - VXLAN_OVERHEAD,
            };
            site.underlay
                .call("make VXLAN device", name, |socket| add_vxlan(socket, site.overlay.fd(), &device))?;
            let made = require(site, name, &spec.owner)?;
            set_cutting(site, &made, site.cuts.load(Ordering::Acquire))?;
            made
        }
    };
    for remote in &tunnel.to {
        site.overlay.call("add destination to VXLAN device", name, |socket| {
            fdb::add_flood(socket, info.device(), *remote)
        })?;
    }
    finish(spec, site, &info, tunnel.master)?;
    if tunnel.master.is_some() {
        site.overlay.call("set bridge port", name, |socket| set_bridge_port(socket, info.device(), port))?;
    }
    Ok(())
}

/// Has frames that stand for many packets cut before they enter a tunnel, or not any more. `all`: what devices were told
/// before is not known.
pub(crate) fn cut_frames(datacenters: &Datacenters, cuts: bool, all: bool) -> DriverResult<()> {
    for site in datacenters.values() {
        if site.cuts.swap(cuts, Ordering::AcqRel) == cuts && !all {
            continue;
        }
        let devices = site.overlay.call("list devices of", site.overlay.name(), link::list)?;
        for device in devices.iter().filter(|it| it.kind == "vxlan") {
            match set_cutting(site, device, cuts) {
                // It went with its segment meanwhile.
                Err(error) if error.kind == ErrorKind::NotFound => {}
                set => set?,
            }
        }
    }
    Ok(())
}

fn set_cutting(site: &Datacenter, info: &LinkInfo, cuts: bool) -> DriverResult<()> {
    let segments = if cuts { 1 } else { link::MANY_PACKETS };
    if info.gso_max_segs == segments {
        return Ok(());
    }
    let change = link::Change { gso_max_segs: Some(segments), ..Default::default() };
    site.overlay.call("set frames of", &info.name, |socket| link::change(socket, info.device(), &change))
}

/// Marks a device, puts it into its bridge and sets it up, unless it is all that already.
fn finish(
    spec: &SegmentSpec,
    site: &Datacenter,
    info: &LinkInfo,
    master: Option<Device>,
) -> DriverResult<()> {
    let alias = mark(&spec.owner, &Role::Segment(spec.id));
    if info.alias == alias && info.up && master.is_none_or(|master| master.0 == info.master) {
        return Ok(());
    }
    let change = link::Change { alias: Some(&alias), master, up: Some(true), ..Default::default() };
    site.overlay.call("set up", &info.name, |socket| link::change(socket, info.device(), &change))
}

/// Finds a device and checks that it is not another owner's.
pub(crate) fn find(site: &Datacenter, name: &str, owner: &Owner) -> DriverResult<Option<LinkInfo>> {
    let info = site.overlay.call("find device", name, |socket| link::find(socket, name))?;
    match &info {
        Some(info) if parse_mark(&info.alias).is_some_and(|(holder, _)| holder != *owner) => {
            let message = format!("it belongs to {}", info.alias);
            Err(DriverError::new(ErrorKind::Conflict, "use device", name, message))
        }
        _ => Ok(info),
    }
}

/// Finds a device that was just made.
pub(crate) fn require(site: &Datacenter, name: &str, owner: &Owner) -> DriverResult<LinkInfo> {
    find(site, name, owner)?.ok_or_else(|| crate::failed("find device", name, "it vanished"))
}

#[cfg(test)]
mod tests;
