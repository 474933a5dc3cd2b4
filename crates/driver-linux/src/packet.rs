//! A packet socket for one device: frames as they pass it, both ways, with the kernel's own time stamps.
//!
//! The socket hears all devices of its namespace and a filter in the kernel lets one of them through, because an address
//! to bind to can be made with unsafe code only (`docs/adr/020`). Each frame comes with what the kernel keeps beside it:
//! the time, the VLAN tag that it has taken out (which is put back), the length, and how many frames were dropped.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use llcm_runtime::{Direction, Frame};
use nix::errno::Errno;
use nix::sys::socket::sockopt::{ReceiveTimestampns, RxqOvfl};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, getsockopt, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

/// Bytes of frames that the kernel may keep until they are read.
const QUEUE: usize = 8 << 20;
/// How long reading waits before it looks around.
const TICK: Duration = Duration::from_millis(100);
/// The longest frame: what the kernel holds together (GSO) is shorter but for IPv6 jumbograms, which are cut.
const LONGEST: usize = 256 << 10;

/// `PACKET_OUTGOING` (linux/if_packet.h).
const OUTGOING: u8 = 4;
/// `TP_STATUS_VLAN_VALID`.
const VLAN_VALID: u32 = 1 << 4;
/// `TP_STATUS_VLAN_TPID_VALID`.
const VLAN_TPID_VALID: u32 = 1 << 6;
/// The kind of tag where the kernel does not tell: IEEE 802.1Q.
const DOT1Q: u16 = 0x8100;
/// Where a VLAN tag stands: behind both addresses.
const TAG_AT: usize = 12;

#[derive(Debug, Clone, Copy)]
struct PacketAuxdata;

nix::setsockopt_impl!(
    PacketAuxdata,
    libc::SOL_PACKET,
    libc::PACKET_AUXDATA,
    bool,
    nix::sys::socket::sockopt::SetBool
);

/// `PACKET_STATISTICS` (linux/if_packet.h).
const STATISTICS: libc::c_int = 6;

#[derive(Debug, Clone, Copy)]
struct PacketStatistics;

// `struct tpacket_stats`: frames, and of these the dropped ones, since it was asked for before.
nix::getsockopt_impl!(
    PacketStatistics,
    libc::SOL_PACKET,
    STATISTICS,
    [u32; 2],
    nix::sys::socket::sockopt::GetStruct<[u32; 2]>
);

/// An open packet socket.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    socket: Socket,
    device: u32,
    snap_length: usize,
    buffer: Vec<u8>,
    /// Frames that the kernel dropped for want of room before the last one that it handed out.
    dropped: u64,
}

impl PacketSocket {
    /// Opens a socket in the calling thread's namespace that hears a device, by its index.
    pub(crate) fn open(device: u32, snap_length: u32) -> io::Result<Self> {
        // `ETH_P_ALL` in network byte order.
        let all = i32::from(0x0003_u16.to_be());
        let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(all)))?;
        socket.attach_filter(&only(device))?;
        socket.set_read_timeout(Some(TICK))?;
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        setsockopt(&socket, PacketAuxdata, &true)?;
        setsockopt(&socket, RxqOvfl, &1)?;
        // Without the privilege for more, as much as everybody may have.
        if set_socket_recv_buffer_size_force(socket.as_fd(), QUEUE).is_err() {
            socket.set_recv_buffer_size(QUEUE)?;
        }
        let snap_length = usize::try_from(snap_length).unwrap_or(LONGEST).min(LONGEST);
        Ok(Self { socket, device, snap_length, buffer: vec![0; snap_length.max(64)], dropped: 0 })
    }

    /// The next frame; `None` when there was none for a while: all that had passed before was taken.
    pub(crate) fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            match self.receive() {
                Ok(Some(frame)) => return Ok(Some(frame)),
                // A signal, or what came before the filter was there.
                Ok(None) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Frames that the kernel dropped for want of room in all, those after the last one that it handed out among them.
    pub(crate) fn finish(self) -> io::Result<u64> {
        let [_, dropped] = getsockopt(&self.socket, PacketStatistics)?;
        Ok(dropped.into())
    }

    /// The next frame that the kernel hands out; `None` for one of another device.
    fn receive(&mut self) -> nix::Result<Option<Frame>> {
        let mut space = nix::cmsg_space!(TimeSpec, u32, [u8; 32]);
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let flags = MsgFlags::MSG_TRUNC;
        let message = recvmsg::<LinkAddr>(self.socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let Some(address) = message.address else { return Ok(None) };
        if u32::try_from(address.ifindex()) != Ok(self.device) {
            return Ok(None);
        }
        let (mut at, mut beside) = (None, Beside::default());
        for control in message.cmsgs()? {
            match control {
                ControlMessageOwned::ScmTimestampns(time) => at = Some(since_1970(time)),
                ControlMessageOwned::RxqOvfl(count) => self.dropped = u64::from(count),
                ControlMessageOwned::Unknown(other)
                    if (other.cmsg_header.cmsg_level, other.cmsg_header.cmsg_type)
                        == (libc::SOL_PACKET, libc::PACKET_AUXDATA) =>
                {
                    beside = Beside::parse(&other.data_bytes);
                }
                _ => {}
            }
        }
        let (whole, direction) = (message.bytes, direction(address.pkttype()));
        let bytes = self.buffer.get(..whole.min(self.buffer.len())).unwrap_or_default();
        let mut frame = beside.frame(bytes, whole);
        frame.bytes.truncate(self.snap_length);
        Ok(Some(Frame { at: at.unwrap_or_default(), direction, dropped: self.dropped, ..frame }))
    }
}

/// What the device sends goes to the container, or out of the data center: the driver turns it round where that is
/// needed.
fn direction(kind: u8) -> Direction {
    if kind == OUTGOING { Direction::Sent } else { Direction::Received }
}

/// A filter (classic BPF) that lets frames of one device through, wholly.
fn only(device: u32) -> [SockFilter; 4] {
    /// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_RET | BPF_K`.
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// `SKF_AD_OFF + SKF_AD_IFINDEX`.
    const IFINDEX: u32 = 0xffff_f000 + 8;
    [
        SockFilter::new(LOAD, 0, 0, IFINDEX),
        SockFilter::new(EQUAL, 0, 1, device),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

fn since_1970(time: TimeSpec) -> Duration {
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec()).unwrap_or_default())
}

/// What the kernel keeps beside a frame (`struct tpacket_auxdata`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Beside {
    length: Option<u32>,
    /// Kind and value of the VLAN tag.
    tag: Option<(u16, u16)>,
}

impl Beside {
    fn parse(bytes: &[u8]) -> Self {
        let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let status = word(0).unwrap_or(0);
        let tag = || {
            let kind = if status & VLAN_TPID_VALID != 0 { half(18)? } else { DOT1Q };
            Some((kind, half(16)?))
        };
        Self { length: word(4), tag: if status & VLAN_VALID != 0 { tag() } else { None } }
    }

    /// The frame with its tag where it was; `whole`: its length without, by the socket.
    fn frame(self, bytes: &[u8], whole: usize) -> Frame {
        let mut length = self.length.or_else(|| u32::try_from(whole).ok()).unwrap_or(u32::MAX);
        let mut bytes = bytes.to_vec();
        if let Some((kind, value)) = self.tag
            && bytes.len() >= TAG_AT
        {
            let tag = [kind.to_be_bytes(), value.to_be_bytes()].concat();
            bytes.splice(TAG_AT..TAG_AT, tag);
            length = length.saturating_add(4);
        }
        Frame { at: Duration::ZERO, direction: Direction::Sent, length, bytes, dropped: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_the_kernel_took_out_are_put_back() {
        let mut auxiliary = Vec::new();
        auxiliary.extend((VLAN_VALID | VLAN_TPID_VALID).to_ne_bytes());
        for word in [60_u32, 60, 0] {
            auxiliary.extend(word.to_ne_bytes());
        }
        auxiliary.extend(0x2064_u16.to_ne_bytes());
        auxiliary.extend(0x88a8_u16.to_ne_bytes());
        let beside = Beside::parse(&auxiliary);
        assert_eq!(beside, Beside { length: Some(60), tag: Some((0x88a8, 0x2064)) });
        let frame = beside.frame(&[7; 60], 60);
        assert_eq!((frame.length, frame.bytes.len()), (64, 64));
        assert_eq!(frame.bytes[8..20], [7, 7, 7, 7, 0x88, 0xa8, 0x20, 0x64, 7, 7, 7, 7]);
        // The kind is IEEE 802.1Q where it is not told, and without a tag nothing is put in.
        auxiliary[..4].copy_from_slice(&VLAN_VALID.to_ne_bytes());
        assert_eq!(Beside::parse(&auxiliary).tag, Some((DOT1Q, 0x2064)));
        auxiliary[..4].copy_from_slice(&0_u32.to_ne_bytes());
        assert_eq!(Beside::parse(&auxiliary).frame(&[7; 20], 1500).bytes, [7; 20]);
        assert_eq!(Beside::parse(&[]), Beside::default());
    }
}
