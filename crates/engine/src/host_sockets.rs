//! Where sockets for the host's ports come from: this program itself, or somebody it asks.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::publish::Protocol;

/// Gives sockets that are bound to addresses of the host.
///
/// A program in a network namespace of its own has none of the host's addresses; it asks a process outside, which
/// hands the sockets in.
pub trait HostSockets: Send + Sync + std::fmt::Debug {
    /// A socket bound to `address`, closed on execution. A TCP one may be listening already. One bound to `::` takes
    /// IPv4, too, unless its option `IPV6_V6ONLY` says otherwise.
    ///
    /// # Errors
    /// What bind(2) says: `EADDRINUSE` when somebody else has the port, `EADDRNOTAVAIL` when the host has no such
    /// address, `EACCES` for a port below 1024 without the privilege.
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd>;
}

/// Sockets made by this program in its own network namespace.
#[derive(Debug, Clone, Copy, Default)]
pub struct OwnNamespace;

impl HostSockets for OwnNamespace {
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let kind = match protocol {
            Protocol::Tcp => SocketType::STREAM,
            Protocol::Udp => SocketType::DGRAM,
        };
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        if protocol == Protocol::Tcp {
            // Connections of before that are being closed do not count; a listening socket does all the same.
            sockopt::set_socket_reuseaddr(&socket, true)?;
        }
        if address.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
        }
        bind(&socket, &address)?;
        Ok(socket)
    }
}
