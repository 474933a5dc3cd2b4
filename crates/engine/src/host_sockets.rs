//! Sockets on addresses of the host, for programs that are in its network namespace and for those that are not.

use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::sync::{Mutex, PoisonError};

use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, recvmsg, send, shutdown,
};
use serde::{Deserialize, Serialize};

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Gives sockets that are bound to addresses of the host, whichever network namespace the program is in.
pub trait HostSockets: Send + Sync + std::fmt::Debug {
    /// Binds a socket: of TCP, it listens; of UDP, it is bound. Port 0 lets the kernel choose. It is a blocking
    /// socket that executed programs do not inherit.
    ///
    /// # Errors
    /// As of bind(2): `AddrInUse`, `AddrNotAvailable`, `PermissionDenied` for ports that are reserved.
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd>;
}

/// Binds in the program's own network namespace, which is the host's for a program of root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnNamespace;

impl HostSockets for OwnNamespace {
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd> {
        match protocol {
            Protocol::Tcp => TcpListener::bind(address).map(OwnedFd::from),
            Protocol::Udp => UdpSocket::bind(address).map(OwnedFd::from),
        }
    }
}

/// What the broker is asked for: one message each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
}

/// What it answers; the socket comes with `Bound`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Bound,
    /// The kernel's number, where there is one, and its words.
    Refused(Option<i32>, String),
}

/// A message, in bytes.
pub(crate) const LONGEST: usize = 4096;

/// The client of the broker, a process of this program that stayed in the host's network namespace. It ends with
/// this value.
#[derive(Debug)]
pub(crate) struct Broker {
    /// One end of a pair of sockets that keep messages apart. A request and its answer go undisturbed.
    socket: Mutex<OwnedFd>,
    child: Child,
}

impl Broker {
    pub(crate) fn new(socket: OwnedFd, child: Child) -> Self {
        Self { socket: Mutex::new(socket), child }
    }
}

impl HostSockets for Broker {
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd> {
        let request = serde_json::to_vec(&Request { protocol, address })?;
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        retry_on_intr(|| send(&*socket, &request, SendFlags::NOSIGNAL))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut buffer = [0_u8; LONGEST];
        let received = retry_on_intr(|| {
            let parts = &mut [io::IoSliceMut::new(&mut buffer)];
            recvmsg(&*socket, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        })?;
        let bound = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        if received.bytes == 0 {
            let text = "the process that binds sockets of the host has ended: start the program again";
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, text));
        }
        match serde_json::from_slice(buffer.get(..received.bytes).unwrap_or_default())? {
            Answer::Bound => bound.ok_or_else(|| io::Error::other("the socket did not come with the answer")),
            Answer::Refused(Some(number), _) => Err(io::Error::from_raw_os_error(number)),
            Answer::Refused(None, text) => Err(io::Error::other(text)),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let socket = self.socket.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The broker ends when its socket does; where it has ended already, both calls are told so.
        let _ = shutdown(socket.as_fd(), Shutdown::Both);
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_the_own_namespace() {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = TcpListener::from(OwnNamespace.bind(Protocol::Tcp, any).unwrap());
        let address = listener.local_addr().unwrap();
        std::net::TcpStream::connect(address).unwrap();
        let error = OwnNamespace.bind(Protocol::Tcp, address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let socket = UdpSocket::from(OwnNamespace.bind(Protocol::Udp, any).unwrap());
        assert_ne!(socket.local_addr().unwrap().port(), 0);
    }
}
