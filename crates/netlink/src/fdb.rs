//! Where a VXLAN device sends frames to.

use std::net::Ipv4Addr;

use crate::address::octets;
use crate::link::Device;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{APPEND, Attributes, CREATE, Request, read_u32};

const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;
const RTM_GETNEIGH: u16 = 30;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const AF_BRIDGE: u8 = 7;
const NUD_PERMANENT: u16 = 0x80;
/// `NTF_SELF`: the device's own table, not that of a bridge above it.
const SELF: u8 = 2;
/// Length of `struct ndmsg`.
const NDMSG: usize = 12;

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

/// An entry of a VXLAN device: where it sends the frames for a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The device.
    pub device: Device,
    /// The receiver; all zero: those that the device has not learned.
    pub mac: [u8; 6],
    /// Where its frames go.
    pub remote: Ipv4Addr,
}

impl Entry {
    /// Other entries, those of bridges, have no such destination.
    fn parse(payload: &[u8]) -> Option<Self> {
        let attributes = Attributes(payload.get(NDMSG..)?);
        let remote: [u8; 4] = attributes.get(NDA_DST)?.try_into().ok()?;
        let mac = attributes.get(NDA_LLADDR)?.try_into().ok()?;
        Some(Self { device: Device(read_u32(payload, 4)?), mac, remote: remote.into() })
    }
}

/// The entries of all VXLAN devices of the namespace, those that were learned among them.
pub fn list(socket: &mut Socket) -> Result<Vec<Entry>, NetlinkError> {
    let mut request = Request::dump(RTM_GETNEIGH);
    request.raw(&[AF_BRIDGE]).raw(&[0; NDMSG - 1]);
    let found = socket.dump(&mut request)?;
    let entries = found.iter().filter(|(kind, _)| *kind == RTM_NEWNEIGH);
    Ok(entries.filter_map(|(_, payload)| Entry::parse(payload)).collect())
}

/// Removes an entry; one that is not there is removed.
pub fn remove(socket: &mut Socket, entry: &Entry) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_DELNEIGH, 0);
    request.raw(&[AF_BRIDGE, 0, 0, 0]).raw(&entry.device.0.to_ne_bytes());
    request.raw(&[0, 0]).raw(&[SELF, 0]);
    request.bytes(NDA_LLADDR, &entry.mac).bytes(NDA_DST, &octets(entry.remote.into()));
    match socket.call(&mut request) {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_from_where_the_kernel_puts_them() {
        let (device, mac, remote) = (Device(7), [2, 0, 0, 0, 0, 9], Ipv4Addr::new(100, 64, 0, 3));
        let message = |remote: &[u8]| {
            let mut request = Request::new(RTM_NEWNEIGH, 0);
            request.raw(&[AF_BRIDGE, 0, 0, 0]).raw(&7_u32.to_ne_bytes()).raw(&[0; 4]);
            request.bytes(NDA_LLADDR, &mac).bytes(NDA_DST, remote);
            request.finish(1)[crate::wire::HEADER..].to_vec()
        };
        assert_eq!(Entry::parse(&message(&remote.octets())), Some(Entry { device, mac, remote }));
        assert_eq!(Entry::parse(&message(&[0; 16])), None);
        assert_eq!(Entry::parse(&message(&remote.octets())[..20]), None);
    }
}
