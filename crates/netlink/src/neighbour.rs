//! Neighbours: which hardware address an IPv4 address has.

use std::net::Ipv4Addr;

use crate::address::AF_INET;
use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{CREATE, REPLACE, Request};

const RTM_NEWNEIGH: u16 = 28;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;

/// Sets the hardware address of a neighbour for good, so that it is never asked for; an older one is replaced.
pub fn set(socket: &mut Socket, device: Device, to: Ipv4Addr, mac: [u8; 6]) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWNEIGH, CREATE | REPLACE);
    request.raw(&[AF_INET, 0, 0, 0]).raw(&device.0.to_ne_bytes());
    request.raw(&NUD_PERMANENT.to_ne_bytes()).raw(&[0, 0]);
    request.bytes(NDA_DST, &to.octets()).bytes(NDA_LLADDR, &mac);
    socket.call(&mut request)
}
