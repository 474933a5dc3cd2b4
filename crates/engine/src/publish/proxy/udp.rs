//! Proxied UDP: a socket of its own for each client, so that answers find their way back.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::target::Target;

/// A client that has been silent for so long, in both directions, is forgotten.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// So many datagrams of one socket before others have their turn.
pub(super) const TURN: usize = 64;

/// A published UDP port.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) container_port: u16,
    /// The clients by address: their tokens.
    pub(super) clients: BTreeMap<SocketAddr, u64>,
}

/// A client of a port.
#[derive(Debug)]
pub(super) struct Client {
    /// The port's token.
    pub(super) port: u64,
    pub(super) address: SocketAddr,
    /// The port's, for answers.
    host: Arc<UdpSocket>,
    /// Connected to the container.
    pub(super) socket: UdpSocket,
    pub(super) last: Instant,
}

/// What a datagram of a client led to.
#[derive(Debug)]
pub(super) enum Passed {
    /// It was passed on, or lost as a datagram may be.
    Yes,
    /// The port was refused: its program has gone, and another one may be there.
    Refused,
}

impl Port {
    /// The next datagram; `None` when there is none.
    pub(super) fn receive(&self, scratch: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.socket.recv_from(scratch) {
                Ok(received) => return Some(received),
                // An answer that could not be delivered: none of the next one's business.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => return None,
            }
        }
    }

    /// A new client, whose first datagram is passed on; `None` when nothing listens.
    pub(super) fn admit(
        &self,
        port: u64,
        address: SocketAddr,
        first: &[u8],
        target: &Target,
    ) -> Option<Client> {
        let socket = target.connect_udp(self.container_port, first).ok()?;
        Some(Client { port, address, host: Arc::clone(&self.socket), socket, last: Instant::now() })
    }
}

impl Client {
    /// Passes a datagram on to the container.
    pub(super) fn forth(&mut self, datagram: &[u8]) -> Passed {
        self.last = Instant::now();
        match self.socket.send(datagram) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Passed::Refused,
            // No room: lost, as a network would lose it.
            _ => Passed::Yes,
        }
    }

    /// Passes the container's answers back, as many as there are or its turn allows.
    ///
    /// # Errors
    /// The container's port was closed.
    pub(super) fn back(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        for _ in 0..TURN {
            match self.socket.recv(scratch) {
                Ok(count) => {
                    self.last = Instant::now();
                    // Lost, as a network would lose it, when there is no room.
                    let _ = self.host.send_to(scratch.get(..count).unwrap_or_default(), self.address);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
