//! A port: the pair of devices, the container's side of it, and its joints to segments.

use llcm_names::Owner;
use llcm_netlink::address;
use llcm_netlink::link_kind::{BridgePort, Peer, add_veth, set_bridge_port};
use llcm_netlink::{Device, LinkInfo, link, neighbour};
use llcm_runtime::{DriverError, DriverResult, ErrorKind, PortSpec, SegmentSpec};

use crate::datacenter::Datacenter;
use crate::management::rename;
use crate::names::{Role, bridge, digest, mark, parse_mark, port_device};
use crate::netns::Netns;
use crate::segment::{find, require};
use crate::wiring::{Joint, is_leaf, joint};

/// What a moved management interface is called, with a number behind it.
const ASIDE: &str = "mgmt";

/// The pair of a port, its container's side not yet up.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The data center's side.
    pub(crate) near: Device,
    /// The container's side.
    pub(crate) far: Device,
    /// Whether it was there before, complete or not.
    pub(crate) found: bool,
}

/// The mark of a port: its owner and a digest of its spec.
fn port_mark(spec: &PortSpec) -> DriverResult<String> {
    let text = serde_json::to_vec(spec)
        .map_err(|error| crate::failed("mark port", &spec.id.to_string(), &error.to_string()))?;
    Ok(mark(&spec.owner, &Role::Port(spec.id, digest(&text))))
}

/// Makes the pair, or finds the one that is there; a pair whose container has gone is replaced.
pub(crate) fn ensure_pair(spec: &PortSpec, dc: &Datacenter, container: &Netns) -> DriverResult<Pair> {
    // Mostly nothing is in the way; the kernel says so sooner than a search.
    if let Some(pair) = make_pair(spec, dc, container)? {
        return Ok(pair);
    }
    let name = port_device(spec.id);
    if let Some(near) = find(dc, &name, &spec.owner)? {
        if !near.alias.is_empty() && near.alias != port_mark(spec)? {
            let message = "the port exists with another spec; detach it first";
            return Err(DriverError::new(ErrorKind::Conflict, "make port", name, message));
        }
        if let Some(far) = find_far(spec, container)?
            && far.kind == "veth"
            && far.link == near.index
            && near.link == far.index
        {
            return Ok(Pair { near: near.device(), far: far.device(), found: true });
        }
        dc.overlay.call("remove port", &name, |socket| link::delete(socket, near.device()))?;
    }
    make_room(spec, container)?;
    make_pair(spec, dc, container)?.ok_or_else(|| {
        let message = "the port or an interface of its name is being made by somebody else";
        DriverError::new(ErrorKind::Conflict, "make port", name, message)
    })
}

/// Makes the pair; `None` when one of its names is taken.
fn make_pair(spec: &PortSpec, dc: &Datacenter, container: &Netns) -> DriverResult<Option<Pair>> {
    let name = port_device(spec.id);
    let made = dc.overlay.call("make port", &name, |socket| {
        let peer =
            Peer { name: spec.ifname.as_str(), netns: Some(container.fd()), mac: Some(spec.mac.octets()) };
        match add_veth(socket, &name, spec.group.get(), spec.mtu, &peer) {
            Err(error) if error.is_present() => Ok(false),
            other => other.map(|()| true),
        }
    })?;
    if !made {
        return Ok(None);
    }
    let near = require(dc, &name, &spec.owner)?;
    Ok(Some(Pair { near: near.device(), far: Device(near.link), found: false }))
}

fn find_far(spec: &PortSpec, container: &Netns) -> DriverResult<Option<LinkInfo>> {
    let name = spec.ifname.as_str();
    container.call("find interface", &interface(spec), |socket| link::find(socket, name))
}

/// An interface in words: its name and its container's.
fn interface(spec: &PortSpec) -> String {
    format!("{} of {}", spec.ifname, spec.container)
}

/// Gives an interface that has the name wanted another one, with its addresses and routes: it is the
/// engine's management interface.
fn make_room(spec: &PortSpec, container: &Netns) -> DriverResult<()> {
    let Some(taken) = find_far(spec, container)? else { return Ok(()) };
    if parse_mark(&taken.alias).is_some() {
        let message = "the container has a port of that name already";
        return Err(DriverError::new(ErrorKind::Conflict, "make interface", interface(spec), message));
    }
    if spec.host.is_some() {
        let message = "the host has an interface of that name";
        return Err(DriverError::new(ErrorKind::Conflict, "make interface", interface(spec), message));
    }
    container.call("move aside interface", &interface(spec), |socket| {
        let mut number = 0_u32;
        let name = loop {
            let name = format!("{ASIDE}{number}");
            if name != spec.ifname.as_str() && link::find(socket, &name)?.is_none() {
                break name;
            }
            number += 1;
        };
        rename(socket, &taken, &name)
    })
}

/// Gives the container's side its addresses. It stays down.
pub(crate) fn configure(spec: &PortSpec, container: &Netns, far: Device) -> DriverResult<()> {
    if spec.addresses.iter().any(ipnetwork::IpNetwork::is_ipv6) {
        // Engines start interfaces without IPv6; a port that is given such an address needs it.
        let parameter = format!("ipv6/conf/{}/disable_ipv6", spec.ifname);
        container.set_parameters(&[(parameter, "0")])?;
    }
    container.call("give addresses to", &interface(spec), |socket| {
        spec.addresses.iter().try_for_each(|address| address::add(socket, far, *address))
    })
}

/// Sets the container's side up, which makes both carry packets: the last step but for neighbours, which an interface that
/// is down does not keep.
pub(crate) fn raise(spec: &PortSpec, dc: &Datacenter, container: &Netns, far: Device) -> DriverResult<()> {
    let alias = port_mark(spec)?;
    let change = link::Change { alias: Some(&alias), up: Some(true), ..Default::default() };
    container.call("set up interface", &interface(spec), |socket| {
        link::change(socket, far, &change)?;
        spec.neighbours
            .iter()
            .try_for_each(|known| neighbour::set(socket, far, known.address, known.mac.octets()))
    })?;
    let near = port_device(spec.id);
    dc.overlay.call("wait for", &near, |socket| link::settle(socket, &near))
}

/// Marks the data center's side, joins it to the bridges of its segments and sets it up.
pub(crate) fn join<'a>(
    spec: &PortSpec,
    dc: &Datacenter,
    near: Device,
    segments: impl Iterator<Item = (usize, &'a SegmentSpec)>,
) -> DriverResult<()> {
    let name = port_device(spec.id);
    let alias = port_mark(spec)?;
    let mut master = None;
    for (index, segment) in segments {
        match joint(spec, index, segment) {
            Joint::Patch => {}
            Joint::Bridge(_) => master = Some((bridge_of(dc, segment, &spec.owner)?, segment)),
            Joint::Branch(inner, outer) => ensure_branch(spec, dc, segment, [&inner, &outer])?,
        }
    }
    let device = master.map(|(device, _)| device);
    let change = link::Change { alias: Some(&alias), master: device, up: Some(true), ..Default::default() };
    dc.overlay.call("set up port", &name, |socket| link::change(socket, near, &change))?;
    if let Some((_, segment)) = master {
        let port = BridgePort { isolated: is_leaf(segment, spec.id), inbound_only: false };
        dc.overlay.call("set bridge port", &name, |socket| set_bridge_port(socket, near, port))?;
    }
    Ok(())
}

fn bridge_of(dc: &Datacenter, segment: &SegmentSpec, owner: &Owner) -> DriverResult<Device> {
    find(dc, &bridge(segment.id), owner)?.map(|info| info.device()).ok_or_else(|| {
        let message = format!("its bridge is not in {}; make the segment again", dc.name);
        DriverError::new(ErrorKind::NotFound, "join segment", segment.id.to_string(), message)
    })
}

/// Makes the pair that takes a port that is on several segments to the bridge of one of them.
fn ensure_branch(
    spec: &PortSpec,
    dc: &Datacenter,
    segment: &SegmentSpec,
    [near, bridge_side]: [&str; 2],
) -> DriverResult<()> {
    let master = bridge_of(dc, segment, &spec.owner)?;
    if find(dc, near, &spec.owner)?.is_none() {
        dc.overlay.call("make branch of port", near, |socket| {
            let peer = Peer { name: bridge_side, netns: None, mac: None };
            add_veth(socket, near, spec.group.get(), spec.mtu, &peer)
        })?;
    }
    let alias = mark(&spec.owner, &Role::Branch(spec.id));
    let inner = require(dc, near, &spec.owner)?.device();
    let outer = require(dc, bridge_side, &spec.owner)?.device();
    let port = BridgePort { isolated: is_leaf(segment, spec.id), inbound_only: false };
    dc.overlay.call("set up branch of port", near, |socket| {
        let up = link::Change { alias: Some(&alias), up: Some(true), ..Default::default() };
        link::change(socket, outer, &link::Change { master: Some(master), ..up.clone() })?;
        set_bridge_port(socket, outer, port)?;
        link::change(socket, inner, &up)?;
        link::settle(socket, bridge_side)?;
        link::settle(socket, near)
    })
}
