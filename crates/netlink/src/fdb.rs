//! Where a VXLAN device sends frames to.

use std::net::Ipv4Addr;

use crate::address::octets;
use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{APPEND, CREATE, Request};

const RTM_NEWNEIGH: u16 = 28;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const AF_BRIDGE: u8 = 7;
const NUD_PERMANENT: u16 = 0x80;
/// `NTF_SELF`: the device's own table, not that of a bridge above it.
const SELF: u8 = 2;

/// Adds a destination for frames whose receiver the device has not learned: the all-zero entry. Each such
/// frame goes to every destination added.
pub fn add_flood(socket: &mut Socket, device: Device, remote: Ipv4Addr) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWNEIGH, CREATE | APPEND);
    request.raw(&[AF_BRIDGE, 0, 0, 0]).raw(&device.0.to_ne_bytes());
    request.raw(&NUD_PERMANENT.to_ne_bytes()).raw(&[SELF, 0]);
    request.bytes(NDA_LLADDR, &[0; 6]).bytes(NDA_DST, &octets(remote.into()));
    match socket.call(&mut request) {
        Err(error) if error.is_present() => Ok(()),
        other => other,
    }
}
