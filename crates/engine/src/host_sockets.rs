//! Sockets on addresses of the host, for programs that are in its network namespace and for those that are not.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

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

/// Binds in the program's own network namespace.
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
