//! Sockets for a published port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::sockopt;

use super::{Protocol, Publish};
use crate::error::{Context as _, EngineError};
use crate::host_sockets::HostSockets;
use crate::patience;

/// Clients that may wait for the proxy to accept them: the kernel's own bound (`net.core.somaxconn`) is lower.
const BACKLOG: i32 = 4096;

/// Sockets for a port, listening: one, or one for each family.
///
/// # Errors
/// `Conflict` when somebody else has the port and does not give it up within a second, `Invalid` when the host has no
/// such address.
pub(super) fn bind(sockets: &dyn HostSockets, port: &Publish) -> Result<Vec<OwnedFd>, EngineError> {
    let is_taken = |bound: &io::Result<_>| bound.as_ref().is_err_and(|error| is(error, &[Errno::ADDRINUSE]));
    match patience::until(patience::MOMENT, is_taken, || bind_once(sockets, port)) {
        Err(error) if is(&error, &[Errno::ADDRINUSE]) => Err(in_use(port)),
        Err(error) if is(&error, &[Errno::ADDRNOTAVAIL]) => {
            Err(EngineError::Invalid(format!("port {port}: this machine has no such address")))
        }
        bound => bound.context("publish port", Path::new(&port.to_string())),
    }
}

/// Somebody else has a port.
pub(crate) fn in_use(port: &Publish) -> EngineError {
    EngineError::Conflict {
        kind: "port",
        name: port.to_string(),
        problem: "is in use: choose another one, or end the program or container that has it",
    }
}

fn bind_once(sockets: &dyn HostSockets, port: &Publish) -> io::Result<Vec<OwnedFd>> {
    let bind = |address: IpAddr| -> io::Result<OwnedFd> {
        let socket = sockets.bind(port.protocol, SocketAddr::new(address, port.host_port))?;
        if port.protocol == Protocol::Tcp {
            // Only a socket that listens keeps those away that would share the address.
            rustix::net::listen(&socket, BACKLOG)?;
        }
        Ok(socket)
    };
    match port.address() {
        Some(address) => bind(address).map(|socket| vec![socket]),
        None => match bind(Ipv6Addr::UNSPECIFIED.into()) {
            Ok(both) if !sockopt::ipv6_v6only(&both).unwrap_or(true) => Ok(vec![both]),
            Ok(sixth) => bind(Ipv4Addr::UNSPECIFIED.into()).map(|fourth| vec![sixth, fourth]),
            // A host without IPv6.
            Err(error) if is(&error, &[Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]) => {
                bind(Ipv4Addr::UNSPECIFIED.into()).map(|fourth| vec![fourth])
            }
            Err(error) => Err(error),
        },
    }
}

fn is(error: &io::Error, which: &[Errno]) -> bool {
    which.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
