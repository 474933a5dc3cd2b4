//! Network devices: listing, changing and deleting them.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::io::Errno;

use crate::socket::{NetlinkError, Socket};
use crate::wire::{Attributes, Request, read_text, read_u32};

pub(crate) const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_SETLINK: u16 = 19;

pub(crate) const IFLA_ADDRESS: u16 = 1;
pub(crate) const IFLA_IFNAME: u16 = 3;
pub(crate) const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_TXQLEN: u16 = 13;
pub(crate) const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
pub(crate) const IFLA_GROUP: u16 = 27;
pub(crate) const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_GSO_MAX_SEGS: u16 = 40;
pub(crate) const IFLA_INFO_KIND: u16 = 1;
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
/// `IFF_UP`.
const UP: u32 = 1;
/// How long [`settle`] waits for a device, and how long between two looks.
const SETTLING: (Duration, Timespec) = (Duration::from_secs(10), Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
/// Length of `struct ifinfomsg`.
pub(crate) const IFINFO: usize = 16;

/// A device's index in its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Device(pub u32);

/// A device as the kernel reports it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkInfo {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge`, `vxlan`; empty for a device without a kind (`lo`).
    pub kind: String,
    /// The text an administrator gave it; ours is a mark.
    pub alias: String,
    /// Its link group.
    pub group: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it carries frames (`IFF_LOWER_UP`).
    pub carrier: bool,
    /// Whether the kernel has taken notice of that and sends (`IFF_RUNNING`), which may be a moment later.
    pub running: bool,
    /// The bridge it is a port of; 0 for none.
    pub master: u32,
    /// The device below it, or the peer of a veth, as an index in that one's own namespace; 0 for none.
    pub link: u32,
    /// Largest packet.
    pub mtu: u32,
    /// The largest number of packets that a frame given to the device may stand for.
    pub gso_max_segs: u32,
}

/// Packets that a frame may stand for unless told otherwise (`GSO_MAX_SEGS`).
pub const MANY_PACKETS: u32 = 65_535;

impl LinkInfo {
    /// The device's index, typed.
    pub fn device(&self) -> Device {
        Device(self.index)
    }

    /// Whether it carries frames and the kernel has not taken notice: see [`settle`].
    pub fn is_settling(&self) -> bool {
        self.up && self.carrier && !self.running
    }

    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let flags = read_u32(payload, 8)?;
        let attributes = Attributes(payload.get(IFINFO..)?);
        let number = |kind| attributes.get(kind).and_then(|value| read_u32(value, 0)).unwrap_or(0);
        let text = |kind| attributes.get(kind).map(read_text).unwrap_or_default();
        Some(Self {
            index: read_u32(payload, 4)?,
            name: text(IFLA_IFNAME),
            kind: attributes
                .get(IFLA_LINKINFO)
                .and_then(|info| Attributes(info).get(IFLA_INFO_KIND))
                .map(read_text)
                .unwrap_or_default(),
            alias: text(IFLA_IFALIAS),
            group: number(IFLA_GROUP),
            up: flags & UP != 0,
            carrier: flags & (1 << 16) != 0,
            running: flags & (1 << 6) != 0,
            master: number(IFLA_MASTER),
            link: number(IFLA_LINK),
            mtu: number(IFLA_MTU),
            gso_max_segs: number(IFLA_GSO_MAX_SEGS),
        })
    }
}

/// Changes to a device, sent as one request.
#[derive(Debug, Clone, Default)]
pub struct Change<'a> {
    /// A new name.
    pub name: Option<&'a str>,
    /// A new alias.
    pub alias: Option<&'a str>,
    /// A new hardware address.
    pub mac: Option<[u8; 6]>,
    /// A new group.
    pub group: Option<u32>,
    /// A new MTU.
    pub mtu: Option<u32>,
    /// The bridge to join.
    pub master: Option<Device>,
    /// The largest number of packets that a frame given to the device may stand for; 1: none that has to be cut.
    pub gso_max_segs: Option<u32>,
    /// The packets that may wait in the device's own queue.
    pub queue: Option<u32>,
    /// The namespace to move to.
    pub netns: Option<BorrowedFd<'a>>,
    /// Set up or down; the kernel does it after all the rest.
    pub up: Option<bool>,
}

/// Changes a device.
pub fn change(socket: &mut Socket, device: Device, change: &Change<'_>) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_SETLINK, 0);
    let (flags, mask) = change.up.map_or((0, 0), |up| (u32::from(up) * UP, UP));
    request.ifinfo(0, device.0, flags, mask);
    if let Some(name) = change.name {
        request.text(IFLA_IFNAME, name);
    }
    if let Some(alias) = change.alias {
        // Without the final zero: the kernel adds it.
        request.bytes(IFLA_IFALIAS, alias.as_bytes());
    }
    if let Some(mac) = change.mac {
        request.bytes(IFLA_ADDRESS, &mac);
    }
    if let Some(group) = change.group {
        request.u32(IFLA_GROUP, group);
    }
    if let Some(mtu) = change.mtu {
        request.u32(IFLA_MTU, mtu);
    }
    if let Some(master) = change.master {
        request.u32(IFLA_MASTER, master.0);
    }
    if let Some(count) = change.gso_max_segs {
        request.u32(IFLA_GSO_MAX_SEGS, count);
    }
    if let Some(packets) = change.queue {
        request.u32(IFLA_TXQLEN, packets);
    }
    if let Some(netns) = change.netns {
        request.bytes(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
    }
    socket.call(&mut request)
}

/// Finds a device by name.
pub fn find(socket: &mut Socket, name: &str) -> Result<Option<LinkInfo>, NetlinkError> {
    let mut request = Request::new(RTM_GETLINK, 0);
    request.ifinfo(0, 0, 0, 0).text(IFLA_IFNAME, name).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    match socket.get(&mut request) {
        Ok(payload) => Ok(LinkInfo::parse(&payload)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until the kernel has taken notice that a device carries frames. It does so on a thread of its own, which waits for
/// the lock of all who change the network; until then it drops what is sent by the device, and a bridge forwards nothing to
/// it. What is lost so is mostly the request for a neighbour, which is repeated a second later. A device that is not there,
/// not up, or whose other end is not up is not waited for.
///
/// # Errors
/// `ETIMEDOUT` after ten seconds.
pub fn settle(socket: &mut Socket, name: &str) -> Result<(), NetlinkError> {
    let (longest, pause) = SETTLING;
    let end = Instant::now() + longest;
    // To be asked for this very device makes the kernel take notice at once, since Linux 6.8.
    while find(socket, name)?.is_some_and(|info| info.is_settling()) {
        if Instant::now() >= end {
            return Err(NetlinkError::Socket(Errno::TIMEDOUT.into()));
        }
        match poll(&mut [], Some(&pause)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(NetlinkError::Socket(errno.into())),
        }
    }
    Ok(())
}

/// All devices of the namespace.
pub fn list(socket: &mut Socket) -> Result<Vec<LinkInfo>, NetlinkError> {
    let mut request = Request::dump(RTM_GETLINK);
    request.ifinfo(0, 0, 0, 0).u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    let found = socket.dump(&mut request)?;
    Ok(found
        .iter()
        .filter(|(kind, _)| *kind == RTM_NEWLINK)
        .filter_map(|(_, payload)| LinkInfo::parse(payload))
        .collect())
}

/// Deletes a device; one that is not there is no error.
pub fn delete(socket: &mut Socket, device: Device) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_DELLINK, 0);
    request.ifinfo(0, device.0, 0, 0);
    match socket.call(&mut request) {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}

/// Deletes all devices of a link group in the namespace; an empty group is no error.
pub fn delete_group(socket: &mut Socket, group: u32) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_DELLINK, 0);
    request.ifinfo(0, 0, 0, 0).u32(IFLA_GROUP, group);
    match socket.call(&mut request) {
        Err(error) if error.is_absent() => Ok(()),
        other => other,
    }
}
