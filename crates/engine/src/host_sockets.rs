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
