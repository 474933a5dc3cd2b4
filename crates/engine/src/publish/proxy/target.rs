//! Sockets inside a container that lead to a port of it.
//!
//! A socket belongs to the network namespace it is made in. A thread that lives for this goes there, makes one, and
//! ends; the socket is used from outside.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use llcm_netlink::{Socket, address, netns};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use rustix::time::Timespec;

use crate::error::{Context as _, EngineError};
use crate::process::Process;

/// A container's network namespace, known from the container's start on. It is reached through the container's
/// process, so that it is not kept when that has ended; one of somebody else's by its file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target(Arc<OnceLock<Place>>);

#[derive(Debug)]
enum Place {
    File(File),
    Process(Arc<Process>),
}

impl Target {
    /// The namespace that a file stands for.
    pub(crate) fn open(network: &Path) -> Result<Self, EngineError> {
        let file = File::open(network).context("open", network)?;
        Ok(Self(Arc::new(Place::File(file).into())))
    }

    /// From now on it is a process's namespace, unless it is known already.
    pub(crate) fn set(&self, process: &Arc<Process>) {
        // A second process cannot be: each start has a target of its own.
        let _ = self.0.set(Place::Process(Arc::clone(process)));
    }

    /// Connects to a port: loopback first, then the container's own addresses where it is refused. The socket does
    /// not block and may still be connecting, when the container's own rules hold it up.
    pub(super) fn connect_tcp(&self, port: u16) -> io::Result<OwnedFd> {
        self.first_that_takes(port, |address| {
            let socket = non_blocking(address, SocketType::STREAM)?;
            match connect(&socket, &address) {
                Ok(()) => return Ok(socket),
                Err(Errno::INPROGRESS) => {}
                Err(error) => return Err(error.into()),
            }
            // All addresses are the namespace's own, so its answer is there when the call returns.
            let mut polled = [PollFd::new(&socket, PollFlags::OUT)];
            let answered = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? > 0;
            if answered {
                sockopt::socket_error(&socket)??;
            }
            Ok(socket)
        })
    }

    /// A socket towards a port that `first` was sent from; refusals are tried around as with TCP.
    pub(super) fn connect_udp(&self, port: u16, first: &[u8]) -> io::Result<UdpSocket> {
        self.first_that_takes(port, |address| {
            let socket = UdpSocket::from(non_blocking(address, SocketType::DGRAM)?);
            connect(&socket, &address)?;
            socket.send(first)?;
            // As above: a refusal is there at once.
            sockopt::socket_error(&socket)??;
            Ok(socket)
        })
    }

    fn first_that_takes<T: Send>(
        &self,
        port: u16,
        attempt: impl Fn(SocketAddr) -> io::Result<T> + Sync,
    ) -> io::Result<T> {
        let attempt = &attempt;
        let namespace = match self.0.get() {
            Some(Place::File(file)) => file.as_fd(),
            // setns(2) takes a process's descriptor, too.
            Some(Place::Process(process)) => process.descriptor(),
            None => return Err(io::ErrorKind::ConnectionRefused.into()),
        };
        netns::visit(namespace, move || {
            let refused = |result: &io::Result<T>| {
                result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
            };
            let first = attempt((Ipv4Addr::LOCALHOST, port).into());
            if !refused(&first) {
                return first;
            }
            let own = address::list_v4(&mut Socket::open()?)?;
            let own = own.into_iter().map(|(_, address)| address).filter(|address| !address.is_loopback());
            for address in own.map(IpAddr::from).chain([Ipv6Addr::LOCALHOST.into()]) {
                let result = attempt((address, port).into());
                // An address that cannot be used (IPv6 is switched off, say) is no answer of the port.
                if result.is_ok() {
                    return result;
                }
            }
            first
        })?
    }
}

fn non_blocking(address: SocketAddr, kind: SocketType) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}
