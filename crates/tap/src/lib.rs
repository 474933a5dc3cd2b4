//! TAP devices: Ethernet devices whose other side is a file descriptor.
//!
//! What is read from a descriptor is what the kernel sent by the device, with a header of [`HEADER`] bytes before the
//! frame (`struct virtio_net_hdr_v1_hash_tunnel` of linux/virtio_net.h) that says what is left to be done with it:
//! checksums, and cutting a large frame into packets. Written to another TAP device with the same header, the frame is
//! received there as it was sent. How large frames can be is set by [`Tap::set_offload`].
//!
//! A device is made in the network namespace of the thread that opens it, and goes with its descriptor. Its descriptor
//! keeps that namespace, even when the device has been moved to another one: to let a device go with the namespace it
//! is used in, make it in one that is thrown away and move it (`llcm_netlink`).
//!
//! One of the crates with `unsafe` code, since ioctls have no other form (`docs/adr/018`).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor, open};
use rustix::io::Errno;
use rustix::ioctl::{IntegerSetter, Opcode, Setter, Updater, ioctl, opcode};

/// Bytes before each frame, read or written.
pub const HEADER: usize = 24;
/// Bytes of the largest frame with its header: an IP packet of 64 KiB, its Ethernet header and VLAN tags.
pub const LARGEST: usize = HEADER + 65_536 + 64;

/// The device that TAP devices are made by.
const PATH: &str = "/dev/net/tun";
/// Its number (kernel, `admin-guide/devices.txt`).
const NUMBER: (u32, u32) = (10, 200);

/// `TUNSETIFF`, `TUNSETOFFLOAD`, `TUNSETVNETHDRSZ` of linux/if_tun.h.
const SET_INTERFACE: Opcode = opcode::write::<i32>(b'T', 202);
const SET_OFFLOAD: Opcode = opcode::write::<u32>(b'T', 208);
const SET_HEADER: Opcode = opcode::write::<i32>(b'T', 216);

/// `IFF_TAP`, `IFF_NO_PI`, `IFF_VNET_HDR`.
const FLAGS: u16 = 0x0002 | 0x1000 | 0x4000;
/// `IFNAMSIZ`: a name with the zero behind it.
const NAME: usize = 16;
/// Length of `struct ifreq`: a name, then a union of which the flags are the first two bytes.
const REQUEST: usize = 40;

/// `TUN_F_CSUM`, `TUN_F_TSO4`, `TUN_F_TSO6`, `TUN_F_TSO_ECN`.
const CHECKSUM: u32 = 0x01;
const TCP: u32 = 0x02 | 0x04 | 0x08;
/// `TUN_F_USO4`, `TUN_F_USO6`, from Linux 6.2 on.
const UDP: u32 = 0x20 | 0x40;
/// `TUN_F_UDP_TUNNEL_GSO`, `TUN_F_UDP_TUNNEL_GSO_CSUM`, from Linux 6.17 on.
const TUNNEL: u32 = 0x080 | 0x100;

/// How large the frames are that the kernel gives to a TAP device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offload {
    /// One frame is one packet.
    Packets,
    /// Packets of one TCP or UDP flow come as one frame, but not those in tunnels.
    Flows,
    /// Those of flows in UDP tunnels, such as VXLAN, do as well.
    Tunnels,
}

impl Offload {
    /// The flags to try, the best first: kernels refuse those that they do not know.
    fn attempts(self) -> &'static [u32] {
        match self {
            Self::Packets => &[CHECKSUM],
            Self::Flows => &[CHECKSUM | TCP | UDP, CHECKSUM | TCP],
            Self::Tunnels => &[CHECKSUM | TCP | UDP | TUNNEL],
        }
    }
}

/// A TAP device's descriptor, which does not block.
#[derive(Debug)]
pub struct Tap(File);

impl Tap {
    /// Makes a device of the given name in the calling thread's network namespace; it is down.
    ///
    /// # Errors
    /// `NotFound` or `PermissionDenied` for `/dev/net/tun`; `EPERM` without `CAP_NET_ADMIN` in the namespace; `EBUSY`
    /// for a name that is taken; `InvalidInput` for a name that is empty or longer than 15 bytes.
    pub fn create(name: &str) -> io::Result<Self> {
        if name.is_empty() || name.len() >= NAME || name.contains('\0') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name of a network device"));
        }
        let tap =
            Self::from_fd(open(PATH, OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())?)?;
        let mut request = [0; REQUEST];
        request[..name.len()].copy_from_slice(name.as_bytes());
        request[NAME..NAME + 2].copy_from_slice(&FLAGS.to_ne_bytes());
        set_interface(&tap, &mut request)?;
        set_header(&tap)?;
        Ok(tap)
    }

    /// Takes a descriptor that another process has made by [`Tap::create`].
    ///
    /// # Errors
    /// `InvalidInput` for what is no descriptor of `/dev/net/tun`.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let status = fstat(&fd)?;
        let is_device = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
        if !is_device || (major(status.st_rdev), minor(status.st_rdev)) != NUMBER {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no descriptor of /dev/net/tun"));
        }
        Ok(Self(File::from(fd)))
    }

    /// Sets how large frames may be: at most as asked for, less where the kernel knows less. It takes effect with the
    /// next frame.
    ///
    /// # Errors
    /// What the kernel says when it refuses even the least.
    pub fn set_offload(&self, wanted: Offload) -> io::Result<Offload> {
        let all = [Offload::Tunnels, Offload::Flows, Offload::Packets];
        let mut refused = Errno::INVAL;
        for offload in all.into_iter().filter(|it| *it <= wanted) {
            for flags in offload.attempts() {
                match set_offload(self, *flags) {
                    Ok(()) => return Ok(offload),
                    Err(errno) => refused = errno,
                }
            }
        }
        Err(refused.into())
    }

    /// The next frame with its header, as far as `buffer` holds it ([`LARGEST`]); its length.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; `EBADFD` when the device has gone.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.0, buffer)?)
    }

    /// Lets the device receive a frame with its header.
    ///
    /// # Errors
    /// `EIO` when the device is down, `EBADFD` when it has gone, `EINVAL` for a header that makes no sense.
    pub fn write(&self, frame: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.0, frame)?;
        Ok(())
    }
}

impl From<Tap> for OwnedFd {
    fn from(tap: Tap) -> Self {
        tap.0.into()
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[expect(unsafe_code, reason = "ioctl(2) has no safe form")]
fn set_interface(tap: &Tap, request: &mut [u8; REQUEST]) -> rustix::io::Result<()> {
    // SAFETY: `tap` is a descriptor of the TUN driver, for which the number means `TUNSETIFF`: it reads and writes
    // one `struct ifreq`, which has REQUEST bytes of which every value is valid here.
    unsafe { ioctl(tap, Updater::<SET_INTERFACE, [u8; REQUEST]>::new(request)) }
}

#[expect(unsafe_code, reason = "ioctl(2) has no safe form")]
fn set_header(tap: &Tap) -> rustix::io::Result<()> {
    const BYTES: i32 = 24;
    const { assert!(HEADER == 24) };
    // SAFETY: `tap` is a descriptor of the TUN driver, for which the number means `TUNSETVNETHDRSZ`: it reads an int.
    unsafe { ioctl(tap, Setter::<SET_HEADER, i32>::new(BYTES)) }
}

#[expect(unsafe_code, reason = "ioctl(2) has no safe form")]
fn set_offload(tap: &Tap, flags: u32) -> rustix::io::Result<()> {
    let argument = usize::try_from(flags).map_err(|_| Errno::INVAL)?;
    // SAFETY: `tap` is a descriptor of the TUN driver, for which the number means `TUNSETOFFLOAD`: the argument is a
    // number, no pointer.
    unsafe { ioctl(tap, IntegerSetter::<SET_OFFLOAD>::new_usize(argument)) }
}

#[cfg(test)]
mod tests;
