//! Routes: the underlay's host routes, and the ones that are kept while an interface is renamed.

use std::net::Ipv4Addr;

use crate::address::AF_INET;
use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{Attributes, CREATE, REPLACE, Request, read_u32};

const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_GETROUTE: u16 = 26;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTA_TABLE: u16 = 15;
const RT_TABLE_MAIN: u8 = 254;
/// `RTPROT_STATIC`: set by an administrator, not by the kernel.
const STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;
/// `RTNH_F_ONLINK`: the gateway is behind the device although no address says so.
const ONLINK: u32 = 4;
/// Length of `struct rtmsg`.
const RTMSG: usize = 12;

/// A route to one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostRoute {
    /// The host.
    pub to: Ipv4Addr,
    /// The neighbour that forwards to it; `None`: the host is the neighbour.
    pub via: Option<Ipv4Addr>,
    /// The device towards it.
    pub device: Device,
}

/// Sets the routes to hosts; an older one to the same host is replaced in one step, no packet is lost.
pub fn set(socket: &mut Socket, routes: &[HostRoute], from: Ipv4Addr) -> Result<(), NetlinkError> {
    let request = |route: &HostRoute| {
        let scope = if route.via.is_some() { SCOPE_UNIVERSE } else { SCOPE_LINK };
        let flags = if route.via.is_some() { ONLINK } else { 0 };
        let mut request = Request::new(RTM_NEWROUTE, CREATE | REPLACE);
        request.raw(&[AF_INET, 32, 0, 0, RT_TABLE_MAIN, STATIC, scope, UNICAST]).raw(&flags.to_ne_bytes());
        request.bytes(RTA_DST, &route.to.octets()).u32(RTA_OIF, route.device.0);
        request.bytes(RTA_PREFSRC, &from.octets());
        if let Some(via) = route.via {
            request.bytes(RTA_GATEWAY, &via.octets());
        }
        request
    };
    socket.call_all(&mut routes.iter().map(request).collect::<Vec<_>>(), |_| false)
}

/// Sets the route of a table, 1 to 252, for everything that has no other one in it.
pub fn set_default(
    socket: &mut Socket,
    via: Ipv4Addr,
    device: Device,
    table: u8,
) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWROUTE, CREATE | REPLACE);
    request.raw(&[AF_INET, 0, 0, 0, table, STATIC, SCOPE_UNIVERSE, UNICAST]).raw(&ONLINK.to_ne_bytes());
    request.u32(RTA_OIF, device.0).bytes(RTA_GATEWAY, &via.octets());
    socket.call(&mut request)
}

/// The destinations of all IPv4 routes of all tables, as network and length of its prefix; those for this namespace
/// itself are among them.
pub fn destinations(socket: &mut Socket) -> Result<Vec<(Ipv4Addr, u8)>, NetlinkError> {
    let parse = |payload: &[u8]| {
        let octets: [u8; 4] = Attributes(payload.get(RTMSG..)?).get(RTA_DST)?.try_into().ok()?;
        Some((Ipv4Addr::from(octets), *payload.get(1)?))
    };
    Ok(dump(socket, AF_INET)?.iter().filter_map(|payload| parse(payload)).collect())
}

/// Removes the routes to hosts; one that is not there is no error.
pub fn remove(socket: &mut Socket, hosts: &[Ipv4Addr]) -> Result<(), NetlinkError> {
    let request = |to: &Ipv4Addr| {
        let mut request = Request::new(RTM_DELROUTE, 0);
        request.raw(&[AF_INET, 32, 0, 0, RT_TABLE_MAIN, STATIC, 255, UNICAST]).raw(&[0; 4]);
        request.bytes(RTA_DST, &to.octets());
        request
    };
    socket.call_all(&mut hosts.iter().map(request).collect::<Vec<_>>(), NetlinkError::is_absent)
}

/// The host routes that [`set`] made.
pub fn list_hosts(socket: &mut Socket) -> Result<Vec<HostRoute>, NetlinkError> {
    let address = |value: &[u8]| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = value.try_into().ok()?;
        Some(octets.into())
    };
    let parse = |payload: &[u8]| {
        let ours = payload.get(1) == Some(&32) && payload.get(5) == Some(&STATIC);
        let attributes = Attributes(payload.get(RTMSG..)?);
        let route = HostRoute {
            to: address(attributes.get(RTA_DST)?)?,
            via: attributes.get(RTA_GATEWAY).and_then(address),
            device: Device(read_u32(attributes.get(RTA_OIF)?, 0)?),
        };
        ours.then_some(route)
    };
    Ok(dump(socket, AF_INET)?.iter().filter_map(|payload| parse(payload)).collect())
}

/// A route as the kernel described it, to be put back as it was.
#[derive(Debug, Clone)]
pub struct Saved(Vec<u8>);

/// The routes of the main table over a device, those that need no gateway first.
pub fn save(socket: &mut Socket, device: Device, family: u8) -> Result<Vec<Saved>, NetlinkError> {
    let mut routes = dump(socket, family)?;
    routes.retain(|payload| {
        let attributes = Attributes(payload.get(RTMSG..).unwrap_or_default());
        let over = attributes.get(RTA_OIF).and_then(|value| read_u32(value, 0));
        let table = attributes.get(RTA_TABLE).and_then(|value| read_u32(value, 0));
        over == Some(device.0) && table == Some(u32::from(RT_TABLE_MAIN))
    });
    routes.sort_by_key(|payload| {
        Attributes(payload.get(RTMSG..).unwrap_or_default()).get(RTA_GATEWAY).is_some()
    });
    Ok(routes.into_iter().map(Saved).collect())
}

/// Puts routes back; those that the kernel made again by itself are left.
pub fn restore(socket: &mut Socket, routes: &[Saved]) -> Result<(), NetlinkError> {
    for Saved(payload) in routes {
        let mut request = Request::new(RTM_NEWROUTE, CREATE);
        request.raw(payload);
        match socket.call(&mut request) {
            Err(error) if !error.is_present() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn dump(socket: &mut Socket, family: u8) -> Result<Vec<Vec<u8>>, NetlinkError> {
    let mut request = Request::dump(RTM_GETROUTE);
    request.raw(&[family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let found = socket.dump(&mut request)?;
    Ok(found.into_iter().filter(|(kind, _)| *kind == RTM_NEWROUTE).map(|(_, payload)| payload).collect())
}
