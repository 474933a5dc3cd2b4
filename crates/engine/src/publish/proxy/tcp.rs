//! One proxied TCP connection: bytes both ways, each end's half-close passed on, a reset passed on as one.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustix::net::sockopt;

/// So many reads of one direction before others have their turn.
const TURN: usize = 16;

/// Both ends of a connection. Neither blocks.
#[derive(Debug)]
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    forth: Direction,
    back: Direction,
}

/// One direction. What the receiver has not taken is kept, and nothing more is read until it has: that is the back
/// pressure.
#[derive(Debug, Default)]
struct Direction {
    kept: Vec<u8>,
    taken: usize,
    /// The sender has closed its half.
    ended: bool,
    /// And the receiver has been told.
    told: bool,
}

/// What is to become of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing until one of its sockets is ready.
    Wait,
    /// There is more, and others have their turn first.
    Again,
    /// Both halves are closed.
    Over,
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream) -> io::Result<Self> {
        for end in [&client, &server] {
            end.set_nonblocking(true)?;
            // The sender's pauses are its own business; none is added.
            end.set_nodelay(true)?;
        }
        // A client that went away without a word is noticed after the kernel's two hours.
        sockopt::set_socket_keepalive(&client, true)?;
        Ok(Self { client, server, forth: Direction::default(), back: Direction::default() })
    }

    pub(super) fn ends(&self) -> [&TcpStream; 2] {
        [&self.client, &self.server]
    }

    /// Moves what can be moved.
    pub(super) fn pump(&mut self, scratch: &mut [u8]) -> io::Result<Next> {
        let forth = self.forth.pump(&self.client, &self.server, scratch)?;
        let back = self.back.pump(&self.server, &self.client, scratch)?;
        Ok(match (forth, back) {
            (Next::Over, Next::Over) => Next::Over,
            (Next::Again, _) | (_, Next::Again) => Next::Again,
            _ => Next::Wait,
        })
    }

    /// Ends it so that both sides see a reset, not an end: what was sent may be incomplete.
    pub(super) fn abort(self) {
        for end in self.ends() {
            // Closed it is in any case.
            let _ = sockopt::set_socket_linger(end, Some(Duration::ZERO));
        }
    }
}

impl Direction {
    fn pump(&mut self, mut from: &TcpStream, mut to: &TcpStream, scratch: &mut [u8]) -> io::Result<Next> {
        for _ in 0..TURN {
            while let Some(rest) = self.kept.get(self.taken..).filter(|rest| !rest.is_empty()) {
                match to.write(rest) {
                    Ok(count) => self.taken += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if is_not_yet(&error) => return Ok(Next::Wait),
                    Err(error) => return Err(error),
                }
            }
            (self.kept, self.taken) = (Vec::new(), 0);
            if self.ended {
                if !self.told {
                    to.shutdown(Shutdown::Write)?;
                    self.told = true;
                }
                return Ok(Next::Over);
            }
            let read = match from.read(scratch) {
                Ok(0) => {
                    self.ended = true;
                    continue;
                }
                Ok(count) => scratch.get(..count).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_not_yet(&error) => return Ok(Next::Wait),
                Err(error) => return Err(error),
            };
            let written = match to.write(read) {
                Err(error) if is_not_yet(&error) || error.kind() == io::ErrorKind::Interrupted => 0,
                other => other?,
            };
            self.kept = read.get(written..).unwrap_or_default().to_vec();
        }
        Ok(Next::Again)
    }
}

/// The socket is not ready, or still connecting: the kernel says the same to both.
fn is_not_yet(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}
