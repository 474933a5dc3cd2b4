//! Addresses of interfaces.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;

use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{Attributes, CREATE, REPLACE, Request, read_u32};

const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
/// `IFA_F_NODAD`: usable at once, without waiting for duplicate address detection.
const NODAD: u32 = 2;
pub(crate) const AF_INET: u8 = 2;
pub(crate) const AF_INET6: u8 = 10;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
/// Length of `struct ifaddrmsg`.
const IFADDR: usize = 8;

/// Adds an address with its prefix length; one that is there already is left.
pub fn add(socket: &mut Socket, device: Device, address: IpNetwork) -> Result<(), NetlinkError> {
    add_scoped(socket, device, address, SCOPE_UNIVERSE)
}

/// As [`add`], but the address is never chosen as the source of what leaves by another device (`RT_SCOPE_LINK`).
pub fn add_for_link(socket: &mut Socket, device: Device, address: IpNetwork) -> Result<(), NetlinkError> {
    add_scoped(socket, device, address, SCOPE_LINK)
}

fn add_scoped(
    socket: &mut Socket,
    device: Device,
    address: IpNetwork,
    scope: u8,
) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWADDR, CREATE | REPLACE);
    match address {
        IpNetwork::V4(v4) => {
            request.raw(&[AF_INET, v4.prefix(), 0, scope]).raw(&device.0.to_ne_bytes());
            request.bytes(IFA_LOCAL, &v4.ip().octets()).bytes(IFA_ADDRESS, &v4.ip().octets());
            // A network of one or two addresses has no broadcast address (RFC 3021).
            if v4.prefix() < 31 {
                request.bytes(IFA_BROADCAST, &v4.broadcast().octets());
            }
        }
        IpNetwork::V6(v6) => {
            request.raw(&[AF_INET6, v6.prefix(), 0, scope]).raw(&device.0.to_ne_bytes());
            request.bytes(IFA_LOCAL, &v6.ip().octets()).bytes(IFA_ADDRESS, &v6.ip().octets());
            request.u32(IFA_FLAGS, NODAD);
        }
    }
    socket.call(&mut request)
}

/// All IPv4 addresses of the namespace with the index of their device.
pub fn list_v4(socket: &mut Socket) -> Result<Vec<(u32, Ipv4Addr)>, NetlinkError> {
    let mut request = Request::dump(RTM_GETADDR);
    request.raw(&[AF_INET, 0, 0, 0, 0, 0, 0, 0]);
    let parse = |payload: &[u8]| {
        let octets: [u8; 4] = Attributes(payload.get(IFADDR..)?).get(IFA_LOCAL)?.try_into().ok()?;
        Some((read_u32(payload, 4)?, Ipv4Addr::from(octets)))
    };
    let found = socket.dump(&mut request)?;
    Ok(found.iter().filter(|(kind, _)| *kind == RTM_NEWADDR).filter_map(|(_, p)| parse(p)).collect())
}

/// The bytes of an address, in transmission order.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
