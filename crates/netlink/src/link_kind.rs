//! Making devices of the kinds that this crate uses: veth pairs, bridges and VXLAN devices.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::link::{
    Device, IFLA_ADDRESS, IFLA_GROUP, IFLA_IFNAME, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MTU, IFLA_NET_NS_FD,
    RTM_NEWLINK, RTM_SETLINK,
};
use crate::socket::{NetlinkError, Socket};
use crate::wire::{CREATE, EXCL, Request};

const IFLA_PROTINFO: u16 = 12;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_MCAST_FLOOD: u16 = 27;
const IFLA_BRPORT_BCAST_FLOOD: u16 = 30;
const IFLA_BRPORT_GROUP_FWD_MASK: u16 = 31;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const AF_BRIDGE: u8 = 7;
/// Every link-local group address (01:80:c2:00:00:0x) but 01:80:c2:00:00:01, PAUSE, which no bridge may
/// forward: LLDP, LACP and 802.1X of VNFs pass.
const FORWARD_ALL_BUT_PAUSE: u16 = 0xfffd;

/// The far end of a veth pair.
#[derive(Debug)]
pub struct Peer<'a> {
    /// Its name.
    pub name: &'a str,
    /// The namespace it is made in; `None`: the same.
    pub netns: Option<BorrowedFd<'a>>,
    /// Its MAC address; `None`: the kernel's choice.
    pub mac: Option<[u8; 6]>,
}

/// Makes a veth pair: `name` in the socket's namespace, the peer where it says, both with their final names
/// in one request.
pub fn add_veth(
    socket: &mut Socket,
    name: &str,
    group: u32,
    mtu: u32,
    peer: &Peer<'_>,
) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWLINK, CREATE | EXCL);
    request.ifinfo(0, 0, 0, 0).text(IFLA_IFNAME, name).u32(IFLA_MTU, mtu).u32(IFLA_GROUP, group);
    request.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth").nest(IFLA_INFO_DATA, |data| {
            data.nest(VETH_INFO_PEER, |far| {
                far.ifinfo(0, 0, 0, 0).text(IFLA_IFNAME, peer.name).u32(IFLA_MTU, mtu);
                far.u32(IFLA_GROUP, group);
                if let Some(mac) = peer.mac {
                    far.bytes(IFLA_ADDRESS, &mac);
                }
                if let Some(netns) = peer.netns {
                    far.bytes(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
                }
            });
        });
    });
    socket.call(&mut request)
}

/// Makes a bridge without spanning tree and without multicast snooping: it floods as a segment must.
pub fn add_bridge(socket: &mut Socket, name: &str, group: u32) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWLINK, CREATE | EXCL);
    request.ifinfo(0, 0, 0, 0).text(IFLA_IFNAME, name).u32(IFLA_GROUP, group);
    request.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "bridge").nest(IFLA_INFO_DATA, |data| {
            data.u32(IFLA_BR_STP_STATE, 0).u8(IFLA_BR_MCAST_SNOOPING, 0);
        });
    });
    socket.call(&mut request)
}

/// How a bridge treats one of its ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BridgePort {
    /// No frames between isolated ports.
    pub isolated: bool,
    /// Nothing is learned from it and nothing flooded to it: frames only come in.
    pub inbound_only: bool,
}

/// Sets how a bridge treats a device that is its port already.
pub fn set_bridge_port(socket: &mut Socket, device: Device, port: BridgePort) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_SETLINK, 0);
    request.ifinfo(AF_BRIDGE, device.0, 0, 0);
    // Nested and marked so: the bridge code refuses a port's attributes otherwise.
    request.nested(IFLA_PROTINFO, |info| {
        info.u16(IFLA_BRPORT_GROUP_FWD_MASK, FORWARD_ALL_BUT_PAUSE);
        info.u8(IFLA_BRPORT_ISOLATED, u8::from(port.isolated));
        let open = u8::from(!port.inbound_only);
        info.u8(IFLA_BRPORT_LEARNING, open).u8(IFLA_BRPORT_UNICAST_FLOOD, open);
        info.u8(IFLA_BRPORT_MCAST_FLOOD, open).u8(IFLA_BRPORT_BCAST_FLOOD, open);
    });
    socket.call(&mut request)
}

/// A VXLAN device to be made.
#[derive(Debug)]
pub struct Vxlan<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its group.
    pub group: u32,
    /// The network identifier.
    pub id: u32,
    /// The UDP port, own and remote.
    pub port: u16,
    /// The address that it sends from.
    pub local: Ipv4Addr,
    /// Whether it learns which remote address a MAC address is behind.
    pub learning: bool,
    /// Largest packet it takes.
    pub mtu: u32,
}

/// Makes a VXLAN device in `netns` whose tunnel socket is in the socket's own namespace.
pub fn add_vxlan(
    underlay: &mut Socket,
    netns: BorrowedFd<'_>,
    vxlan: &Vxlan<'_>,
) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWLINK, CREATE | EXCL);
    request.ifinfo(0, 0, 0, 0).text(IFLA_IFNAME, vxlan.name).u32(IFLA_MTU, vxlan.mtu);
    request.u32(IFLA_GROUP, vxlan.group).bytes(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
    request.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "vxlan").nest(IFLA_INFO_DATA, |data| {
            data.u32(IFLA_VXLAN_ID, vxlan.id).bytes(IFLA_VXLAN_LOCAL, &vxlan.local.octets());
            data.u8(IFLA_VXLAN_LEARNING, u8::from(vxlan.learning));
            data.bytes(IFLA_VXLAN_PORT, &vxlan.port.to_be_bytes());
        });
    });
    underlay.call(&mut request)
}
